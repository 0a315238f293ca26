"""Writes model.bin files: a dictionary of arrays or a PyTorch state_dict becomes the safetensors container
that attn-run, attn-tune and Model.open() read. Needs safetensors (pip install "attn[export]"); PyTorch only
if its tensors are what you have. The format is described in docs/model-format.md.

    import attn.export
    attn.export.save_self_attention("model.bin", module.state_dict(), sample_input=x)

Every save function checks names, shapes and numbers first and raises ExportError saying what is wrong; a
file that is already there is replaced only by a complete one. `convert` packs what is a model already: a
folder in the Hugging Face layout, a GGUF file, adapters.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import struct

import numpy as np
import safetensors.numpy

from ._attn import convert
from .errors import InvalidError

__all__ = [
    "ExportError",
    "convert",
    "save_attention_mechanism",
    "save_self_attention",
    "save_multi_head_attention",
    "save_size_loss_attention",
]

# The tensors of each architecture; a letter or word that stands twice is the same size.
LAYOUTS = {
    "attention_mechanism": {"weight": ("input_dim", "attention_units")},
    "self_attention": {
        "q_proj.weight": ("d", "d"),
        "k_proj.weight": ("d", "d"),
        "v_proj.weight": ("d", "d"),
    },
    "multi_head_attention": {
        "q_proj.weight": ("d", "d"),
        "k_proj.weight": ("d", "d"),
        "v_proj.weight": ("d", "d"),
        "out_proj.weight": ("d", "d"),
        "out_proj.bias": ("d",),
    },
    "size_loss_attention": {
        "embedding.weight": ("vocab", "d"),
        "W_q.weight": ("d", "d"),
        "W_k.weight": ("d", "d"),
        "W_v.weight": ("d", "d"),
    },
}

ALIGNMENT = 64  # where the data begins: a cache line, as attn's own writer does it


class ExportError(InvalidError):
    """What was given is not a model of the architecture."""


def save_attention_mechanism(path, weights, *, sample_input=None):
    """x [n, input_dim] is weighed by softmax over i of the sum of (x_i · weight).

    weights: `weight` [input_dim, attention_units]. sample_input: [n, input_dim], what the model runs on
    when it is given nothing else.
    """
    arrays, sizes = _checked("attention_mechanism", weights)
    metadata = _sample(sample_input, sizes["input_dim"], batches=False)
    _write(path, "attention_mechanism", arrays, metadata)


def save_self_attention(path, weights=None, *, scale=None, sample_input=None):
    """Scaled dot-product attention of x [n, d] over itself.

    weights: none (x is query, key and value) or `q_proj.weight`, `k_proj.weight`, `v_proj.weight`, each
    [d, d]. scale: of the scores, by default 1/√d.
    """
    arrays, sizes = _checked("self_attention", weights) if weights else ({}, {})
    metadata = _scale(scale) | _sample(sample_input, sizes.get("d"), batches=False)
    _write(path, "self_attention", arrays, metadata)


def save_multi_head_attention(path, weights, *, num_heads, scale=None, sample_input=None):
    """Attention in several heads over x [n, d] or [batch, n, d].

    weights: `q_proj.weight`, `k_proj.weight`, `v_proj.weight`, `out_proj.weight`, each [d, d], and
    `out_proj.bias` [d]. num_heads divides d. scale: by default 1/√d, d being the whole width.
    """
    arrays, sizes = _checked("multi_head_attention", weights)
    heads = _integer("num_heads", num_heads)
    if heads < 1 or sizes["d"] % heads:
        raise ExportError(f"num_heads is {heads}, which does not divide the width {sizes['d']}")
    metadata = {"attn.num_heads": str(heads)} | _scale(scale)
    _write(path, "multi_head_attention", arrays, metadata | _sample(sample_input, sizes["d"], batches=True))


def save_size_loss_attention(path, weights, *, sentence, size_words, vocab=None, scale=None):
    """The words of a sentence as embeddings, the last word's query over all keys.

    weights: `embedding.weight` [vocab, d], `W_q.weight`, `W_k.weight`, `W_v.weight`, each [d, d].
    sentence: words between blanks. size_words: those of its words that training draws attention to.
    vocab: the words in the order of the embedding's rows, by default the sentence's in order of first
    appearance.
    """
    arrays, sizes = _checked("size_loss_attention", weights)
    if not isinstance(sentence, str) or not sentence.split():
        raise ExportError("sentence has no words")
    words = list(dict.fromkeys(sentence.split())) if vocab is None else _words("vocab", vocab)
    if len(words) != len(set(words)):
        twice = next(word for word in words if words.count(word) > 1)
        raise ExportError(f"vocab has the word {twice!r} twice")
    if len(words) != sizes["vocab"]:
        raise ExportError(f"vocab has {len(words)} words, but embedding.weight {sizes['vocab']} rows")
    chosen = _words("size_words", size_words)
    for name, group in (("sentence", sentence.split()), ("size_words", chosen)):
        for word in group:
            if word not in words:
                raise ExportError(f"{name}: the word {word!r} is not in the vocabulary")
    metadata = {
        "attn.vocab": _json(words),
        "attn.size_words": _json(chosen),
        "attn.sentence": _json(sentence),
    }
    _write(path, "size_loss_attention", arrays, metadata | _scale(scale))


def _checked(architecture, weights):
    """The float32 arrays of a state_dict, in the layout's order, and the sizes its letters stand for."""
    layout = LAYOUTS[architecture]
    for name in layout:
        if name not in weights:
            raise ExportError(f"{architecture}: the tensor '{name}' is missing; given: {_listed(weights)}")
    for name in weights:
        if name not in layout:
            biased = name.endswith(".bias") and name.removesuffix(".bias") + ".weight" in layout
            hint = "; the projection has no bias here (in PyTorch: bias=False)" if biased else ""
            raise ExportError(f"{architecture} has no tensor '{name}', only {_listed(layout)}{hint}")
    arrays = {name: _array(name, weights[name]) for name in layout}
    sizes = {}
    for name, dimensions in layout.items():
        shape = arrays[name].shape
        expected = "[" + ", ".join(dimensions) + "]"
        if len(shape) != len(dimensions):
            raise ExportError(f"{name} is of shape {list(shape)}, not {expected}")
        for size, dimension in zip(shape, dimensions):
            if size == 0:
                raise ExportError(f"{name} is of shape {list(shape)}: {dimension} is 0")
            if sizes.setdefault(dimension, size) != size:
                raise ExportError(
                    f"{name} is of shape {list(shape)}, not {expected} with {dimension} = {sizes[dimension]}")
    return arrays, sizes


def _array(name, value):
    """A tensor of PyTorch, or whatever numpy understands, as finite float32 in row-major order."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if hasattr(value, "float"):  # numpy knows no bfloat16
            value = value.float()
        value = value.numpy()
    try:
        given = np.asarray(value)
    except ValueError as error:
        raise ExportError(f"{name} is not an array: {error}") from None
    if given.dtype.kind not in "fiub":
        raise ExportError(f"{name} holds {given.dtype}, not real numbers")
    with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is refused as that
        array = np.array(given, dtype="<f4", order="C")
    if not np.isfinite(array).all():
        index = [int(i) for i in np.argwhere(~np.isfinite(array))[0]]
        raise ExportError(f"{name} at {index} is {given[tuple(index)]}: not a finite float32")
    return array


def _sample(value, width, batches):
    if value is None:
        return {}
    array = _array("sample_input", value)
    if array.ndim != 2 and not (batches and array.ndim == 3) or array.size == 0:
        wanted = "[n, d] or [batch, n, d]" if batches else "[n, d]"
        raise ExportError(f"sample_input is of shape {list(array.shape)}, not {wanted}")
    if width is not None and array.shape[-1] != width:
        raise ExportError(f"sample_input is {array.shape[-1]} wide, the model {width}")
    return {"attn.sample_input": _json(array.tolist())}


def _scale(value):
    if value is None:
        return {}
    number = float(value)
    if not math.isfinite(number):
        raise ExportError(f"scale is {number}")
    return {"attn.scale": repr(number)}


def _integer(name, value):
    try:
        return value.__index__()
    except AttributeError:
        raise ExportError(f"{name} is {value!r}, not a whole number") from None


def _words(name, value):
    words = list(value)
    if isinstance(value, str) or not all(isinstance(word, str) and word.split() == [word] for word in words):
        raise ExportError(f"{name} has to be a list of words without blanks, not {value!r}")
    return words


def _json(value):
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _listed(names):
    return ", ".join(f"'{name}'" for name in names) or "nothing"


def _write(path, architecture, arrays, metadata):
    content = safetensors.numpy.save(arrays, {"attn.architecture": architecture, "attn.version": "1"} | metadata)
    (length,) = struct.unpack("<Q", content[:8])
    # safetensors shuffles the metadata from call to call: in order, the same model is the same bytes
    fields = json.loads(content[8 : 8 + length])
    text = _json({"__metadata__": dict(sorted(fields.pop("__metadata__").items()))} | fields).encode()
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    header = struct.pack("<Q", len(text)) + text
    folder = os.path.dirname(os.path.realpath(path))
    temporary = os.path.join(folder, f".attn-{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(header + content[8 + length :])
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, os.path.realpath(path))
    except BaseException:
        if os.path.exists(temporary):
            os.remove(temporary)
        raise
