"""What the tests of attn-tune on language models and encoders share: models with text, and data."""

import hashlib
import json
import os
import pathlib
import shutil

from cli_support import TUNE, ToolTest

DATA = pathlib.Path(os.environ["ATTN_TEST_DATA"])
LLAMA, BERT = (str(DATA / f"tiny-{name}") for name in ("llama", "bert"))
# a sanitizer wants to be loaded first, and takes addresses by the terabyte
SANITIZED = any(name in pathlib.Path(TUNE).read_bytes() for name in (b"__asan_init", b"__tsan_init"))
CORPUS = "the pink elephant looked at the small mouse and the cat was in the house . " * 12


def digest(content):
    return hashlib.sha256(content).hexdigest()[:16]


def tree(path):
    """What a file, or every file below a folder but locks, holds: digests by name; {}: nothing."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return {str(each.relative_to(path if path.is_dir() else path.parent)): digest(each.read_bytes())
            for each in files if each.is_file() and each.name != "lock"}


def remove(*paths):
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def copy(path, to):
    shutil.copytree(path, to) if path.is_dir() else shutil.copy(path, to)


class TuneModelTest(ToolTest):
    def with_text(self, name):
        """The tiny model of that name in a folder of its own together with a tokenizer."""
        folder = self.folder / f"{name}-text"
        shutil.copytree(DATA / f"tiny-{name}", folder)
        shutil.copytree(DATA / "tiny-text" / name, folder, dirs_exist_ok=True)
        return str(folder)

    def lines(self, name, *objects):
        return self.file(name, "".join(json.dumps(each) + "\n" for each in objects))

    def tokens(self, name="data.jsonl", count=12, length=16):
        """Sequences of which each can be learned."""
        return self.lines(name, *({"tokens": [(7 * i + 3 * k) % 256 for k in range(length)]}
                                  for i in range(count)))

    def tune_model(self, *arguments, code=0):
        """The result of --json, or the line on stderr."""
        out, err = self.call(TUNE, *map(str, arguments), "--json", code=code)
        return json.loads(out) if code == 0 else err

    def refuses(self, code, parts, *arguments):
        line = self.refused(code, TUNE, *arguments)
        for part in parts:
            self.assertIn(part, line)
