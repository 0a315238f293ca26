"""The engines that bench/compare measures."""

import pathlib
import subprocess

from peers.process import json_of, run_once

HERE = pathlib.Path(__file__).resolve().parent
PROMPT = "The capital of France is"
TUNED_STEPS = 10  # of which the first are slower: memory is touched, weights are packed
BATCHED_CONTEXT = 4096  # tokens of all answers together: 16 × 128, and as many to spare

RATE, SENTENCES, FIRST, MEMORY = "tokens/s", "sentences/s", "first token, ms", "peak RSS, MiB"


class Engine:
    name = ""
    needs = ()  # files

    def lacks(self):
        """The first file that is needed and not there."""
        return next((path for path in self.needs if not path.exists()), None)

    def measure(self, work):
        """{metric: value}; empty for work that is not this engine's. Throws Failed."""
        raise NotImplementedError


def embedding_rate(work, seconds):
    if work.shortest:  # what a padded text costs is no work done
        return {SENTENCES: work.batch / seconds}
    return {RATE: work.batch * work.prompt / seconds}


def tuned(report):
    return {RATE: report["tokens_per_s"], MEMORY: report["peak_mb"]}


def generating_process(work, command, read_prompt):
    """Runs a program that writes text, from its start to its end."""
    prompt = ["-f", read_prompt(work.prompt)] if work.prompt else ["-p", PROMPT]
    first, memory = run_once(command + prompt + ["-n", 1, "-c", work.context, "-t", work.threads, "--temp", 0])
    return {FIRST: first, MEMORY: memory} if work.start else {MEMORY: memory}


class Attn(Engine):
    name = "attn"

    def __init__(self, material, programs):
        self.bench, self.run, self.tune = (programs / f"attn-{name}" for name in ("bench", "run", "tune"))
        self.material = material
        self.needs = (self.bench, self.run, self.tune, material.language_model, material.encoder)

    def best_isa(self):
        """The level that it runs at where none is asked for."""
        return json_of([self.run, "--info", "--json"])["isa"]

    def measure(self, work):
        if work.tune:
            return tuned(json_of([
                self.tune, self.material.language_model, "--task", "lm", "--data", self.material.sequences(work),
                f"--{work.tune}", "--batch-size", work.parallel, "--context", work.prompt,
                "--steps", TUNED_STEPS, "-t", work.threads, "-o", self.material.made / f"tuned-{work.tune}",
                "--json"]))
        environment = {"ATTN_ISA": work.isa} if work.isa else {}
        model = self.material.encoder if work.batch else self.material.language(work.weights)
        if work.context:
            return generating_process(work, [self.run, model], self.material.prompt)
        command = [self.bench, "-m", model, "-p", work.texts, "-t", work.threads, "-o", "json"]
        if work.batch:
            command += ["-b", work.batch, "--precision", work.precision, "-r", work.runs]
        else:
            command += ["-n", work.generate, "-d", work.depth, "--parallel", work.parallel, "-r", 1]
        row = json_of(command, environment)[0]
        if work.start:
            return {FIRST: row["first_token_warm_ns"] / 1e6, MEMORY: row["peak_rss"] / 2**20}
        # the peers' encoders are timed by the median as well
        return embedding_rate(work, row["p50_ns"] / 1e9) if work.batch else {RATE: row["avg_ts"]}


class LlamaCpp(Engine):
    """llama.cpp as built for the ISA levels given: "" is the best one."""

    def __init__(self, name, folder, levels, material):
        self.name, self.levels, self.material = name, levels, material
        self.bench, self.run = folder / "llama-bench", folder / "llama-completion"
        self.batched = folder / "llama-batched-bench"
        self.needs = (self.bench, material.language_model)

    def measure(self, work):
        if work.batch or work.tune or work.isa not in self.levels:
            return {}
        model = self.material.language(work.weights)
        if work.context:
            command = [self.run, "-m", model, "-no-cnv", "--no-warmup"]
            return generating_process(work, command, self.material.prompt)
        if work.parallel > 1:
            row = json_of([self.batched, "-m", model, "-npp", work.depth, "-ntg", work.generate,
                           "-npl", work.parallel, "-c", BATCHED_CONTEXT, "-t", work.threads,
                           "--output-format", "jsonl"])
            return {RATE: row["speed_tg"]}
        rows = json_of([self.bench, "-m", model, "-p", work.prompt, "-n", work.generate,
                        "-t", work.threads, "-r", 1, "-o", "json"])
        return {RATE: rows[0]["avg_ts"]}


class PythonEncoder(Engine):
    """ONNX Runtime or OpenVINO, in a Python of their own."""

    def __init__(self, name, engine, precision, peers, material):
        self.name, self.engine, self.precision = name, engine, precision
        self.python, self.model = peers / "venv/bin/python", material.onnx
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
        measured = json_of([self.python, "-B", HERE / "encoder.py", self.engine, self.precision, self.model,
                            work.threads, work.batch, work.texts, work.runs])
        if work.start:
            return {FIRST: 1e3 * measured["first_seconds"], MEMORY: measured["peak_bytes"] / 2**20}
        return embedding_rate(work, measured["median_seconds"])


class PyTorch(Engine):
    """PyTorch with transformers and peft, in a Python of their own."""

    def __init__(self, name, precision, methods, peers, material):
        self.name, self.precision, self.methods = name, precision, methods
        self.python, self.environment = peers / "torch/bin/python", peers / "torch/env"
        self.material = material
        self.needs = (self.python, self.environment, material.language_model)

    def measure(self, work):
        if work.tune not in self.methods:
            return {}
        command = [self.python, "-B", HERE / "torch_tune.py", self.material.language_model, work.tune,
                   self.precision, work.threads, work.parallel, work.prompt, TUNED_STEPS]
        # its libraries are found through variables that a file sets
        return tuned(json_of(["bash", "-c", '. "$1"; shift; exec "$@"', "bash", self.environment, *command]))


def all_engines(peers, material, programs):
    return [
        Attn(material, programs),
        LlamaCpp("llama.cpp", peers / "llama.cpp/bin", ("", "avx512"), material),
        LlamaCpp("llama.cpp AVX2", peers / "llama.cpp-avx2/bin", ("avx2",), material),
        PythonEncoder("ONNX Runtime", "onnxruntime", "f32", peers, material),
        PythonEncoder("OpenVINO", "openvino", "f32", peers, material),
        PythonEncoder("OpenVINO bf16", "openvino", "bf16", peers, material),
        PyTorch("PyTorch bf16", "bf16", ("lora",), peers, material),
        PyTorch("PyTorch f32", "f32", ("lora", "full"), peers, material),
    ]
