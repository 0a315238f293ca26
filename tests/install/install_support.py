"""What the tests of the installed tree share: installing, building against it, models to run."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

SOURCE = pathlib.Path(os.environ["ATTN_SOURCE"])
BUILD = os.environ["ATTN_BUILD"]
CMAKE = os.environ["CMAKE"]
DATA = SOURCE / "tests" / "data"
TOOLS = ("attn-run", "attn-tune", "attn-convert", "attn-bench")
# an embedder's own warnings do not stop at our headers
WARNINGS = "-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror"


def done(command, code=0, **options):
    """(stdout, stderr) of a command that ends with this code."""
    result = subprocess.run(list(map(str, command)), text=True, capture_output=True, timeout=240,
                            **options)
    if result.returncode != code:
        raise AssertionError(f"{' '.join(map(str, command))}: {result.returncode}\n{result.stdout}"
                             f"{result.stderr}")
    return result.stdout, result.stderr


class Installed:
    """A temporary folder with the installed tree in `prefix`. It was moved there: no file of it may
    know where it was put first."""

    def __init__(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.temporary.name)
        first, self.prefix = self.folder / "first", self.folder / "prefix"
        done([CMAKE, "--install", BUILD, "--prefix", first])
        first.rename(self.prefix)
        self.library = next(self.prefix.glob("lib*/libattn.so")).parent
        self.run = self.prefix / "bin" / "attn-run"
        self.environment = {**os.environ, "LD_LIBRARY_PATH": str(self.library),
                            "PKG_CONFIG_PATH": str(self.library / "pkgconfig")}

    def close(self):
        self.temporary.cleanup()

    def file(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def text_model(self, name):
        """The tiny model of that name in a folder of its own together with a tokenizer."""
        folder = self.folder / f"{name}-text"
        if not folder.exists():
            shutil.copytree(DATA / f"tiny-{name}", folder)
            shutil.copytree(DATA / "tiny-text" / name, folder, dirs_exist_ok=True)
        return folder

    def pkg_config(self, *arguments):
        return done([os.environ["PKG_CONFIG"], *arguments], env=self.environment)[0].split()

    def configure(self, source, build, *arguments, generator="Ninja"):
        """What CMake said about a project that finds us in the prefix, if anywhere."""
        out, err = done([CMAKE, "-S", source, "-B", build, "-G", generator,
                         f"-DCMAKE_PREFIX_PATH={self.prefix}", *arguments])
        return out + err

    def build_with_cmake(self, source, name):
        build = self.folder / "cmake" / name
        self.configure(source, build, f"-DCMAKE_CXX_FLAGS={WARNINGS}")
        done([CMAKE, "--build", build])
        return build / name

    def build_with_pkg_config(self, source, name, libraries=None):
        """C++ or C by the file's name, with the compiler alone."""
        program = self.folder / "pkg-config" / name
        program.parent.mkdir(exist_ok=True)
        if source.suffix == ".c":  # where -Wconversion has a word on every int that becomes a size_t
            compiler = [os.environ["CC"], "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-pthread"]
        else:
            compiler = [os.environ["CXX"], "-std=c++20", *WARNINGS.split()]
        done([*compiler, *self.pkg_config("--cflags", "attn"), source, "-o", program,
              *(libraries or self.pkg_config("--libs", "attn"))])
        return program

    def needed(self, program):
        """Names of the shared libraries that a program asks for itself."""
        out = done(["readelf", "-d", program])[0]
        return re.findall(r"\(NEEDED\).*\[(.+)\]", out)
