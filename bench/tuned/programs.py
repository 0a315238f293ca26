"""attn-tune and attn-run, and what the parts of bench/tune_show.py ask of them."""

import json
import pathlib
import time

from peers.process import json_of, output_of

ORDINARY = pathlib.Path(__file__).with_name("ordinary.txt")  # written for this, and trained on by nobody


class Programs:
    """One model, with files in one folder."""

    def __init__(self, binaries, model, folder, threads):
        self.binaries, self.model, self.folder, self.threads = binaries, model, folder, threads

    def path(self, name):
        return self.folder / name

    def json_lines(self, name, objects):
        self.path(name).write_text("".join(json.dumps(each) + "\n" for each in objects), encoding="utf-8")
        return self.path(name)

    def command(self, program, *words):
        return [self.binaries / program, self.model, *words, "-t", self.threads]

    def text(self, name, content):
        self.path(name).write_text(content, encoding="utf-8")
        return self.path(name)

    def tokens(self, texts):
        """Of each, special tokens among them."""
        file = self.json_lines("texts.jsonl", texts)
        return json_of([*self._run(None, "--tokenize", "-f", file, "--parse-special"), "--json"])["tokens"]

    def tune(self, name, *words):
        """An adapter of that name; what attn-tune says of it, "seconds" and "command" beside it."""
        command = self.command("attn-tune", *words, "-o", self.path(name))
        begin = time.monotonic()
        result = json_of([*command, "--json"])
        result["seconds"] = time.monotonic() - begin
        result["command"] = shown(command)
        return result

    def _run(self, adapter, *words):
        return self.command("attn-run", *words, *(("--lora", self.path(adapter)) if adapter else ()))

    def continuations(self, prompts, adapter=None, tokens=40):
        """What the model takes for likeliest after each prompt."""
        file = self.json_lines("prompts.jsonl", [{"prompt": each} for each in prompts])
        output = output_of(self._run(adapter, "--batch-file", file, "-n", tokens, "--temp", 0))
        return [json.loads(line)["text"] for line in output.splitlines()]

    def perplexity(self, file=ORDINARY, adapter=None):
        return json_of([*self._run(adapter, "--perplexity", file), "--json"])["perplexity"]

    def last_looks(self, sentence, layer, heads, adapter=None):
        """The tokens of the sentence, and what its last one gives to each of them, per head."""
        file = self.path("looks.json")
        output_of(self._run(adapter, "-p", sentence, "-n", 0, "--attention", file, "--layers", layer,
                            "--heads", ",".join(map(str, heads))))
        picture = json.loads(file.read_text(encoding="utf-8"))
        return picture["tokens"], [head[-1] for head in picture["layers"][str(layer)]]


def shown(command):
    """As it would be typed, files by their names."""
    words = [word.name if isinstance(word, pathlib.Path) else str(word) for word in command]
    return " ".join(f"'{word}'" if " " in word else word for word in words)
