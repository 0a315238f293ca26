"""The engines that bench/compare measures, and the work they are given."""

import dataclasses
import json
import os
import pathlib
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
MINILM_SHAPES = ((1, 16), (1, 128), (1, 256), (8, 128), (32, 128))
PROMPT = "The capital of France is"
CONTEXT = 512  # tokens of the cache, for all alike: some fill it with zeros when they start

RATE, FIRST, MEMORY = "tokens/s", "first token, ms", "peak RSS, MiB"


class Failed(Exception):
    """A program that should have measured did not."""


@dataclasses.dataclass(frozen=True)
class Work:
    """Reading, generating or embedding at a number of threads; `start`: from nothing to the first
    token, in a new process."""

    model: str
    test: str
    threads: int
    prompt: int = 0
    generate: int = 0
    batch: int = 0  # texts; 0: a language model
    precision: str = ""
    start: bool = False

    @property
    def name(self):
        return " ".join(filter(None, (self.model, self.test, self.precision)))

    @property
    def runs(self):
        """How often an encoder's work is repeated: some half a second at 4000 tokens a second."""
        return max(5, 2000 // (self.batch * self.prompt))


def all_work(thread_counts):
    work = []
    for threads in thread_counts:
        work.append(Work("SmolLM2", "pp128", threads, prompt=128))
        work.append(Work("SmolLM2", "pp512", threads, prompt=512))
        work.append(Work("SmolLM2", "tg64", threads, generate=64))
    for precision in ("f32", "bf16"):
        for threads in thread_counts:
            for batch, prompt in MINILM_SHAPES:
                test = f"{batch}x{prompt}"
                work.append(Work("MiniLM", test, threads, prompt, batch=batch, precision=precision))
    most = max(thread_counts)
    work.append(Work("SmolLM2", "start", most, start=True))
    work.append(Work("MiniLM", "start", most, 16, batch=1, precision="f32", start=True))
    return work


def output_of(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Failed(f"{command[0]} ended with {done.returncode}: {last}")
    return done.stdout


def run_once(command):
    """Milliseconds until the process has ended, and the largest memory it had."""
    begin = time.perf_counter()
    child = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    spent = time.perf_counter() - begin
    child.returncode = os.waitstatus_to_exitcode(status)  # it has been waited for
    if child.returncode != 0:
        raise Failed(f"{command[0]} ended with {child.returncode}")
    return {FIRST: 1e3 * spent, MEMORY: usage.ru_maxrss / 1024}


class Engine:
    name = ""
    needs = ()  # files

    def lacks(self):
        """The first file that is needed and not there."""
        return next((path for path in self.needs if not path.exists()), None)

    def measure(self, work):
        """{metric: value}; empty for work that is not this engine's."""
        raise NotImplementedError


class Attn(Engine):
    name = "attn"

    def __init__(self, peers, programs):
        self.bench, self.run = programs / "attn-bench", programs / "attn-run"
        self.models = {
            "SmolLM2": peers / "models/smollm2-135m-instruct.Q4_1.gguf",
            "MiniLM": peers / "models/all-minilm-l6-v2",
        }
        self.needs = (self.bench, self.run, *self.models.values())

    def measure(self, work):
        model = self.models[work.model]
        if work.start and not work.batch:
            return run_once([self.run, model, "-p", PROMPT, "-n", 1, "-c", CONTEXT, "-t", work.threads,
                             "--temp", 0])
        command = [self.bench, "-m", model, "-p", work.prompt, "-t", work.threads, "-o", "json"]
        if work.batch:
            command += ["-b", work.batch, "--precision", work.precision, "-r", work.runs]
        else:
            command += ["-n", work.generate, "-r", 1]
        row = json.loads(output_of(command))[0]
        if work.start:
            return {FIRST: row["first_token_warm_ns"] / 1e6, MEMORY: row["peak_rss"] / 2**20}
        # the peers' encoders are timed by the median as well
        return {RATE: work.batch * work.prompt / row["p50_ns"] * 1e9 if work.batch else row["avg_ts"]}


class LlamaCpp(Engine):
    def __init__(self, name, folder, peers):
        self.name = name
        self.bench, self.run = folder / "bin/llama-bench", folder / "bin/llama-completion"
        self.model = peers / "models/smollm2-135m-instruct.Q4_1.gguf"
        self.needs = (self.bench, self.run, self.model)

    def measure(self, work):
        if work.batch:
            return {}
        if work.start:
            return run_once([self.run, "-m", self.model, "-p", PROMPT, "-n", 1, "-c", CONTEXT,
                             "-t", work.threads, "--temp", 0, "-no-cnv", "--no-warmup"])
        rows = json.loads(output_of([self.bench, "-m", self.model, "-p", work.prompt, "-n", work.generate,
                                     "-t", work.threads, "-r", 1, "-o", "json"]))
        return {RATE: rows[0]["avg_ts"]}


class PythonEncoder(Engine):
    """ONNX Runtime or OpenVINO, in a Python of their own."""

    def __init__(self, name, engine, precision, peers):
        self.name, self.engine, self.precision = name, engine, precision
        self.python, self.model = peers / "venv/bin/python", peers / "minilm-onnx/minilm.onnx"
        self.needs = (self.python, self.model)

    def lacks(self):
        lacking = super().lacks()
        if lacking is None:
            probe = subprocess.run([self.python, "-c", f"import numpy, {self.engine}"], check=False,
                                   capture_output=True)
            lacking = None if probe.returncode == 0 else f"{self.engine} in {self.python}"
        return lacking

    def measure(self, work):
        if not work.batch or work.precision != self.precision:
            return {}
        command = [self.python, "-B", HERE / "encoder.py", self.engine, self.precision, self.model,
                   work.threads, work.batch, work.prompt, work.runs]
        measured = json.loads(output_of(command))
        if work.start:
            return {FIRST: 1e3 * measured["first_seconds"], MEMORY: measured["peak_bytes"] / 2**20}
        return {RATE: work.batch * work.prompt / measured["median_seconds"]}


def all_engines(peers, programs):
    return [
        Attn(peers, programs),
        LlamaCpp("llama.cpp", peers / "llama.cpp", peers),
        LlamaCpp("llama.cpp AVX2", peers / "llama.cpp-avx2", peers),
        PythonEncoder("ONNX Runtime", "onnxruntime", "f32", peers),
        PythonEncoder("OpenVINO", "openvino", "f32", peers),
        PythonEncoder("OpenVINO bf16", "openvino", "bf16", peers),
    ]
