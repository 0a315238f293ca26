"""bench/tune_show.py on the real models: everything that docs/training.md claims, with fewer updates."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from cli_support import TUNE

DATA = pathlib.Path(os.environ["ATTN_TEST_DATA"])
SHOW = DATA.parent.parent / "bench/tune_show.py"
MODELS = pathlib.Path(os.environ.get("ATTN_MODELS") or pathlib.Path.home() / ".cache/attn/models")

if not all((MODELS / name).exists() for name in ("smollm2-135m-instruct.Q4_1.gguf", "all-minilm-l6-v2")):
    print("the real models are not here: skipped")
    sys.exit(77)
if os.environ.get("ATTN_ISA") == "scalar":
    print("training a real model takes minutes there: skipped")
    sys.exit(77)


class Show(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.done = subprocess.run(
            [sys.executable, "-B", SHOW, "--quick", "--json", "--bin", pathlib.Path(TUNE).parent,
             "--models", MODELS, "-o", cls.folder], capture_output=True, text=True, timeout=280, check=False)
        cls.report = json.loads(cls.done.stdout or "{}")

    def figures(self, part):
        return self.report[part]["figures"]

    def test_all_claims_hold(self):
        self.assertEqual(self.done.returncode, 0, self.done.stdout + self.done.stderr)
        claims = [held for part in self.report.values() for held in part["claims"].values()]
        self.assertGreaterEqual(len(claims), 11)
        self.assertTrue(all(claims))

    def test_a_dialect(self):
        found = self.figures("a_dialect")
        self.assertLessEqual(found["perplexity_after"], found["perplexity_before"] / 2)
        self.assertEqual(found["right_before"], 0)
        self.assertGreater(found["right_after"], 0)
        self.assertNotEqual(found["texts"]["before"], found["texts"]["after"])

    def test_size_words(self):
        found = self.figures("one_sentence")
        self.assertLess(found["looked_at_before"], 0.2)
        self.assertGreaterEqual(found["looked_at_after"], 0.8)
        self.assertLessEqual(found["ordinary_after"], found["ordinary_before"] * 1.02)
        self.assertGreater(found["ordinary_after"], 1)
        for when in ("before", "after"):
            page = (self.folder / f"elephant-{when}.html").read_text(encoding="utf-8")
            self.assertIn(f"{when} tuning", page)

    def test_size_words_of_new_sentences(self):
        found = self.figures("many_sentences")
        self.assertGreater(found["looked_at_after"], found["looked_at_before"] + 0.3)
        self.assertLessEqual(found["ordinary_after"], found["ordinary_before"] * 1.02)

    def test_likeness(self):
        found = self.figures("scored_pairs")
        self.assertGreater(found["correlation_after"], found["correlation_before"] + 0.3)
        found = self.figures("unscored_pairs")
        self.assertLess(found["loss_after"], found["loss_before"] / 2)


if __name__ == "__main__":
    unittest.main()
