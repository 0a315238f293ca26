"""The work that bench/compare gives to the engines."""

import dataclasses

WEIGHT_TYPES = ("Q8_0", "Q4_0", "Q4_K_M", "BF16")  # beside the Q4_1 of the file there is
MINILM_SHAPES = ((1, 16), (1, 128), (1, 256), (8, 128), (32, 128))
# ISA levels that a row holds attn to, below the best of the CPU, as the row is called
LEVELS = {"avx2": "AVX2", "avx512": "AVX-512"}


@dataclasses.dataclass(frozen=True)
class Work:
    """Reading, generating or embedding at a number of threads; `start`: from nothing to the first
    token, in a new process."""

    model: str
    test: str
    threads: int
    prompt: int = 0  # tokens; of texts the longest
    generate: int = 0
    depth: int = 0  # tokens in the cache before
    parallel: int = 1  # answers generated together
    batch: int = 0  # texts; 0: a language model
    shortest: int = 0  # of texts of several lengths, spread evenly; 0: all are alike
    precision: str = ""
    weights: str = ""  # their type where it is not that of the model's file
    isa: str = ""  # the level where it is not the best
    start: bool = False
    context: int = 0  # tokens of the cache; of work in a new process only
    tune: str = ""  # "lora" or "full": updates from `parallel` texts of `prompt` tokens

    @property
    def name(self):
        words = self.model, self.weights, self.test, self.precision, LEVELS.get(self.isa)
        return " ".join(filter(None, words))

    @property
    def texts(self):
        """The tokens of each text, as attn-bench and encoder.py have it."""
        return f"{self.shortest}..{self.prompt}" if self.shortest else str(self.prompt)

    @property
    def runs(self):
        """How often an encoder's work is repeated: some half a second at 4000 tokens a second."""
        return max(5, 2000 // (self.batch * self.prompt))


def language(thread_counts, tests=("pp512", "tg64"), **more):
    """Reading ("pp") and generating ("tg") of a language model."""
    amounts = {"pp": "prompt", "tg": "generate"}
    return [
        Work("SmolLM2", test, threads, **{amounts[test[:2]]: int(test[2:])}, **more)
        for test in tests for threads in thread_counts
    ]


def encoder(thread_counts, precision):
    return [
        Work("MiniLM", f"{batch}x{prompt}", threads, prompt, batch=batch, precision=precision)
        for batch, prompt in MINILM_SHAPES for threads in thread_counts
    ]


def all_work(thread_counts, best_isa):
    """Everything, in the order of the table; `best_isa`: the level that attn runs at by itself."""
    work = language(thread_counts, ("pp128", "pp512", "tg64"))
    work += [Work("SmolLM2", "tg64 x16 @ d64", threads, generate=64, depth=64, parallel=16)
             for threads in thread_counts]
    for weights in WEIGHT_TYPES:
        work += language(thread_counts, weights=weights)
    if best_isa != "scalar":
        work += language(thread_counts, isa="avx2")
    if best_isa == "amx":
        work += language(thread_counts, isa="avx512")
    work += encoder(thread_counts, "f32")
    work += [Work("MiniLM", "64x5..200", threads, 200, batch=64, shortest=5, precision="f32")
             for threads in thread_counts]
    work += encoder(thread_counts, "bf16")
    most = max(thread_counts)
    work += [Work("SmolLM2", f"tune {method} 4x128", most, 128, parallel=4, tune=method)
             for method in ("lora", "full")]
    # a short cache, because some fill it with zeros when they start
    work.append(Work("SmolLM2", "start", most, start=True, context=512))
    work.append(Work("MiniLM", "start", most, 16, batch=1, precision="f32", start=True))
    work.append(Work("SmolLM2", "pp512 of 2048", most, prompt=512, generate=1, context=2048))
    return work
