"""Fine-tuning: adapters and whole models, callbacks, interruption."""

import json

import attn
import numpy as np
import pytest
from conftest import DATA

EXAMPLES = [{"tokens": list(range(5, 25))}, {"tokens": list(range(25, 5, -1))}] * 4


def logits(model):
    ids = np.arange(5, 20, dtype=np.int32)
    named = {"tokens": ids, "positions": np.arange(len(ids), dtype=np.int32)}
    return model.run({port.name: named[port.name] for port in model.inputs})


def same(a, b):
    return all(np.array_equal(a[name], b[name]) for name in a)


def test_full_tuning_has_the_reference_losses(tiny_llama, tmp_path):
    reference = json.loads((DATA / "tiny-llama/training.json").read_text())
    full = reference["full"]
    examples = [{"tokens": row} for row in reference["batch"]]
    model = attn.Model.open(tiny_llama)
    before = logits(model)
    result = model.tune(examples, tmp_path / "tuned.bin", method="full", steps=len(full["losses"]),
                        batch_size=len(examples), learning_rate=full["lr"], weight_decay=full["weight_decay"],
                        shuffle=False)
    np.testing.assert_allclose(result.losses, full["losses"], rtol=1e-4)
    assert same(logits(model), before)  # the model itself stays
    assert not same(logits(attn.Model.open(tmp_path / "tuned.bin")), before)


def test_an_adapter(tiny_llama, llama, tmp_path):
    steps, evaluations = [], []
    result = llama.tune(EXAMPLES, tmp_path / "adapter", steps=12, rank=4, batch_size=2, learning_rate=0.01,
                        held_out=0.25, evaluate_every=4, on_step=steps.append,
                        on_evaluation=lambda evaluation, step: evaluations.append((step, evaluation)))
    assert [step.step for step in steps] == list(range(1, 13))
    assert [step.loss for step in steps] == result.losses and result.losses[-1] < result.losses[0]
    assert [step for step, _ in evaluations] == [0, 4, 8, 12] == [step for step, _ in result.evaluations]
    assert evaluations[0][1].examples == 2 and evaluations[-1][1].loss < evaluations[0][1].loss
    assert json.loads((tmp_path / "adapter/adapter_config.json").read_text())["r"] == 4
    base = logits(llama)
    with_it, half = (attn.Model.open(tiny_llama, adapters=[each]) for each in
                     (tmp_path / "adapter", (tmp_path / "adapter", 0.5)))
    assert not same(logits(with_it), base) and not same(logits(half), logits(with_it))


def test_data_from_texts_and_files_are_the_same(llama, tmp_path):
    lines = ["The elephant was too big for the car.", {"messages": [
        {"role": "user", "content": "The car?"}, {"role": "assistant", "content": "Too small."}]}]
    file = tmp_path / "data.jsonl"
    file.write_text("\n".join(json.dumps({"text": each} if isinstance(each, str) else each) for each in lines))
    losses = [llama.tune(data, tmp_path / "out", steps=3).losses
              for data in (lines, iter(lines), file, str(file))]
    assert all(each == losses[0] for each in losses) and len(losses[0]) == 3


def test_similarity(bert, tmp_path):
    pairs = [{"a": "The elephant", "b": "The car", "score": 0.0}, {"a": "too big", "b": "too big for", "score": 1.0}]
    result = bert.tune(pairs, tmp_path / "adapter", task="similarity", steps=15, learning_rate=0.01)
    assert result.losses[-1] < result.losses[0]
    unscored = [{"a": pair["a"], "b": pair["b"]} for pair in pairs]
    assert len(bert.tune(unscored, tmp_path / "other", task="similarity", steps=2).losses) == 2


def test_attention(llama, tmp_path):
    looked = []
    llama.tune(["The elephant was too big"], tmp_path / "adapter", task="attention", look_at=["elephant"], layers=[1],
               heads=[0], steps=20, learning_rate=0.02, on_step=lambda step: looked.append(step.looked_at))
    assert looked[-1] > looked[0]


def test_a_callback_stops_raises_and_uses_the_model(llama, tmp_path):
    result = llama.tune(EXAMPLES, tmp_path / "stopped", steps=50, on_step=lambda step: step.step < 3)
    assert result.stopped and len(result.losses) == 3 and (tmp_path / "stopped").exists()
    with pytest.raises(ZeroDivisionError):
        llama.tune(EXAMPLES, tmp_path / "raised", steps=5, on_step=lambda step: 1 / 0)
    assert not (tmp_path / "raised").exists()
    base, seen = logits(llama), []
    llama.tune(EXAMPLES, tmp_path / "used", steps=2, on_step=lambda step: seen.append(logits(llama)))
    assert len(seen) == 2 and all(same(each, base) for each in seen)


def test_errors(llama, tmp_path):
    for options, words in (({"task": "chess"}, "chess"), ({"rank": 0}, "rank"), ({"learning_rate": -1.0}, "rate"),
                           ({"method": "none"}, "none"), ({"context": 500}, "128")):
        with pytest.raises(attn.UsageError, match=words):
            llama.tune(EXAMPLES, tmp_path / "out", steps=1, **options)
    with pytest.raises(attn.UsageError, match="similarity"):
        llama.tune([{"a": "The", "b": "elephant"}] * 2, tmp_path / "out", steps=1, task="similarity")
    with pytest.raises(attn.InvalidError, match="data.jsonl:2"):
        llama.tune([{"tokens": [1, 2]}, {"tokens": [1, 100_000]}], tmp_path / "out", steps=1)
    with pytest.raises(attn.FileError):
        llama.tune(tmp_path / "nothing", tmp_path / "out", steps=1)
    with pytest.raises(attn.OutOfMemoryError, match="limit"):
        llama.tune(EXAMPLES, tmp_path / "out", steps=1, memory_limit=1000)
    assert not list(tmp_path.iterdir())


def test_ctrl_c_leaves_a_checkpoint_to_go_on_from(llama, tmp_path, interrupt):
    options = {"rank": 2, "batch_size": 2, "checkpoints": tmp_path / "checkpoints"}
    done = []
    with interrupt(0.4) as sent, pytest.raises(KeyboardInterrupt):
        llama.tune(EXAMPLES, tmp_path / "adapter", steps=1_000_000, on_step=done.append, **options)
    assert sent.late < 2 and not (tmp_path / "adapter").exists()
    assert list((tmp_path / "checkpoints").iterdir())
    steps = len(done) + 5
    resumed = llama.tune(EXAMPLES, tmp_path / "adapter", steps=steps, resume=True, **options)
    assert resumed.resumed_from >= len(done) and len(resumed.losses) == steps
    straight = llama.tune(EXAMPLES, tmp_path / "straight", steps=steps, **{**options, "checkpoints": None})
    assert straight.losses == resumed.losses
