"""Writes the model files that are linked into attn-run, from the reference data of the tests.

    python3 tools/examples/make.py [FOLDER]

Needs the Python package and safetensors (pip install ".[export]"). The files are committed, so only who changes an example runs this; the
same input gives the same bytes.
"""

import json
import pathlib
import sys

import attn.export

ROOT = pathlib.Path(__file__).resolve().parents[2]
folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent
seeds = json.loads((ROOT / "tests" / "data" / "seeds.json").read_text())

case = seeds["attention_mechanism"]
attn.export.save_attention_mechanism(
    folder / "attention-mechanism.bin", {"weight": case["weight"]}, sample_input=case["inputs"]
)

attn.export.save_self_attention(
    folder / "self-attention.bin", sample_input=seeds["self_attention"]["inputs"]
)

case = seeds["multi_head_attention"]
attn.export.save_multi_head_attention(
    folder / "multi-head.bin",
    {name: values for name, values in case.items() if name.endswith((".weight", ".bias"))},
    num_heads=case["num_heads"],
    sample_input=case["inputs"],
)

case = seeds["size_loss_attention"]
attn.export.save_size_loss_attention(
    folder / "size-loss.bin",
    case["final"],
    sentence=case["sentence"],
    size_words=case["size_words"],
    vocab=case["vocab"],
)
