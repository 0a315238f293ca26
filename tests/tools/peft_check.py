"""Adapters against Python's peft: the logits, or embeddings, of a model in the Hugging Face layout with an
adapter, as PyTorch computes them in float64, and as attn-run --lora does.
usage: python peft_check.py [MODEL_FOLDER ADAPTER_FOLDER [MODEL_FOR_ATTN]]
MODEL_FOR_ATTN are the same weights in another file, a GGUF one for example. Without arguments adapters are
written for the tiny models of tests/data, and a GGUF file where Python's gguf is there.
ATTN_RUN, and without arguments ATTN_TEST_ADAPTER and ATTN_TEST_DATA, say where those are."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy
    import torch
    from peft import PeftModel
    from safetensors.torch import load_file
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

RUN = os.environ["ATTN_RUN"]
TOKENS = [10, 143, 102, 240, 61, 177, 156, 91, 62, 119, 209, 194, 94, 244, 233, 37, 51, 71, 76, 137]


def by_peft(model_folder, adapter):
    """What PyTorch gives without the adapter, and with it."""
    encoder = AutoConfig.from_pretrained(model_folder).model_type == "bert"
    kind = AutoModel if encoder else AutoModelForCausalLM
    base = kind.from_pretrained(model_folder, dtype=torch.float64, attn_implementation="eager").eval()

    def result(model):
        with torch.no_grad():
            out = model(input_ids=torch.tensor([TOKENS]))
        if not encoder:
            return out.logits[0]
        return torch.nn.functional.normalize(out.last_hidden_state[0].mean(0, keepdim=True))

    plain = result(base)
    return encoder, plain, result(PeftModel.from_pretrained(base, adapter).double().eval())


def by_attn(model, encoder, adapter, folder):
    tokens = ",".join(map(str, TOKENS))
    command = [RUN, str(model), "--lora", str(adapter), "--tokens", tokens, "--precision", "f32"]
    if encoder:
        out = subprocess.run([*command, "--embed", "--json"], check=True, capture_output=True).stdout
        return torch.tensor(json.loads(out)["embeddings"], dtype=torch.float64)
    path = folder / "logits.npy"
    subprocess.run([*command, "-n", "0", "--logits", str(path)], check=True, capture_output=True)
    return torch.from_numpy(numpy.load(path)).double()


def compare(model_folder, adapter, model, folder):
    encoder, plain, exact = by_peft(model_folder, adapter)
    got = by_attn(model, encoder, adapter, folder)
    difference = (got - exact).abs().max().item()
    change = (plain - exact).abs().max().item()
    largest = exact.abs().max().item()
    names = ", ".join(pathlib.Path(each).name for each in (model, adapter))
    print(f"{names}: differs by {difference:.2e} from peft, numbers up to {largest:.2f}, "
          f"which the adapter changes by {change:.2f}", flush=True)
    # f32 sums of some hundred products beside float64
    return difference <= 1e-5 * max(largest, 1) and change > 1000 * difference


def gguf_of(model_folder, path):
    """A llama's F32 weights as a GGUF file, as llama.cpp's converter orders q and k; False without gguf."""
    try:
        import gguf
    except ImportError as missing:
        print(f"without a GGUF file: {missing}")
        return False
    config = AutoConfig.from_pretrained(model_folder)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, tensor in load_file(pathlib.Path(model_folder) / "model.safetensors").items():
        for part, heads in (("q_proj", config.num_attention_heads), ("k_proj", config.num_key_value_heads)):
            if part in name:
                halves = tensor.reshape(heads, 2, tensor.shape[0] // heads // 2, tensor.shape[1])
                tensor = halves.swapaxes(1, 2).reshape(tensor.shape)
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight",)), tensor.float().contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return True


def tuned(model, name, folder):
    """An adapter as attn-tune leaves it after some updates of every projection."""
    sequences = folder / "sequences.jsonl"
    sequences.write_text(json.dumps({"tokens": TOKENS}) + "\n")
    adapter = folder / name
    targets = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj"
    subprocess.run([os.environ["ATTN_TUNE"], str(model), "--task", "lm", "--data", str(sequences), "--targets", targets,
                    "--lr", "0.01", "--steps", "20", "-o", str(adapter)], check=True, capture_output=True)
    return adapter


def check_tiny_models(folder):
    data = pathlib.Path(os.environ["ATTN_TEST_DATA"])
    good = compare(data / "tiny-llama", data / "tiny-llama/lora", data / "tiny-llama", folder)
    for name in ("tiny-llama", "tiny-qwen2", "tiny-bert"):
        model, adapter = data / name, folder / f"{name}-adapter"
        subprocess.run([os.environ["ATTN_TEST_ADAPTER"], str(model), str(adapter)], check=True)
        good &= compare(model, adapter, model, folder)
    llama = data / "tiny-llama"
    good &= compare(llama, tuned(llama, "tuned", folder), llama, folder)
    path = folder / "tiny-llama.gguf"
    if gguf_of(llama, path):
        good &= compare(llama, folder / "tiny-llama-adapter", path, folder)
        good &= compare(llama, tuned(path, "tuned-from-gguf", folder), path, folder)
    return good


def main(arguments):
    if len(arguments) not in (0, 2, 3):
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        if not arguments:
            return 0 if check_tiny_models(folder) else 1
        return 0 if compare(*arguments[:2], arguments[-1] if len(arguments) == 3 else arguments[0], folder) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
