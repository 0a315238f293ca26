"""Every example built against the installed tree, by CMake's package and by pkg-config, and run."""

import concurrent.futures
import json
import os
import unittest
import xml.etree.ElementTree

from install_support import SOURCE, Installed, done

EXAMPLES = SOURCE / "examples"
CORPUS = "the pink elephant looked at the small mouse and the cat was in the house . " * 12

tree = None
programs = {}  # name -> the same program, built in each way


def setUpModule():
    global tree
    tree = Installed()
    jobs = []
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for main in sorted(EXAMPLES.glob("*/main.cpp")):
            name = main.parent.name
            jobs.append((name, pool.submit(tree.build_with_cmake, main.parent, name)))
            jobs.append((name, pool.submit(tree.build_with_pkg_config, main, name)))
    for name, job in jobs:
        programs.setdefault(name, []).append(job.result())


def tearDownModule():
    tree.close()


class ExampleTest(unittest.TestCase):
    def each(self, name, *arguments, code=0, stdin=""):
        """(stdout, stderr) of the example as each way of building gave it."""
        self.assertEqual(len(programs[name]), 2)
        return [done([program, *arguments], code, input=stdin, env=tree.environment, cwd=tree.folder)
                for program in programs[name]]

    def tool(self, *arguments, stdin=""):
        return done([tree.run, *arguments], input=stdin, cwd=tree.folder)[0]


class Examples(ExampleTest):
    def test_there_is_a_test_for_every_one(self):
        tested = {name.removeprefix("test_it_") for name in dir(self) if name.startswith("test_it_")}
        self.assertEqual(tested, set(programs))

    def test_it_embed(self):
        lines = ["the cat looked at the mouse", "a model learns", "the cat looked at the mouse"]
        told = json.loads(self.tool(tree.text_model("bert"), "--similarity", "--json", "-f", "-",
                                    stdin="".join(json.dumps(line) + "\n" for line in lines)))
        wanted = [f"{told['similarity'][0][i]:.4f}  {line}" for i, line in enumerate(lines)]
        self.assertTrue(wanted[2].startswith("1.0000"))
        self.assertLess(told["similarity"][0][1], 0.9999)
        for out, _ in self.each("embed", tree.text_model("bert"), stdin="\n".join(lines)):
            self.assertEqual(out.splitlines(), wanted)

    def test_it_chat(self):
        questions = "what is the capital ?\nand the cat ?\n"
        wanted = self.tool(tree.text_model("llama"), "--chat", "-n", 8, stdin=questions)
        self.assertGreater(len(wanted), 8)
        for out, _ in self.each("chat", tree.text_model("llama"), 8, stdin=questions):
            self.assertEqual(out, wanted)

    def test_it_attention(self):
        text = "the cat & the mouse"
        tokens = json.loads(self.tool(tree.text_model("llama"), "--tokenize", "-p", text))["tokens"]
        count = len(tokens[0]) if isinstance(tokens[0], list) else len(tokens)
        self.assertGreater(count, 4)
        for out, _ in self.each("attention", tree.text_model("llama"), text, 1, 3):
            svg = xml.etree.ElementTree.fromstring(out)
            space = "{http://www.w3.org/2000/svg}"
            labels = [label.text for label in svg.iter(space + "text")][::2]
            self.assertEqual("".join(labels), text)
            cells = [float(cell.get("fill-opacity")) for cell in svg.iter(space + "rect")]
            self.assertEqual(len(cells), count * count)
            for query in range(count):
                row = cells[query * count : (query + 1) * count]
                self.assertAlmostEqual(sum(row), 1, places=4)
                self.assertEqual(set(row[query + 1 :]) - {0}, set())  # nobody looks ahead

    def test_it_tune(self):
        text = tree.file("corpus.txt", CORPUS)
        for out, _ in self.each("tune", tree.text_model("llama"), text, "adapter"):
            losses = [float(line.split()[-1]) for line in out.splitlines()[:-1]]
            self.assertGreaterEqual(len(losses), 5)
            self.assertLess(losses[-1], losses[0])
            self.assertRegex(out.splitlines()[-1], r"^[1-9]\d* numbers trained$")
            self.tool(tree.text_model("llama"), "-p", "the", "-n", 2, "--lora", "adapter")

    def test_errors_cross_from_the_library_with_their_kind(self):
        arguments = {"embed": (), "chat": (), "attention": ("text", 0, 0), "tune": ("text", "out")}
        self.assertEqual(set(arguments), set(programs))
        for name, rest in arguments.items():
            for out, err in self.each(name, "no/such/model", *rest, code=4):
                self.assertEqual(out, "")
                self.assertEqual(err.count("\n"), 1)
                self.assertIn("no/such/model", err)
            for _, err in self.each(name, code=2):
                self.assertIn("usage", err)


if __name__ == "__main__":
    unittest.main()
