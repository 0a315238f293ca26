"""Every GGUF type against llama.cpp: a model in that type has to give the logits of the same file
expanded to F32 by llama-quantize.
usage: python gguf_types.py ATTN_RUN LLAMA_QUANTIZE MODEL.gguf   (needs 1 GB in the temporary folder)"""

import array
import json
import math
import pathlib
import subprocess
import sys
import tempfile

TYPES = ("F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K_M", "Q5_K_M", "Q6_K")
TOKENS = json.loads((pathlib.Path(__file__).parent.parent / "data/smollm2-text.json").read_text())["ids"][:256]


def log_probabilities(run, model, folder):
    path = folder / "logits.npy"
    subprocess.run([run, str(model), "--tokens", ",".join(map(str, TOKENS)), "-n", "0", "--precision", "f32",
                    "--logits", str(path)], check=True, capture_output=True)
    content = path.read_bytes()
    values = array.array("f", content[10 + int.from_bytes(content[8:10], "little"):])
    width = len(values) // len(TOKENS)
    for at in range(0, len(values), width):
        row = values[at:at + width]
        top = max(row)
        total = top + math.log(sum(math.exp(x - top) for x in row))
        yield [x - total for x in row]


def main(run, quantize, model):
    worst = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for kind in TYPES:
            packed, expanded = folder / "packed.gguf", folder / "expanded.gguf"
            for source, target, to in ((model, packed, kind), (packed, expanded, "F32")):
                subprocess.run([quantize, "--allow-requantize", "--pure", str(source), str(target), to],
                               check=True, capture_output=True)
            pairs = zip(log_probabilities(run, packed, folder), list(log_probabilities(run, expanded, folder)))
            divergence = [sum(math.exp(b) * (b - a) for a, b in zip(*rows)) for rows in pairs]
            mean = sum(divergence) / len(divergence)
            worst = max(worst, abs(mean))
            print(f"{kind}: mean KL {mean:.2e}, largest {max(map(abs, divergence)):.2e}", flush=True)
    return 0 if worst <= 1e-6 else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
