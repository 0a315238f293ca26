"""Self-attention without any weights: the inputs are queries, keys and values themselves."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import attn_export

out = sys.argv[1] if len(sys.argv) > 1 else "self_attention.bin"
attn_export.save_self_attention(out, sample_input=[[1, 0, 1, 0], [0, 1, 0, 1], [1, 1, 0, 0]])
print(f"{out}: run it with attn-run {out}")
