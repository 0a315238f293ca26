"""Opening, running, saving; arrays in and out; errors; threads."""

import gc
import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import threading
import weakref

import attn
import numpy as np
import pytest


def test_self_attention_gives_the_reference(seeds):
    case = seeds["self_attention"]
    model = attn.Model.create("self_attention", {"embedding_size": 0}, threads=1)
    result = model.run({"x": np.array(case["inputs"], np.float32)})
    assert list(result) == [port.name for port in model.outputs]
    for name in ("attention_weights", "output"):
        assert result[name].dtype == np.float32
        np.testing.assert_allclose(result[name], case[name], atol=1e-6)


def test_outputs_are_the_callers_and_stay(seeds):
    x = np.array(seeds["self_attention"]["inputs"], np.float32)
    model = attn.Model.create("self_attention", {"embedding_size": 0})
    first = model.run({"x": x})["output"]
    kept = first.copy()
    second = model.run({"x": 3 * x})["output"]
    assert np.array_equal(first, kept) and not np.array_equal(second, kept)
    model.close()
    second += 1  # writable, and nobody else's


@pytest.mark.parametrize("given", [
    lambda x: x.astype(np.float64), lambda x: x.tolist(), lambda x: np.asfortranarray(x),
    lambda x: np.repeat(x, 2, axis=1)[:, ::2], lambda x: x.astype(np.int64), lambda x: x.astype(bool),
    lambda x: x.astype(np.float16), lambda x: x.astype(">f4"), lambda x: memoryview(x)])
def test_other_arrays_are_converted(seeds, given):
    x = np.array(seeds["self_attention"]["inputs"], np.float32)
    model = attn.Model.create("self_attention", {"embedding_size": 0})
    assert np.array_equal(model.run({"x": given(x)})["output"], model.run({"x": x})["output"])


def test_read_only_arrays_are_taken(seeds):
    x = np.array(seeds["self_attention"]["inputs"], np.float32)
    x.setflags(write=False)
    attn.Model.create("self_attention", {"embedding_size": 0}).run({"x": x})


def test_batches(seeds):
    x = np.array(seeds["multi_head_attention"]["inputs"], np.float32)
    model = attn.Model.create("multi_head_attention", {"embedding_size": 4, "num_heads": 2}, seed=3)
    alone = model.run({"x": x})["output"]
    both = model.run({"x": np.stack([x, 2 * x])})["output"]
    assert both.shape == (2, *alone.shape)
    np.testing.assert_allclose(both[0], alone, atol=1e-6)


def test_token_ids(seeds):
    case = seeds["size_loss_attention"]
    parameters = {"sentence": case["sentence"], "size_words": ",".join(case["size_words"]), "embedding_dim": 4}
    model = attn.Model.create("size_loss_attention", parameters, seed=1)
    (port,) = model.inputs
    assert port.token_ids and port.shape == [-1]
    ids = case["token_ids"]
    same = [model.run({port.name: each}) for each in
            (np.array(ids, np.int32), np.array(ids, np.int64), ids, np.array(ids, np.uint8))]
    for other in same[1:]:
        assert all(np.array_equal(other[name], same[0][name]) for name in same[0])
    with pytest.raises(attn.InvalidError, match="32 bits"):
        model.run({port.name: [0, 2**32]})
    with pytest.raises(attn.UsageError, match="whole numbers"):
        model.run({port.name: [0.5]})
    with pytest.raises(attn.InvalidError):
        model.run({port.name: [99]})


def test_errors_have_kinds_and_builtins(tmp_path):
    model = attn.Model.create("self_attention", {"embedding_size": 0})
    x = np.zeros((3, 4), np.float32)
    for call, kind, builtin, words in (
        (lambda: attn.Model.open(tmp_path / "nothing"), attn.FileError, OSError, "nothing"),
        (lambda: attn.Model.open(tmp_path / "x", threads=5000), attn.UsageError, ValueError, "5000"),
        (lambda: attn.Model.open(tmp_path / "x", precision="f8"), attn.UsageError, ValueError, "'f8' is not one of"),
        (lambda: attn.Model.create("perceptron"), attn.UsageError, ValueError, "perceptron"),
        (lambda: model.run({"y": x}), attn.UsageError, ValueError, "y"),
        (lambda: model.run({}), attn.UsageError, ValueError, "missing"),
        (lambda: model.run({"x": np.zeros((0, 4))}), attn.InvalidError, ValueError, "x"),
        (lambda: model.run({"x": "text"}), attn.UsageError, ValueError, "'x' holds"),
        (lambda: model.run({"x": [[1], [2, 3]]}), attn.UsageError, ValueError, "'x' is not an array"),
        (lambda: model.run({"x": [1j]}), attn.UsageError, ValueError, "complex"),
        (lambda: model.embed("a text"), attn.UsageError, ValueError, "tokenizer"),
        (lambda: model.embed([[1, 2]]), attn.UsageError, ValueError, "encoder"),
        (lambda: model.generate([1]), attn.UsageError, ValueError, "generates no text"),
        (lambda: model.save(tmp_path / "no" / "folder"), attn.FileError, OSError, "no"),
    ):
        with pytest.raises(builtin, match=words) as caught:
            call()
        assert type(caught.value) is kind and isinstance(caught.value, attn.Error)
        assert "\n" not in str(caught.value)
    assert {each.kind for each in attn.Error.__subclasses__()} == {
        "usage", "invalid", "io", "memory", "numerical", "cancelled"}
    assert issubclass(attn.OutOfMemoryError, MemoryError) and issubclass(attn.NumericalError, ArithmeticError)
    with pytest.raises(TypeError):
        model.run([x])
    with pytest.raises(TypeError):
        attn.Model()


def test_a_broken_file_is_refused(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(b"<!DOCTYPE html>")
    with pytest.raises(attn.InvalidError, match="model.bin"):
        attn.Model.open(path)


def test_save_and_open(tmp_path, seeds):
    x = np.array(seeds["multi_head_attention"]["inputs"], np.float32)
    model = attn.Model.create("multi_head_attention", {"embedding_size": 4, "num_heads": 2}, seed=7)
    model.save(tmp_path / "model.bin")
    for path in (tmp_path / "model.bin", str(tmp_path / "model.bin")):
        with attn.Model.open(path, threads=3, isa="scalar", verify=True) as opened:
            assert opened.architecture == "multi_head_attention"
            np.testing.assert_allclose(opened.run({"x": x})["output"], model.run({"x": x})["output"], atol=1e-6)
            info = opened.info()
            assert (info.threads, info.isa, info.parameter_count) == (3, "scalar", 4 * 16 + 4)
            assert {tensor.name: tensor.shape for tensor in info.tensors}["out_proj.bias"] == [4]
            assert info.memory.weights > 0
        assert opened.closed
        with pytest.raises(attn.UsageError, match="closed"):
            opened.run({"x": x})
        opened.close()  # again


def test_models_go_when_nobody_has_them(llama):
    class Kept:
        pass

    kept = Kept()
    gone = weakref.ref(kept)

    def callback(epoch, loss, kept=kept):
        return True

    model = attn.Model.create("size_loss_attention", {"sentence": "a big b", "size_words": "big", "embedding_dim": 2})
    model.train(epochs=1, on_epoch=callback)
    del callback, kept
    gc.collect()
    assert gone() is None


def test_calls_on_one_model_take_turns(seeds):
    """More calls than there are models, from more threads than the model has: as if one after the other."""
    model = attn.Model.create("multi_head_attention", {"embedding_size": 64, "num_heads": 4}, seed=1, threads=2)
    inputs = [np.random.default_rng(i).normal(size=(3 + i % 40, 64)).astype(np.float32) for i in range(80)]
    expected = [model.run({"x": x})["output"] for x in inputs]
    wrong = []

    def work(first):
        for i in range(first, len(inputs), 8):
            for _ in range(20):
                if not np.array_equal(model.run({"x": inputs[i]})["output"], expected[i]):
                    wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_call_inside_of_a_call_is_refused():
    model = attn.Model.create("size_loss_attention", {"sentence": "a big b", "size_words": "big", "embedding_dim": 2})
    with pytest.raises(attn.UsageError, match="inside of another call"):
        model.train(epochs=3, on_epoch=lambda epoch, loss: model.run({"tokens": [0]}))
    model.info()  # and its turn is free again


def test_train_teaches(seeds):
    case = seeds["size_loss_attention"]
    parameters = {"sentence": case["sentence"], "size_words": ",".join(case["size_words"]), "embedding_dim": 4}
    model = attn.Model.create("size_loss_attention", parameters, seed=1)
    seen = []
    result = model.train(epochs=50, learning_rate=0.05, on_epoch=lambda epoch, loss: seen.append((epoch, loss)))
    assert [epoch for epoch, _ in seen] == list(range(50)) and [loss for _, loss in seen] == result.losses
    assert result.losses[-1] < result.losses[0] and not result.stopped
    assert result.combined_size_weight > 0.9
    stopped = model.train(epochs=50, on_epoch=lambda epoch, loss: epoch < 4)
    assert stopped.stopped and len(stopped.losses) == 5
    with pytest.raises(ZeroDivisionError):
        model.train(epochs=2, on_epoch=lambda epoch, loss: 1 / 0)
    with pytest.raises(attn.InvalidError, match="zebra"):
        model.train(case["sentence"], ["zebra"])


def test_train_ends_with_ctrl_c(interrupt):
    model = attn.Model.create("size_loss_attention", {"sentence": "a big b", "size_words": "big", "embedding_dim": 2})
    before = model.run({model.inputs[0].name: [0, 1, 2]})
    with interrupt(0.2) as sent, pytest.raises(KeyboardInterrupt):
        model.train(epochs=100_000_000)
    assert sent.late < 1
    after = model.run({model.inputs[0].name: [0, 1, 2]})
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_types(tmp_path):
    """The stubs, with whose help a program of a user is checked."""
    pytest.importorskip("mypy")
    pytest.importorskip("safetensors")  # attn.export is checked as well
    folder = pathlib.Path(attn.__file__).parent
    assert (folder / "py.typed").exists() and (folder / "_attn.pyi").exists()
    program = tmp_path / "program.py"
    program.write_text('''
import attn
import numpy as np

with attn.Model.open("model", threads=2, precision="bf16", adapters=["a", ("b", 0.5)]) as model:
    out = model.run({"x": np.zeros((3, 4), np.float32)})
    reveal_type(out)
    answer = model.generate([{"role": "user", "content": "Hello"}], max_tokens=5, stop="x")
    for piece in answer:
        reveal_type(piece)
    reveal_type(model.embed(["a", "b"]))
    reveal_type(model.attention("text", layers=[0]).weights)
    reveal_type(model.tune("file", "out", on_step=lambda step: step.loss < 1).evaluations)
    model.open("model", precision="f8")
    model.embed(3)
''')
    environment = dict(os.environ)
    if folder.parent.name != "site-packages":  # what is installed is found without, and refused here
        environment |= {"PYTHONPATH": str(folder.parent), "MYPYPATH": str(folder.parent)}
    mypy = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", str(tmp_path / "cache")]
    # what attn.ray stands on is optional; without it mypy can tell nothing of attn.ray's own types
    modules = [path.stem for path in folder.glob("*.py") if path.stem not in ("__init__", "ray")]
    whole = ["-p", "attn"] if importlib.util.find_spec("ray") else [
        word for module in ("attn", *(f"attn.{name}" for name in modules)) for word in ("-m", module)]
    result, package = (subprocess.run([*mypy, *what], capture_output=True, text=True, env=environment, cwd=tmp_path)
                       for what in ([str(program)], whole))
    assert package.returncode == 0, package.stdout + package.stderr
    told = [line.split(": ", 1)[1] for line in result.stdout.splitlines()]
    # versions of mypy differ in how they call builtins
    revealed = [re.search('"(.*)"', line)[1].replace("builtins.", "") for line in told if "Revealed" in line]
    assert len(revealed) == 5, result.stdout + result.stderr
    assert revealed[0].startswith("dict[str, numpy.ndarray[")
    assert revealed[1] == "str"
    assert "float32" in revealed[2] or "floating" in revealed[2]
    assert "float32" in revealed[3] or "floating" in revealed[3]
    assert revealed[4] == "list[tuple[int, attn._attn.TuneEvaluation]]"
    errors = [line for line in told if line.startswith("error")]
    assert len(errors) == 2 and "f8" in errors[0] and "embed" in errors[1], errors


def _run(code, *arguments):
    """A program of its own, as it is seen from outside."""
    return subprocess.run([sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)], capture_output=True, text=True,
                          timeout=120)


@pytest.mark.parametrize("work", [
    "model.run({'x': x})", "model.embed(['a b c'])", "list(model.generate('a b c', max_tokens=4))",
    "model.embed(slow())", "model.train(epochs=50, on_epoch=lambda *_: time.sleep(0.001))",
    "model.tune([{'tokens': [1, 2, 3]}], out, steps=50, on_step=lambda _: time.sleep(0.001))"])
def test_a_daemon_thread_ends_with_the_process(tiny_llama, tiny_bert, tmp_path, work):
    words = {"sentence": "a small b c", "size_words": "small", "embedding_dim": 4}
    open_ = {"run": "attn.Model.create('self_attention', {'embedding_size': 4})",
             "train": f"attn.Model.create('size_loss_attention', {words})",
             "embed": f"attn.Model.open({str(tiny_bert)!r})"}
    model = next((text for name, text in open_.items() if f".{name}(" in work),
                 f"attn.Model.open({str(tiny_llama)!r})")
    code = f"""
import threading, time, attn
model, x, out = {model}, [[1., 2, 3, 4]] * 3, {str(tmp_path / "out")!r}
def slow():
    for _ in range(1000):
        time.sleep(0.001)
        yield "a b c"
def forever():
    while True: {work}
for _ in range(2): threading.Thread(target=forever, daemon=True).start()
time.sleep(0.3)
print("done")
"""
    done = _run(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_of_fork_goes_on(tiny_llama):
    code = """
import os, sys, time, attn
model = attn.Model.open(sys.argv[1], threads=3)
whole = "".join(model.generate("a b c", max_tokens=4, temperature=0))
answer = model.generate("a b c", temperature=0)
next(answer)
time.sleep(0.1)
child = os.fork()
if child == 0:
    try:
        next(answer)
    except attn.UsageError:
        pass
    else:
        os._exit(1)
    same = "".join(model.generate("a b c", max_tokens=4, temperature=0)) == whole
    del answer, model
    sys.exit(0 if same else 2)
assert os.waitpid(child, 0)[1] == 0
answer.close()
"""
    done = _run(code, tiny_llama)
    assert (done.returncode, done.stderr) == (0, "")


def test_paths_that_are_no_utf8(llama, tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff"
    with pytest.raises(attn.FileError, match="\udcff"):
        attn.Model.open(path)
    model = attn.Model.create("self_attention", {"embedding_size": 4})
    with pytest.raises(attn.FileError):
        model.save(path + b"/x")
    with pytest.raises(attn.FileError, match="\udcff"):
        llama.tune(os.fsdecode(path + b".jsonl"), tmp_path / "out", steps=1)
    model.save(path)
    assert attn.Model.open(os.fsdecode(path)).architecture == "self_attention"


def test_mappings_and_names(llama):
    import types
    model = attn.Model.create("self_attention", types.MappingProxyType({"embedding_size": 4}), seed=1)
    x = np.ones((3, 4), np.float32)
    same = model.run(types.MappingProxyType({"x": x}))["output"]
    assert np.array_equal(same, model.run({"x": x})["output"])
    with pytest.raises(TypeError, match="parameters: a mapping, not int"):
        attn.Model.create("self_attention", 4)
    with pytest.raises(TypeError, match="inputs: a mapping, not list"):
        model.run([1])
    with pytest.raises(TypeError, match="name of a parameter: a str, not int"):
        attn.Model.create("self_attention", {1: 2})
    with pytest.raises(TypeError, match="name of an input: a str, not int"):
        model.run({1: x})
    with pytest.raises(UnicodeEncodeError):
        attn.Model.create("size_loss_attention", {"sentence": "a \udcff", "size_words": "a", "embedding_dim": 4})
    for stop in ([1], b"x", ["x", b"y"]):
        with pytest.raises(TypeError, match="stop: a str"):
            llama.generate("a", stop=stop)
    with pytest.raises(UnicodeEncodeError):
        llama.generate("a", stop="\ud800")
    with pytest.raises(TypeError, match="content: a str, not int"):
        llama.generate([{"role": "user", "content": 1}])
