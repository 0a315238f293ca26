"""Self-attention without any weights: the inputs are queries, keys and values themselves."""

import sys

import attn.export

out = sys.argv[1] if len(sys.argv) > 1 else "self_attention.bin"
attn.export.save_self_attention(out, sample_input=[[1, 0, 1, 0], [0, 1, 0, 1], [1, 1, 0, 0]])
print(f"{out}: run it with attn-run {out}")
