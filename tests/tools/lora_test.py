"""Adapters through attn-run --lora and attn-convert --lora, from outside."""

import json
import os
import pathlib
import shutil
import subprocess
import unittest

from cli_support import RUN, ToolTest, container, float_bytes, read_npy

CONVERT = os.environ["ATTN_CONVERT"]
DATA = pathlib.Path(os.environ["ATTN_TEST_DATA"])
LLAMA, BERT = DATA / "tiny-llama", DATA / "tiny-bert"
ADAPTER = LLAMA / "lora"
TRAINING = json.loads((LLAMA / "training.json").read_text())
TOKENS = ",".join(map(str, TRAINING["batch"][0]))
EXPECTED = TRAINING["lora"]["logits_first_row_before"]


def adapter_folder(folder, modules, **changes):
    """A folder in PEFT's layout; modules: {name: (A, B)} of nested lists."""
    folder.mkdir()
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, factors in modules.items():
        for letter, values in zip("AB", factors):
            shape, part = float_bytes(values)
            header[f"base_model.model.{name}.lora_{letter}.weight"] = {
                "dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(part)],
            }
            data += part
    (folder / "adapter_model.safetensors").write_bytes(container(header, data))
    config = {"peft_type": "LORA", "r": 1, "lora_alpha": 1, "target_modules": ["query"], **changes}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


class Adapters(ToolTest):
    def output(self, *arguments):
        """stdout of a run that succeeds; timings stand on stderr."""
        done = subprocess.run([RUN, *map(str, arguments)], capture_output=True, cwd=self.folder,
                              timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout.decode()

    def logits(self, model, *arguments):
        path = self.folder / "logits.npy"
        done = self.output(model, "--tokens", TOKENS, "-n", 0, "--precision", "f32",
                                      "--logits", path, *arguments)
        self.assertEqual(done, "")
        return [list(row) for row in read_npy(path)]

    def test_logits_with_an_adapter_are_the_references(self):
        self.assert_near(self.logits(LLAMA, "--lora", ADAPTER), EXPECTED, 1e-4)

    def test_a_scale_follows_a_colon_and_adapters_add_up(self):
        whole = self.logits(LLAMA, "--lora", ADAPTER)
        half = f"{ADAPTER}:0.5"
        self.assert_near(self.logits(LLAMA, "--lora", half, "--lora", half), whole, 1e-4)
        plain = self.logits(LLAMA)
        self.assert_near(self.logits(LLAMA, "--lora", f"{ADAPTER}:0"), plain, 1e-6)
        undone = self.logits(LLAMA, "--lora", ADAPTER, "--lora", f"{ADAPTER}:-1")
        self.assert_near(undone, plain, 1e-4)
        self.assertGreater(max(abs(a - b) for a, b in zip(plain[-1], whole[-1])), 1e-2)

    def test_a_folder_with_a_colon_in_its_name(self):
        for name in ("a:b", "a:2"):
            shutil.copytree(ADAPTER, self.folder / name)
            self.assert_near(self.logits(LLAMA, "--lora", name), EXPECTED, 1e-4)
        self.assert_near(self.logits(LLAMA, "--lora", "a:b:1"), EXPECTED, 1e-4)

    def test_a_merged_model_gives_the_same(self):
        out = self.call(CONVERT, str(LLAMA), "-o", "merged.bin", "--lora", str(ADAPTER))[0]
        self.assertIn("6 merged", out)
        self.assert_near(self.logits("merged.bin"), EXPECTED, 1e-4)
        out = self.call(CONVERT, str(LLAMA), "-o", "half.bin", "--lora", f"{ADAPTER}:0.25",
                        "--lora", f"{ADAPTER}:0.75", "--json")[0]
        self.assertEqual(json.loads(out)["merged"], 6)
        self.assertEqual(json.loads(out)["requantized"], 0)
        self.assert_near(self.logits("half.bin"), EXPECTED, 1e-4)
        out = self.call(CONVERT, str(LLAMA), "-o", "plain.bin", "--json")[0]
        self.assertEqual(json.loads(out)["merged"], 0)

    def test_sums_that_the_type_cannot_hold_are_refused(self):
        huge = adapter_folder(self.folder / "huge", {
            "model.layers.0.self_attn.q_proj": ([[1000.0] * 64], [[1000.0]] * 64)})
        for quantize in ("f16", "q8_0", "q4_0", "q4_1"):
            # a block's scale is its largest value over a few steps
            adapter = f"{huge}:{1 if quantize == 'f16' else 100}"
            line = self.refused(6, CONVERT, LLAMA, "-o", "x.bin", "--quantize", quantize, "--lora", adapter)
            for part in ("layers.0.self_attn.q_proj", quantize.upper(), "cannot hold"):
                self.assertIn(part, line)
            self.assertFalse((self.folder / "x.bin").exists())
        self.call(CONVERT, str(LLAMA), "-o", "x.bin", "--quantize", "bf16", "--lora", f"{huge}:100")

    def test_an_encoder_has_adapters_too(self):
        ramp = [[(i % 7 - 3) / 10 for i in range(64)]]
        column = [[(i % 5 - 2) / 2] for i in range(64)]
        adapter = adapter_folder(self.folder / "bert",
                                 {"bert.encoder.layer.0.attention.self.query": (ramp, column)})
        arguments = (BERT, "--embed", "--tokens", "1,2,3", "--json")
        plain, adapted = (json.loads(self.output(*arguments, *more))
                          for more in ((), ("--lora", adapter)))
        self.assertNotEqual(plain, adapted)
        self.call(CONVERT, str(BERT), "-o", "merged.bin", "--lora", str(adapter))
        merged = json.loads(self.output("merged.bin", *arguments[1:]))
        self.assert_near(numbers(merged), numbers(adapted), 1e-5)

    def test_info_lists_the_factors(self):
        info = json.loads(self.output(LLAMA, "--lora", ADAPTER, "--info", "--json"))
        names = [tensor["name"] for tensor in info["tensors"]]
        self.assertIn("model.layers.1.self_attn.v_proj.lora_B.0", names)

    def test_what_is_no_adapter_is_refused_in_one_line(self):
        def refuses(code, parts, lora, model=LLAMA):
            for command in ((RUN, model, "--tokens", "1"), (CONVERT, model, "-o", "x.bin")):
                line = self.refused(code, *command, "--lora", lora)
                for part in parts:
                    self.assertIn(part, line)
            self.assertFalse((self.folder / "x.bin").exists())

        refuses(4, ["absent", "adapter_config.json"], "absent")
        refuses(2, ["--lora absent:x", "finite"], "absent:x")
        refuses(2, ["--lora", "finite"], f"{ADAPTER}:")
        refuses(2, ["--lora", "finite"], f"{ADAPTER}:nan")
        refuses(2, ["--lora", "finite"], f"{ADAPTER}:1e999")
        refuses(3, ["lora: module", "not part of the model"], ADAPTER, BERT)
        bad = adapter_folder(self.folder / "bad",
                             {"model.layers.0.self_attn.q_proj": ([[1.0] * 64], [[1.0]] * 63)})
        refuses(3, ["bad: module", "q_proj", "[63, 64]", "[64, 64]"], bad)
        dora = adapter_folder(self.folder / "dora", {}, use_dora=True)
        refuses(3, ["adapter_config.json", "use_dora"], dora)
        head = adapter_folder(self.folder / "head", {"lm_head": ([[1.0] * 64], [[1.0]] * 256)})
        refuses(3, ["head: module", "lm_head"], head)
        line = self.refused(2, RUN, "--lora", ADAPTER)
        self.assertIn("language models and encoders", line)


def numbers(value):
    """All numbers of a JSON value with floats in it, in order."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for each in value for number in numbers(each)]
    return [value] if isinstance(value, float) else []


if __name__ == "__main__":
    unittest.main()
