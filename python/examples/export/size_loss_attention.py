"""A sentence with words of size, untrained: attn-tune draws the attention to them."""

import sys

import numpy as np

import attn.export

sentence = "The pink elephant tried to get into the car but it was too"
d = 4
random = np.random.default_rng(0)
bound = 1 / np.sqrt(d)
weights = {"embedding.weight": random.normal(size=(len(set(sentence.split())), d))}
for name in ("W_q", "W_k", "W_v"):
    weights[f"{name}.weight"] = random.uniform(-bound, bound, (d, d))

out = sys.argv[1] if len(sys.argv) > 1 else "size_loss_attention.bin"
attn.export.save_size_loss_attention(
    out, weights, sentence=sentence, size_words=["elephant", "car", "too"])
print(f"{out}: run it with attn-run {out}, train it with attn-tune {out} --task size-loss -o tuned.bin")
