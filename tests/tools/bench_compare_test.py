"""bench/compare with peers that are made up, and with figures that are."""

import json
import os
import pathlib
import subprocess
import unittest
import xml.dom.minidom

from cli_support import ToolTest

BENCH = pathlib.Path(os.environ["ATTN_BENCH"])
DATA = pathlib.Path(os.environ["ATTN_TEST_DATA"])
COMPARE = DATA.parent.parent / "bench/compare"
LLAMA_BENCH = """#!/bin/sh
echo "$@" >>"$(dirname "$0")/calls"
echo '[{"avg_ts": 1000000000.0}]'
"""
LLAMA_COMPLETION = "#!/bin/sh\nexit 0\n"
LLAMA_BATCHED_BENCH = """#!/bin/sh
echo "$@" >>"$(dirname "$0")/batched_calls"
echo "what it logs"
echo '{"pl": 16, "speed_pp": 1.0, "speed_tg": 25.0}'
"""
LLAMA_QUANTIZE = """#!/bin/sh
echo "$4" >>"$(dirname "$0")/quantized"
[ "$1" = --allow-requantize ] && ln -s "$2" "$3"
"""
# prints what each of the peers' and our own measuring programs would
ATTN_BENCH = """#!/bin/sh
echo "${ATTN_ISA-best} $@" >>"$(dirname "$0")/calls"
echo '[{"avg_ts": 50.0, "p50_ns": 4000000000}]'
"""
ATTN_TUNE = """#!/bin/sh
echo "$@" >>"$(dirname "$0")/tune_calls"
echo '{"tokens_per_s": 600.0, "peak_mb": 500.0}'
"""
TORCH = """#!/bin/sh
echo "$LIBRARIES $@" >>"$(dirname "$0")/calls"
echo '{"tokens_per_s": 100.0, "peak_mb": 2000.0}'
"""
PYTHON = """#!/bin/sh
echo "$@" >>"$(dirname "$0")/calls"
echo '{"median_seconds": 8.0}'
"""


class CompareTest(ToolTest):
    def setUp(self):
        super().setUp()
        self.peers = self.folder / "peers"
        models = self.peers / "models"
        models.mkdir(parents=True)
        # small models under the names of the real ones: what they are is told by their content
        (models / "smollm2-135m-instruct.Q4_1.gguf").symlink_to(DATA / "tiny-llama")
        (models / "all-minilm-l6-v2").symlink_to(DATA / "tiny-bert")

    def program(self, name, content):
        path = self.peers / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(0o755)
        return path

    def compare(self, *arguments, code=0, programs=BENCH.parent):
        done = subprocess.run(
            [COMPARE, "--bin", programs, "-o", self.folder / "out", *map(str, arguments)],
            capture_output=True, text=True, timeout=120,
            env={**os.environ, "PEERS": str(self.peers), "ATTN_ISA": "scalar"},
        )
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout, done.stderr

    def our_programs(self, best_isa):
        self.program("bin/attn-bench", ATTN_BENCH)
        self.program("bin/attn-tune", ATTN_TUNE)
        return self.program("bin/attn-run", f"#!/bin/sh\necho '{{\"isa\": \"{best_isa}\"}}'\n").parent

    def calls(self, name):
        return (self.peers / name).read_text().splitlines()

    def table(self, text):
        return [self.cells(line) for line in text.splitlines() if "---" not in line]

    def cells(self, line):
        return [cell.strip() for cell in line.strip("|").split("|")]

    def test_engines_take_turns_and_absent_ones_are_told(self):
        self.program("llama.cpp/bin/llama-bench", LLAMA_BENCH)
        self.program("llama.cpp/bin/llama-completion", LLAMA_COMPLETION)
        out, err = self.compare("-t", "1", "-r", "2", "--only", "^SmolLM2 (pp128|tg64)$|^MiniLM (1x16|start) f32")
        for name in ("llama.cpp AVX2", "ONNX Runtime", "OpenVINO", "OpenVINO bf16"):
            self.assertEqual(err.count(f"{name} is left out"), 1, err)
        calls = (self.peers / "llama.cpp/bin/calls").read_text().splitlines()
        self.assertEqual([call.split("-p ")[1].split()[0] for call in calls], ["128", "0", "128", "0"])
        rows = [self.cells(line) for line in out.splitlines()]
        self.assertEqual(rows[0], ["work", "threads", "", "attn", "llama.cpp", "attn / best peer"])
        self.assertEqual(
            [row[:3] for row in rows[2:]],
            [
                ["SmolLM2 pp128", "1", "tokens/s"], ["SmolLM2 tg64", "1", "tokens/s"],
                ["MiniLM 1x16 f32", "1", "tokens/s"], ["MiniLM start f32", "1", "first token, ms"],
                ["MiniLM start f32", "1", "peak RSS, MiB"],
            ],
        )
        self.assertEqual(rows[2][4:], ["1,000,000,000", "0.00×"])
        self.assertEqual(rows[4][4:], ["–", "–"])
        saved = json.loads((self.folder / "out/peers.json").read_text())
        self.assertEqual({len(values) for row in saved for values in row["samples"].values()}, {2})
        self.assertEqual((self.folder / "out/peers.md").read_text(), out)

    def test_ratios_of_medians_to_the_best_peer(self):
        def result(work, engine, metric, samples):
            return {"work": work, "threads": 2, "engine": engine, "samples": {metric: samples}}

        saved = self.file("saved.json", json.dumps([
            result("A <b>", "attn", "tokens/s", [10, 300, 200]),
            result("A <b>", "one", "tokens/s", [100, 100, 100]),
            result("A <b>", "two", "tokens/s", [50, 60, 900]),
            result("start", "attn", "first token, ms", [40]),
            result("start", "one", "first token, ms", [10]),
            result("start", "two", "first token, ms", [20]),
            result("alone", "attn", "tokens/s", [1]),
        ]))
        rows = [self.cells(line) for line in self.compare("--from", saved)[0].splitlines()][2:]
        self.assertEqual(rows[0][3:], ["200", "100", "60.0", "2.00×"])
        self.assertEqual(rows[1][3:], ["40.0", "10.0", "20.0", "0.25×"])
        self.assertEqual(rows[2][3:], ["1.0", "–", "–", "–"])
        chart = xml.dom.minidom.parse(str(self.folder / "out/peers.svg"))
        words = [node.firstChild.data for node in chart.getElementsByTagName("text")]
        for wanted in ("A <b>", "2 threads", "2.00× one", "start, first token", "0.25× one"):
            self.assertIn(wanted, words)
        self.assertNotIn("alone", words)
        bars = [node for node in chart.getElementsByTagName("rect") if node.getAttribute("height") == "12"]
        self.assertEqual([bar.getAttribute("class") for bar in bars], ["ahead", "behind"])
        # on a logarithmic scale a quarter is twice as far away as double
        self.assertAlmostEqual(float(bars[1].getAttribute("width")), 2 * float(bars[0].getAttribute("width")), 0)

    def test_the_cell_of_a_peer_that_fails_stays_empty(self):
        failing = "#!/bin/sh\necho loading >&2\necho no such model >&2\nexit 3\n"
        self.program("llama.cpp/bin/llama-bench", failing)
        self.program("llama.cpp/bin/llama-completion", LLAMA_COMPLETION)
        programs = self.our_programs("scalar")
        # llama-batched-bench is absent
        out, err = self.compare("-t", "1", "-r", "2", "--only", "SmolLM2 (pp128|start|tg64 x16)", programs=programs)
        rows = {row[0]: row[3:] for row in self.table(out)}
        self.assertEqual(rows["SmolLM2 pp128"], ["50.0", "–", "–"])
        self.assertEqual(rows["SmolLM2 tg64 x16 @ d64"], ["50.0", "–", "–"])
        self.assertNotIn("–", rows["SmolLM2 start"])
        lines = [line for line in err.splitlines() if "is left out" not in line][:-1]
        self.assertEqual(len(lines), 2, err)  # once, not once a round
        self.assertRegex(lines[0], "^bench/compare: llama.cpp, SmolLM2 pp128, threads 1: "
                                   ".*llama-bench ended with 3: no such model$")
        self.assertRegex(lines[1], "^bench/compare: llama.cpp, .*llama-batched-bench: No such file")

    def test_a_peer_that_prints_nonsense_has_failed(self):
        self.program("llama.cpp/bin/llama-bench", "#!/bin/sh\necho unexpected\n")
        err = self.compare("-t", "1", "-r", "1", "--only", "SmolLM2 pp128", programs=self.our_programs("avx2"))[1]
        self.assertRegex(err, "bench/compare: llama.cpp, SmolLM2 pp128, threads 1: .*llama-bench printed no JSON\n")

    def test_tuning_is_compared_with_the_precisions_there_are(self):
        self.program("torch/bin/python", TORCH)
        (self.peers / "torch/env").write_text("export LIBRARIES=found\n")
        self.program("bin/attn-tune", ATTN_TUNE)
        out, _ = self.compare("-t", "2", "-r", "1", "--only", "tune", programs=self.our_programs("avx2"))
        rows = self.table(out)
        self.assertEqual(rows[0], ["work", "threads", "", "attn", "PyTorch bf16", "PyTorch f32", "attn / best peer"])
        self.assertEqual(rows[1], ["SmolLM2 tune lora 4x128", "2", "tokens/s", "600", "100", "100", "6.00×"])
        self.assertEqual(rows[4], ["SmolLM2 tune full 4x128", "2", "peak RSS, MiB", "500", "–", "2,000", "4.00×"])
        methods = [call.split("tune.py")[1].split()[1:3] for call in self.calls("torch/bin/calls")]
        self.assertEqual(methods, [["lora", "bf16"], ["lora", "f32"], ["full", "f32"]])
        self.assertTrue(all(call.startswith("found ") for call in self.calls("torch/bin/calls")))
        lines = pathlib.Path(self.calls("bin/tune_calls")[0].split("--data ")[1].split()[0]).read_text().splitlines()
        self.assertEqual([len(json.loads(line)["tokens"]) for line in lines], [128] * 4)

    def test_levels_are_compared_with_the_build_for_them(self):
        for folder, rate in (("llama.cpp", "100"), ("llama.cpp-avx2", "20")):
            self.program(f"{folder}/bin/llama-bench", f"#!/bin/sh\necho '[{{\"avg_ts\": {rate}}}]'\n")
        for best, wanted in (
            ("amx", ["best", "avx2", "avx512"]), ("avx512", ["best", "avx2"]), ("avx2", ["best", "avx2"]),
            ("scalar", ["best"]),
        ):
            programs = self.our_programs(best)
            out, _ = self.compare("-t", "2", "-r", "1", "--only", "^SmolLM2 pp512( AVX|$)", programs=programs)
            names = {"best": "SmolLM2 pp512", "avx2": "SmolLM2 pp512 AVX2", "avx512": "SmolLM2 pp512 AVX-512"}
            self.assertEqual([row[0] for row in self.table(out)[1:]], [names[level] for level in wanted])
            calls = self.calls("bin/calls")
            self.assertEqual([call.split()[0] for call in calls], wanted)  # nor what this process has set
            (self.peers / "bin/calls").unlink()
            if best == "amx":
                self.assertEqual([row[3:6] for row in self.table(out)],
                                 [["attn", "llama.cpp", "llama.cpp AVX2"], ["50.0", "100", "–"],
                                  ["50.0", "–", "20.0"], ["50.0", "100", "–"]])

    def test_weight_types_are_made_once(self):
        self.program("llama.cpp/bin/llama-bench", LLAMA_BENCH)
        self.program("llama.cpp/bin/llama-quantize", LLAMA_QUANTIZE)
        programs = self.our_programs("scalar")
        for _ in range(2):
            out, _ = self.compare("-t", "1", "-r", "1", "--only", "_0|Q4_K_M|BF16", programs=programs)
        types = ["Q8_0", "Q4_0", "Q4_K_M", "BF16"]
        self.assertEqual(self.calls("llama.cpp/bin/quantized"), types)
        self.assertEqual([row[0] for row in self.table(out)[1:]],
                         [f"SmolLM2 {name} {test}" for name in types for test in ("pp512", "tg64")])
        for name in ("bin/calls", "llama.cpp/bin/calls"):
            self.assertEqual(sum("Q4_K_M.gguf" in call for call in self.calls(name)), 4)

    def test_without_attn_there_is_nothing_to_compare(self):
        _, err = self.compare(code=1, programs=self.folder / "nowhere")
        self.assertRegex(err, r"^bench/compare: no .*/nowhere/\S+: tools/dev build makes it\n$")

    def test_weight_types_without_llama_quantize_are_left_out_in_a_line(self):
        out, err = self.compare("-t", "1", "-r", "1", "--only", "pp512$", programs=self.our_programs("scalar"))
        self.assertEqual([row[0] for row in self.table(out)[1:]], ["SmolLM2 pp512"])
        self.assertEqual(err.count("llama-quantize"), 1, err)
        self.assertIn("SmolLM2 as Q8_0, Q4_0, Q4_K_M, BF16 is left out: ", err)

    def test_answers_together_and_texts_of_several_lengths(self):
        self.program("llama.cpp/bin/llama-bench", LLAMA_BENCH)
        self.program("llama.cpp/bin/llama-batched-bench", LLAMA_BATCHED_BENCH)
        self.program("venv/bin/python", PYTHON)
        self.program("minilm-onnx/minilm.onnx", "")
        out, _ = self.compare("-t", "1", "-r", "1", "--only", "x16 @|64x", programs=self.our_programs("scalar"))
        self.assertEqual(self.table(out), [
            ["work", "threads", "", "attn", "llama.cpp", "ONNX Runtime", "OpenVINO", "attn / best peer"],
            ["SmolLM2 tg64 x16 @ d64", "1", "tokens/s", "50.0", "25.0", "–", "–", "2.00×"],
            ["MiniLM 64x5..200 f32", "1", "sentences/s", "16.0", "–", "8.0", "8.0", "2.00×"],
        ])
        together, texts = self.calls("bin/calls")
        self.assertIn("-n 64 -d 64 --parallel 16", together)
        self.assertIn("-p 5..200", texts)
        self.assertIn("-npp 64 -ntg 64 -npl 16 -c 4096 -t 1", self.calls("llama.cpp/bin/batched_calls")[0])
        self.assertIn(" 64 5..200 ", self.calls("venv/bin/calls")[-1])

    def test_memory_is_of_the_same_prompt(self):
        self.program("llama.cpp/bin/llama-bench", LLAMA_BENCH)
        program = '#!/bin/sh\necho "$@" >>"$(dirname "$0")/run_calls"\n'
        self.program("llama.cpp/bin/llama-completion", program)
        programs = self.our_programs("scalar")
        self.program("bin/attn-run", program + "echo '{\"isa\": \"scalar\"}'\n")
        out, _ = self.compare("-t", "1,2", "-r", "1", "--only", "of 2048", programs=programs)
        self.assertEqual([row[:3] for row in self.table(out)[1:]],
                         [["SmolLM2 pp512 of 2048", "2", "peak RSS, MiB"]])
        ours, theirs = self.calls("bin/run_calls")[-1], self.calls("llama.cpp/bin/run_calls")[-1]
        shared = ours[ours.index("-f "):]
        self.assertRegex(shared, "^-f .*prompt-512.txt -n 1 -c 2048 -t 2 --temp 0$")
        self.assertIn(shared, theirs)
        self.assertEqual(len(pathlib.Path(shared.split()[1]).read_text().split()), 512)

    def test_wrong_use(self):
        for arguments in (("-t", "0"), ("-t", "x"), ("-r", "x"), ("--only", "("), ("--frobnicate",)):
            self.compare(*arguments, code=2)
        self.assertIn("nothing was measured", self.compare("--only", "no such work", code=1)[1])


if __name__ == "__main__":
    unittest.main()
