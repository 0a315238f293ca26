"""Running a tool with one call of the system failing; see fail_calls.c."""

import os
import pathlib
import shutil
import subprocess
import unittest

from tune_model_support import SANITIZED

HERE = pathlib.Path(__file__).parent


@unittest.skipIf(shutil.which("cc") is None, "there is no cc")
@unittest.skipIf(SANITIZED, "a sanitizer has to be loaded first")
class WithFailingCalls:
    """For a test with a folder of its own."""

    def setUp(self):
        super().setUp()
        self.library = str(self.folder / "fail_calls.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", self.library, str(HERE / "fail_calls.c"),
                        "-ldl"], check=True)

    def failing(self, command, call, path, at, error=None):
        """(exit code, stderr, stdout) with the at-th such call failing, the code None if there are
        fewer."""
        told = self.folder / "told"
        told.unlink(missing_ok=True)
        env = {**os.environ, "LD_PRELOAD": self.library, "FAIL_CALL": call, "FAIL_PATH": path,
               "FAIL_AT": str(at), "FAIL_TOLD": str(told)}
        if error is not None:
            env["FAIL_ERROR"] = str(error)
        done = subprocess.run(command, cwd=self.folder, capture_output=True, timeout=60, env=env)
        came = told.is_symlink()
        told.unlink(missing_ok=True)
        return done.returncode if came else None, done.stderr.decode(), done.stdout
