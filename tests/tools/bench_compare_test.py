"""bench/compare with peers that are made up, and with figures that are."""

import json
import os
import pathlib
import subprocess
import unittest
import xml.dom.minidom

from cli_support import ToolTest

BENCH = pathlib.Path(os.environ["ATTN_BENCH"])
DATA = pathlib.Path(os.environ["ATTN_TEST_DATA"])
COMPARE = DATA.parent.parent / "bench/compare"
LLAMA_BENCH = """#!/bin/sh
echo "$@" >>"$(dirname "$0")/calls"
echo '[{"avg_ts": 1000000000.0}]'
"""
LLAMA_COMPLETION = "#!/bin/sh\nexit 0\n"


class CompareTest(ToolTest):
    def setUp(self):
        super().setUp()
        self.peers = self.folder / "peers"
        models = self.peers / "models"
        models.mkdir(parents=True)
        # small models under the names of the real ones: what they are is told by their content
        (models / "smollm2-135m-instruct.Q4_1.gguf").symlink_to(DATA / "tiny-llama")
        (models / "all-minilm-l6-v2").symlink_to(DATA / "tiny-bert")

    def program(self, name, content):
        path = self.peers / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(0o755)
        return path

    def compare(self, *arguments, code=0):
        done = subprocess.run(
            [COMPARE, "--bin", BENCH.parent, "-o", self.folder / "out", *map(str, arguments)],
            capture_output=True, text=True, timeout=120, env={**os.environ, "PEERS": str(self.peers)},
        )
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout, done.stderr

    def cells(self, line):
        return [cell.strip() for cell in line.strip("|").split("|")]

    def test_engines_take_turns_and_absent_ones_are_told(self):
        self.program("llama.cpp/bin/llama-bench", LLAMA_BENCH)
        self.program("llama.cpp/bin/llama-completion", LLAMA_COMPLETION)
        out, err = self.compare("-t", "1", "-r", "2", "--only", "^SmolLM2 (pp128|tg64)|^MiniLM (1x16|start) f32")
        for name in ("llama.cpp AVX2", "ONNX Runtime", "OpenVINO", "OpenVINO bf16"):
            self.assertEqual(err.count(f"{name} is left out"), 1, err)
        calls = (self.peers / "llama.cpp/bin/calls").read_text().splitlines()
        self.assertEqual([call.split("-p ")[1].split()[0] for call in calls], ["128", "0", "128", "0"])
        rows = [self.cells(line) for line in out.splitlines()]
        self.assertEqual(rows[0], ["work", "threads", "", "attn", "llama.cpp", "attn / best peer"])
        self.assertEqual(
            [row[:3] for row in rows[2:]],
            [
                ["SmolLM2 pp128", "1", "tokens/s"], ["SmolLM2 tg64", "1", "tokens/s"],
                ["MiniLM 1x16 f32", "1", "tokens/s"], ["MiniLM start f32", "1", "first token, ms"],
                ["MiniLM start f32", "1", "peak RSS, MiB"],
            ],
        )
        self.assertEqual(rows[2][4:], ["1,000,000,000", "0.00×"])
        self.assertEqual(rows[4][4:], ["–", "–"])
        saved = json.loads((self.folder / "out/peers.json").read_text())
        self.assertEqual({len(values) for row in saved for values in row["samples"].values()}, {2})
        self.assertEqual((self.folder / "out/peers.md").read_text(), out)

    def test_ratios_of_medians_to_the_best_peer(self):
        def result(work, engine, metric, samples):
            return {"work": work, "threads": 2, "engine": engine, "samples": {metric: samples}}

        saved = self.file("saved.json", json.dumps([
            result("A <b>", "attn", "tokens/s", [10, 300, 200]),
            result("A <b>", "one", "tokens/s", [100, 100, 100]),
            result("A <b>", "two", "tokens/s", [50, 60, 900]),
            result("start", "attn", "first token, ms", [40]),
            result("start", "one", "first token, ms", [10]),
            result("start", "two", "first token, ms", [20]),
            result("alone", "attn", "tokens/s", [1]),
        ]))
        rows = [self.cells(line) for line in self.compare("--from", saved)[0].splitlines()][2:]
        self.assertEqual(rows[0][3:], ["200", "100", "60.0", "2.00×"])
        self.assertEqual(rows[1][3:], ["40.0", "10.0", "20.0", "0.25×"])
        self.assertEqual(rows[2][3:], ["1.0", "–", "–", "–"])
        chart = xml.dom.minidom.parse(str(self.folder / "out/peers.svg"))
        words = [node.firstChild.data for node in chart.getElementsByTagName("text")]
        for wanted in ("A <b>, 2 threads", "2.00× one", "start, first token, 2 threads", "0.25× one"):
            self.assertIn(wanted, words)
        self.assertNotIn("alone, 2 threads", words)
        bars = [node for node in chart.getElementsByTagName("rect") if node.getAttribute("height") == "13"]
        self.assertEqual([bar.getAttribute("class") for bar in bars], ["ahead", "behind"])
        # on a logarithmic scale a quarter is twice as far away as double
        self.assertAlmostEqual(float(bars[1].getAttribute("width")), 2 * float(bars[0].getAttribute("width")), 0)

    def test_a_peer_that_fails_is_an_error_of_one_line(self):
        self.program("llama.cpp/bin/llama-bench", "#!/bin/sh\necho loading >&2\necho no such model >&2\nexit 3\n")
        self.program("llama.cpp/bin/llama-completion", LLAMA_COMPLETION)
        out, err = self.compare("-t", "1", "-r", "1", "--only", "pp128", code=1)
        self.assertEqual(out, "")
        self.assertRegex(err.splitlines()[-1], r"^bench/compare: .*llama-bench ended with 3: no such model$")

    def test_wrong_use(self):
        for arguments in (("-t", "0"), ("-t", "x"), ("-r", "x"), ("--only", "("), ("--frobnicate",)):
            self.compare(*arguments, code=2)
        self.assertIn("nothing was measured", self.compare("--only", "no such work", code=1)[1])


if __name__ == "__main__":
    unittest.main()
