"""From arrays to model.bin and back, through safetensors and through our own reader and writer."""

import json
import os
import pathlib
import struct
import subprocess
import sys

import attn
import numpy as np
import pytest

safetensors = pytest.importorskip("safetensors")
import attn.export  # noqa: E402
import safetensors.numpy  # noqa: E402

PYTHON = pathlib.Path(__file__).resolve().parents[1]
SEEDS = json.loads((PYTHON.parent / "tests/data/seeds.json").read_text())
INPUT = [[1, 0, 1, 0], [0, 1, 0, 1], [1, 1, 0, 0]]
SENTENCE = "The pink elephant tried to get into the car but it was too"


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def load(path):
    """Metadata and arrays as Python's own library reads them."""
    with safetensors.safe_open(path, "numpy") as file:
        return file.metadata(), {name: file.get_tensor(name) for name in file.keys()}


def same(arrays, others):
    return arrays.keys() == others.keys() and all(
        a.dtype == others[name].dtype and a.shape == others[name].shape and a.tobytes() == others[name].tobytes()
        for name, a in arrays.items())


def through_ours(path):
    """The model read and written by attn, as Python reads it."""
    copy = path.with_suffix(".copy")
    attn.Model.open(path, threads=1).save(copy)
    return whole(copy)


def whole(copy):
    prefix = copy.read_bytes()[:8]
    assert (8 + struct.unpack("<Q", prefix)[0]) % 64 == 0
    return load(copy)


def exported(path, architecture, arrays, metadata):
    """Checks what is in the file, before and after our own reader and writer."""
    expected = {"attn.architecture": architecture, "attn.version": "1"} | metadata
    floats = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
    for found, tensors in (load(path), through_ours(path)):
        checksum = found.pop("attn.checksum", "xxh3:" + 16 * "0")
        assert len(checksum) == 21 and checksum.startswith("xxh3:"), checksum
        assert found == expected, (found, expected)
        assert same(tensors, floats), tensors
    assert (8 + struct.unpack("<Q", path.read_bytes()[:8])[0]) % 64 == 0


class Tensor:
    """What the module asks of a PyTorch tensor that is on a device, has a gradient, and is bfloat16."""

    def __init__(self, array, state="graph"):
        self.array, self.state = np.asarray(array), state

    def detach(self):
        assert self.state == "graph"
        return Tensor(self.array, "device")

    def cpu(self):
        assert self.state == "device"
        return Tensor(self.array, "bfloat16")

    def float(self):
        assert self.state == "bfloat16"
        return Tensor(self.array, "host")

    def numpy(self):
        assert self.state == "host"
        return self.array.astype(np.float32)


def square(seed, d=4):
    return np.random.default_rng(seed).normal(size=(d, d))


def heads():
    return {name: np.array(SEEDS["multi_head_attention"][name]) for name in attn.export.LAYOUTS["multi_head_attention"]}


def words():
    return {"embedding.weight": np.arange(52.0).reshape(13, 4)} | {f"W_{c}.weight": square(ord(c)) for c in "qkv"}


def test_attention_mechanism(folder):
    path = folder / "model.bin"
    weight = SEEDS["attention_mechanism"]["weight"]  # nested lists
    attn.export.save_attention_mechanism(path, {"weight": weight}, sample_input=[[1, 2, 3], [4, 5, 6.5]])
    sample = {"attn.sample_input": "[[1.0, 2.0, 3.0], [4.0, 5.0, 6.5]]"}
    exported(path, "attention_mechanism", {"weight": weight}, sample)


def test_self_attention(folder):
    path = folder / "model.bin"
    attn.export.save_self_attention(path, sample_input=INPUT)
    exported(path, "self_attention", {}, {"attn.sample_input": json.dumps(np.float32(INPUT).tolist())})
    # transposed: row-major is what counts, not how memory happens to lie
    weights = {f"{c}_proj.weight": square(ord(c)).T for c in "qkv"}
    attn.export.save_self_attention(str(path), weights, scale=0.5)
    exported(path, "self_attention", weights, {"attn.scale": "0.5"})


def test_multi_head_attention(folder):
    path = folder / "model.bin"
    state = {name: Tensor(array) for name, array in heads().items()}
    attn.export.save_multi_head_attention(path, state, num_heads=np.int64(2), sample_input=[INPUT, INPUT])
    sample = json.dumps(np.float32([INPUT, INPUT]).tolist())
    exported(path, "multi_head_attention", heads(), {"attn.num_heads": "2", "attn.sample_input": sample})


def test_size_loss_attention(folder):
    path = folder / "model.bin"
    attn.export.save_size_loss_attention(path, words(), sentence=SENTENCE, size_words=["elephant", "car"])
    metadata = {
        "attn.vocab": json.dumps(SENTENCE.split()),
        "attn.size_words": '["elephant", "car"]',
        "attn.sentence": json.dumps(SENTENCE),
    }
    exported(path, "size_loss_attention", words(), metadata)
    vocab = ["größer", "als", *(f"w{i}" for i in range(11))]
    attn.export.save_size_loss_attention(path, words(), sentence="größer als größer", size_words=["größer"], vocab=vocab)
    found, _ = load(path)
    assert json.loads(found["attn.vocab"]) == vocab and "größer" in found["attn.vocab"]


@pytest.mark.skipif("ATTN_TEST_CONTAINER" not in os.environ, reason="ctest builds the program that reads and writes")
def test_every_type_survives_our_reader_and_writer(folder):
    path = folder / "types.safetensors"
    random = np.random.default_rng(3)
    arrays = {f"{kind}.ä": random.normal(size=(3, 5)).astype(kind) for kind in ("float64", "float32", "float16")}
    arrays |= {kind: random.integers(-100, 100, (7,)).astype(kind) for kind in ("int64", "int32", "int16", "int8")}
    arrays |= {"u": np.arange(256, dtype="uint8"), "b": np.array([True, False]), "zero": np.zeros((0, 4), "float32"),
               "number": np.array(2.5)}
    safetensors.numpy.save_file(arrays, path, metadata={"key": "wörter\n"})
    copy = folder / "copy"
    subprocess.run([os.environ["ATTN_TEST_CONTAINER"], path, copy], check=True)
    metadata, found = whole(copy)
    assert same(found, arrays)
    assert metadata["key"] == "wörter\n"


def test_errors_say_what_is_wrong(folder):
    path = folder / "model.bin"
    path.write_bytes(b"old")
    mechanism = attn.export.save_attention_mechanism
    single = attn.export.save_self_attention
    multi = attn.export.save_multi_head_attention
    size = attn.export.save_size_loss_attention
    three = {f"{c}_proj.weight": square(ord(c)) for c in "qkv"}
    sentence = {"sentence": SENTENCE, "size_words": ["car"]}

    def refused(function, weights, *parts, **options):
        try:
            function(path, weights, **options)
        except attn.export.ExportError as error:
            missing = [part for part in parts if part not in str(error)]
            assert not missing, (missing, str(error))
        else:
            raise AssertionError(f"accepted, not refused with {parts}")
        assert path.read_bytes() == b"old" and len(list(folder.iterdir())) == 1

    refused(mechanism, {}, "'weight' is missing", "nothing")
    refused(mechanism, {"weights": [[1]]}, "'weight' is missing", "'weights'")
    refused(mechanism, {"weight": [1, 2]}, "[2]", "[input_dim, attention_units]")
    refused(mechanism, {"weight": [[1, 2], [3]]}, "weight", "not an array")
    refused(mechanism, {"weight": np.zeros((3, 0))}, "[3, 0]", "attention_units is 0")
    refused(mechanism, {"weight": [["a"]]}, "weight", "not real numbers")
    refused(mechanism, {"weight": [[1j]]}, "weight", "complex")
    refused(mechanism, {"weight": [[1, 2], [3, float("nan")]]}, "weight at [1, 1]", "nan")
    refused(mechanism, {"weight": [[1e300]]}, "weight at [0, 0]", "1e+300")
    refused(mechanism, {"weight": [[1], [2]]}, "sample_input is 3 wide", "2", sample_input=[[1, 2, 3]])
    refused(mechanism, {"weight": [[1], [2]]}, "sample_input", "[2]", "[n, d]", sample_input=[1, 2])
    refused(single, three | {"q_proj.bias": [0] * 4}, "'q_proj.bias'", "bias=False")
    refused(single, three | {"k_proj.weight": square(1, 5)}, "k_proj.weight", "[5, 5]", "d = 4")
    refused(single, three | {"k_proj.weight": np.zeros((4, 3))}, "k_proj.weight", "[4, 3]", "d = 4")
    refused(single, three, "scale", "inf", scale=float("inf"))
    refused(multi, heads(), "num_heads is 3", "4", num_heads=3)
    refused(multi, heads(), "num_heads is 0", num_heads=0)
    refused(multi, heads(), "num_heads", "2.0", num_heads=2.0)
    refused(size, words(), "sentence has no words", sentence=" ", size_words=[])
    refused(size, words(), "12 words", "13 rows", sentence=SENTENCE, size_words=[], vocab=SENTENCE.split()[1:])
    refused(size, words(), "'car'", "twice", vocab=["car"] * 13, **sentence)
    refused(size, words(), "size_words", "'mouse'", sentence=SENTENCE, size_words=["mouse"])
    refused(size, words(), "sentence", "'The'", vocab=[f"w{i}" for i in range(13)], **sentence)
    refused(size, words(), "size_words", "list of words", sentence=SENTENCE, size_words="car,too")


def test_a_target_that_cannot_be_written_leaves_nothing(folder):
    target = folder / "folder"
    target.mkdir()
    try:
        attn.export.save_self_attention(target)
    except OSError:
        assert list(folder.iterdir()) == [target] and not list(target.iterdir())
    else:
        raise AssertionError("a folder was replaced")


def test_examples(folder):
    examples = sorted((PYTHON / "examples/export").glob("*.py"))
    assert [example.stem for example in examples] == sorted(attn.export.LAYOUTS)
    for example in examples:
        path = folder / "example.bin"
        subprocess.run([sys.executable, example, path], check=True, stdout=subprocess.DEVNULL)
        metadata, _ = through_ours(path)
        assert metadata["attn.architecture"] == example.stem


def test_convert_packs_a_hugging_face_folder(folder, tiny_llama):
    path = folder / "llama.bin"
    done = attn.export.convert(tiny_llama, path, quantize="q8_0")
    assert done["architecture"] == "llama" and done["requantized"] > 0
    inputs = {"tokens": [5, 6, 7], "positions": [0, 1, 2]}
    exact, rounded = (attn.Model.open(each).run(inputs) for each in (tiny_llama, path))
    assert exact.keys() == rounded.keys()
    for name in exact:
        assert not np.array_equal(exact[name], rounded[name])
        np.testing.assert_allclose(exact[name], rounded[name], atol=0.05 * np.abs(exact[name]).max())


def test_convert_says_what_is_wrong(folder, tiny_llama):
    with pytest.raises(attn.UsageError, match="(?i)q5_9"):
        attn.export.convert(tiny_llama, folder / "x.bin", quantize="q5_9")
    with pytest.raises(attn.FileError):
        attn.export.convert(folder / "nothing", folder / "x.bin")
    assert not list(folder.iterdir())
