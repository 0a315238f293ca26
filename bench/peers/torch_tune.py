"""Updates of a GGUF model by PyTorch, for bench/compare.

usage: torch_tune.py MODEL lora|full f32|bf16 THREADS TEXTS TOKENS STEPS; prints {"tokens_per_s", "peak_mb"},
of the median step after the first two, as attn-tune has it."""

import json
import pathlib
import resource
import statistics
import sys
import time

import torch
from transformers import AutoModelForCausalLM


def main():
    path, method, precision = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    threads, texts, tokens, steps = map(int, sys.argv[4:])
    torch.set_num_threads(threads)
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    if precision == "bf16":
        model = model.to(torch.bfloat16)
    if method == "lora":
        from peft import LoraConfig, get_peft_model

        targets = ["q_proj", "k_proj", "v_proj", "o_proj"]
        model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=targets))
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    batch = torch.randint(0, model.config.vocab_size, (texts, tokens))
    spent = []
    for _ in range(steps):
        begin = time.perf_counter()
        model(input_ids=batch, labels=batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        spent.append(time.perf_counter() - begin)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"tokens_per_s": texts * tokens / statistics.median(spent[2:]), "peak_mb": peak}))


if __name__ == "__main__":
    main()
