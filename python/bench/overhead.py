"""What Python costs on top of the C++ facade: a call to a 3 x 4 self-attention, and 64 embeddings.

    python3 python/bench/overhead.py BUILD [FOLDER OF MODELS]

BUILD is a build folder that has the Python module and python_overhead, the same two loops in C++ on the same
libraries: `ninja attn_python python_overhead`. The two take turns, each in a process of its own and on one
thread. Its processor time is what counts, and of many rounds the best, because what else runs on a machine only
ever adds.
"""

import json
import os
import pathlib
import subprocess
import sys
import time

ROUNDS, CALLS = 10, 20_000
TURNS = 3


def python_side(model_folder):
    import attn
    import numpy as np

    x = np.array([[1, 0, 1, 0], [0, 1, 0, 1], [1, 1, 0, 0]], np.float32)
    model = attn.Model.create("self_attention", {"embedding_size": 0}, threads=1)
    inputs = {"x": x}
    run = model.run
    best = float("inf")
    for _ in range(ROUNDS):
        begin = time.process_time()
        for _ in range(CALLS):
            run(inputs)
        best = min(best, (time.process_time() - begin) / CALLS)
    result = {"call_us": best * 1e6}
    if model_folder:
        sentences = (pathlib.Path(__file__).parent / "sentences.txt").read_text().splitlines()
        model = attn.Model.open(model_folder, threads=1)
        times = []
        for _ in range(ROUNDS):
            begin = time.process_time()
            model.embed(sentences)
            times.append(time.process_time() - begin)
        result["embed_ms"] = min(times) * 1e3
    return result


def main():
    if sys.argv[1] == "--python":
        print(json.dumps(python_side(sys.argv[2] if len(sys.argv) > 2 else None)))
        return
    build = pathlib.Path(sys.argv[1]).resolve()
    models = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else pathlib.Path.home() / ".cache/attn/models")
    minilm = [str(models / "all-minilm-l6-v2")] if (models / "all-minilm-l6-v2").exists() else []
    sentences = str(pathlib.Path(__file__).parent / "sentences.txt")
    environment = dict(os.environ, PYTHONPATH=str(build / "python"))
    sides = {"C++": [str(build / "bin/python_overhead"), sentences, *minilm],
             "Python": [sys.executable, __file__, "--python", *minilm]}
    best = {name: {} for name in sides}
    for _ in range(TURNS):
        for name, command in sides.items():
            told = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
            for figure, value in told.items():
                best[name][figure] = min(value, best[name].get(figure, value))
    cpp, python = best["C++"], best["Python"]
    print(f"3x4 self-attention: {cpp['call_us']:.2f} us in C++, {python['call_us']:.2f} us in Python, "
          f"overhead {python['call_us'] - cpp['call_us']:.2f} us")
    if minilm:
        print(f"64 embeddings: {cpp['embed_ms']:.2f} ms in C++, {python['embed_ms']:.2f} ms in Python, "
              f"{100 * (python['embed_ms'] / cpp['embed_ms'] - 1):+.1f}%")


main()
