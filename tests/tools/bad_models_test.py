"""Files that are no models: each is refused with the right code and one line, at once."""

import json
import os
import struct
import unittest

from cli_support import RUN, SEEDS, TUNE, ToolTest, container, model_bytes, size_loss_model

FINAL = SEEDS["size_loss_attention"]["final"]
HEADS = {
    name: values
    for name, values in SEEDS["multi_head_attention"].items()
    if name.endswith((".weight", ".bias"))
}
MECHANISM = {"attn.architecture": "attention_mechanism"}


def entry(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def mechanism(data=b"\0" * 24, **tensors):
    return container({"__metadata__": MECHANISM, **tensors}, data)


class BadModels(ToolTest):
    def bad(self, content, *words, code=3):
        path = self.file("bad.bin", content)
        for tool in ([RUN], [TUNE, "--task", "size-loss"]):
            line = self.refused(code, *tool, path)
            self.assertIn("bad.bin", line)
            for word in words:
                self.assertIn(word, line)

    def test_files_that_cannot_be_read(self):
        self.refused(4, RUN, "missing.bin")
        self.refused(4, TUNE, "--task", "size-loss", "missing.bin")
        self.refused(4, RUN, self.folder)
        fifo = self.folder / "fifo.bin"
        os.mkfifo(fifo)
        self.refused(4, RUN, fifo)

    def test_no_container(self):
        self.bad(b"")
        self.bad(b"short")
        self.bad(b"<!DOCTYPE html><html><body>404</body></html>")
        self.bad(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
        self.bad(b"\x89PNG\r\n\x1a\n" + bytes(100))
        whole = size_loss_model(FINAL)
        for length in (7, 8, 9, 100, len(whole) - 1):
            self.bad(whole[:length])
        self.bad(whole + b"x")

    def test_versions(self):
        for version in ("0", "2", "16777216", "-1", "one", ""):
            self.bad(size_loss_model(FINAL, **{"attn.version": version}), "attn.version")

    def test_headers(self):
        good = {"__metadata__": MECHANISM, "weight": entry([3, 2], 0, 24)}
        self.bad(container(good, bytes(24), length=2**60))
        self.bad(container(good, bytes(24), length=101 * 2**20))
        self.bad(container(good, bytes(24), length=2**64 - 1))
        self.bad(container("[" * 10000 + "]" * 10000))
        self.bad(container('{"a":' * 10000 + "1" + "}" * 10000))
        self.bad(container('{"__metadata__": {"attn.architecture": "\udce4"}}'.encode(
            "utf-8", "surrogateescape").decode("latin-1")))
        self.bad(struct.pack("<Q", 8) + b'{"\xff": 1}')
        twice = json.dumps(good)
        self.bad(container(twice[:-1] + ', "weight"' + twice.split('"weight"')[1], bytes(24)))
        self.bad(container({"__metadata__": MECHANISM, "": entry([3, 2], 0, 24)}, bytes(24)))
        self.bad(container({"weight": entry([3, 2], 0, 24)}, bytes(24)), "attn.architecture")
        self.bad(container({"__metadata__": {"attn.architecture": 5}}))

    def test_shapes_and_offsets(self):
        self.bad(mechanism(weight=entry([1] * 1000, 0, 4)))
        self.bad(mechanism(weight=entry([0, 2], 0, 0), data=b""))
        for shape in ([2**32, 2**32], [2**63, 2], [2**60, 16], [-3, -2], [3.0, 2], ["3", 2], 6):
            self.bad(mechanism(weight=entry(shape, 0, 24)))
        for begin, end in ((24, 0), (0, 23), (0, 25), (0, 2**63), (2**64 - 24, 2**64), (-24, 0),
                           (0.0, 24.0), (1, 25)):
            self.bad(mechanism(weight=entry([3, 2], begin, end)))
        self.bad(mechanism(weight=entry([3, 2], 0, 24), more=entry([3, 2], 12, 36), data=bytes(36)))
        self.bad(mechanism(weight=entry([3, 2], 8, 32), data=bytes(32)))
        self.bad(mechanism(weight=entry([3, 2], 0, 24, "F12")))

    def test_architectures(self):
        self.bad(model_bytes({"attn.architecture": "nonsense"}, {}), "nonsense")
        for heads in ("0", "3", "-2", "2147483648", "two", ""):
            metadata = {"attn.architecture": "multi_head_attention", "attn.num_heads": heads}
            self.bad(model_bytes(metadata, HEADS), "num_heads")
        metadata = {"attn.architecture": "multi_head_attention"}
        self.bad(model_bytes(metadata, HEADS), "num_heads")
        metadata["attn.num_heads"] = "2"
        less = {name: values for name, values in HEADS.items() if name != "k_proj.weight"}
        self.bad(model_bytes(metadata, less), "k_proj.weight")
        self.bad(model_bytes(metadata, {**HEADS, "extra": [1.0]}), "extra")
        wrong = {**HEADS, "k_proj.weight": [[1.0] * 4] * 3}
        self.bad(model_bytes(metadata, wrong), "k_proj.weight", "[3, 4]", "[4, 4]")
        metadata["attn.scale"] = "nan"
        self.bad(model_bytes(metadata, HEADS), "attn.scale")

    def test_vocabularies(self):
        for vocab in ("", "[]", "{}", '["The"]', '["The", "The"]', "[1, 2]", "nonsense"):
            self.bad(size_loss_model(FINAL, **{"attn.vocab": vocab}), "vocab")
        self.bad(size_loss_model(FINAL, **{"attn.sentence": '"a giraffe"'}))


if __name__ == "__main__":
    unittest.main()
