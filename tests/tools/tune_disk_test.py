"""attn-tune on disks that are full, fail or may not be written to: exit code 4, one line that names
the file, and every file is what it was or what it was to become, whole."""

import shutil
import subprocess
import unittest

from cli_support import TUNE
from failing_calls import WithFailingCalls
from tune_model_support import LLAMA, TuneModelTest, copy, digest, remove, tree

METHODS = {"--lora": "out", "--full": "out.bin"}


class DiskTest(TuneModelTest):
    def setUp(self):
        super().setUp()
        self.tokens()

    def command(self, method, *arguments, lr="0.01"):
        return [TUNE, LLAMA, "--task", "lm", method, "--data", "data.jsonl", "-o", METHODS[method],
                "--lr", lr, "--json", *map(str, arguments)]

    def mounted(self, name, *options):
        """A folder with a file system of its own, or the test is skipped."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        done = subprocess.run(["mount", *options, str(folder)], capture_output=True)
        if done.returncode != 0:
            self.skipTest("mounting is not allowed: " + done.stderr.decode().strip())
        self.addCleanup(subprocess.run, ["umount", "-l", str(folder)], check=True)
        return folder


class FailingCalls(WithFailingCalls, DiskTest):
    def check_every_failure(self, method):
        """Lets every call on results and checkpoints fail once."""
        out, folder = self.folder / METHODS[method], self.folder / (METHODS[method] + ".checkpoints")
        begun = self.command(method, "--steps", 2, "--checkpoint-every", 1)
        self.call(*begun)
        new, new_checkpoints = tree(out), tree(folder)
        remove(out, folder)
        # what an earlier run of other settings has left there
        other = ["--alpha", "3"] if method == "--lora" else []
        self.call(*self.command(method, "--steps", 5, "--checkpoint-every", 1, *other, lr="0.02"))
        old, old_checkpoints = tree(out), tree(folder)
        keep = {path: self.folder / ("kept-" + path.name) for path in (out, folder)}
        for path, kept in keep.items():
            copy(path, kept)
        failures = 0
        for call in ("write", "fsync", "close", "renameat"):
            for at in range(1, 1000, 1 if call != "write" else 9):  # a tensor is a write
                with self.subTest(method=method, call=call, at=at):
                    code, err, _ = self.failing(begun, call, str(self.folder / "out"), at)
                    found, checkpoints = tree(out), tree(folder)
                    self.assertEqual(found.keys(), new.keys())
                    for name, content in found.items():
                        self.assertIn(content, (old[name], new[name]))
                    if call != "renameat":  # that of an adapter's second file comes too late
                        self.assertIn(found, (old, new))
                    self.assertLessEqual(checkpoints.items(),
                                         old_checkpoints.items() | new_checkpoints.items())
                    begun_anew = set(checkpoints) & set(new_checkpoints)
                    self.assertTrue(begun_anew or checkpoints == old_checkpoints)
                    if not code:
                        self.assertEqual((found, checkpoints), (new, new_checkpoints), err)
                        # what was only read, and folders, may be closed badly
                        self.assertTrue(code is None or call == "close")
                    else:
                        failures += 1
                        self.assertEqual(code, 4, err)
                        self.assertEqual(err.count("\n"), 1, err)
                        self.assertIn(METHODS[method], err)
                        self.assertIn("No space left" if call == "write" else "error", err)
                        if begun_anew and not set(checkpoints) - set(new_checkpoints):
                            self.call(*begun, "--resume")
                            self.assertEqual(tree(out), new)
                for path, kept in keep.items():
                    remove(path)
                    copy(kept, path)
                if code is None:
                    break
        return failures

    def test_every_call_may_fail_with_adapters(self):
        # two checkpoints and two files: 4 fsyncs, closes and renamings, and the folders' fsyncs
        self.assertGreaterEqual(self.check_every_failure("--lora"), 4 + 4 + 4 + 4)

    def test_every_call_may_fail_with_whole_models(self):
        self.assertGreaterEqual(self.check_every_failure("--full"), 3 + 3 + 3 + 3)

    def test_the_log(self):
        command = self.command("--lora", "--steps", 4, "--checkpoint-every", 1, "--log", "log.jsonl")
        code, err, _ = self.failing(command, "write", "log.jsonl", 3)
        self.assertEqual((code, err.count("\n")), (4, 1), err)
        self.assertIn("log.jsonl", err)
        self.assertEqual(len(list((self.folder / "out.checkpoints").glob("step-*"))), 2)
        self.assertFalse((self.folder / "out").exists())


class FullDisks(DiskTest):
    def test_a_checkpoint_that_does_not_fit(self):
        whole = self.call(*self.command("--full", "--steps", 4))[0]
        expected = tree(self.folder / "out.bin")
        # a checkpoint has 1.3 MB: there is room for one
        folder = self.mounted("out.bin.checkpoints", "-t", "tmpfs", "-o", "size=2m", "none")
        begun = self.command("--full", "--steps", 4, "--checkpoint-every", 1)
        (self.folder / "out.bin").write_bytes(b"old")
        line = self.refused(4, *begun)
        self.assertIn("out.bin.checkpoints/step-00000002.safetensors", line)
        self.assertIn("No space left", line)
        self.assertEqual(list(tree(folder)), ["step-00000001.safetensors"])
        self.assertEqual(tree(self.folder / "out.bin"), {"out.bin": digest(b"old")})
        subprocess.run(["mount", "-o", "remount,size=9m", str(folder)], check=True)
        rest = self.call(*begun, "--resume")[0]
        self.assertEqual(tree(self.folder / "out.bin"), expected)
        self.assertEqual(whole.split("]")[0], rest.split("]")[0])  # the losses

    def test_a_result_that_does_not_fit(self):
        for method, size in (("--lora", "20k"), ("--full", "200k")):
            folder = self.mounted(f"disk{method}", "-t", "tmpfs", "-o", f"size={size}", "none")
            for old in (None, b"old"):
                out = folder / METHODS[method]
                if old is not None:
                    if method == "--lora":
                        out.mkdir(exist_ok=True)
                    (out / "adapter_config.json" if method == "--lora" else out).write_bytes(old)
                before = tree(out)
                line = self.refused(4, TUNE, LLAMA, "--task", "lm", method, "--data", "data.jsonl",
                                    "--steps", 1, "-o", out)
                self.assertIn("No space left", line)
                self.assertIn(str(out), line)
                self.assertEqual(tree(out), before)


class WriteProtected(DiskTest):
    def test_before_anything_is_computed(self):
        for method, out in METHODS.items():
            self.call(*self.command(method, "--steps", 1, "--checkpoint-every", 1))
        closed = self.folder / "closed"
        closed.mkdir()
        for out in METHODS.values():
            (self.folder / out).rename(closed / out)
            (self.folder / (out + ".checkpoints")).rename(closed / (out + ".checkpoints"))
        before = tree(closed)
        self.mounted("closed", "--bind", str(closed))
        subprocess.run(["mount", "-o", "remount,ro,bind", str(closed)], check=True)
        for arguments in (
            ["-o", "closed/out"], ["-o", "closed/other"], ["--full", "-o", "closed/out.bin"],
            ["--full", "-o", "closed/other.bin"], ["-o", "open", "--log", "closed/log.jsonl"],
            ["-o", "closed/out", "--resume"], ["-o", "open", "--plot", "closed/a.png"],
        ):
            with self.subTest(arguments):
                self.refuses(4, ["closed", "Read-only"], LLAMA, "--task", "lm", "--data", "data.jsonl",
                             "--steps", 1000000, *arguments)
        self.assertEqual(tree(closed), before)
        self.assertFalse((self.folder / "open").exists())

    def test_folders_where_files_are_to_be(self):
        for name in ("adapter_model.safetensors", "adapter_config.json"):
            (self.folder / "out" / name).mkdir(parents=True)
            self.refuses(4, [f"out/{name}"], LLAMA, "--task", "lm", "--data", "data.jsonl",
                         "--steps", 1000000, "-o", "out")
            shutil.rmtree(self.folder / "out")
        self.file("out.checkpoints", "a file")
        self.refuses(4, ["out.checkpoints", "folder"], LLAMA, "--task", "lm", "--data", "data.jsonl",
                     "-o", "out", "--checkpoint-every", 1, "--steps", 1000000)
        self.assertEqual((self.folder / "out.checkpoints").read_text(), "a file")


if __name__ == "__main__":
    unittest.main()
