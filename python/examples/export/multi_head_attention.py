"""Multi-head attention: from a PyTorch module where PyTorch is installed, else from random arrays."""

import sys

import numpy as np

import attn.export

d, num_heads = 4, 2

try:
    import torch

    torch.manual_seed(0)
    module = torch.nn.ModuleDict({name: torch.nn.Linear(d, d, bias=name == "out_proj")
                                  for name in ("q_proj", "k_proj", "v_proj", "out_proj")})
    weights = module.state_dict()
except ImportError:
    random = np.random.default_rng(0)
    bound = 1 / np.sqrt(d)
    weights = {f"{name}.weight": random.uniform(-bound, bound, (d, d))
               for name in ("q_proj", "k_proj", "v_proj", "out_proj")}
    weights["out_proj.bias"] = random.uniform(-bound, bound, d)

out = sys.argv[1] if len(sys.argv) > 1 else "multi_head_attention.bin"
attn.export.save_multi_head_attention(
    out, weights, num_heads=num_heads, sample_input=[[1, 0, 1, 0], [0, 1, 0, 1], [1, 1, 0, 0]])
print(f"{out}: run it with attn-run {out}")
