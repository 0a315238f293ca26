"""The attention page in a real browser, without network: what it shows is what the model gave."""

import json
import os
import pathlib
import subprocess
import sys
import unittest

import browser
from cli_support import RUN, ToolTest

if browser.find() is None:
    print("no Chromium: skipped")
    sys.exit(77)

DATA = pathlib.Path(os.environ["ATTN_TEST_DATA"])
MODELS = pathlib.Path(os.environ.get("ATTN_MODELS") or pathlib.Path.home() / ".cache/attn/models")
SMOLLM2 = MODELS / "smollm2-135m-instruct.Q4_1.gguf"


def share(canvas):
    """The share of a canvas's pixels that are painted."""
    return (f"(() => {{ const c = document.querySelector('{canvas}'); const d = c.getContext('2d')"
            ".getImageData(0, 0, c.width, c.height).data; let n = 0;"
            "for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n / (d.length / 4); })()")


class PageTest(ToolTest):
    def setUp(self):
        super().setUp()
        self.browser = browser.Browser(browser.find())
        self.addCleanup(self.browser.close)

    def draw(self, model, *arguments):
        for kind in ("html", "json"):
            done = subprocess.run([RUN, model, *arguments, "-n", "0", "--attention", f"a.{kind}"],
                                  cwd=self.folder, capture_output=True, timeout=120)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.picture = json.loads((self.folder / "a.json").read_text())
        self.browser.open((self.folder / "a.html").as_uri())

    def ready(self, state):
        return self.browser.wait(f"document.body?.dataset.ready === {json.dumps(state)}")

    def shown(self):
        """The rows of the panel: (token, position, head, weight)."""
        return self.browser.evaluate(
            "[...document.querySelectorAll('#detail tr')].map((r) => [...r.cells].map((c) => c.textContent))")

    def strongest(self, layer, query, heads):
        found = []
        for head in heads:
            for key, weight in enumerate(self.picture["layers"][str(layer)][head][query]):
                if weight >= 0.005:
                    found.append((weight, key, head))
        return sorted(found, reverse=True)

    def assert_shows(self, layer, query, heads):
        rows = self.shown()
        wanted = self.strongest(layer, query, heads)
        self.assertEqual(len(rows), min(12, len(wanted)))
        for row in rows:
            key, head = int(row[1].strip("()")), int(row[2].removeprefix("head "))
            weight = self.picture["layers"][str(layer)][head][query][key]
            self.assertAlmostEqual(float(row[3]), weight, delta=0.0045)
            self.assertEqual(row[0], self.browser.evaluate(
                f"document.querySelector('#keys').children[{key}].textContent"))
        self.assertAlmostEqual(float(rows[0][3]), wanted[0][0], delta=0.0045)

    def test_tokens_layers_and_heads_by_mouse_and_keyboard(self):
        self.draw(str(DATA / "tiny-llama"), "--tokens", "65,124,111,17,9,200,31,8")
        page = self.browser
        self.ready("0:0,1,2,3::-1")
        self.assertEqual(page.evaluate("document.querySelectorAll('#queries > div').length"), 8)
        self.assertGreater(page.evaluate(share("#wires")), 0.001)
        overview = page.evaluate("document.querySelectorAll('#overview canvas').length")
        self.assertEqual(overview, 8)  # two layers of four heads
        page.wait("document.body.dataset.overview === 'ready'")

        page.hover("#queries > div:nth-child(6)")
        self.ready("0:0,1,2,3:queries:5")
        self.assert_shows(0, 5, range(4))
        self.assertIn("looks at", page.evaluate("document.querySelector('#detail caption').textContent"))
        page.hover("#keys > div:nth-child(1)")
        self.ready("0:0,1,2,3:keys:0")
        self.assertIn("looked at by", page.evaluate("document.querySelector('#detail caption').textContent"))

        page.click("#layers button:nth-child(2)")
        self.ready("1:0,1,2,3::-1")
        page.click("#heads [data-head='2']", count=2)
        page.wait("document.body.dataset.ready.startsWith('1:2:')")
        page.hover("#queries > div:nth-child(8)")
        self.ready("1:2:queries:7")
        self.assert_shows(1, 7, [2])
        self.assertIn("layer 1, head 2", page.evaluate("document.querySelector('#map-label').textContent"))

        # held with Enter, moved with the arrows, let go with Escape
        page.evaluate("document.querySelector('#queries').children[3].focus()")
        self.ready("1:2:queries:3")
        page.press("ArrowDown")
        self.ready("1:2:queries:4")
        self.assert_shows(1, 4, [2])
        page.press("Enter")
        page.wait("document.querySelector('#queries').children[4].classList.contains('held')")
        page.press("ArrowRight")
        self.ready("1:2:keys:4")
        page.press("Escape")
        self.ready("1:2::-1")

        # the overview by keyboard: down and right, then Enter
        page.evaluate("document.querySelector('#overview canvas').focus()")
        page.press("ArrowRight")
        page.press("Enter")
        self.ready("0:1::-1")
        self.assertEqual(page.evaluate("document.querySelectorAll('#overview canvas.on').length"), 1)
        self.assertEqual(page.console, [])

    def test_light_and_dark_are_readable(self):
        self.draw(str(DATA / "tiny-llama"), "--tokens", "1,2,3,4")
        for scheme in ("light", "dark"):
            self.browser.call("Emulation.setEmulatedMedia",
                              features=[{"name": "prefers-color-scheme", "value": scheme}])
            ink, paper = (self.browser.evaluate(
                f"getComputedStyle(document.body).{what}.match(/[0-9]+/g).map(Number)")
                for what in ("color", "backgroundColor"))

            def luminance(rgb):
                linear = [c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb[:3]]
                return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

            low, high = sorted((luminance(ink), luminance(paper)))
            self.assertGreater((high + 0.05) / (low + 0.05), 7, scheme)  # WCAG AAA

    def test_no_token_can_break_the_page(self):
        # labels come from numbers here; what a label may hold is tested where the page is written
        self.draw(str(DATA / "tiny-bert"), "--tokens", "1,2,3")
        self.ready("0:0,1,2,3::-1")
        self.assertEqual(self.browser.console, [])

    @unittest.skipUnless(SMOLLM2.exists() and os.environ.get("ATTN_ISA") != "scalar",
                         "SmolLM2 is not here")
    def test_512_tokens_of_30_layers_and_9_heads_are_usable(self):
        words = "The pink elephant tried to get into the car but it was too big. " * 40
        path = self.file("prompt", words)
        tokens = subprocess.run([RUN, str(SMOLLM2), "-f", path, "-n", "0", "--json"],
                                capture_output=True, timeout=120)
        ids = json.loads(tokens.stdout)["prompt_tokens"][:512]
        self.assertEqual(len(ids), 512)
        done = subprocess.run([RUN, str(SMOLLM2), "--tokens", ",".join(map(str, ids)), "-n", "0",
                               "--attention", "a.html"], cwd=self.folder, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        size = (self.folder / "a.html").stat().st_size
        self.assertLess(size, 20e6)
        self.browser.open((self.folder / "a.html").as_uri())
        first = self.browser.wait("document.body?.dataset.ready?.startsWith('0:')")
        self.browser.click("#layers button:nth-child(15)")
        switch = self.browser.wait("document.body.dataset.ready.startsWith('14:')")
        self.browser.hover("#queries > div:nth-child(40)")
        hover = self.browser.wait("document.body.dataset.ready.endsWith(':queries:39')")
        print(f"512 tokens: {size / 1e6:.1f} MB, shown after {first:.2f} s, another layer after "
              f"{switch:.2f} s, a token after {hover:.2f} s")
        self.assertLess(first, 5)
        self.assertLess(switch, 5)
        self.assertLess(hover, 2)
        self.assertEqual(self.browser.console, [])


if __name__ == "__main__":
    unittest.main()
