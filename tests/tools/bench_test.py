"""attn-bench from outside: what it prints, what it refuses, and when two results differ."""

import csv
import io
import json
import os
import pathlib
import subprocess
import unittest

from cli_support import ToolTest

BENCH = os.environ["ATTN_BENCH"]
DATA = pathlib.Path(os.environ["ATTN_TEST_DATA"])
LLAMA, BERT = DATA / "tiny-llama", DATA / "tiny-bert"
# what programs that read llama-bench's JSON look for
LLAMA_BENCH = (
    "model_filename model_type model_size model_n_params backends cpu_info n_batch n_threads "
    "type_k type_v n_prompt n_gen n_depth test_time avg_ns stddev_ns avg_ts stddev_ts samples_ns samples_ts"
).split()


class BenchTest(ToolTest):
    def bench(self, *arguments, **options):
        return self.call(BENCH, *map(str, arguments), **options)[0]

    def outcome(self, *arguments):
        """Exit code and standard output, where standard error or a code of 1 are in order."""
        done = subprocess.run([BENCH, *map(str, arguments)], capture_output=True, timeout=120)
        return done.returncode, done.stdout.decode()

    def rows(self, *arguments):
        return json.loads(self.bench(*arguments, "-o", "json"))


class Models(BenchTest):
    def test_every_combination_is_a_row(self):
        rows = self.rows("-m", LLAMA, "-p", "8,16", "-n", 4, "-d", "0,8", "-b", "4,8", "-t", "1,2", "-r", 2)
        tests = [(row["n_threads"], row["test"], row["n_batch"]) for row in rows]
        wanted = [
            (threads, test + depth, batch)
            for threads in (1, 2)
            for depth in ("", " @ d8")
            for test, batch in (("pp8", 4), ("pp16", 4), ("pp8", 8), ("pp16", 8), ("tg4", 4))
        ]
        self.assertEqual(tests, wanted)

    def test_json_has_the_names_of_llama_bench_and_figures_that_fit_together(self):
        for row in self.rows("-m", LLAMA, "-p", 16, "-n", 4, "-t", 1, "-r", 3):
            self.assertLessEqual(set(LLAMA_BENCH), set(row))
            self.assertEqual(row["model_type"], "llama 107K F32")
            self.assertEqual(row["model_size"], 427264)
            self.assertEqual(row["model_n_params"], 106816)
            self.assertEqual(row["precision"], "f32")
            self.assertEqual((row["type_k"], row["type_v"]), ("f32", "f32"))
            self.assertEqual(len(row["samples_ns"]), 3)
            tokens = row["n_prompt"] + row["n_gen"]
            for ns, ts in zip(row["samples_ns"], row["samples_ts"]):
                self.assertAlmostEqual(tokens / ns * 1e9 / ts, 1, places=2)
            mean = sum(row["samples_ts"]) / 3
            self.assert_near(row["avg_ts"], mean, 1e-6 * mean)
            variance = sum((ts - mean) ** 2 for ts in row["samples_ts"]) / 2
            self.assert_near(row["stddev_ts"], variance**0.5, 1e-6 * mean)
            self.assertLessEqual(row["p50_ns"], row["p95_ns"])
            latency = row["p95_ns"] if row["n_gen"] else row["p50_ns"]
            self.assertLessEqual(latency, max(row["samples_ns"]))
            self.assertLess(row["load_warm_ns"], row["first_token_warm_ns"])
            self.assertTrue(1 << 20 < row["peak_rss"] < 1 << 30, row["peak_rss"])
            share = row["avg_ts"] / row["limit_ts"]
            self.assert_near(row["limit_percent"], 100 * share, 1e-6 * row["limit_percent"])

    def test_cold_is_told_for_both_or_neither(self):
        row = self.rows("-m", LLAMA, "-p", 8, "-n", 0, "-r", 1)[0]
        self.assertEqual(row["load_cold_ns"] is None, row["first_token_cold_ns"] is None)

    def test_markdown_begins_with_the_columns_of_llama_bench(self):
        head, rule, row, blank, build = self.bench("-m", LLAMA, "-p", 8, "-n", 0, "-t", 1).splitlines()
        cells = [cell.strip() for cell in head.strip("|").split("|")]
        self.assertEqual(cells[:7], "model size params backend threads test t/s".split())
        self.assertRegex(rule, r"^(\| -+:? )+\|$")
        self.assertRegex(row, r"^\| llama 107K F32 \| 0\.41 MiB \| 0\.11 M \| CPU +\| +1 \| +pp8 \| +[0-9.]+ ± [0-9.]+ \|")
        self.assertEqual({len(line) for line in (head, rule, row)}, {len(head)})
        self.assertEqual(blank, "")
        self.assertIn("attn 0.1.0", build)

    def test_the_type_of_the_cache_is_told(self):
        arguments = ("-m", LLAMA, "-p", 8, "-n", 4, "-t", 1, "-r", 1, "--kv-type", "bf16")
        rows = self.rows(*arguments)
        self.assertEqual({(row["type_k"], row["type_v"]) for row in rows}, {("bf16", "bf16")})
        self.assertIn("f32 products, bf16 cache; ", self.bench(*arguments).splitlines()[-1])

    def test_csv_and_jsonl_say_the_same_as_json(self):
        arguments = ("-m", LLAMA, "-p", 8, "-n", 4, "-t", 1, "-r", 1)
        keys = set(self.rows(*arguments)[0])
        lines = [json.loads(line) for line in self.bench(*arguments, "-o", "jsonl").splitlines()]
        self.assertEqual([set(line) for line in lines], [keys, keys])
        table = list(csv.DictReader(io.StringIO(self.bench(*arguments, "-o", "csv"))))
        self.assertEqual([row["test"] for row in table], ["pp8", "tg4"])
        self.assertEqual(set(table[0]), keys - {"samples_ns", "samples_ts"})
        self.assertGreater(float(table[0]["avg_ts"]), 0)

    def test_an_encoder_reads_texts_together(self):
        rows = self.rows("-m", BERT, "-p", "5,16", "-b", "1,3", "-t", 1, "-r", 2)
        self.assertEqual([row["test"] for row in rows], ["1x5", "1x16", "3x5", "3x16"])
        for row in rows:
            tokens = row["n_batch"] * row["n_prompt"]
            self.assertAlmostEqual(tokens / row["samples_ns"][0] * 1e9 / row["samples_ts"][0], 1, 2)
        # 16 tokens have more than three times the products of 5, for the attention among them
        per_token = rows[0]["limit_ts"] / rows[1]["limit_ts"]
        self.assertGreater(per_token, 1)
        self.assertEqual(self.bench("-m", BERT, "-p", 5, "-r", 1).splitlines()[2].count("|"), 14)

    def test_an_encoder_reads_texts_of_several_lengths(self):
        several, alike = self.rows("-m", BERT, "-p", "5..20,20", "-b", 4, "-t", 1, "-r", 2)
        self.assertEqual([several["test"], alike["test"]], ["4x5..20", "4x20"])
        self.assertEqual([several["n_prompt"], alike["n_prompt"]], [20, 20])
        self.assertEqual([several["n_tokens"], alike["n_tokens"]], [5 + 10 + 15 + 20, 80])
        for row in (several, alike):
            self.assertAlmostEqual(row["n_tokens"] / row["samples_ns"][0] * 1e9 / row["samples_ts"][0], 1, 2)
        # a token of a shorter text has fewer others to look at
        self.assertGreater(several["limit_ts"], alike["limit_ts"])
        # rounded to whole tokens: 5, 5.5, 6
        self.assertEqual(self.rows("-m", BERT, "-p", "5..6", "-b", 3, "-t", 1, "-r", 1)[0]["n_tokens"], 17)

    def test_answers_are_generated_together(self):
        arguments = ("-m", LLAMA, "-p", 8, "-n", 4, "-d", "0,6", "-t", 1, "-r", 2)
        rows = self.rows(*arguments, "--parallel", "1,3")
        self.assertEqual([row["test"] for row in rows],
                         ["pp8", "tg4", "tg4 x3", "pp8 @ d6", "tg4 @ d6", "tg4 x3 @ d6"])
        self.assertEqual([row["n_parallel"] for row in rows], [1, 1, 3] * 2)
        self.assertEqual([row["n_tokens"] for row in rows], [8, 4, 12] * 2)
        one, three = rows[1], rows[2]
        self.assertAlmostEqual(12 / three["samples_ns"][0] * 1e9 / three["samples_ts"][0], 1, 2)
        self.assertAlmostEqual(three["limit_ts"] / one["limit_ts"], 3, 6)
        self.assertLess(three["p50_ns"], three["avg_ns"])  # of a token of each, and of them all

    def test_an_answer_that_ends_before_the_others_is_told(self):
        config = json.loads((LLAMA / "config.json").read_text())
        config["eos_token_id"] = list(range(config["vocab_size"]))
        model = self.folder / "ends"
        model.mkdir()
        (model / "config.json").write_text(json.dumps(config))
        (model / "model.safetensors").symlink_to(LLAMA / "model.safetensors")
        line = self.refused(3, BENCH, "-m", model, "-p", 0, "-n", 4, "-r", 1, "--parallel", 2)
        for part in ("tg4 x2", "after 1 of 5 tokens", "--n-gen"):
            self.assertIn(part, line)

    def test_the_level_is_told(self):
        row = json.loads(
            self.bench("-m", LLAMA, "-p", 8, "-n", 0, "-r", 1, "-o", "json", env={"ATTN_ISA": "scalar"})
        )[0]
        self.assertEqual((row["isa"], row["limit"]), ("scalar", "scalar f32"))


class Refused(BenchTest):
    def refuses(self, code, parts, *arguments, **options):
        line = self.refused(code, BENCH, *arguments, **options)
        for part in parts:
            self.assertIn(part, line)

    def test_wrong_use(self):
        model = ("-m", LLAMA)
        for parts, arguments in (
            (["--model", "--machine", "--kernels", "--compare"], ()),
            (["--model", "--machine"], ("--machine", *model)),
            (["--n-prompt x", "whole number"], (*model, "-p", "x")),
            (["--n-prompt -1"], (*model, "-p", "-1")),
            (["--n-gen 1.5"], (*model, "-n", "1.5")),
            (["--batch-size 0"], (*model, "-b", "0")),
            (["--n-depth 5,,6"], (*model, "-d", "5,,6")),
            (["--threads 0"], (*model, "-t", "1,0")),
            (["--repetitions 0"], (*model, "-r", "0")),
            (["--repetitions 1,2"], (*model, "-r", "1,2")),
            (["--precision f8", "f32"], (*model, "--precision", "f8")),
            (["--kv-type f16", "f32, bf16 or q8_0"], (*model, "--kv-type", "f16")),
            (["Q8_0", "head_dim", "32", "16"], (*model, "-p", "8", "-n", "0", "--kv-type", "q8_0")),
            (["--kv-type", "encoder"], ("-m", BERT, "--kv-type", "bf16")),
            (["--output xml", "jsonl"], (*model, "-o", "xml")),
            (["--output csv", "json"], ("--machine", "-o", "csv")),
            (["nothing"], (*model, "-p", "0", "-n", "0")),
            (["context", "128"], (*model, "-p", "100", "-d", "100")),
            (["--n-gen", "encoder"], ("-m", BERT, "-n", "3")),
            (["--n-depth", "encoder"], ("-m", BERT, "-d", "3")),
            (["--parallel", "encoder"], ("-m", BERT, "--parallel", "3")),
            (["--parallel 65", "64"], (*model, "--parallel", "65")),
            (["--n-prompt 5..9", "encoders"], (*model, "-p", "5..9")),
            (["--n-prompt 9..5", "shorter"], ("-m", BERT, "-b", "2", "-p", "9..5")),
            (["--n-prompt 0", "whole number from 1"], ("-m", BERT, "-b", "2", "-p", "0..5")),
            (["--n-prompt ''", "whole number"], ("-m", BERT, "-b", "2", "-p", "5..")),
            (["--n-prompt .9", "whole number"], ("-m", BERT, "-b", "2", "-p", "5...9")),
            (["--n-prompt 5-9", "whole number"], ("-m", BERT, "-b", "2", "-p", "5-9")),
            (["--batch-size 1", "5..9"], ("-m", BERT, "-b", "1,2", "-p", "5..9")),
            (["--n-prompt", "--model"], ("-p", "3")),
            (["--frobnicate"], ("--frobnicate",)),
            (["--compare"], ("--compare", "a")),
            (["--benchmark_no"], ("--benchmark_no",)),
        ):
            with self.subTest(arguments):
                self.refuses(2, parts, *arguments)

    def test_what_is_no_model(self):
        self.refuses(4, ["absent"], "-m", "absent")
        self.refuses(3, ["broken"], "-m", self.file("broken", "no model at all"))

    def test_a_level_that_is_unknown(self):
        self.refuses(2, ["ATTN_ISA"], "-m", LLAMA, "-r", "1", env={"ATTN_ISA": "avx9"})


class Kernels(BenchTest):
    def test_both_ways_to_choose_them(self):
        # Google Benchmark describes the machine on standard error
        for choice in (("--kernels", "model/size_loss/forward"), ("--benchmark_filter=model/size_loss/forward",)):
            code, out = self.outcome(*choice, "-o", "json", "--benchmark_min_time=0.001")
            self.assertEqual(code, 0)
            names = [row["name"] for row in json.loads(out)["benchmarks"]]
            self.assertEqual(names, ["model/size_loss/forward"])

    def test_no_such_kernel(self):
        self.assertEqual(self.outcome("--kernels", "no such kernel"), (2, ""))


class Compare(BenchTest):
    def result(self, name, mean, deviation, samples=5, **more):
        row = {
            "model_type": "llama 1M F32", "n_prompt": 16, "n_gen": 0, "n_batch": 512, "n_threads": 1,
            "avg_ts": mean, "stddev_ts": deviation, "samples_ts": [mean] * samples, **more,
        }
        return self.file(name, json.dumps([row]))

    def compare(self, wanted_code, old, new):
        code, out = self.outcome("--compare", old, new)
        self.assertEqual(code, wanted_code, out)
        return out

    def test_slower_is_beyond_three_percent_and_two_standard_errors(self):
        old = self.result("old", 100, 5)  # a standard error of the difference of 3.16
        for mean, code, word in (
            (100, 0, None), (94, 0, None), (93.6, 1, "slower"), (106, 0, None), (107, 0, "faster"),
        ):
            with self.subTest(mean):
                line = self.compare(code, old, self.result("new", mean, 5)).splitlines()[2]
                for verdict in ("slower", "faster"):
                    self.assertEqual(verdict in line, verdict == word)
        calm = self.result("calm", 100, 0.01)
        self.compare(0, calm, self.result("new", 97.5, 0.01))
        self.compare(1, calm, self.result("new", 96.5, 0.01))

    def test_one_that_is_slower_among_many_is_enough(self):
        rows = [json.loads(pathlib.Path(self.result("x", 100, 0.1, n_prompt=n)).read_text())[0] for n in (1, 2)]
        old = self.file("old", "\n".join(map(json.dumps, rows)))
        rows[1]["avg_ts"] = 50
        self.assertIn("-50.0%", self.compare(1, old, self.file("new", json.dumps(rows))))

    def test_our_own_results(self):
        path = self.file("own", self.bench("-m", LLAMA, "-p", 8, "-n", 4, "-r", 2, "-o", "json"))
        self.assertIn("pp8", self.compare(0, path, path))

    def test_what_is_no_result_is_refused(self):
        good = self.result("good", 1, 1)
        for code, parts, path in (
            (4, ["absent"], "absent"),
            (3, ["no list"], self.file("a", "")),
            (3, ["not an object"], self.file("b", "model,size\n1,2\n")),
            (3, ["'avg_ts'"], self.result("c", "fast", 1)),
            (3, ["'avg_ts'"], self.result("d", 0, 1)),
            (3, ["'stddev_ts'"], self.result("f", 1, -1)),
            (3, ["in common"], self.result("e", 1, 1, n_threads=2)),
        ):
            line = self.refused(code, BENCH, "--compare", path, good)
            for part in parts:
                self.assertIn(part, line)


class Machine(BenchTest):
    def test_json(self):
        report = json.loads(self.bench("--machine", "-o", "json"))
        first = report["arithmetic"][0]
        self.assertEqual((first["isa"], first["type"], first["threads"]), ("scalar", "f32", 1))
        for row in report["arithmetic"]:
            self.assertGreater(row["gflops"], 0)
        for row in report["memory"]:
            self.assertGreater(min(row["copy_gbs"], row["update_gbs"], row["read_gbs"]), 0)


if __name__ == "__main__":
    unittest.main()
