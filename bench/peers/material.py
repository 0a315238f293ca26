"""The files that bench/compare gives to the engines: the same to each."""

import json
import pathlib
import random

from peers.process import Failed, output_of

FEWEST_WORDS = 49_000  # of any vocabulary that is compared
LANGUAGE_MODEL = "smollm2-135m-instruct"
# words that are a token each, with the blank before them
SENTENCE = ("the people of this city like to walk along the river in the evening when the sun goes down "
            "and the lights of the old town shine on the water").split()


class Material:
    """What is there in the folder of the peers, and what is made of it, once, in the folder of the
    results."""

    def __init__(self, peers, output):
        self.quantize = peers / "llama.cpp/bin/llama-quantize"
        self.language_model = peers / f"models/{LANGUAGE_MODEL}.Q4_1.gguf"
        self.encoder = peers / "models/all-minilm-l6-v2"
        self.onnx = peers / "minilm-onnx/minilm.onnx"
        self.made = output / "models"

    def language(self, weights):
        """The language model with weights of that type; "": as it is."""
        return self.made / f"{LANGUAGE_MODEL}.{weights}.gguf" if weights else self.language_model

    def make(self, weights):
        """Sees to it that language(weights) is there. Throws Failed."""
        path = self.language(weights)
        if path.exists():
            return
        self.made.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")  # what was not written to its end is not taken for a model
        part.unlink(missing_ok=True)
        output_of([self.quantize, "--allow-requantize", self.language_model, part, weights])
        if not part.exists():
            raise Failed(f"{self.quantize} wrote no {part}")
        part.rename(path)

    def sequences(self, work):
        """A file of JSON Lines with as many texts, of tokens at random, as the work takes."""
        path = self.made / f"sequences-{work.parallel}x{work.prompt}.jsonl"
        if not path.exists():
            self.made.mkdir(parents=True, exist_ok=True)
            numbers = random.Random(0)
            lines = [json.dumps({"tokens": [numbers.randrange(FEWEST_WORDS) for _ in range(work.prompt)]})
                     for _ in range(work.parallel)]
            path.write_text("\n".join(lines) + "\n", encoding="ascii")
        return path

    def prompt(self, tokens):
        """A file with a text of as many tokens."""
        path = self.made / f"prompt-{tokens}.txt"
        if not path.exists():
            self.made.mkdir(parents=True, exist_ok=True)
            path.write_text(" ".join(SENTENCE[i % len(SENTENCE)] for i in range(tokens)), encoding="ascii")
        return path
