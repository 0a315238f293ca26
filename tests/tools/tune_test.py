"""attn-tune from outside: what it learns, prints, writes and refuses."""

import json
import os
import pathlib
import signal
import struct
import subprocess
import time
import unittest

from cli_support import RUN, SEEDS, SENTENCE, TUNE, ToolTest, model_bytes, size_loss_model

CASE = SEEDS["size_loss_attention"]


class Training(ToolTest):
    def test_the_losses_of_the_reference(self):
        model = self.file("initial.bin", size_loss_model(CASE["initial"]))
        result = json.loads(self.tune(model, "--epochs", CASE["epochs"], "--lr", CASE["lr"], "--json"))
        self.assertEqual(
            list(result),
            ["losses", "tokens", "attention_weights_before", "attention_weights_after",
             "combined_size_weight"],
        )
        self.assert_near(result["losses"], CASE["losses"], 1e-5)
        self.assert_near(result["attention_weights_before"], CASE["attention_weights_before"], 2e-6)
        self.assert_near(result["attention_weights_after"], CASE["attention_weights_after"], 1e-4)
        self.assertAlmostEqual(result["combined_size_weight"], CASE["combined_size_weight_after"],
                               places=4)
        self.assertEqual(result["tokens"], SENTENCE.split())
        self.assert_float32(result["attention_weights_after"])

    def test_the_analysis_every_twenty_epochs(self):
        model = self.file("initial.bin", size_loss_model(CASE["initial"]))
        lines = self.tune(model).splitlines()
        self.assertEqual(lines[0], "Epoch: 0, Loss: 0.9956")
        epochs = [line for line in lines if line.startswith("Epoch: ")]
        self.assertEqual([int(line[7:].split(",")[0]) for line in epochs], list(range(0, 200, 20)))
        for line in epochs:
            epoch, loss = line[len("Epoch: "):].split(", Loss: ")
            self.assertEqual(loss, f"{CASE['losses'][int(epoch)]:.4f}")
        first = lines[1:14]
        self.assertEqual([line.split()[0] for line in first if "*" not in line],
                         [word for word in SENTENCE.split() if word not in CASE["size_words"]])
        self.assertEqual([line.split()[1] for line in first if "*" in line],
                         ["elephant", "car", "too"])
        for line, weight in zip(first, CASE["attention_weights_before"]):
            self.assertIn(f"{weight:.4f}", line)
        self.assertIn("Combined weight for size-related words: 0.9728", lines)
        self.assertIn("Token: elephant   Attention Weight: 0.0122", lines)

    def test_the_written_model_runs_and_is_a_safetensors_file(self):
        result = json.loads(self.tune("-o", "out.bin", "--seed", 7, "--json"))
        ran = self.call(RUN, "out.bin", "--json")[0]
        outputs = json.loads(ran)
        self.assertEqual(outputs["tokens"], result["tokens"])
        self.assertEqual(outputs["outputs"]["attention_weights"], result["attention_weights_after"])

        content = (self.folder / "out.bin").read_bytes()
        length = struct.unpack("<Q", content[:8])[0]
        self.assertEqual((8 + length) % 64, 0)
        header = json.loads(content[8 : 8 + length])
        metadata = header.pop("__metadata__")
        self.assertTrue(all(isinstance(value, str) for value in metadata.values()))
        self.assertEqual(metadata["attn.architecture"], "size_loss_attention")
        self.assertEqual(json.loads(metadata["attn.vocab"]), SENTENCE.split())
        end = 0
        for tensor in sorted(header.values(), key=lambda tensor: tensor["data_offsets"]):
            self.assertEqual(tensor["data_offsets"][0], end)  # safetensors allows no gap
            end = tensor["data_offsets"][1]
        self.assertEqual(8 + length + end, len(content))

        # and it can be trained further, in its own place
        more = json.loads(self.tune("out.bin", "-o", "out.bin", "--epochs", 50, "--json"))
        self.assertLess(more["losses"][-1], result["losses"][-1])

    def test_verify_finds_a_flipped_bit(self):
        self.tune("-o", "out.bin", "--json")
        self.call(RUN, "out.bin", "--verify", "--json")
        content = bytearray((self.folder / "out.bin").read_bytes())
        content[-1] ^= 1
        self.refused(3, RUN, self.file("out.bin", bytes(content)), "--verify")

    def test_other_sentences(self):
        arguments = ["--sentence", "a tiny mouse met a huge cat", "--size-words", "tiny,huge",
                     "--embedding-dim", 6, "--lr", 0.01]
        result = json.loads(self.tune(*arguments, "--json"))
        self.assertEqual(result["tokens"], "a tiny mouse met a huge cat".split())
        self.assertGreater(result["combined_size_weight"], 0.9)
        self.assertLess(result["losses"][-1], result["losses"][0])
        self.assertEqual(len(result["losses"]), 200)

    def test_seeds_and_threads(self):
        one = self.tune("--seed", 3, "--json", "-t", 1)
        for threads in (2, 3, 8):
            self.assertEqual(one, self.tune("--seed", 3, "--json", "-t", threads))
        self.assertNotEqual(one, self.tune("--seed", 4, "--json"))
        self.assertEqual(self.tune("--json"), self.tune("--seed", 0, "--json"))

    def test_plots(self):
        self.tune("--plot", "a.png")
        self.assertTrue((self.folder / "a.png").read_bytes().startswith(b"\x89PNG\r\n"))
        self.tune("--plot", "a.svg", "--epochs", 1)
        self.assertIn("elephant", (self.folder / "a.svg").read_text())


class Refusals(ToolTest):
    def tune_refused(self, code, *arguments):
        return self.refused(code, TUNE, "--task", "size-loss", *arguments)

    def test_values(self):
        model = self.file("model.bin", size_loss_model(CASE["initial"]))
        for arguments in (
            ["--epochs", "-1"], ["--epochs", "0"], ["--epochs", "abc"], ["--epochs", "1e3"],
            ["--epochs", "99999999999999999999"], ["--epochs"],
            ["--lr", "nan"], ["--lr", "-0.1"], ["--lr", "0"], ["--lr", "inf"], ["--lr", "abc"],
            ["--lr", "1e999"],
            ["-t", "0"], ["-t", "1025"], ["-t", "-3"], ["-t", "abc"],
            ["--embedding-dim", "0"], ["--embedding-dim", "-4"], ["--embedding-dim", "2147483648"],
            ["--seed", "-1"], ["--seed", "abc"], ["--seed", "18446744073709551616"],
            ["--nonsense"], ["--size-words", ""], ["--size-words", "a,,b"],
            ["--plot", "a.gif"], [model, "--embedding-dim", "4"], [model, "--seed", "1"],
        ):
            self.tune_refused(2, *arguments)
        self.refused(2, TUNE)
        self.refused(2, TUNE, "--task", "nonsense")

    def test_sentences(self):
        for arguments, words in (
            (["--sentence", "", "--size-words", "a"], ["--sentence"]),
            (["--sentence", " \t ", "--size-words", "a"], ["--sentence"]),
            (["--size-words", "elephant,giraffe"], ["giraffe"]),
            (["--sentence", "a big dog", "--size-words", "a,big,dog"], ["size word"]),
            (["--sentence", "a big dog"], ["elephant"]),
        ):
            line = self.tune_refused(3, *arguments)
            for word in words:
                self.assertIn(word, line)
        model = self.file("model.bin", size_loss_model(CASE["initial"]))
        self.assertIn("giraffe", self.tune_refused(3, model, "--sentence", "the giraffe"))
        self.assertIn("giraffe", self.tune_refused(3, model, "--size-words", "giraffe"))
        self.assertIn("size word", self.tune_refused(3, model, "--sentence", "The pink but"))
        self.assertIn("size word", self.tune_refused(3, model, "--sentence", "car elephant too"))
        other = self.file("other.bin", model_bytes({"attn.architecture": "attention_mechanism"},
                                                   {"weight": [[1.0]]}))
        self.tune_refused(2, other)

    def test_places_are_checked_before_training(self):
        long = ["--epochs", "10000000"]
        os.mkdir(self.folder / "folder.bin")
        begin = time.monotonic()
        for path in ("no/such/out.bin", "folder.bin", "/dev/full", "/proc/out.bin"):
            self.tune_refused(4, "-o", path, *long)
        self.tune_refused(4, "--plot", "no/such/plot.png", *long)
        self.assertLess(time.monotonic() - begin, 5)
        self.assertEqual(os.listdir(self.folder), ["folder.bin"])

    def test_a_loss_that_is_no_number(self):
        model = self.file("initial.bin", size_loss_model(CASE["initial"]))
        before = pathlib.Path(model).read_bytes()
        done = subprocess.run([TUNE, "--task", "size-loss", model, "--lr", "1e300", "-o", model],
                              capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 6, done.stderr)
        self.assertEqual(done.stderr.count(b"\n"), 1)
        self.assertEqual(pathlib.Path(model).read_bytes(), before)

    def test_results_that_cannot_be_written(self):
        for arguments in ([], ["--json"]):
            with open("/dev/full", "wb") as full:
                done = subprocess.run([TUNE, "--task", "size-loss", *arguments], stdout=full,
                                      stderr=subprocess.PIPE, timeout=60)
            self.assertEqual(done.returncode, 4)
            self.assertEqual(done.stderr.count(b"\n"), 1)

    def test_ctrl_c(self):
        process = subprocess.Popen(
            [TUNE, "--task", "size-loss", "--epochs", "10000000", "-o", "out.bin", "--plot", "a.png"],
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        process.stdout.readline()  # it trains
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=60)[1]
        self.assertEqual(process.returncode, 130, err)
        self.assertEqual(err.count(b"\n"), 1, err)
        self.assertIn(b"interrupted", err)
        self.assertEqual(os.listdir(self.folder), [])


if __name__ == "__main__":
    unittest.main()
