"""A conversation of two turns: the second is read from where it differs from the first.

    python3 chat.py [FOLDER OF MODELS]
"""

import pathlib
import sys

import attn

models = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path.home() / ".cache/attn/models")
model = attn.Model.open(models / "smollm2-135m-instruct.Q4_1.gguf")
conversation = []
for question in ("What is the capital of France? One word.", "And of Italy?"):
    print(f"> {question}")
    conversation.append({"role": "user", "content": question})
    answer = model.generate(conversation, max_tokens=40, temperature=0)
    text = ""
    for piece in answer:
        print(piece, end="", flush=True)
        text += piece
    print(f"\n  ({len(answer.tokens)} tokens, {answer.reused} of {len(answer.prompt)} of the prompt were known)")
    conversation.append({"role": "assistant", "content": text})
