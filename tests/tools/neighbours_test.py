"""attn in one process with numpy, PyTorch where it is installed, and an OpenMP program, all at work at
once: results have the bits of a serial run, nobody uses the CPU a second later, and no name is defined
twice."""

import collections
import ctypes
import os
import pathlib
import subprocess
import sys
import threading
import time
import unittest

VENV = pathlib.Path(__file__).resolve().parents[2] / "build/venv/bin/python"  # tools/dev test makes it

try:
    import numpy
except ImportError:
    if VENV.exists() and sys.prefix == sys.base_prefix:  # not in a virtual environment yet
        os.execv(VENV, [str(VENV), "-B", *sys.argv])
    print("there is no numpy")
    sys.exit(77)

try:
    import torch  # beside numpy, where there is one
except ImportError:
    torch = None

LIBRARY = os.environ["ATTN_TEST_NEIGHBOUR"]
DATA = os.environ["ATTN_TEST_DATA"]


def cpu_ticks_by_thread():
    """{thread: user and system time}, in the hundredths of a second that the system counts."""
    times = {}
    for task in pathlib.Path("/proc/self/task").iterdir():
        fields = (task / "stat").read_text().rsplit(")", 1)[1].split()
        times[task.name] = int(fields[11]) + int(fields[12])
    return times


class Neighbours(unittest.TestCase):
    def test_bits_rest_and_names(self):
        attn = ctypes.CDLL(LIBRARY)
        attn.attn_test_sessions.restype = ctypes.c_int64
        attn.attn_test_sessions.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
        attn.attn_test_open.restype = ctypes.c_void_p
        attn.attn_test_open.argtypes = [ctypes.c_char_p]
        attn.attn_test_close.argtypes = [ctypes.c_void_p]
        attn.attn_test_other_openmp.restype = ctypes.c_double
        attn.attn_test_other_openmp.argtypes = [ctypes.c_int64]
        models = attn.attn_test_open(DATA.encode())
        self.assertTrue(models)
        self.addCleanup(attn.attn_test_close, models)
        done = threading.Event()
        wrong = []

        def multiply(name, library):
            a = library.arange(300 * 300, dtype=library.float32).reshape(300, 300) / 9e4
            wanted = a @ a
            while not done.is_set():
                if not bool(((a @ a) == wanted).all()):
                    wrong.append(name)

        def sum_up():
            wanted = attn.attn_test_other_openmp(10**6)
            while not done.is_set():
                if abs(attn.attn_test_other_openmp(10**6) - wanted) > 1e-9:
                    wrong.append("OpenMP")

        libraries = {"numpy": numpy, **({"torch": torch} if torch else {})}
        others = [threading.Thread(target=multiply, args=each) for each in libraries.items()]
        others.append(threading.Thread(target=sum_up))
        for thread in others:
            thread.start()
        try:
            differing = attn.attn_test_sessions(models, 8, 40, 4)
        finally:
            done.set()
            for thread in others:
                thread.join()
        self.assertEqual((differing, wrong), (0, []))

        # models stay open, and this thread has a team of OpenMP's and one of each library's
        attn.attn_test_other_openmp(10**6)
        for library in libraries.values():
            library.ones((300, 300)) @ library.ones((300, 300))
        time.sleep(1)
        before = cpu_ticks_by_thread()
        time.sleep(1)
        after = cpu_ticks_by_thread()
        used = {thread: ticks - before.get(thread, 0) for thread, ticks in after.items()}
        # what this thread takes to look into /proc twice, on a machine that counts in ticks
        self.assertLessEqual(sum(used.values()), 2, used)
        seconds = sum(used.values()) / os.sysconf("SC_CLK_TCK")
        print(f"{seconds:.2f} s of CPU in a second at rest, by {len(after)} threads")
        self.assert_no_clash()

    def assert_no_clash(self):
        """No library in this process defines what ours does, but for what C++ lets stand in many."""
        mapped = {line.split()[-1] for line in pathlib.Path("/proc/self/maps").read_text().splitlines()
                  if ".so" in line}
        defined = collections.defaultdict(set)
        for path in mapped:
            if not os.path.exists(path):
                continue
            listed = subprocess.run(["nm", "-D", "--defined-only", path], capture_output=True, text=True)
            for line in listed.stdout.splitlines():
                address, kind, name = line.split(" ", 2)
                if kind in "TDBR":
                    defined[name.split("@")[0]].add(os.path.realpath(path))
        ours = os.path.realpath(LIBRARY)
        names = [name for name, places in defined.items() if ours in places]
        self.assertTrue(names)
        self.assertEqual({n: defined[n] for n in names if len(defined[n]) > 1}, {})
        print(f"{len(names)} names of ours in {len(mapped)} libraries, each defined once")


if __name__ == "__main__":
    unittest.main()
