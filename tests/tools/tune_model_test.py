"""attn-tune on language models and encoders, as far as it gets before the first update: what it
refuses, and with which words."""

import os
import stat
import time
import unittest

from cli_support import SEEDS, TUNE, size_loss_model
from tune_model_support import BERT, CORPUS, LLAMA, TuneModelTest


class Usage(TuneModelTest):
    def test_values(self):
        data = self.tokens()
        for arguments, part in (
            (["--lr", "nan"], "--lr"), (["--lr", "0"], "--lr"), (["--lr", "-1e-4"], "--lr"),
            (["--lr", "inf"], "--lr"), (["--lr", "fast"], "--lr"),
            (["--batch-size", "0"], "--batch-size"), (["--batch-size", "-1"], "--batch-size"),
            (["--accumulate", "0"], "--accumulate"), (["--context", "0"], "--context"),
            (["--context", "129"], "128"), (["--context", "1e3"], "--context"),
            (["--steps", "0"], "--steps"), (["--epochs", "0"], "--epochs"),
            (["--steps", "5", "--epochs", "1"], "--steps"),
            (["--weight-decay", "-1"], "--weight-decay"), (["--weight-decay", "nan"], "--weight-decay"),
            (["--clip", "-1"], "--clip"), (["--schedule", "linear"], "cosine"),
            (["--warmup", "-1"], "--warmup"), (["--precision", "f16"], "bf16"),
            (["--seed", "-1"], "--seed"), (["--threads", "0"], "--threads"),
            (["--rank", "0"], "--rank"), (["--rank", "1025"], "1024"), (["--alpha", "0"], "--alpha"),
            (["--alpha", "nan"], "--alpha"), (["--dropout", "1"], "--dropout"),
            (["--dropout", "-0.1"], "--dropout"), (["--targets", ""], "--targets"),
            (["--targets", "q_proj,,v_proj"], "--targets"),
            (["--full", "--lora"], "--full"), (["--full", "--rank", "4"], "--rank"),
            (["--full", "--adapter", "x"], "--adapter"),
            (["--memory-limit", "0"], "--memory-limit"), (["--memory-limit", "much"], "--memory-limit"),
            (["--memory-limit", "1X"], "800M"), (["--memory-limit", "-1G"], "--memory-limit"),
            (["--eval-split", "0"], "--eval-split"), (["--eval-split", "1"], "--eval-split"),
            (["--eval-split", "0.5", "--eval", data], "--eval"),
            (["--eval-every", "5"], "--eval-split"), (["--patience", "2"], "--patience"),
            (["--eval-split", "0.5", "--patience", "2"], "--eval-every"),
            (["--checkpoint-every", "0"], "--checkpoint-every"),
            (["--plot", "a.gif"], ".png"), (["--nonsense"], "--nonsense"),
            (["--sentence", "a b"], "--sentence"), (["--size-words", "a"], "--size-words"),
            (["--layers", "0"], "--layers"), (["--page", "a.html"], "--page"),
            (["--embedding-dim", "4"], "--embedding-dim"),
        ):
            with self.subTest(arguments):
                self.refuses(2, [part], LLAMA, "--task", "lm", "--data", data, "-o", "out", *arguments)
        self.assertFalse((self.folder / "out").exists())

    def test_what_is_needed(self):
        data = self.tokens()
        self.refuses(2, ["--task"], LLAMA, "--data", data, "-o", "out")
        self.refuses(2, ["similarity"], LLAMA, "--task", "poetry", "--data", data, "-o", "out")
        self.refuses(2, ["--data"], LLAMA, "--task", "lm", "-o", "out")
        self.refuses(2, ["-o"], LLAMA, "--task", "lm", "--data", data)
        self.refuses(2, ["MODEL"], "--task", "lm", "--data", data, "-o", "out")
        self.refuses(2, ["--data", "--sentence"], LLAMA, "--task", "size-loss", "--data", data,
                     "--sentence", "a b", "-o", "out")
        self.refuses(2, ["--page"], LLAMA, "--task", "size-loss", "--page", "a.png", "-o", "out")

    def test_tasks_and_models_that_do_not_fit(self):
        data = self.tokens()
        self.refuses(2, ["language model", "bert"], BERT, "--task", "lm", "--data", data, "-o", "out")
        self.refuses(2, ["encoder", "llama"], LLAMA, "--task", "similarity", "--data", data, "-o", "out")
        self.refuses(2, ["language model", "bert"], BERT, "--task", "size-loss", "--attention-weight", 1, "-o", "out")
        model = self.file("size.bin", size_loss_model(SEEDS["size_loss_attention"]["initial"]))
        self.refuses(2, ["language model"], model, "--task", "lm", "--data", data, "-o", "out")
        for arguments in (["--lora"], ["--steps", "3"], ["--data", data], ["--layers", "0"]):
            self.refuses(2, [arguments[0]], model, "--task", "size-loss", *arguments)
            self.refuses(2, [arguments[0]], "--task", "size-loss", *arguments)
        text = self.with_text("llama")
        self.refuses(2, ["--layers", "0 to 1"], text, "--task", "size-loss", "--layers", "2", "-o", "out")
        self.refuses(2, ["--heads", "0 to 3"], text, "--task", "size-loss", "--heads", "0,4", "-o", "out")
        self.refuses(2, ["tokenizer"], LLAMA, "--task", "size-loss", "-o", "out")


class Data(TuneModelTest):
    def lm(self, data, *arguments):
        return [LLAMA, "--task", "lm", "--data", data, "-o", "out", *arguments]

    def test_files(self):
        self.refuses(4, ["missing.txt"], *self.lm("missing.txt"))
        self.refuses(4, [str(self.folder)], *self.lm(str(self.folder)))
        self.refuses(3, ["empty.txt"], *self.lm(self.file("empty.txt", "")))
        self.refuses(3, ["blank.txt"], *self.lm(self.file("blank.txt", " \n\n")))
        self.refuses(4, ["no-model"], "no-model", "--task", "lm", "--data", self.tokens(), "-o", "out")
        self.refuses(4, ["missing.txt"], *self.lm(self.tokens(), "--eval", "missing.txt"))
        one = self.tokens("one.jsonl", count=1)
        self.refuses(3, ["two examples"], *self.lm(one, "--eval-split", "0.5"))

    def test_lines(self):
        for content, parts in (
            ('{"tokens": [1, 2]}\n{"tokens": [1, 256]}', ["data.jsonl:2", "tokens[1]", "256", "255"]),
            ('{"tokens": [1, 2], "targets": [1, 300]}', ["data.jsonl:1", "targets[1]", "300"]),
            ('{"tokens": [1, 2], "targets": [1]}', ["data.jsonl:1", "1 target for 2 tokens"]),
            ('{"tokens": [1, 2', ["data.jsonl:1"]),
            ('{"tokens": "1 2"}', ["data.jsonl:1"]),
            ('{"words": [1]}', ["data.jsonl:1", "messages"]),
            ('{"tokens": %s}' % list(range(129)), ["data.jsonl:1", "129 tokens", "128"]),
        ):
            with self.subTest(content[:40]):
                self.refuses(3, parts, *self.lm(self.file("data.jsonl", content)))

    def test_a_context_that_the_data_does_not_fill(self):
        model = self.with_text("llama")
        data = self.file("short.txt", "the cat and the mouse")
        self.refuses(3, ["short.txt: ", "tokens, fewer than a context of 64"],
                     model, "--task", "lm", "--data", data, "--context", "64", "-o", "out")

    def test_similarity(self):
        model = self.with_text("bert")

        def refuses(content, *parts):
            data = self.file("pairs.tsv", content)
            self.refuses(3, parts, model, "--task", "similarity", "--data", data, "-o", "out")

        refuses("the cat\ta mouse\t0.5\nit\twas\t1.5\n", "pairs.tsv:2", "score", "1.5")
        refuses("the cat\ta mouse\nit\twas\t0.5\n", "pairs.tsv:2", "score")
        refuses("the cat\n", "pairs.tsv:1", "tab")

    def test_size_words(self):
        model = self.with_text("llama")

        def refuses(parts, *arguments):
            self.refuses(3, parts, model, "--task", "size-loss", "-o", "out", *arguments)

        refuses(["giraffe"], "--size-words", "elephant,giraffe")
        refuses(["--sentence", "no words"], "--sentence", " ", "--size-words", "a")
        refuses(["all words"], "--sentence", "too big.", "--size-words", "too,big")
        refuses(["elephant"], "--sentence", "a small mouse")
        data = self.file("sentences.txt", "a big cat\nthe mouse\n")
        refuses(["sentences.txt:2", "big"], "--data", data, "--size-words", "big")
        refuses(["sentences.txt:1", "looked at"], "--data", data)


class Places(TuneModelTest):
    def test_targets_are_checked_before_anything_is_computed(self):
        model = self.with_text("llama")
        data = self.file("data.txt", CORPUS)
        os.mkdir(self.folder / "folder")
        self.file("file", "")
        begin = time.monotonic()
        for arguments in (
            ["-o", "no/such/out"], ["-o", "file"], ["--full", "-o", "folder"],
            ["--full", "-o", "no/such/out.bin"], ["-o", "/proc/out"], ["--full", "-o", "/dev/full"],
            ["-o", "out", "--log", "no/log.jsonl"], ["-o", "out", "--plot", "no/plot.png"],
            ["-o", "out", "--log", "folder"],
        ):
            with self.subTest(arguments):
                self.refuses(4, ["cannot"], model, "--task", "lm", "--data", data,
                             "--steps", 1000000, *arguments)
        self.refuses(4, ["no/page-before.html"], model, "--task", "size-loss", "-o", "out",
                     "--page", "no/page.html", "--steps", 1000000)
        self.assertLess(time.monotonic() - begin, 20)
        self.assertEqual(sorted(os.listdir(self.folder)), ["data.txt", "file", "folder", "llama-text"])

    @unittest.skipIf(os.geteuid() == 0, "root may write everywhere")
    def test_folders_without_permission(self):
        closed = self.folder / "closed"
        closed.mkdir()
        closed.chmod(stat.S_IRUSR | stat.S_IXUSR)
        self.addCleanup(closed.chmod, stat.S_IRWXU)
        for out in ("closed", "closed/out"):
            self.refuses(4, ["closed"], LLAMA, "--task", "lm", "--data", self.tokens(), "-o", out)

    def test_nothing_to_resume_from(self):
        self.refuses(4, ["out.checkpoints", "no checkpoint"], LLAMA, "--task", "lm",
                     "--data", self.tokens(), "-o", "out", "--resume")


if __name__ == "__main__":
    unittest.main()
