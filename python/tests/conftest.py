"""Models for the tests: tiny ones of tests/data, and the real ones that `tools/dev models` fetches."""

import json
import os
import pathlib
import shutil
import signal
import threading
import time

import attn
import pytest

# a shell that starts a job in the background has it ignore Ctrl-C, and Python leaves it at that
signal.signal(signal.SIGINT, signal.default_int_handler)

DATA = pathlib.Path(__file__).resolve().parents[2] / "tests/data"
REAL = pathlib.Path(os.environ.get("ATTN_MODELS", pathlib.Path.home() / ".cache/attn/models"))


def _with_tokenizer(name, folder):
    """A tiny model of tests/data in one folder with its tokenizer."""
    for part in (DATA / f"tiny-{name}", DATA / "tiny-text" / name):
        for file in part.iterdir():
            if file.is_file():
                shutil.copy(file, folder / file.name)
    return folder


def _real(name):
    path = REAL / name
    if not path.exists():
        pytest.skip(f"{name} is not there: tools/dev models fetches it")
    return path


@pytest.fixture(scope="session")
def seeds():
    return json.loads((DATA / "seeds.json").read_text())


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory):
    return _with_tokenizer("llama", tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory):
    return _with_tokenizer("bert", tmp_path_factory.mktemp("bert"))


@pytest.fixture
def llama(tiny_llama):
    return attn.Model.open(tiny_llama, threads=2)


@pytest.fixture
def bert(tiny_bert):
    return attn.Model.open(tiny_bert, threads=2)


@pytest.fixture(scope="session")
def smollm2():
    return attn.Model.open(_real("smollm2-135m-instruct.Q4_1.gguf"))


@pytest.fixture(scope="session")
def minilm():
    return attn.Model.open(_real("all-minilm-l6-v2"))


class Interrupt:
    """Sends this process what Ctrl-C sends, after some time; `late` is how long after that the block ended."""

    def __init__(self, after):
        self._timer = threading.Timer(after, self._send)
        self.late = self._sent = None

    def _send(self):
        self._sent = time.monotonic()
        os.kill(os.getpid(), signal.SIGINT)

    def __enter__(self):
        self._timer.start()
        return self

    def __exit__(self, *exception):
        ended = time.monotonic()
        self._timer.cancel()
        self._timer.join()
        assert self._sent is not None, "the call ended before it could be interrupted"
        self.late = ended - self._sent


@pytest.fixture
def interrupt():
    return Interrupt
