"""attn-tune on language models and encoders: what it learns, writes, logs and takes up again."""

import json
import os
import signal
import subprocess
import time
import unittest

from cli_support import RUN, TUNE
from tune_model_support import CORPUS, LLAMA, TuneModelTest


class Training(TuneModelTest):
    def lm(self, *arguments, model=LLAMA, code=0):
        return self.tune_model(model, "--task", "lm", *arguments, code=code)

    def test_json(self):
        data = self.tokens()
        result = self.lm("--data", data, "-o", "out", "--lr", "0.01", "--steps", 8)
        self.assertEqual(
            list(result),
            ["losses", "tokens_per_s", "peak_mb", "evaluation_before", "evaluation_after",
             "trained_parameters", "stopped", "resumed_from"],
        )
        self.assertEqual(len(result["losses"]), 8)
        self.assertLess(result["losses"][-1], result["losses"][0])
        self.assertGreater(result["tokens_per_s"], 0)
        self.assertGreater(result["peak_mb"], 1)
        self.assertIsNone(result["evaluation_before"])
        self.assertIsNone(result["evaluation_after"])
        # rank 8 of q, k, v and o in two layers: in 64, out 64, 32, 32 and 64
        self.assertEqual(result["trained_parameters"], 2 * 8 * (128 + 96 + 96 + 128))
        self.assertIs(result["stopped"], False)

    def test_epochs_and_the_last_short_batch(self):
        data = self.tokens(count=10)
        result = self.lm("--data", data, "-o", "out", "--epochs", 2, "--batch-size", 2,
                         "--accumulate", 2)
        self.assertEqual(len(result["losses"]), 6)
        self.assertEqual(len(self.lm("--data", data, "-o", "out")["losses"]), 3)

    def test_evaluation(self):
        data, held_out = self.tokens(), self.tokens("held.jsonl", count=2)
        result = self.lm("--data", data, "--eval", held_out, "-o", "out", "--lr", "0.01", "--epochs", 4)
        before, after = result["evaluation_before"], result["evaluation_after"]
        self.assertEqual(list(before), ["loss", "perplexity", "examples"])
        self.assertEqual(before["examples"], 2)
        self.assertLess(after["loss"], before["loss"])
        self.assertLess(after["perplexity"], before["perplexity"])
        split = self.lm("--data", data, "--eval-split", "0.25", "-o", "out", "--batch-size", 1)
        self.assertEqual(split["evaluation_before"]["examples"], 3)
        self.assertEqual(len(split["losses"]), 9)

    def test_patience_ends_a_run(self):
        data = self.tokens()
        result = self.lm("--data", data, "--eval", data, "-o", "out", "--lr", "1e-30", "--steps", 50,
                         "--eval-every", 2, "--patience", 2, "--weight-decay", 0)
        self.assertIs(result["stopped"], True)
        self.assertLess(len(result["losses"]), 50)

    def test_seeds_threads_and_order(self):
        data = self.tokens()

        def losses(*arguments):
            return self.lm("--data", data, "-o", "out", "--steps", 6, *arguments)["losses"]

        one = losses("--seed", 3, "-t", 1)
        for threads in (2, 3):
            self.assertEqual(one, losses("--seed", 3, "-t", threads))
        self.assertEqual(one, losses("--seed", 3, "-t", 1, "--checkpoint-activations"))
        self.assertNotEqual(one, losses("--seed", 4))
        self.assertNotEqual(one, losses("--seed", 3, "--no-shuffle"))

    def test_what_is_written_runs(self):
        data = self.tokens()
        arguments = ("--data", data, "--lr", "0.01", "--steps", 6)
        tokens = ("--tokens", "3,6,9,12", "-n", 4, "--temp", 0, "--precision", "f32")

        def generated(*what):
            done = subprocess.run([RUN, *map(str, (*what, *tokens, "--json"))], cwd=self.folder,
                                  capture_output=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)
            return json.loads(done.stdout)["tokens"]

        self.lm(*arguments, "-o", "adapter")
        self.assertEqual(sorted(os.listdir(self.folder / "adapter")),
                         ["adapter_config.json", "adapter_model.safetensors"])
        config = json.loads((self.folder / "adapter/adapter_config.json").read_text())
        self.assertEqual(config["r"], 8)
        self.lm(*arguments, "--full", "-o", "full.bin")
        self.assertEqual(len(generated("full.bin")), 4)
        # and the source itself may be the target
        self.lm(*arguments, "--full", "-o", "full.bin", model="full.bin")
        self.assertEqual(len(generated("full.bin")), 4)

    def test_an_adapter_is_trained_further(self):
        data = self.tokens()
        arguments = ("--data", data, "--lr", "0.01", "--steps", 6)
        first = self.lm(*arguments, "-o", "one", "--rank", 4, "--targets", "q_proj")
        second = self.lm(*arguments, "-o", "two", "--adapter", "one", "--rank", 16)
        self.assertEqual(first["trained_parameters"], second["trained_parameters"])
        self.assertLess(second["losses"][0], first["losses"][0])

    def test_text_and_conversations(self):
        model = self.with_text("llama")
        text = self.file("data.txt", CORPUS)
        result = self.lm("--data", text, "-o", "out", "--context", 32, "--lr", "0.01", model=model)
        self.assertLess(result["losses"][-1], result["losses"][0])
        chat = self.lines("chat.jsonl", *({"messages": [
            {"role": "user", "content": f"what is {i} ?"},
            {"role": "assistant", "content": "it is the cat"}]} for i in range(8)))
        result = self.lm("--data", chat, "-o", "out", "--lr", "0.01", "--epochs", 3, model=model)
        self.assertLess(result["losses"][-1], result["losses"][0])

    def test_similarity(self):
        model = self.with_text("bert")
        pairs = self.file("pairs.tsv", "the cat\tthe mouse\t0.9\nthe car\tparis\t-0.5\n"
                                       "the house\tit was\t0.1\nsmall\tlarge\t0.4\n")
        result = self.tune_model(model, "--task", "similarity", "--data", pairs, "--eval", pairs,
                                 "-o", "out", "--lr", "0.01", "--epochs", 20)
        self.assertLess(result["losses"][-1], result["losses"][0])
        self.assertEqual(list(result["evaluation_after"]), ["loss", "correlation", "examples"])
        self.assertGreaterEqual(result["evaluation_after"]["correlation"],
                                result["evaluation_before"]["correlation"])

    def test_pairs_without_scores(self):
        model = self.with_text("bert")
        pairs = self.file("pairs.tsv", "the cat\tthe mouse\nthe car\tparis\n"
                                       "the house\tit was\nsmall\tlarge\n")
        result = self.tune_model(model, "--task", "similarity", "--data", pairs, "--eval", pairs,
                                 "-o", "out", "--lr", "0.01", "--epochs", 20)
        self.assertEqual(list(result["evaluation_after"]), ["loss", "examples"])
        self.assertLess(result["evaluation_after"]["loss"], result["evaluation_before"]["loss"])
        scored = self.file("scored.tsv", "the cat\tthe mouse\t0.9\n")
        self.refuses(3, ["scored.tsv:1", "score"], model, "--task", "similarity", "--data", pairs,
                     "--eval", scored, "-o", "other")
        self.refuses(2, ["batch size"], model, "--task", "similarity", "--data", pairs, "--batch-size", 1,
                     "-o", "other")

    def test_size_loss_and_its_pages(self):
        for name in ("llama", "bert"):
            model = self.with_text(name)
            result = self.tune_model(
                model, "--task", "size-loss", "--layers", 1, "--heads", "0,3", "-o", f"{name}-out",
                "--steps", 30, "--lr", "0.01", "--page", f"{name}.html")
            self.assertLess(result["losses"][-1], result["losses"][0])
            self.assertEqual(len(result["looked_at"]), 30)
            self.assertGreater(result["looked_at"][-1], result["looked_at"][0])
            for end in ("before", "after"):
                page = (self.folder / f"{name}-{end}.html").read_text()
                self.assertIn(f"{end} tuning", page)

    def test_the_report_for_reading(self):
        out = self.call(TUNE, LLAMA, "--task", "lm", "--data", self.tokens(), "-o", "out",
                        "--eval-split", "0.2", "--plot", "loss.svg")[0]
        for part in ("loss", "perplexity", "→", "tokens/s", "MB", "parameters", "Adapter written to out",
                     "Plot written to loss.svg"):
            self.assertIn(part, out)
        self.assertIn("held-out examples", (self.folder / "loss.svg").read_text())

    def test_the_log(self):
        result = self.lm("--data", self.tokens(), "-o", "out", "--log", "log.jsonl", "--eval-split",
                         "0.2", "--clip", 1, "--steps", 5, "--eval-every", 2)
        lines = [json.loads(line) for line in (self.folder / "log.jsonl").read_text().splitlines()]
        steps = [line for line in lines if "evaluation" not in line]
        self.assertEqual([line["step"] for line in steps], [1, 2, 3, 4, 5])
        self.assertEqual([line["loss"] for line in steps], result["losses"])
        for line in steps:
            for key in ("rate", "tokens", "tokens_per_s", "gradient_norm", "memory_mb"):
                self.assertGreater(line[key], 0)
        evaluations = [line["step"] for line in lines if "evaluation" in line]
        self.assertEqual(evaluations, [0, 2, 4, 5])


class Refusals(TuneModelTest):
    def test_memory(self):
        line = self.refused(5, TUNE, LLAMA, "--task", "lm", "--data", self.tokens(), "-o", "out",
                            "--memory-limit", "10K", "--log", "log.jsonl")
        for part in (LLAMA, "activations", "10240"):
            self.assertIn(part, line)
        self.assertFalse((self.folder / "out").exists())
        self.assertFalse((self.folder / "log.jsonl").exists())

    def test_a_loss_that_is_no_number(self):
        self.refuses(6, [], LLAMA, "--task", "lm", "--data", self.tokens(), "-o", "out.bin", "--full",
                     "--lr", "1e300", "--epochs", 5)
        self.assertFalse((self.folder / "out.bin").exists())

    def test_targets_that_name_nothing(self):
        self.refuses(2, ["w_proj"], LLAMA, "--task", "lm", "--data", self.tokens(), "-o", "out",
                     "--targets", "w_proj")


class Resuming(TuneModelTest):
    def command(self, *arguments):
        return [TUNE, LLAMA, "--task", "lm", "--data", self.tokens(), "-o", "out", "--json",
                *map(str, arguments)]

    def losses(self, *arguments):
        return json.loads(self.call(*self.command(*arguments))[0])["losses"]

    def test_a_run_goes_on_to_the_same_numbers(self):
        whole = self.losses("--steps", 12, "--eval-split", "0.2")
        self.losses("--steps", 7, "--eval-split", "0.2", "--checkpoint-every", 3, "--log", "log.jsonl")
        names = sorted(os.listdir(self.folder / "out.checkpoints"))
        self.assertEqual(names, ["lock", "step-00000006.safetensors", "step-00000007.safetensors"])
        rest = self.losses("--steps", 12, "--eval-split", "0.2", "--resume", "--log", "log.jsonl")
        self.assertEqual(rest, whole)
        lines = [json.loads(line) for line in (self.folder / "log.jsonl").read_text().splitlines()]
        self.assertEqual([line["step"] for line in lines if "evaluation" not in line],
                         list(range(1, 13)))

    def test_ctrl_c(self):
        process = subprocess.Popen(self.command("--steps", 1000000, "--checkpoint-every", 1000000,
                                                "--log", "log.jsonl"),
                                   cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        log = self.folder / "log.jsonl"
        for _ in range(600):
            if log.exists() and log.read_text().count("\n") >= 3:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=60)[1].decode()
        self.assertEqual(process.returncode, 130, err)
        self.assertEqual(err.count("\n"), 1, err)
        self.assertIn("--resume", err)
        self.assertFalse((self.folder / "out").exists())
        checkpoint, = (self.folder / "out.checkpoints").glob("step-*.safetensors")
        done = int(checkpoint.stem[len("step-"):])
        self.assertGreaterEqual(done, 3)
        self.assertEqual(self.losses("--steps", done + 2, "--resume"), self.losses("--steps", done + 2))

    def test_killed_runs_leave_what_can_be_resumed(self):
        process = subprocess.Popen(self.command("--steps", 1000000, "--checkpoint-every", 1),
                                   cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        folder = self.folder / "out.checkpoints"
        for _ in range(600):
            if len(list(folder.glob("step-*"))) >= 2:
                break
            time.sleep(0.05)
        # meanwhile nobody else may write there
        self.refuses(4, ["out.checkpoints", "another process"],
                     *self.command("--steps", 3, "--checkpoint-every", 1)[1:])
        process.kill()
        process.communicate(timeout=60)
        newest = max(int(path.stem[len("step-"):]) for path in folder.glob("step-*.safetensors"))
        (folder / ".attn-0123456789abcdef.tmp").write_bytes(b"half")
        self.assertEqual(self.losses("--steps", newest + 2, "--resume"),
                         self.losses("--steps", newest + 2))
        self.assertEqual(list(folder.glob(".attn-*")), [])

    def test_checkpoints_that_do_not_fit(self):
        self.losses("--steps", 4, "--checkpoint-every", 2)
        folder = self.folder / "out.checkpoints"
        newest = folder / "step-00000004.safetensors"
        content = newest.read_bytes()
        self.refuses(3, ["step-00000004", "step-00000002"],
                     *self.command("--steps", 6, "--resume", "--no-shuffle")[1:])
        flipped = bytearray(content)
        flipped[-1] ^= 1
        for damaged in (bytes(flipped), content[:-5], b""):
            newest.write_bytes(damaged)
            self.refuses(3, ["step-00000004", "step-00000002"],
                         *self.command("--steps", 6, "--resume")[1:])
        newest.unlink()
        self.assertEqual(self.losses("--steps", 6, "--resume"), self.losses("--steps", 6))


if __name__ == "__main__":
    unittest.main()
