"""Every call of the system that loading, converting, drawing and saving make fails once: exit code 4
(5 where it was for memory), or the result it would have been; the target is the old file or the new
one, whole, and nothing is left beside it."""

import errno
import json
import os
import pathlib
import shutil
import subprocess
import unittest

from cli_support import RUN, TUNE, ToolTest
from failing_calls import WithFailingCalls
from tune_model_support import DATA, digest

CONVERT = os.environ["ATTN_CONVERT"]
OLD = b"what was there before"
READS = ("open", "read", "fstat", "stat", "mmap", "close")
WRITES = ("open", "fstat", "write", "fsync", "close", "rename", "renameat")


class EveryCall(WithFailingCalls, ToolTest):
    tried = 0

    @classmethod
    def tearDownClass(cls):
        print(f"{cls.tried} calls failed")

    def setUp(self):
        super().setUp()
        for folder in ("models", "out"):
            (self.folder / folder).mkdir()
        self.llama = self.model("llama")

    def model(self, name):
        """A folder with a tokenizer, below models/."""
        folder = self.folder / "models" / name
        shutil.copytree(DATA / f"tiny-{name}", folder)
        shutil.copytree(DATA / "tiny-text" / name, folder, dirs_exist_ok=True)
        return str(folder)

    def files(self):
        return {path.name: digest(path.read_bytes())
                for path in (self.folder / "out").rglob("*") if path.is_file()}

    def clear(self, target):
        for path in (self.folder / "out").iterdir():
            path.unlink()
        if target:
            (self.folder / "out" / target).write_bytes(OLD)

    def every(self, command, calls, part, target=None, error=None, must_fail=True, code=4):
        """How many calls on paths with that part there are, each having failed once."""
        command = list(map(str, command))
        self.clear(target)
        done = subprocess.run(command, cwd=self.folder, capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        out = done.stdout
        new = self.files()
        failed = 0
        for call in calls:
            for at in range(1, 500):
                self.clear(target)
                old = self.files()
                got, err, printed = self.failing(command, call, part, at, error)
                if got is None:
                    break
                failed += 1
                EveryCall.tried += 1
                with self.subTest(command=command, call=call, at=at, error=error):
                    found = self.files()
                    if got == 0:
                        self.assertEqual((printed, found), (out, new), err)
                        # of what was only read and of folders; a missing file may be looked for twice
                        if must_fail:
                            self.assertIn(call, ("close", "stat", "fstat"))
                    else:
                        self.assertEqual(got, code, err)
                        self.assertEqual(err.count("\n"), 1, err)
                        # a folder that does not reach the disk is told, though the new file is there
                        self.assertIn(found, (old, new) if call == "fsync" else (old,))
        return failed

    def test_loading(self):
        bert = self.model("bert")
        packed = self.folder / "models" / "packed.bin"
        self.call(CONVERT, self.llama, "-o", str(packed), "--quantize", "q8_0")
        reads = 0
        for command in (
            [RUN, self.llama, "-p", "the cat", "-n", 2, "--temp", 0],
            [RUN, packed, "--verify", "-p", "the cat", "-n", 2, "--temp", 0],
            [RUN, bert, "--embed", "-p", "the cat"],
            [RUN, self.llama, "--lora", DATA / "tiny-llama" / "lora", "--tokens", "5,6", "-n", 2,
             "--temp", 0],
        ):
            reads += self.every(command, READS, "models/")
            self.every(command, ("mmap",), "models/", error=errno.ENOMEM, code=5)
        self.assertGreater(reads, 80)

    def test_reading_data(self):
        data = self.folder / "models" / "lines.jsonl"
        data.write_text('"the cat"\n"the mouse"\n')
        command = [RUN, self.llama, "--tokenize", "-f", data]
        self.assertGreater(self.every(command, READS, "lines.jsonl"), 2)
        # an interrupted call is made again
        self.every(command, ("read",), "lines.jsonl", error=errno.EINTR, must_fail=False)

    def test_writing(self):
        for command, target, least in (
            ([CONVERT, self.llama, "-o", "out/a.bin", "--quantize", "q8_0"], "a.bin", 20),
            ([RUN, self.llama, "--tokens", "1,2,3", "-n", 0, "--logits", "out/a.npy"], "a.npy", 6),
            ([RUN, "--attention", "out/a.png"], "a.png", 3),
            ([RUN, "--attention", "out/a.html"], "a.html", 3),
            ([RUN, "--example", "multi-head", "--attention", "out/a.json"], "a.json", 3),
            ([TUNE, "--task", "size-loss", "--epochs", 2, "-o", "out/a.bin"], "a.bin", 6),
        ):
            with self.subTest(command):
                for old in (None, target):
                    self.assertGreaterEqual(self.every(command, WRITES, "out", old), least)
                # an interrupted write is made again
                self.every(command, ("write",), "out", target, errno.EINTR, must_fail=False, code=0)

    def test_a_log_that_cannot_be_read_is_kept(self):
        data = self.folder / "models" / "data.jsonl"
        data.write_text("".join(
            json.dumps({"tokens": [(7 * i + 3 * k) % 256 for k in range(8)]}) + "\n" for i in range(6)))
        command = [TUNE, self.llama, "--task", "lm", "--data", str(data), "-o", "adapter", "--steps", "2",
                   "--checkpoint-every", "1", "--log", "log.jsonl"]
        self.call(*command)
        log = (self.folder / "log.jsonl").read_text()
        resumed = [*command[:command.index("2")], "4", *command[command.index("2") + 1:], "--resume"]
        for call in ("open", "read"):
            code, err, _ = self.failing(resumed, call, "log.jsonl", 1)
            if code is not None:
                self.assertEqual((code, err.count("\n")), (4, 1), err)
                self.assertTrue((self.folder / "log.jsonl").read_text().startswith(log))


if __name__ == "__main__":
    unittest.main()
