"""attn-run on language models and encoders, and attn-convert, from outside."""

import json
import os
import pathlib
import resource
import signal
import subprocess
import time
import unittest

from cli_support import RUN, ToolTest, read_npy

CONVERT = os.environ["ATTN_CONVERT"]
DATA = pathlib.Path(os.environ["ATTN_TEST_DATA"])
LLAMA, QWEN, BERT = (DATA / f"tiny-{name}" for name in ("llama", "qwen2", "bert"))
MODELS = pathlib.Path(os.environ.get("ATTN_MODELS") or pathlib.Path.home() / ".cache/attn/models")
SMOLLM2 = MODELS / "smollm2-135m-instruct.Q4_1.gguf"
MINILM = MODELS / "all-minilm-l6-v2"
SLOW = os.environ.get("ATTN_ISA") == "scalar"  # a real model takes minutes there

needs_smollm2 = unittest.skipUnless(SMOLLM2.exists() and not SLOW, "SmolLM2 is not here")
needs_minilm = unittest.skipUnless(MINILM.exists() and not SLOW, "MiniLM is not here")


class LanguageTest(ToolTest):
    def run_model(self, *arguments, **options):
        """stdout of a run that succeeds; timings stand on stderr."""
        done = subprocess.run(
            [RUN, *map(str, arguments)], capture_output=True, timeout=120, cwd=self.folder, **options
        )
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        self.timings = done.stderr.decode()
        return done.stdout

    def json(self, *arguments, **options):
        return json.loads(self.run_model(*arguments, "--json", **options))

    def refuses(self, code, parts, *arguments, **options):
        line = self.refused(code, RUN, *arguments, **options)
        for part in parts:
            self.assertIn(part, line)


class Generation(LanguageTest):
    def test_json_has_tokens_and_timings(self):
        result = self.json(LLAMA, "--tokens", "65,124,111", "-n", 5, "--temp", 0)
        self.assertEqual(result["prompt_tokens"], [65, 124, 111])
        self.assertEqual(len(result["tokens"]), 5)
        self.assertEqual(result["text"], "")
        self.assertEqual(result["finish"], "length")
        self.assertGreater(result["timings"]["prompt_tokens_per_s"], 0)
        self.assertIn("load", self.timings)
        self.assertIn("tokens/s", self.timings)
        self.assertEqual(self.timings.count("\n"), 1)

    def test_the_same_seed_gives_the_same_text_and_another_another(self):
        def tokens(seed):
            return self.json(LLAMA, "--tokens", "1,2", "-n", 20, "--seed", seed)["tokens"]

        self.assertEqual(tokens(7), tokens(7))
        self.assertNotEqual(tokens(7), tokens(8))

    def test_guessed_tokens_change_the_time_only(self):
        arguments = (LLAMA, "--tokens", "9,8,7,6,9,8,7,6,9,8", "-n", 60, "--temp", 0)
        plain, guessing = self.json(*arguments), self.json(*arguments, "--lookup")
        self.assertIn("guessed tokens right", self.timings)
        self.assertEqual(plain["tokens"], guessing["tokens"])
        self.assertEqual(plain["timings"]["proposed"], 0)
        timings = guessing["timings"]
        self.assertGreater(timings["accepted"], 0)
        self.assertEqual(timings["forwards"] + timings["accepted"], 59)

    def test_logits_are_the_references_whatever_the_batch(self):
        expected = json.loads((LLAMA / "expected.json").read_text())
        ids = ",".join(map(str, expected["ids"]))
        for batch in (1, 5, 512):
            result = self.json(
                LLAMA, "--tokens", ids, "-n", 0, "-b", batch, "--precision", "f32",
                "--logits", "logits.npy", "--top-logits", 3,
            )
            self.assertEqual(result["tokens"], [])
            rows = read_npy(self.folder / "logits.npy")
            self.assert_near([list(row) for row in rows], expected["logits"], 1e-4)
            self.assertEqual(len(result["top_logits"]), len(rows))
            for row, top in zip(rows, result["top_logits"]):
                best = sorted(range(len(row)), key=lambda i: (-row[i], i))[:3]
                self.assertEqual([pair[0] for pair in top], best)

    def test_the_prompts_of_a_file_are_answered_as_if_each_were_alone(self):
        asked = [
            {"prompt": [65, 124, 111], "id": "a"},
            {"prompt": [9, 8, 7], "max_tokens": 3},
            {"prompt": [1] * 100, "id": 2.5},
            {"prompt": [5], "max_tokens": 0},
        ]
        path = self.file("prompts.jsonl", "\n\n".join(map(json.dumps, asked)))
        options = ("-n", 9, "--temp", 0, "--precision", "f32")
        for parallel in (1, 2, 16):
            out = self.run_model(LLAMA, "--batch-file", path, "--parallel", parallel, *options)
            answers = [json.loads(line) for line in out.splitlines()]
            self.assertEqual([a["id"] for a in answers], ["a", 1, 2.5, 3])
            self.assertEqual([a["tokens"] for a in answers], [9, 3, 9, 0])
            self.assertEqual({a["finish"] for a in answers}, {"length"})
            self.assertEqual(self.timings.count("\n"), 1)
            self.assertIn("4 prompts of 107 tokens, 21 new", self.timings)
        self.assertEqual(self.run_model(LLAMA, "--batch-file", "-", input=b"\n"), b"")
        rounded = self.run_model(LLAMA, "--batch-file", path, "--kv-type", "bf16", *options)
        self.assertEqual(len(rounded.splitlines()), 4)
        self.refuses(2, ["Q8_0", "head_dim"], LLAMA, "--batch-file", path, "--kv-type", "q8_0")

    def test_a_cache_in_fewer_bits_gives_nearly_the_same_logits(self):
        expected = json.loads((LLAMA / "expected.json").read_text())
        ids = ",".join(map(str, expected["ids"]))
        def logits(kv_type):
            self.run_model(LLAMA, "--tokens", ids, "-n", 0, "--precision", "f32", "--kv-type", kv_type,
                           "--logits", "logits.npy")
            return [list(row) for row in read_npy(self.folder / "logits.npy")]
        exact, rounded = logits("f32"), logits("bf16")
        self.assert_near(exact, expected["logits"], 1e-4)
        self.assertNotEqual(exact, rounded)
        largest = max(abs(x) for row in exact for x in row)
        self.assert_near(rounded, expected["logits"], largest / 128)

    def test_lines_that_are_no_prompts_are_named(self):
        for parts, line in (
            (["object"], "[1]"),
            (["object"], "{"),
            (["prompt"], '{"id": 1}'),
            (["token ids"], '{"prompt": 1}'),
            (["-1"], '{"prompt": [-1]}'),
            (["0..255"], '{"prompt": [256]}'),
            (["129 tokens", "128"], json.dumps({"prompt": [1] * 129})),
            (["id"], '{"prompt": [1], "id": null}'),
            (["max_tokens", "1.5"], '{"prompt": [1], "max_tokens": 1.5}'),
            (["'max_token'".replace("'", '"')], '{"prompt": [1], "max_token": 3}'),
        ):
            path = self.file("bad.jsonl", '{"prompt": [1]}\n\n' + line + "\n")
            self.refuses(3, ["bad.jsonl: line 3", *parts], LLAMA, "--batch-file", path)
        path = self.file("good.jsonl", '{"prompt": [1]}')
        self.refuses(4, ["absent"], LLAMA, "--batch-file", "absent")
        self.refuses(2, ["--parallel 65"], LLAMA, "--batch-file", path, "--parallel", 65)
        self.refuses(2, ["--lookup"], LLAMA, "--batch-file", path, "--lookup")
        self.refuses(2, ["--batch-file"], LLAMA, "--tokens", "1", "--parallel", 2)
        self.refuses(2, ["--batch-file"], LLAMA, "--batch-file", path, "--tokens", "1")
        self.refuses(2, ["language models"], BERT, "--batch-file", path)

    def test_perplexity_of_too_little_is_refused(self):
        path = self.file("text", "")
        self.refuses(2, ["tokenizer"], LLAMA, "--perplexity", path)

    def test_what_makes_no_sense_is_refused(self):
        one = ("--tokens", "1")
        for parts, arguments in (
            (["--predict abc", "whole number"], ("-n", "abc")),
            (["--predict -1"], ("-n", "-1")),
            (["--predict 99999999999"], ("-n", "99999999999")),
            (["--temp nan"], ("--temp", "nan")),
            (["--temp -1"], ("--temp", "-1")),
            (["--top-p 0", "above 0"], ("--top-p", "0")),
            (["--top-p 1.5"], ("--top-p", "1.5")),
            (["--min-p 2"], ("--min-p", "2")),
            (["--top-k -3"], ("--top-k", "-3")),
            (["--repeat-penalty 0"], ("--repeat-penalty", "0")),
            (["--seed x"], ("--seed", "x")),
            (["--batch 0"], ("-b", "0")),
            (["--threads 0"], ("-t", "0")),
            (["--threads 1025"], ("-t", "1025")),
            (["context", "129", "128"], ("-c", "129")),
            (["--precision f8"], ("--precision", "f8")),
            (["--kv-type f16", "f32, bf16 or q8_0"], ("--kv-type", "f16")),
            (["Q8_0", "head_dim", "32", "16"], ("--kv-type", "q8_0")),
            (["--stop ''"], ("--stop", "")),
            (["--frobnicate"], ("--frobnicate",)),
            (["--layers"], ("--layers", "0")),
            (["encoders", "llama"], ("--embed",)),
            (["teaching models", "llama"], ("-i", "x.json")),
            (["--top-logits", "--json"], ("--top-logits", "3")),
            (["--system", "--chat"], ("-sys", "x", "-p", "y")),
            (["--attention", ".png"], ("--attention", "x.gif")),
        ):
            arguments = arguments if "-p" in arguments else (*one, *arguments)
            self.refuses(2, parts, LLAMA, *arguments)
        self.refuses(2, ["needs a prompt"], LLAMA)
        self.refuses(2, ["tokenizer"], LLAMA, "-p", "text")
        self.refuses(2, ["layer", "2"], LLAMA, *one, "--attention", "x.json", "--layers", "2")
        self.refuses(2, ["--heads"], LLAMA, *one, "--attention", "x.json", "--heads", "3-1")
        self.refuses(3, ["token 256", "0..255"], LLAMA, "--tokens", "256")
        self.refuses(2, ["--tokens"], LLAMA, "--tokens", "1,,2")
        self.refuses(2, ["--tokens"], LLAMA, "--tokens", "-1")
        self.refuses(2, ["5 tokens", "4"], LLAMA, "--tokens", "1,2,3,4,5", "-c", "4")
        self.refuses(4, ["absent"], self.folder / "absent", *one)
        self.refuses(4, ["config.json"], self.folder, *one)
        self.refuses(2, ["language models", "size_loss_attention"], "-p", "x")

    def test_a_full_or_closed_stdout_is_an_error(self):
        command = [RUN, LLAMA, "--tokens", "1", "-n", "3", "--json"]
        with open("/dev/full", "wb") as full:
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=60)
        self.assertEqual(done.returncode, 4)
        self.assertIn(b"standard output", done.stderr)
        closed = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *map(str, command)],
                                stderr=subprocess.PIPE, timeout=60)
        self.assertEqual(closed.returncode, 4)

    def test_attention_is_square_and_hidden_where_it_is(self):
        result_file = self.folder / "a.json"
        self.json(LLAMA, "--tokens", "9,8,7", "-n", 2, "--temp", 0, "--attention", result_file,
                  "--layers", "1", "--heads", "0,2-3")
        picture = json.loads(result_file.read_text())
        self.assertEqual(len(picture["tokens"]), 5)
        self.assertEqual(picture["heads"], [0, 2, 3])
        self.assertEqual(list(picture["layers"]), ["1"])
        for head in picture["layers"]["1"]:
            self.assertEqual(len(head), 5)
            for query, row in enumerate(head):
                self.assertEqual(len(row), 5)
                self.assertAlmostEqual(sum(row), 1, places=5)
                self.assertEqual(row[query + 1 :], [0] * (4 - query))

    @needs_smollm2
    def test_greedy_text_begins_as_the_reference(self):
        out = self.run_model(SMOLLM2, "-p", "The capital of France is", "-n", 24, "--temp", 0)
        self.assertTrue(out.startswith(b" Paris."), out)
        self.assertTrue(out.endswith(b"\n"))

    @needs_smollm2
    def test_stop_strings_end_the_text_before_them(self):
        whole = self.json(SMOLLM2, "-p", "1 2 3 4 5 6 7", "-n", 20, "--temp", 0)
        cut = self.json(SMOLLM2, "-p", "1 2 3 4 5 6 7", "-n", 20, "--temp", 0, "--stop", "0 1",
                        "--stop", "nothing of the kind")
        self.assertEqual(cut["finish"], "stop")
        self.assertEqual(cut["text"], whole["text"][: whole["text"].index("0 1")])

    @needs_smollm2
    def test_an_empty_prompt_starts_from_the_begin_token(self):
        self.assertEqual(self.json(SMOLLM2, "-p", "", "-n", 1)["prompt_tokens"], [1])

    @needs_smollm2
    def test_special_tokens_in_a_text_stay_literal_unless_asked(self):
        literal = self.json(SMOLLM2, "-p", "<|im_start|>", "-n", 0)["prompt_tokens"]
        self.assertGreater(len(literal), 1)
        parsed = self.json(SMOLLM2, "-p", "<|im_start|>", "-n", 0, "--parse-special")
        self.assertEqual(parsed["prompt_tokens"], [1])

    @needs_smollm2
    def test_a_prompt_of_any_bytes_is_read(self):
        path = self.file("bytes", bytes(range(256)))
        result = self.json(SMOLLM2, "-f", path, "-n", 1)
        self.assertGreater(len(result["prompt_tokens"]), 100)

    @needs_smollm2
    def test_a_context_that_memory_does_not_hold_is_refused_before_it_is_taken(self):
        command = 'ulimit -v 420000 && exec "$@"'  # KiB of address space; the caches want 369 MiB
        arguments = [RUN, str(SMOLLM2), "-p", "hi", "-n", "2", "-t", "1", "-c"]
        done = subprocess.run(["sh", "-c", command, "sh", *arguments, "8192"], capture_output=True)
        self.assertEqual(done.returncode, 5, done.stderr)
        self.assertIn(b"377487360 bytes is over the limit", done.stderr)
        done = subprocess.run(["sh", "-c", command, "sh", *arguments, "512"], capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    @needs_smollm2
    def test_a_truncated_file_is_named_with_what_is_missing(self):
        content = SMOLLM2.read_bytes()
        for length in (0, 3, 20, 1000, 1000000, len(content) // 2, len(content) - 64):
            path = self.file("cut.gguf", content[:length])
            self.refuses(3, ["cut.gguf"], path, "-p", "x")

    @needs_smollm2
    def test_a_conversation_line_by_line(self):
        out = self.run_model(SMOLLM2, "--chat", "--temp", 0, "-n", 8,
                             input=b"What is 2+2?\n\nAnd 3+3?\n")
        self.assertEqual(len(out.decode().splitlines()), 2)
        self.assertIn("reused", self.timings)

    @needs_smollm2
    def test_ctrl_c_ends_with_what_was_written(self):
        process = subprocess.Popen(
            [RUN, SMOLLM2, "-p", "Once upon a time", "--temp", "0"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        first = process.stdout.read(5)
        self.assertEqual(len(first), 5)
        process.send_signal(signal.SIGINT)
        begin = time.monotonic()
        rest, err = process.communicate(timeout=30)
        self.assertLess(time.monotonic() - begin, 5)
        self.assertEqual(process.returncode, 130, err)
        self.assertTrue(rest.endswith(b"\n"))
        self.assertIn(b"interrupted", err)
        self.assertEqual(err.count(b"\n"), 1)

    @needs_smollm2
    def test_perplexity(self):
        path = self.file("text", "The pink elephant tried to get into the car but it was too big.")
        result = self.json(SMOLLM2, "--perplexity", path, "--max-tokens", 10)
        self.assertEqual(result["tokens"], 10)
        self.assertTrue(5 < result["perplexity"] < 500, result)
        self.refuses(3, ["1 tokens"], SMOLLM2, "--perplexity", self.file("one", "a"))


class Profiles(LanguageTest):
    def test_every_mode_that_takes_it_tells(self):
        ids = ("--tokens", "5,6,7", "-t", "1")
        for arguments in ((LLAMA, *ids, "-n", 2), (BERT, "--embed", *ids), (BERT, "--similarity", *ids)):
            result = self.json(*arguments, "--profile")
            self.assertGreater(sum(op["calls"] for op in result["profile"]), 3)
            self.assertNotIn("profile", self.json(*arguments))
            if "--embed" not in arguments:  # which is JSON in any case
                self.assertIn(b"\nprofile", self.run_model(*arguments, "--profile"))

    @needs_smollm2
    def test_of_a_perplexity_and_not_of_a_conversation(self):
        path = self.folder / "text.txt"
        path.write_text("The elephant was too big for the car.")
        result = self.json(SMOLLM2, "--perplexity", path, "--profile")
        self.assertGreater(sum(op["calls"] for op in result["profile"]), 3)
        self.assertIn(b"\nprofile", self.run_model(SMOLLM2, "--perplexity", path, "--profile"))
        self.refuses(2, ["--profile", "conversation"], SMOLLM2, "--chat", "--profile")


class Encoders(LanguageTest):
    def test_token_ids_are_taken_as_they_are(self):
        expected = json.loads((BERT / "expected.json").read_text())
        result = self.json(BERT, "--embed", "--tokens", ",".join(map(str, expected["ids"])))
        self.assertEqual(result["tokens"], [expected["ids"]])
        self.assert_near(result["embeddings"], [expected["embedding"]], 1e-6)

    def test_what_makes_no_sense_is_refused(self):
        self.refuses(2, ["language models", "bert"], BERT, "--tokens", "1", "-n", "3")
        self.refuses(2, ["a text is needed"], BERT, "--embed")
        self.refuses(2, ["tokenizer"], BERT, "--embed", "-p", "x")
        self.refuses(3, ["65 tokens", "64"], BERT, "--tokens", ",".join(["1"] * 65))

    @needs_minilm
    def test_lines_are_embedded_and_compared(self):
        path = self.file("lines.jsonl", '"A cat sits."\n\n"A cat is sitting."\n"Stocks fell."\n')
        result = self.json(MINILM, "--embed", "-f", path)
        self.assertEqual(len(result["embeddings"]), 3)
        self.assertEqual(len(result["embeddings"][0]), 384)
        self.assertEqual(result["tokens"][0][0], 101)
        cosines = self.json(MINILM, "--similarity", "-f", path)["similarity"]
        self.assertAlmostEqual(cosines[0][0], 1, places=5)
        self.assertGreater(cosines[0][1], 0.8)
        self.assertLess(cosines[0][2], 0.3)
        self.assertIn(b"A cat sits.", self.run_model(MINILM, "--similarity", "-f", path))

    @needs_minilm
    def test_tokenize_never_truncates_and_embed_does(self):
        path = self.file("long.jsonl", json.dumps("word " * 1000) + "\n")
        self.assertEqual(len(self.json(MINILM, "--tokenize", "-f", path)["tokens"][0]), 1002)
        embedded = self.json(MINILM, "--embed", "-f", path)["tokens"][0]
        self.assertEqual(len(embedded), 256)
        self.assertEqual(embedded[-1], 102)

    @needs_minilm
    def test_a_line_that_is_no_string_is_named(self):
        path = self.file("bad.jsonl", '"fine"\n{"a": 1}\n')
        self.refuses(3, ["bad.jsonl", "line 2"], MINILM, "--embed", "-f", path)


class Conversion(LanguageTest):
    def convert(self, *arguments):
        return json.loads(self.call(CONVERT, *map(str, arguments), "--json")[0])

    def logits(self, model):
        self.json(model, "--tokens", "65,124,111,17", "-n", 0, "--logits", "l.npy")
        return read_npy(self.folder / "l.npy")

    def test_a_model_bin_gives_the_bits_of_its_source(self):
        for source in (LLAMA, QWEN):
            told = self.convert(source, "-o", "m.bin")
            self.assertEqual(told["requantized"], 0)
            self.assertEqual(told["bytes_before"], told["bytes_after"])
            self.assertEqual(self.logits("m.bin"), self.logits(source))
            self.convert("m.bin", "-o", "m.bin")  # over itself
            self.assertEqual(self.logits("m.bin"), self.logits(source))
        self.convert(BERT, "-o", "b.bin")
        tokens = ("--embed", "--tokens", "1,2,3")
        self.assertEqual(self.json("b.bin", *tokens), self.json(BERT, *tokens))

    def test_quantized_models_are_near(self):
        exact = self.logits(LLAMA)
        for kind, bound in (("f32", 0), ("f16", 2e-3), ("bf16", 2e-2), ("q8_0", 5e-2),
                            ("q4_1", 0.8), ("q4_0", 0.8)):
            told = self.convert(LLAMA, "-o", "q.bin", "--quantize", kind)
            self.assertEqual(told["as_f16"], [])
            worst = max(abs(a - b) for x, y in zip(exact, self.logits("q.bin")) for a, b in zip(x, y))
            self.assertLessEqual(worst, bound, kind)
            if kind != "f32":
                self.assertGreater(worst, 0, kind)
                self.assertLess(told["bytes_after"], told["bytes_before"] * 0.6)

    def test_packed_models_give_the_bits_of_their_rows_and_are_unpacked(self):
        self.convert(LLAMA, "-o", "rows.bin", "--quantize", "q4_1")
        rows = (self.folder / "rows.bin").read_bytes()
        logits, info = self.logits("rows.bin"), self.json("rows.bin", "--info")
        for isa in ("avx2", "avx512", "amx"):
            told = self.convert("rows.bin", "-o", "tiles.bin", "--pack", isa)
            self.assertEqual(told["packed"], 15)
            self.assertEqual(told["requantized"], 0)
            self.assertEqual(self.logits("tiles.bin"), logits)
            packed = self.json("tiles.bin", "--info")
            self.assertEqual(packed["tensors"], info["tensors"])
            self.assertEqual(packed["metadata"]["attn.packed_for"], isa)
            self.convert("tiles.bin", "-o", "tiles.bin")  # over itself
            self.assertEqual((self.folder / "tiles.bin").read_bytes(), rows)
        out = self.call(CONVERT, "rows.bin", "-o", "tiles.bin", "--pack", "avx2")[0]
        self.assertIn("15 packed", out)
        out = self.call(CONVERT, str(LLAMA), "-o", "f32.bin", "--pack", "avx2")[0]
        self.assertIn("nothing to pack", out)
        self.assertIn("sse", self.refused(2, CONVERT, "rows.bin", "-o", "x.bin", "--pack", "sse"))
        self.refused(2, CONVERT, "rows.bin", "-o", "x.bin", "--pack", "scalar")
        self.convert("rows.bin", "-o", "tiles.bin", "--pack", "amx")
        whole = (self.folder / "tiles.bin").read_bytes()
        for length in (len(whole) // 2, len(whole) - 1):
            self.refuses(3, ["cut.bin"], self.file("cut.bin", whole[:length]), "--tokens", "1")
        for good, bad, word in (
            (b"tiles16x32", b"tiles16x64", "tiles16x64"),
            (b'\\"Q4_1\\"', b'\\"Q4_0\\"', "Q4_0"),
            (b"[64,64]", b"[64,96]", "[64, 96]"),
            (b'"attn.packed_for":"amx"', b'"attn.packed_for":"apx"', "apx"),
        ):
            self.assertIn(good, whole)
            path = self.file("lying.bin", whole.replace(good, bad, 1))
            self.refuses(3, ["lying.bin", word], path, "--tokens", "1")

    @needs_smollm2
    def test_a_packed_model_keeps_no_second_copy_in_memory(self):
        def status(model):
            # weights take 92 MiB; what is mapped from a file does not count
            limit = lambda: resource.setrlimit(resource.RLIMIT_DATA, (72 << 20, 72 << 20))
            command = [RUN, model, "-p", "Once", "-n", "8", "--temp", "0", "-c", "64", "-t", "1"]
            if model == "--version":
                command = [RUN, model]
            return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  cwd=self.folder, preexec_fn=limit, check=False).returncode

        if status("--version") != 0:
            self.skipTest("a build whose sanitizer takes more memory than that")
        self.convert(SMOLLM2, "-o", "rows.bin")
        self.convert("rows.bin", "-o", "tiles.bin", "--pack", "avx2")
        self.assertEqual(status("tiles.bin"), 0)
        self.assertEqual(status("rows.bin"), 5)

    def test_what_cannot_be_is_refused(self):
        self.refused(2, CONVERT)
        self.refused(2, CONVERT, LLAMA)
        self.assertIn("q5_9", self.refused(2, CONVERT, LLAMA, "-o", "x.bin", "--quantize", "q5_9").lower())
        self.refused(4, CONVERT, "absent", "-o", "x.bin")
        self.refused(4, CONVERT, LLAMA, "-o", "no/such/folder/x.bin")
        self.refused(3, CONVERT, self.file("junk", "junk"), "-o", "x.bin")
        self.assertFalse((self.folder / "x.bin").exists())


if __name__ == "__main__":
    unittest.main()
