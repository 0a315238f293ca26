"""Which sentences are alike: embeddings, and their dot products.

    python3 embed.py [FOLDER OF MODELS]
"""

import pathlib
import sys

import attn

SENTENCES = [
    "The elephant was too big for the car.",
    "A vehicle cannot hold such a large animal.",
    "Water boils at a hundred degrees.",
]

models = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path.home() / ".cache/attn/models")
with attn.Model.open(models / "all-minilm-l6-v2") as model:
    vectors = model.embed(SENTENCES)  # float32 [3, 384], of length 1

alike = vectors @ vectors.T
for i, sentence in enumerate(SENTENCES[1:], 1):
    print(f"{alike[0, i]:.2f}  {SENTENCES[0]}  |  {sentence}")
assert alike[0, 1] > alike[0, 2]
