"""Attention that weighs its inputs by a learned score, with random weights."""

import sys

import numpy as np

import attn.export

input_dim, attention_units = 3, 2
weight = np.random.default_rng(0).uniform(-1, 1, (input_dim, attention_units)) / np.sqrt(input_dim)

out = sys.argv[1] if len(sys.argv) > 1 else "attention_mechanism.bin"
attn.export.save_attention_mechanism(
    out, {"weight": weight}, sample_input=[[1, 2, 3], [4, 5, 6], [7, 8, 9]])
print(f"{out}: run it with attn-run {out}")
