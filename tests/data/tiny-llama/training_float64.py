#!/usr/bin/env python3
"""Writes training_float64.json: the losses of training.json's runs, in float64 throughout.

The runs of training.json have float64 weights, but transformers takes norms, the angles of positions
and the logits to float32. Needs torch, transformers, peft. Run in this folder."""

import json

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
from transformers.models.llama import modeling_llama as llama

reference = json.load(open("training.json"))
batch = torch.tensor(reference["batch"])


def norm(self, x):
    return self.weight * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.variance_epsilon)


def angles(self, x, position_ids):
    width = reference_config["head_dim"]
    theta = reference_config["rope_parameters"]["rope_theta"]
    frequencies = theta ** -(torch.arange(0, width, 2, dtype=torch.float64) / width)
    turned = position_ids[:, :, None].double() * frequencies
    turned = torch.cat((turned, turned), -1)
    return turned.cos(), turned.sin()


reference_config = json.load(open("config.json"))
llama.LlamaRMSNorm.forward = norm
llama.LlamaRotaryEmbedding.forward = angles


def losses(method):
    model = AutoModelForCausalLM.from_pretrained(".", dtype=torch.float64, attn_implementation="sdpa")
    if method == "lora":
        model = PeftModel.from_pretrained(model, "lora", is_trainable=True, autocast_adapter_dtype=False)
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                assert parameter.dtype == torch.float64, name
    trained = [p for p in model.parameters() if p.requires_grad]
    case = reference[method]
    optimizer = torch.optim.AdamW(trained, lr=case["lr"], weight_decay=case["weight_decay"])
    found = []
    for _ in case["losses"]:
        logits = model(input_ids=batch).logits
        assert logits.dtype == torch.float64
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


json.dump({method: losses(method) for method in ("full", "lora")},
          open("training_float64.json", "w"), indent=1)
