"""attn-tune on data, numbers, models and checkpoints that are wrong: the exit code, one line that
says where, and nothing lost of what was there."""

import json
import os
import pathlib
import random
import resource
import shutil
import signal
import struct
import subprocess
import time
import unittest

from cli_support import TUNE
from tune_model_support import LLAMA, SANITIZED, TuneModelTest, digest, remove, tree

METHODS = {"--lora": "out", "--full": "out.bin"}


class FaultsTest(TuneModelTest):
    def setUp(self):
        super().setUp()
        self.tokens()

    def lm(self, *arguments, model=LLAMA, data="data.jsonl", out="out"):
        return [str(each) for each in (model, "--task", "lm", "--data", data, "-o", out, *arguments)]

    def altered(self, name, values=None, **config):
        """The tiny llama in a folder of its own with other numbers: {tensor: {element: value}}."""
        folder = self.folder / name
        shutil.copytree(LLAMA, folder, ignore=shutil.ignore_patterns("lora", "*.py", "expected*", "t*"))
        content = bytearray((folder / "model.safetensors").read_bytes())
        length, = struct.unpack_from("<Q", content)
        header = json.loads(content[8:8 + length])
        for tensor, numbers in (values or {}).items():
            self.assertEqual(header[tensor]["dtype"], "F32")
            begin = 8 + length + header[tensor]["data_offsets"][0]
            for element, value in numbers.items():
                struct.pack_into("<f", content, begin + 4 * element, value)
        (folder / "model.safetensors").write_bytes(content)
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **config}))
        return str(folder)


class WrongData(FaultsTest):
    def test_nothing_to_learn_from(self):
        for content in ("", "\n \n", "{}", '{"tokens": []}', '{"tokens": [1]}',
                        '{"tokens": [1, 2], "targets": [-1, -1]}', '{"text": ""}', "[]", "\0"):
            with self.subTest(content):
                name = self.file("nothing.jsonl", content)
                self.assertRegex(self.refused(3 if "text" not in content else 2, TUNE,
                                              *self.lm(data=name)), r"nothing\.jsonl|tokenizer")
                self.refuses(3 if "text" not in content else 2, [], *self.lm("--eval", name))
        self.assertFalse((self.folder / "out").exists())

    def test_shorter_than_the_context(self):
        model = self.with_text("llama")
        for content in ("the cat", " ", '{"text": "the cat"}', '{"text": ""}\n{"text": "a"}'):
            with self.subTest(content):
                self.refuses(3, ["short.jsonl"], *self.lm(
                    "--context", 64, model=model, data=self.file("short.jsonl", content)))

    def test_tokens_and_targets_out_of_range(self):
        good = '{"tokens": [1, 2, 3]}\n'
        for line, part in (
            ('{"tokens": [1, -1]}', "tokens[1]"), ('{"tokens": [1, 256]}', "256"),
            ('{"tokens": [1, 1.5]}', "1.5"), ('{"tokens": [1, 4294967297]}', "4294967297"),
            ('{"tokens": [1, 1e400]}', ""), ('{"tokens": [1, null]}', "null"),
            ('{"tokens": [1, 2], "targets": [2, -2]}', "targets[1]"),
            ('{"tokens": [1, 2], "targets": [256, 1]}', "targets[0]"),
            ('{"tokens": [1, 2], "targets": [18446744073709551615, 1]}', "targets[0]"),
            ('{"tokens": [1, 2], "targets": "2"}', "targets"),
        ):
            for option in ("--data", "--eval"):
                with self.subTest(line=line, option=option):
                    self.file("wrong.jsonl", good * 2 + line + "\n" + good)
                    arguments = (self.lm(data="wrong.jsonl") if option == "--data"
                                 else self.lm("--eval", "wrong.jsonl"))
                    self.refuses(3, ["wrong.jsonl:3", part], *arguments)

    def test_scores_out_of_range(self):
        model = self.with_text("bert")
        for score in ("1.0001", "-1.5", "nan", "-nan", "inf", "1e999", "", "high", "0.5x", " 0.5"):
            self.file("pairs.tsv", f"the cat\ta mouse\t0.5\nit\twas\t{score}\n")
            with self.subTest(score):
                self.refuses(3, ["pairs.tsv:2", "score"], model, "--task", "similarity", "--data",
                             "pairs.tsv", "-o", "out")
        for score in ("1.5", '"0.5"', "null", "true", "NaN", "1e999"):
            self.file("pairs.jsonl", '{"a": "it", "b": "was", "score": 1}\n'
                                     '{"a": "it", "b": "was", "score": %s}\n' % score)
            with self.subTest(score):
                self.refuses(3, ["pairs.jsonl:2"], model, "--task", "similarity", "--data",
                             "pairs.jsonl", "-o", "out")


class Memory(FaultsTest):
    def test_the_limit_is_exact(self):
        for method, out in METHODS.items():
            line = self.refused(5, TUNE, *self.lm(method, "--memory-limit", 1, out=out))
            needed = int(line.split("tuning needs ")[1].split()[0])
            for part in (LLAMA, "weights", "moments", "gradients", "activations", "limit is 1"):
                self.assertIn(part, line)
            self.refuses(5, [f"needs {needed} bytes", f"limit is {needed - 1}"],
                         *self.lm(method, "--memory-limit", needed - 1, "--checkpoint-every", 1,
                                  "--log", "log.jsonl", out=out))
            self.assertEqual(sorted(os.listdir(self.folder)), ["data.jsonl"])
            self.call(TUNE, *self.lm(method, "--memory-limit", needed, "--json", out=out))
            remove(self.folder / out)
            # to evaluate takes more, and comes first
            self.refuses(5, [f"limit is {needed}"],
                         *self.lm(method, "--memory-limit", needed, "--eval", "data.jsonl", "--log",
                                  "log.jsonl", out=out))
            self.assertEqual(sorted(os.listdir(self.folder)), ["data.jsonl"])
            self.call(TUNE, *self.lm(method, "--memory-limit", 2 * needed, "--json", "--eval",
                                     "data.jsonl", out=out))
            remove(self.folder / out)

    @unittest.skipIf(SANITIZED, "a sanitizer takes more addresses than there are here")
    def test_the_system_has_no_more(self):
        # 1 GiB of addresses: enough for the process, not for activations of 4000 long examples
        self.tokens("long.jsonl", count=4000, length=128)
        command = [TUNE, *self.lm("--full", "--batch-size", 4000, "--clip", 1, "-t", 1,
                                  data="long.jsonl", out="out.bin")]
        size = 1 << 30
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, timeout=60,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size)))
        err = done.stderr.decode()
        self.assertEqual((done.returncode, err.count("\n")), (5, 1), err)
        self.assertIn("memory", err)
        self.assertFalse((self.folder / "out.bin").exists())


class NoNumbers(FaultsTest):
    def test_an_absurd_learning_rate(self):
        for method, out in METHODS.items():
            for more in ([], ["--clip", 1], ["--accumulate", 2]):
                with self.subTest(method=method, more=more):
                    begin = self.lm(method, *more, "--warmup", 10, "--checkpoint-every", 1, out=out)
                    self.call(TUNE, *begin, "--steps", "3", "--lr", "0.01", "--json")
                    old = tree(self.folder)
                    # the same options but for a rate that is no float; what was there is kept until
                    # a checkpoint of this run stands, and there is none
                    self.refuses(6, ["was not written"], *begin, "--steps", "3", "--lr", "1e300")
                    self.assertEqual(tree(self.folder), old)
                    line = self.refused(6, TUNE, *self.lm(method, *more, "--lr", "1e30", "--steps",
                                                          "9", out=out))
                    self.assertRegex(line, "loss of step|norm|finite")
                    self.assertEqual(tree(self.folder), old)
                    rest = self.call(TUNE, *begin, "--steps", "4", "--lr", "0.01", "--json",
                                     "--resume")[0]
                    self.assertEqual(json.loads(rest)["resumed_from"], 3)
                    remove(self.folder / out, self.folder / (out + ".checkpoints"))

    def test_a_model_with_an_infinite_weight(self):
        name = "model.layers.1.mlp.down_proj.weight"
        model = self.altered("broken", {name: {17: float("inf")}})
        for method, out in METHODS.items():
            self.file("out.bin", "old")
            line = self.refused(6, TUNE, *self.lm(method, "--steps", 3, model=model, out=out))
            self.assertIn(name if method == "--full" else "loss of step 1", line)
            self.assertFalse((self.folder / "out").exists())
            self.assertEqual((self.folder / "out.bin").read_bytes(), b"old")
        # one that no loss would ever have told of
        model = self.altered("hidden", {"model.embed_tokens.weight": {255 * 64: float("nan")}})
        data = self.lines("few.jsonl", {"tokens": [1, 2, 3, 4]})
        self.refuses(6, ["embed_tokens", "finite"],
                     *self.lm("--full", "--steps", 1000000, model=model, data=data, out="out.bin"))

    def test_gradients_that_are_no_numbers_while_the_loss_is_one(self):
        # a token of zeros is divided by √eps, and its gradient by that in every layer again
        model = self.altered(
            "steep", {"model.embed_tokens.weight": {5 * 64 + i: 0.0 for i in range(64)},
                      "model.norm.weight": {i: 1e4 for i in range(64)}},
            rms_norm_eps=1e-38)
        data = self.lines("five.jsonl", *({"tokens": [5, 1, 2, 3]} for _ in range(4)))
        for method, out in METHODS.items():
            for more in ([], ["--clip", 1], ["--accumulate", 2]):
                with self.subTest(method=method, more=more):
                    (self.folder / "out").mkdir(exist_ok=True)
                    (self.folder / "out/adapter_config.json").write_bytes(b"old")
                    (self.folder / "out.bin").write_bytes(b"old")
                    arguments = self.lm(method, "--log", "log.jsonl", *more, model=model, data=data,
                                        out=out)
                    line = self.refused(6, TUNE, *arguments, "--steps", 1, "--checkpoint-every", 1)
                    logged = (self.folder / "log.jsonl")
                    if more:
                        self.assertIn("the norm of the gradients of step 1 is ", line)
                        self.assertFalse(logged.exists())
                    else:
                        self.assertIn("no longer finite", line)
                        self.assertIsNotNone(json.loads(logged.read_text())["loss"])
                        logged.unlink()
                    self.assertEqual(list((self.folder / (out + ".checkpoints")).glob("step*")), [])
                    self.assertEqual(tree(self.folder / "out.bin"), {"out.bin": digest(b"old")})
                    self.assertEqual(tree(self.folder / "out"),
                                     {"adapter_config.json": digest(b"old")})


class Targets(FaultsTest):
    def test_the_model_itself(self):
        self.call(TUNE, *self.lm("--full", "--steps", 2, "--lr", "0.01", out="model.bin"))
        os.link(self.folder / "model.bin", self.folder / "before.bin")
        os.symlink("model.bin", self.folder / "link.bin")
        self.call(TUNE, *self.lm("--full", "--steps", 2, model="before.bin", out="expected.bin"))
        self.call(TUNE, *self.lm("--full", "--steps", 2, model="model.bin", out="link.bin"))
        self.assertTrue((self.folder / "link.bin").is_symlink())
        self.assertEqual((self.folder / "model.bin").read_bytes(),
                         (self.folder / "expected.bin").read_bytes())
        self.assertNotEqual((self.folder / "before.bin").read_bytes(),
                            (self.folder / "expected.bin").read_bytes())

    def test_the_adapter_that_it_goes_on_from(self):
        self.call(TUNE, *self.lm("--steps", 3, "--rank", 4, "--alpha", "5", "--lr", "0.01"))
        shutil.copytree(self.folder / "out", self.folder / "first")
        self.call(TUNE, *self.lm("--steps", 3, "--adapter", "first", "--lr", "0.01", out="expected"))
        self.call(TUNE, *self.lm("--steps", 3, "--adapter", "out/", "--lr", "0.01"))
        self.assertEqual(tree(self.folder / "out"), tree(self.folder / "expected"))
        # and stays where the run fails
        self.refuses(6, [], *self.lm("--steps", 3, "--adapter", "out", "--lr", "1e300"))
        self.assertEqual(tree(self.folder / "out"), tree(self.folder / "expected"))

    def test_what_is_read_or_written_besides(self):
        model = self.folder / "model.bin"
        self.call(TUNE, *self.lm("--full", "--steps", 1, out=model))
        self.file("other.jsonl", (self.folder / "data.jsonl").read_text())
        before = tree(self.folder)
        for method, arguments, parts in (
            ("--full", ["-o", "data.jsonl"], ["-o", "--data"]),
            ("--full", ["-o", "./other.jsonl"], ["-o", "--eval"]),
            ("--lora", ["-o", "out", "--log", "data.jsonl"], ["--log", "--data"]),
            ("--lora", ["-o", "out", "--log", "./model.bin"], ["--log", "MODEL"]),
            ("--full", ["-o", "a.png", "--plot", "a.png"], ["--plot", "-o"]),
            ("--full", ["-o", "new.bin", "--log", "new.bin"], ["--log", "-o"]),
            ("--lora", ["-o", "out", "--log", "a.svg", "--plot", "a.svg"], ["--plot", "--log"]),
        ):
            with self.subTest(arguments):
                self.refuses(2, [*parts, "is also"], "model.bin", "--task", "lm", "--data",
                             "data.jsonl", "--eval", "other.jsonl", method, *arguments)
        self.assertEqual(tree(self.folder), before)

    def test_an_adapter_and_a_model_do_not_take_each_others_place(self):
        self.call(TUNE, *self.lm("--full", "--steps", 1, out="out.bin"))
        self.call(TUNE, *self.lm("--steps", 1))
        before = tree(self.folder)
        self.refuses(4, ["out.bin", "folder"], *self.lm("--steps", 1, out="out.bin"))
        self.refuses(4, ["out", "directory"], *self.lm("--full", "--steps", 1))
        self.refuses(4, ["no/such"], *self.lm(out="no/such/out"))
        self.refuses(4, ["''"], *self.lm(out=""))
        self.assertEqual(tree(self.folder), before)


class Resuming(FaultsTest):
    def losses(self, *arguments, **changes):
        return json.loads(self.call(TUNE, *self.lm("--json", *arguments, **changes))[0])["losses"]

    def test_a_second_writer_changes_nothing(self):
        arguments = self.lm("--checkpoint-every", 1, "--log", "log.jsonl")
        first = subprocess.Popen([TUNE, *arguments, "--steps", "1000000"], cwd=self.folder,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            log = self.folder / "log.jsonl"
            deadline = time.monotonic() + 30
            while not (log.exists() and log.read_text().count("\n") > 20):
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)
            for more in ([], ["--resume"]):
                self.refuses(4, ["out.checkpoints", "another process"], *arguments, "--steps", 2, *more)
        finally:
            first.send_signal(signal.SIGINT)
            err = first.communicate(timeout=60)[1].decode()
        self.assertEqual(first.returncode, 130, err)
        steps = [json.loads(line)["step"] for line in log.read_text().splitlines()]
        self.assertEqual(steps, list(range(1, len(steps) + 1)))

    def test_what_is_not_the_same_run(self):
        self.losses("--steps", 4, "--checkpoint-every", 2, "--eval-split", "0.2")
        before = tree(self.folder)
        self.tokens("other.jsonl", count=13)
        before["other.jsonl"] = digest((self.folder / "other.jsonl").read_bytes())
        newest = "out.checkpoints/step-00000004.safetensors"
        same = {"--steps": 6, "--eval-split": "0.2"}

        def refuses(code, part, changed=(), data="data.jsonl", model=LLAMA):
            arguments = [each for pair in {**same, **dict(changed)}.items() for each in pair
                         if each is not None]
            with self.subTest(arguments):
                self.refuses(code, [newest, part, "step-00000002" if code == 3 else ""],
                             *self.lm("--resume", *arguments, data=data, model=model))

        refuses(3, "other data", data="other.jsonl")
        refuses(3, "other data", [("--eval-split", "0.3")])
        refuses(3, "other data", [("--no-shuffle", None)])
        for changed in (("--lr", "0.02"), ("--rank", 4), ("--alpha", 3), ("--dropout", "0.1"),
                        ("--targets", "q_proj"), ("--batch-size", 2), ("--accumulate", 2),
                        ("--clip", 1), ("--seed", 1), ("--weight-decay", 0), ("--warmup", 2),
                        ("--schedule", "cosine"), ("--precision", "bf16")):
            refuses(3, "", [changed])
        refuses(3, "another model", model=self.altered("altered", {"lm_head.weight": {0: 1.0}}))
        refuses(2, "3", [("--steps", 3)])
        shutil.rmtree(self.folder / "altered")
        self.assertEqual(tree(self.folder), before)
        # one with every weight from the place of one with factors
        shutil.copytree(self.folder / "out.checkpoints", self.folder / "full.checkpoints")
        self.refuses(3, ["full.checkpoints/step-00000004", "another tuning"],
                     *self.lm("--resume", "--full", "--steps", 6, "--eval-split", "0.2", out="full"))

    def test_other_data_to_evaluate_on(self):
        held_out, other = (self.tokens(f"{name}.jsonl", count=count)
                           for name, count in (("held", 2), ("more", 3)))
        self.losses("--steps", 2, "--checkpoint-every", 2, "--eval", held_out)
        self.refuses(3, ["step-00000002", "evaluated on other data"],
                     *self.lm("--resume", "--steps", 4, "--eval", other))
        self.losses("--resume", "--steps", 4, "--eval", held_out)

    def test_an_adapter_scaled_otherwise(self):
        self.call(TUNE, *self.lm("--steps", 2, "--rank", 4, out="first"))
        shutil.copytree(self.folder / "first", self.folder / "stable")
        path = self.folder / "stable/adapter_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "use_rslora": True}))
        self.losses("--steps", 2, "--adapter", "stable", "--checkpoint-every", 1)
        self.refuses(3, ["step-00000002", "another tuning"],
                     *self.lm("--resume", "--steps", 4, "--adapter", "first"))
        self.losses("--resume", "--steps", 4, "--adapter", "stable")

    def test_foreign_and_corrupt_checkpoints(self):
        self.losses("--steps", 4, "--checkpoint-every", 1)
        folder = self.folder / "out.checkpoints"
        newest, before = folder / "step-00000004.safetensors", folder / "step-00000003.safetensors"
        content, previous = newest.read_bytes(), before.read_bytes()
        adapter = (self.folder / "out/adapter_model.safetensors").read_bytes()
        draw = random.Random(59)
        flipped = bytearray(content)
        flipped[draw.randrange(len(content) // 2, len(content))] ^= 16
        for foreign in (b"", b"x", bytes(flipped), content[:len(content) // 2], content + b"\0",
                        b"\xff" * 64, pathlib.Path(LLAMA, "model.safetensors").read_bytes(), adapter,
                        draw.randbytes(5000), content.replace(b"attn.checkpoint.step", b"attn.checkpoint.stop"),
                        content.replace(b'"attn.checkpoint":"2"', b'"attn.checkpoint":"3"')):
            newest.write_bytes(foreign)
            with self.subTest(foreign[:16]):
                self.refuses(3, [str(newest.relative_to(self.folder)), before.name, "removed"],
                             *self.lm("--resume", "--steps", 6))
            self.assertEqual((newest.read_bytes(), before.read_bytes()), (foreign, previous))
        # what is no file is nobody's checkpoint
        newest.unlink()
        newest.mkdir()
        (folder / ".attn-00112233445566778899.tmp").write_bytes(b"half")
        self.assertEqual(self.losses("--resume", "--steps", 6), self.losses("--steps", 6, out="whole"))
        self.assertEqual(list(folder.glob(".attn-*")), [])

    def test_interrupted_at_any_moment(self):
        self.tokens("long.jsonl", count=16, length=64)
        draw = random.Random(60)
        for method, out in METHODS.items():
            arguments = [method, "--steps", 40, "--batch-size", 8, "--lr", "0.01"]
            arguments += ["--dropout", "0.1"] if method == "--lora" else []
            begin = time.monotonic()
            whole = self.losses(*arguments, data="long.jsonl", out="whole")
            seconds = time.monotonic() - begin
            interrupted = 0
            for _ in range(6):
                process = subprocess.Popen(
                    [TUNE, *self.lm(*arguments, "--checkpoint-every", 1000, data="long.jsonl", out=out)],
                    cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                time.sleep(draw.uniform(0, seconds))
                process.send_signal(signal.SIGINT)
                err = process.communicate(timeout=60)[1].decode()
                if process.returncode == 130 and "--resume" in err:
                    interrupted += 1
                    self.assertEqual(err.count("\n"), 1)
                    self.assertFalse((self.folder / out).exists())
                    rest = self.losses(*arguments, "--resume", data="long.jsonl", out=out)
                    self.assertEqual(rest, whole)
                    self.assertEqual(list(tree(self.folder / out).values()),
                                     list(tree(self.folder / "whole").values()))
                remove(self.folder / out, self.folder / f"{out}.checkpoints")
            self.assertGreater(interrupted, 0)
            remove(self.folder / "whole")


if __name__ == "__main__":
    unittest.main()
