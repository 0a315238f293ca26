"""What the tests of the command-line tools share: running them, and writing files by hand."""

import array
import json
import os
import pathlib
import struct
import subprocess
import tempfile
import unittest

RUN = os.environ["ATTN_RUN"]
TUNE = os.environ["ATTN_TUNE"]
SEEDS = json.loads(pathlib.Path(os.environ["ATTN_TEST_DATA"], "seeds.json").read_text())
SENTENCE = SEEDS["size_loss_attention"]["sentence"]


def float_bytes(values):
    """Nested lists of numbers as (shape, little-endian float32)."""
    shape = []
    level = values
    while isinstance(level, list):
        shape.append(len(level))
        level = level[0] if level else None
    flat = values
    for _ in shape[1:]:
        flat = [value for part in flat for value in part]
    return shape, struct.pack(f"<{len(flat)}f", *flat)


def container(header, data=b"", length=None):
    """The bytes of a safetensors file, however wrong: header is a dictionary or text."""
    text = header.encode() if isinstance(header, str) else json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 64)
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def model_bytes(metadata, tensors):
    header, data = {"__metadata__": metadata}, b""
    for name, values in tensors.items():
        shape, part = float_bytes(values)
        header[name] = {
            "dtype": "F32",
            "shape": shape,
            "data_offsets": [len(data), len(data) + len(part)],
        }
        data += part
    return container(header, data)


def size_loss_model(weights, **metadata):
    case = SEEDS["size_loss_attention"]
    return model_bytes(
        {
            "attn.architecture": "size_loss_attention",
            "attn.vocab": json.dumps(case["vocab"]),
            "attn.size_words": json.dumps(case["size_words"]),
            "attn.sentence": json.dumps(case["sentence"]),
            **metadata,
        },
        weights,
    )


def read_npy(path):
    """The rows of a matrix of float32."""
    content = pathlib.Path(path).read_bytes()
    assert content[:8] == b"\x93NUMPY\x01\x00", content[:8]
    length = struct.unpack("<H", content[8:10])[0]
    assert (10 + length) % 64 == 0
    header = eval(content[10 : 10 + length], {})  # the test's own file
    assert header["descr"] == "<f4" and not header["fortran_order"]
    values = array.array("f", content[10 + length :])
    rows, columns = header["shape"]
    assert len(values) == rows * columns
    return [values[r * columns : (r + 1) * columns] for r in range(rows)]


class ToolTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def call(self, *command, stdin=b"", code=0, env=None):
        """Runs it; (stdout, stderr). With code 0 nothing may stand on stderr, else exactly one line
        that begins with the tool's name, and nothing on stdout."""
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            timeout=120,
            cwd=self.folder,
            env={**os.environ, **(env or {})},
        )
        out, err = done.stdout.decode(), done.stderr.decode()
        self.assertEqual(done.returncode, code, f"{command}\n{out}{err}")
        if code == 0:
            self.assertEqual(err, "", command)
        else:
            self.assertEqual(out, "", command)
            self.assertEqual(err.count("\n"), 1, err)
            self.assertTrue(err.startswith(os.path.basename(command[0]) + ": "), err)
            self.assertTrue(err.endswith("\n"), err)
        return out, err

    def run_tool(self, *arguments, **options):
        return self.call(RUN, *map(str, arguments), **options)[0]

    def tune(self, *arguments, **options):
        return self.call(TUNE, "--task", "size-loss", *map(str, arguments), **options)[0]

    def run_json(self, *arguments, **options):
        return json.loads(self.run_tool(*arguments, "--json", **options))

    def refused(self, code, *command, **options):
        """The line on stderr."""
        return self.call(*map(str, command), code=code, **options)[1]

    def assert_near(self, got, wanted, tolerance):
        if isinstance(wanted, list):
            self.assertEqual(len(got), len(wanted))
            for a, b in zip(got, wanted):
                self.assert_near(a, b, tolerance)
        else:
            self.assertLessEqual(abs(got - wanted), tolerance)

    def assert_float32(self, values):
        """Every number is printed in the digits that a float32 needs, which are at most nine."""
        if isinstance(values, list):
            for value in values:
                self.assert_float32(value)
        else:
            self.assertIsInstance(values, float)
            digits = repr(values).split("e")[0].replace(".", "").lstrip("-0")
            self.assertLessEqual(len(digits), 9, values)
