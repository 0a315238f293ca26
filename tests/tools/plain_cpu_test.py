"""The release's own programs on CPUs that this machine is not (qemu-user): on one without AVX they take
the scalar level, say so, and give its bits; a level that the CPU lacks is refused, never executed."""

import os
import pathlib
import shutil
import subprocess
import sys
import unittest

from cli_support import RUN, TUNE, ToolTest

CONVERT = os.environ["ATTN_CONVERT"]
DATA = pathlib.Path(os.environ["ATTN_TEST_DATA"])
QEMU = shutil.which("qemu-x86_64")
# x86-64 as it began, one of 2008 with SSE4.2, and one with AVX but nothing of what AVX2 brought
PLAIN = ("qemu64", "Nehalem", "max,-avx2")
TEXT = ["--tokens", "5,9,7,11,13,15,17,19,21,23", "-n", "12", "--temp", "0"]


class PlainCpu(ToolTest):
    def out(self, *command, env):
        """What it prints; how long it took stands on stderr."""
        done = subprocess.run(list(map(str, command)), cwd=self.folder, capture_output=True, timeout=120,
                              env={**os.environ, "ATTN_ISA": env})
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout.decode()

    def on(self, cpu, *command):
        return self.out(QEMU, "-cpu", cpu, *command, env="")

    def scalar(self, *command):
        return self.out(*command, env="scalar")

    def test_the_level_that_was_taken_is_told(self):
        for cpu in PLAIN:
            info = self.on(cpu, RUN, DATA / "tiny-llama", "--info")
            self.assertIn("scalar: the best level of this CPU", info)

    def test_results_are_those_of_the_scalar_level(self):
        for arguments in (
            ["--json"],
            [DATA / "tiny-llama", *TEXT],
            [DATA / "tiny-qwen2", *TEXT],
            [DATA / "tiny-bert", "--embed", "--tokens", "5,9,7,11,13,15,17,19,21,23"],
        ):
            wanted = self.scalar(RUN, *arguments)
            for cpu in PLAIN:
                self.assertEqual(self.on(cpu, RUN, *arguments), wanted, (cpu, arguments))

    def test_converting_and_tuning(self):
        for name, command in (
            ("bin", [CONVERT, DATA / "tiny-llama", "--quantize", "q8_0", "--pack", "avx2"]),
            ("tuned", [TUNE, "--task", "size-loss", "--epochs", "5"]),
        ):
            self.scalar(*command, "-o", f"wanted.{name}")
            self.on("Nehalem", *command, "-o", f"got.{name}")
            self.assertEqual((self.folder / f"got.{name}").read_bytes(),
                             (self.folder / f"wanted.{name}").read_bytes())

    def test_a_level_that_the_cpu_lacks_is_refused(self):
        for level in ("avx2", "avx512", "amx"):
            done = subprocess.run([QEMU, "-cpu", "Nehalem", RUN], capture_output=True, timeout=120,
                                  env={**os.environ, "ATTN_ISA": level})
            self.assertEqual((done.returncode, done.stdout), (2, b""))
            self.assertEqual(done.stderr.decode(), f"attn-run: ATTN_ISA: this CPU has no {level}; its "
                             "best level is scalar\n")


if __name__ == "__main__":
    if QEMU is None:
        print("there is no qemu-x86_64")
        sys.exit(77)
    unittest.main()
