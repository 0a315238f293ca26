"""Manual pages, completion, and the Debian packages that cpack makes."""

import os
import pathlib
import re
import shutil
import unittest

from install_support import BUILD, TOOLS, Installed, done

OPTION = re.compile(r"(?m)^  (-\S+)(?: \S+)*(?:  |$)")


class PackageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tree = Installed()

    @classmethod
    def tearDownClass(cls):
        cls.tree.close()

    def options(self, tool):
        """What --help lists."""
        text = done([self.tree.prefix / "bin" / tool, "--help"])[0]
        return {name for names in OPTION.findall(text) for name in names.split(",")}

    def complete(self, tool, *words):
        """What bash offers when these words stand after the tool."""
        script = self.tree.prefix / "share" / "bash-completion" / "completions" / tool
        program = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
                   '$(complete -p "${1##*/}" | sed "s/.* -F \\([^ ]*\\).*/\\1/") "$1" "${!#}"; '
                   'printf "%s\\n" "${COMPREPLY[@]}"')
        out, err = done(["bash", "-c", program, "bash", script, self.tree.prefix / "bin" / tool, *words],
                        cwd=self.tree.folder)
        self.assertEqual(err, "")
        return set(out.split("\n")) - {""}

    def test_completion_offers_every_option_and_no_other(self):
        for tool in TOOLS:
            options = self.options(tool)
            self.assertGreater(len(options), 8)
            self.assertEqual(self.complete(tool, "-"), options)
            for option in options:
                if option in ("-h", "--help", "--version"):
                    continue
                # beside one that is wrong, so that nothing runs; only that one is complained of
                _, err = done([self.tree.prefix / "bin" / tool, "--no-such-option", option, "x"], code=2)
                self.assertNotRegex(err, rf"not expected:.* {option}\b")
        self.assertEqual(self.complete("attn-run", "model.bin", "--top"),
                         {"--top-k", "--top-p", "--top-logits"})

    def test_completion_offers_files_folders_or_nothing(self):
        self.tree.file("place/models/a.bin", "")
        self.tree.file("place/mine.gguf", "")
        every = {"place/models", "place/mine.gguf"}
        self.assertEqual(self.complete("attn-run", "place/m"), every)
        self.assertEqual(self.complete("attn-convert", "x.gguf", "-o", "place/m"), every)
        self.assertEqual(self.complete("attn-run", "x.gguf", "--lora", "place/m"), {"place/models"})
        self.assertEqual(self.complete("attn-run", "--threads", ""), set())
        self.assertEqual(self.complete("attn-run", "--json", "place/m"), every)

    def test_the_manual_pages_have_what_help_prints(self):
        if shutil.which("help2man") is None and "CI" not in os.environ:
            self.skipTest("help2man is not here")
        for tool in TOOLS:
            page = self.tree.prefix / "share" / "man" / "man1" / f"{tool}.1"
            text = re.sub(r"\\f.|\\&", "", page.read_text(encoding="utf-8")).replace("\\-", "-")
            self.assertIn(".SH NAME", text)
            self.assertIn("Exit codes", text)
            for option in self.options(tool):
                self.assertRegex(text, rf"(?m){option}(?![\w-])", f"{page}: no {option}")

    def test_debian_packages(self):
        if shutil.which("dpkg-shlibdeps") is None and "CI" not in os.environ:
            self.skipTest("dpkg-dev is not here")
        out = self.tree.folder / "packages"
        done([os.environ["CPACK"], "-G", "DEB", "-B", out, "--config",
              pathlib.Path(BUILD, "CPackConfig.cmake")], cwd=self.tree.folder)
        found = {}
        for path in out.glob("*.deb"):
            field = lambda name: done(["dpkg-deb", "-f", path, name])[0].strip()  # noqa: E731
            found[field("Package")] = (path, field("Version"), field("Depends"))
        version = done([self.tree.run, "--version"])[0].split()[1]
        library = next(name for name in found if name.startswith("libattn0") or name == "libattn1")
        self.assertEqual(set(found), {library, "libattn-dev", "attn", "attn-bench"})
        self.assertEqual({each[1] for each in found.values()}, {version})
        for needed in ("libc6", "libstdc++6", "libxxhash0", "libutf8proc2"):
            self.assertIn(needed, found[library][2])
        self.assertEqual(found["libattn-dev"][2], f"{library} (= {version})")
        self.assertIn("libcairo2", found["attn"][2])
        self.assertIn("libbenchmark", found["attn-bench"][2])

        root = self.tree.folder / "root"
        for path, _, _ in found.values():
            done(["dpkg-deb", "-x", path, root])
        files = lambda folder: {str(path.relative_to(folder)) for path in folder.rglob("*")  # noqa: E731
                                if not path.is_dir()}
        self.assertEqual(files(root / "usr"), files(self.tree.prefix))
        for name in found:
            documents = {path.name for path in (root / "usr" / "share" / "doc" / name).rglob("*")}
            self.assertLess({"LICENSE", "libxsimd-dev", "nlohmann-json3-dev"}, documents)
        shared = root / "usr" / "lib" / f"libattn.so.{version}"
        self.assertNotIn(".symtab", done(["readelf", "-S", "-W", shared])[0])
        self.assertIn("0.9728", done([root / "usr" / "bin" / "attn-run"])[0])


if __name__ == "__main__":
    unittest.main()
