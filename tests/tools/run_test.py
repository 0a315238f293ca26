"""attn-run from outside: what it prints, draws and refuses."""

import json
import os
import struct
import subprocess
import unittest
import xml.etree.ElementTree

from cli_support import RUN, SEEDS, SENTENCE, ToolTest, model_bytes, size_loss_model

WEIGHT = {"weight": SEEDS["attention_mechanism"]["weight"]}
MECHANISM = {"attn.architecture": "attention_mechanism"}


def npy(values, letter="f", size=4, version=1, order="False"):
    rows, columns = len(values), len(values[0])
    flat = [value for row in values for value in row]
    code = {("f", 4): "f", ("f", 8): "d", ("i", 4): "i", ("i", 8): "q"}[letter, size]
    header = (
        f"{{'descr': '<{letter}{size}', 'fortran_order': {order}, 'shape': ({rows}, {columns}), }}\n"
    ).encode()
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    content = struct.pack(f"<{len(flat)}{code}", *flat)
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + content


class Examples(ToolTest):
    def test_they_agree_with_the_reference(self):
        for name, case in (
            ("attention-mechanism", SEEDS["attention_mechanism"]),
            ("self-attention", SEEDS["self_attention"]),
            ("multi-head", SEEDS["multi_head_attention"]),
        ):
            outputs = self.run_json("--example", name)["outputs"]
            wanted = {key: case[key] for key in outputs}
            self.assertGreaterEqual(len(wanted), 2)
            for key, values in wanted.items():
                self.assert_near(outputs[key], values, 2e-6)
                self.assert_float32(outputs[key])

        case = SEEDS["size_loss_attention"]
        result = self.run_json()
        self.assertEqual(result, self.run_json("--example", "size-loss"))
        self.assertEqual(list(result), ["outputs", "tokens"])
        self.assertEqual(result["tokens"], SENTENCE.split())
        outputs = result["outputs"]
        self.assert_near(outputs["attention_weights"], case["attention_weights_after"], 2e-6)
        self.assert_near(outputs["context_vector"], case["context_after"], 2e-6)

    def test_they_are_listed(self):
        lines = self.run_tool("--examples").splitlines()
        listed = json.loads(self.run_tool("--examples", "--json"))["examples"]
        names = ["attention-mechanism", "self-attention", "multi-head", "size-loss"]
        self.assertEqual([line.split()[0] for line in lines], names)
        self.assertEqual([example["name"] for example in listed], names)

    def test_the_ranking_is_the_first_thing_that_attn_run_tells(self):
        lines = self.run_tool().splitlines()
        ranking = [line for line in lines if line.startswith("Token: ")]
        self.assertEqual(ranking[0], "Token: car        Attention Weight: 0.9214")
        self.assertEqual(ranking[2], "Token: elephant   Attention Weight: 0.0122")
        self.assertIn("Combined weight for size-related words: 0.9728", lines)
        weights = [float(line.rsplit(" ", 1)[1]) for line in ranking]
        self.assertEqual(len(weights), len(SENTENCE.split()))
        self.assertEqual(weights, sorted(weights, reverse=True))
        self.assertEqual(len({line.index("Attention") for line in ranking}), 1)

    def test_tables_have_four_decimals(self):
        text = self.run_tool("--example", "self-attention")
        for row in (
            "x0  0.5065  0.1863  0.3072",
            "x1  0.1863  0.5065  0.3072",
            "x2  0.2741  0.2741  0.4519",
            "x0  0.8137  0.4935  0.5065  0.1863",
            "x1  0.4935  0.8137  0.1863  0.5065",
            "x2  0.7259  0.7259  0.2741  0.2741",
        ):
            self.assertIn("\n  " + row + "\n", text)
        self.assertNotIn("\x1b", text)

    def test_threads_do_not_change_a_bit(self):
        for name in ("attention-mechanism", "self-attention", "multi-head", "size-loss"):
            one = self.run_tool("--example", name, "--json", "-t", 1)
            for threads in (2, 3, 8):
                self.assertEqual(one, self.run_tool("--example", name, "--json", "-t", threads))


class Inputs(ToolTest):
    def test_every_way_of_giving_the_same_numbers(self):
        x = SEEDS["attention_mechanism"]["inputs"]
        model = self.file("model.bin", model_bytes(MECHANISM, WEIGHT))
        wanted = self.run_json("--example", "attention-mechanism")
        text = json.dumps(x)
        self.assertEqual(self.run_json(model, "--input", self.file("x.json", text)), wanted)
        self.assertEqual(self.run_json("-m", model, "-i", "-", stdin=text.encode()), wanted)
        named = self.file("named.json", json.dumps({"x": x}))
        self.assertEqual(self.run_json(model, "-i", named), wanted)
        for letter, size in (("f", 4), ("f", 8), ("i", 4), ("i", 8)):
            values = x if letter == "f" else [[int(value) for value in row] for row in x]
            for version in (1, 2):
                path = self.file("x.npy", npy(values, letter, size, version))
                self.assertEqual(self.run_json(model, "-i", path), wanted)

    def test_the_model_s_own_sample(self):
        x = SEEDS["attention_mechanism"]["inputs"]
        wanted = self.run_json("--example", "attention-mechanism")
        for sample in (x, {"x": x}):
            metadata = {**MECHANISM, "attn.sample_input": json.dumps(sample)}
            model = self.file("model.bin", model_bytes(metadata, WEIGHT))
            self.assertEqual(self.run_json(model), wanted)
        broken = {**MECHANISM, "attn.sample_input": "[[1, 2], [3]]"}
        line = self.refused(3, RUN, self.file("broken.bin", model_bytes(broken, WEIGHT)))
        self.assertIn("attn.sample_input: x[1] has length 1", line)

    def test_sentences_and_token_ids(self):
        by_words = self.run_json("--sentence", "the car was too")
        self.assertEqual(by_words["tokens"], ["the", "car", "was", "too"])
        by_ids = self.run_json("-i", "-", stdin=b"[7, 8, 11, 12]")
        self.assertEqual(by_words, by_ids)
        self.assertIn("'giraffe'", self.quotes(self.refused(3, RUN, "-s", "the giraffe")))
        self.refused(3, RUN, "-s", "  ")
        self.refused(3, RUN, "-i", "-", stdin=b"[7, 13]")
        self.refused(3, RUN, "-i", "-", stdin=b"[7, -1]")
        self.refused(3, RUN, "-i", "-", stdin=b"[7.5]")
        self.refused(2, RUN, "--example", "self-attention", "-s", "the car")

    @staticmethod
    def quotes(line):
        return line.replace('"', "'")

    def test_what_does_not_fit_is_refused_in_one_line(self):
        model = self.file("model.bin", model_bytes(MECHANISM, WEIGHT))
        for content, words in (
            ("[[1, 2, 3], [4, 5]]", "x[1] has length 2"),
            ("[[1, 2, \"3\"]]", 'x[0][2] is the string "3"'),
            ("[[1, 2, NaN]]", "NaN"),
            ("[]", "empty list"),
            ("", "is empty"),
            ("[" * 1000 + "]" * 1000, "deeper"),
            ('{"y": [[1, 2, 3]]}', 'unknown input "y"; the model takes x'),
            ("{}", "input 'x' is missing"),
            ("[[1, 2, 3]", "ends too early"),
            ("[1, 2, 3]", ""),
            ("[[1, 2]]", "2"),
            ("[[[[1, 2, 3]]]]", ""),
        ):
            path = self.file("in.json", content)
            line = self.refused(3, RUN, model, "-i", path)
            self.assertIn(path + ": ", line)
            self.assertIn(words, line)
        fortran = self.file("x.npy", npy([[1, 2, 3]], order="True"))
        self.assertIn("fortran_order", self.refused(3, RUN, model, "-i", fortran))
        self.refused(4, RUN, model, "-i", "missing.json")
        self.refused(4, RUN, model, "-i", str(self.folder))
        self.assertIn("x (n × 3)", self.refused(2, RUN, model))

    def test_outputs_that_are_no_numbers_are_a_numerical_failure(self):
        weights = {"weight": [[float("nan"), 1.0]]}
        nan = self.file("nan.bin", model_bytes(MECHANISM, weights))
        self.refused(6, RUN, nan, "-i", "-", stdin=b"[[1], [2]]")
        self.refused(3, RUN, nan, "--verify", "-i", "-", stdin=b"[[1], [2]]")


class Pictures(ToolTest):
    def test_each_kind_of_file(self):
        for name in ("attention-mechanism", "self-attention", "multi-head", "size-loss"):
            for kind in ("png", "svg", "html", "json"):
                path = self.folder / f"{name}.{kind}"
                self.run_tool("--example", name, "--attention", path)
                content = path.read_bytes()
                if kind == "png":
                    self.assertTrue(content.startswith(b"\x89PNG\r\n"))
                elif kind == "svg":
                    self.assertTrue(xml.etree.ElementTree.fromstring(content).tag.endswith("svg"))
                elif kind == "html":
                    self.assertTrue(content.lower().startswith(b"<!doctype html"))
        picture = json.loads((self.folder / "multi-head.json").read_text())
        self.assertEqual([m["title"] for m in picture["maps"]], ["head 0", "head 1"])
        self.assertEqual(picture["rows"], ["x0", "x1", "x2"])
        self.assertEqual(
            [m["weights"] for m in picture["maps"]],
            self.run_json("--example", "multi-head")["outputs"]["attention_weights"],
        )
        picture = json.loads((self.folder / "size-loss.json").read_text())
        self.assertEqual(picture["columns"], SENTENCE.split())
        self.assertEqual(picture["rows"], ["too"])

    def test_bad_targets(self):
        self.refused(2, RUN, "--attention", "picture.gif")
        self.refused(2, RUN, "--attention", "picture")
        self.refused(4, RUN, "--attention", "no/such/folder.png")
        os.mkdir(self.folder / "folder.png")
        self.refused(4, RUN, "--attention", "folder.png")
        self.assertEqual(os.listdir(self.folder), ["folder.png"])

    def test_batches(self):
        x = SEEDS["multi_head_attention"]["inputs"]
        y = [row[::-1] for row in x]
        path = self.folder / "a.json"
        both = self.run_json(
            "--example", "multi-head", "-a", path, "-i", "-", stdin=json.dumps([x, y]).encode()
        )["outputs"]
        alone = self.run_json("--example", "multi-head")["outputs"]
        self.assertEqual(both["output"][0], alone["output"])
        self.assertEqual(both["attention_weights"][0], alone["attention_weights"])
        titles = [m["title"] for m in json.loads(path.read_text())["maps"]]
        self.assertEqual(titles[0], "sequence 0, head 0")
        self.assertEqual(titles[3], "sequence 1, head 1")


class Facts(ToolTest):
    def test_profile(self):
        text = self.run_tool("--example", "multi-head", "--profile", "-t", 1)
        table = text[text.index("\nprofile") :].splitlines()[2:]
        self.assertEqual(table[0].split(), ["op", "shape", "ISA", "implementation", "calls", "µs", "share"])
        self.assertGreater(len(table), 3)
        result = self.run_json("--example", "multi-head", "--profile", "-t", 1)
        self.assertGreater(len(result["profile"]), 1)
        for op in result["profile"]:
            self.assertEqual(
                list(op),
                ["op", "shape", "isa", "implementation", "calls", "seconds", "share"],
            )
            self.assertGreaterEqual(op["calls"], 1)
        self.assertAlmostEqual(sum(op["share"] for op in result["profile"]), 1, places=6)
        self.assertNotIn("profile", self.run_json("--example", "multi-head"))

    def test_info(self):
        text = self.run_tool("--example", "multi-head", "--info", env={"ATTN_ISA": "scalar"})
        for word in ("multi_head_attention", "q_proj.weight", "4 × 4", "attn.num_heads", "arena",
                     "scalar", "implementation"):
            self.assertIn(word, text)
        info = self.run_json("--example", "multi-head", "--info", env={"ATTN_ISA": "scalar"})
        self.assertEqual(info["architecture"], "multi_head_attention")
        self.assertEqual(info["parameter_count"], 4 * 16 + 4)
        self.assertEqual(info["isa"], "scalar")
        self.assertEqual(len(info["tensors"]), 5)
        self.assertGreater(len(info["graph"]), 3)
        self.assertGreater(info["memory"]["weights"], 0)
        self.refused(2, RUN, "--info", env={"ATTN_ISA": "sse9"})

    def test_help_and_version(self):
        self.assertRegex(self.run_tool("--version"), r"^attn-run \d+\.\d+\.\d+\n$")
        text = self.run_tool("--help")
        for option in ("--input", "--sentence", "--json", "--threads", "--attention", "--profile",
                       "--info", "--verify", "--example", "--examples", "--version", "--help"):
            self.assertIn(option, text)
        self.assertLessEqual(max(map(len, text.splitlines())), 120)


class Streams(ToolTest):
    def test_wrong_use(self):
        model = self.file("model.bin", size_loss_model(SEEDS["size_loss_attention"]["final"]))
        for arguments in (
            ["--nonsense"],
            ["--threads"],
            ["--threads", "0"],
            ["--threads", "1025"],
            ["--threads", "-1"],
            ["--threads", "abc"],
            ["-t", "99999999999999999999"],
            ["-t", "nan"],
            ["--example", "nonsense"],
            ["--example", "size-loss", model],
            ["-s", "too", "-i", "x.json"],
            [model, "another.bin"],
        ):
            self.refused(2, RUN, *arguments)

    def test_results_that_cannot_be_written(self):
        def lines(arguments, stdout, **options):
            done = subprocess.run([RUN, *arguments], stdout=stdout, stderr=subprocess.PIPE,
                                  timeout=60, **options)
            self.assertEqual(done.returncode, 4, done.stderr)
            self.assertEqual(done.stderr.count(b"\n"), 1, done.stderr)

        for arguments in ([], ["--json"], ["--info"], ["--help"], ["--version"], ["--examples"]):
            with open("/dev/full", "wb") as full:
                lines(arguments, full)
            reader, writer = os.pipe()
            os.close(reader)
            lines(arguments, writer)
            os.close(writer)
        lines([], None, preexec_fn=lambda: os.close(1))
        # a file that is opened later must not take the place of the closed stdout
        lines(["-a", str(self.folder / "a.json")], None, preexec_fn=lambda: os.close(1))
        json.loads((self.folder / "a.json").read_text())

    def test_stderr_may_be_closed(self):
        done = subprocess.run([RUN, "--nonsense"], stdout=subprocess.PIPE, timeout=60,
                              preexec_fn=lambda: os.close(2))
        self.assertEqual(done.returncode, 2)
        self.assertEqual(done.stdout, b"")


if __name__ == "__main__":
    unittest.main()
