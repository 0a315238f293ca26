"""Every example in C, built against the installed tree by the compiler alone, and run."""

import re
import unittest

from install_support import SOURCE, Installed, done

SOURCES = {path.stem: path for path in (SOURCE / "examples" / "c").glob("*.c")}


class CExamples(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tree = Installed()
        cls.programs = {name: cls.tree.build_with_pkg_config(path, name) for name, path in SOURCES.items()}

    @classmethod
    def tearDownClass(cls):
        cls.tree.close()

    def run_it(self, name, *arguments, code=0):
        return done([self.programs[name], *arguments], code, env=self.tree.environment)

    def test_there_is_a_test_for_every_one(self):
        tested = {name.removeprefix("test_it_") for name in dir(self) if name.startswith("test_it_")}
        self.assertEqual(tested, set(SOURCES))

    def test_it_hello(self):
        version = done([self.tree.run, "--version"])[0].split()[1]
        out, _ = self.run_it("hello", self.tree.text_model("llama"), "the cat")
        wanted, _ = done([self.tree.run, self.tree.text_model("llama"), "-p", "the cat", "-n", 24, "--temp", 0])
        self.assertTrue(out.startswith(f"attn {version}: llama, "), out)
        self.assertIn(wanted.rstrip("\n"), out)
        out, _ = self.run_it("hello", self.tree.text_model("bert"), "the cat")
        self.assertRegex(out, r"\d tokens, 64 numbers: .* length 1\.0000")
        _, err = self.run_it("hello", "no/such/model", code=4)
        self.assertIn("no/such/model", err)

    def test_it_host_pool(self):
        out, err = self.run_it("host_pool", self.tree.text_model("llama"))
        self.assertEqual(err, "")
        self.assertRegex(out, r"16 tokens, the same on both pools: yes; the host's pool has worked")

    def test_it_two_models(self):
        out, _ = self.run_it("two_models", self.tree.text_model("llama"))
        rows = [line.split() for line in out.splitlines()[:2]]
        self.assertEqual([len(row) for row in rows], [12, 12])
        self.assertNotEqual(rows[0], rows[1])
        self.assertTrue(re.search("one after the other: yes", out))


if __name__ == "__main__":
    unittest.main()
