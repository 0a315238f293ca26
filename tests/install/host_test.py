"""Ways into an application's build: the installed package, pkg-config, add_subdirectory, FetchContent."""

import json
import os
import unittest

from install_support import BUILD, SOURCE, WARNINGS, Installed, done

EMBED = SOURCE / "examples" / "embed" / "main.cpp"
MAIN = """#include <attn/attn.hpp>
int main() { return attn::Model::architectures().empty() ? 1 : 0; }
"""


class HostTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tree = Installed()

    @classmethod
    def tearDownClass(cls):
        cls.tree.close()

    def project(self, name, lines, main=MAIN, languages="CXX"):
        """A folder with a project of these lines of CMake around the program."""
        suffix = "c" if languages == "C" else "cpp"
        self.tree.file(f"{name}/main.{suffix}", main)
        listing = self.tree.file(
            f"{name}/CMakeLists.txt",
            f"cmake_minimum_required(VERSION 3.22)\nproject({name} LANGUAGES {languages})\n" + lines)
        return listing.parent

    def build(self, name, lines, **options):
        self.tree.build_with_cmake(self.project(name, lines, **options), name)
        return self.tree.folder / "cmake" / name / name

    def test_what_is_installed(self):
        prefix, library = self.tree.prefix, self.tree.library
        version = done([self.tree.run, "--version"])[0].split()[1]
        soname = ".".join(version.split(".")[:2] if version.startswith("0.") else version.split(".")[:1])
        self.assertEqual(os.readlink(library / "libattn.so"), f"libattn.so.{soname}")
        self.assertEqual(os.readlink(library / f"libattn.so.{soname}"), f"libattn.so.{version}")
        self.assertIn(f"[libattn.so.{soname}]", done(["readelf", "-d", library / "libattn.so"])[0])
        self.assertEqual(self.tree.pkg_config("--modversion", "attn"), [version])
        wanted = {path.name for path in (SOURCE / "include" / "attn").iterdir()}
        self.assertEqual({path.name for path in (prefix / "include" / "attn").iterdir()}, wanted)
        self.assertTrue(list((prefix / "share" / "doc").glob("*/LICENSE")))
        for path in [*library.glob("cmake/attn/*.cmake"), library / "pkgconfig" / "attn.pc"]:
            for place in (BUILD, str(SOURCE), str(self.tree.folder)):
                self.assertNotIn(place, path.read_text(encoding="utf-8"), path)

    def test_the_static_library_brings_what_it_needs(self):
        program = self.build("fixed", "find_package(attn REQUIRED COMPONENTS static)\n"
                             "add_executable(fixed main.cpp)\n"
                             "target_link_libraries(fixed PRIVATE attn::static)\n",
                             main=EMBED.read_text(encoding="utf-8"))
        flags = self.tree.pkg_config("--static", "--libs", "attn")
        flags = ["-l:libattn.a" if flag == "-lattn" else flag for flag in flags]
        other = self.tree.build_with_pkg_config(EMBED, "fixed", flags)
        for each in (program, other):
            self.assertFalse([name for name in self.tree.needed(each) if "attn" in name])
            out, _ = done([each, self.tree.text_model("bert")], input="the cat\nthe cat\n")
            self.assertEqual(out, "1.0000  the cat\n" * 2)

    def test_another_version_is_not_taken(self):
        lines = "".join(f"find_package(attn {version} QUIET)\nmessage(STATUS \"{version}: ${{attn_FOUND}}\")\n"
                        for version in ("0.1", "0.0", "0.2", "1.0", "99"))
        told = self.tree.configure(self.project("versions", lines), self.tree.folder / "cmake" / "versions")
        self.assertIn("0.1: 1", told)
        for other in ("0.0", "0.2", "1.0", "99"):
            self.assertIn(f"{other}: 0", told)

    def test_an_unknown_component_is_refused(self):
        lines = "find_package(attn COMPONENTS opengl)\nmessage(STATUS \"found: ${attn_FOUND}\")\n"
        source = self.project("component", lines)
        self.assertIn("found: 0", self.tree.configure(source, self.tree.folder / "cmake" / "component"))

    def test_a_library_that_the_static_one_needs_is_missed_by_name(self):
        lines = ("set(CMAKE_FIND_USE_CMAKE_SYSTEM_PATH OFF)\n"
                 "set(CMAKE_FIND_USE_SYSTEM_ENVIRONMENT_PATH OFF)\n"
                 "set(CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES)\nset(CMAKE_C_IMPLICIT_LINK_DIRECTORIES)\n"
                 "find_package(attn COMPONENTS static)\nmessage(STATUS \"found: ${attn_FOUND}\")\n")
        told = self.tree.configure(self.project("missing", lines), self.tree.folder / "cmake" / "missing")
        self.assertIn("libattn.a needs the library xxhash", told)
        self.assertIn("found: 0", told)

    def test_a_project_of_c_alone_finds_the_package(self):
        program = self.build("plain", "find_package(attn REQUIRED COMPONENTS static)\n"
                             "add_executable(plain main.c)\n"
                             "target_link_libraries(plain PRIVATE attn::attn)\n", languages="C",
                             main="#include <attn/export.h>\nATTN_API int main(void) { return 0; }\n")
        done([program], env=self.tree.environment)

    def as_a_part(self, name, lines):
        """The command that compiles main.cpp in a host that has our sources as a part."""
        source = self.project(name, lines + "add_executable(host main.cpp)\n"
                              "target_link_libraries(host PRIVATE attn::attn)\n"
                              "if(CMAKE_BUILD_TYPE)\n"
                              "  message(FATAL_ERROR \"a guest chose the build type\")\nendif()\n")
        build = self.tree.folder / "cmake" / name
        self.tree.configure(source, build, "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON",
                            f"-DCMAKE_CXX_FLAGS={WARNINGS}", "-DCMAKE_DISABLE_FIND_PACKAGE_attn=ON")
        commands = json.loads((build / "compile_commands.json").read_text(encoding="utf-8"))
        sources = [command["file"] for command in commands]
        for part in ("tools", "tests", "bench"):
            self.assertFalse([path for path in sources if path.startswith(f"{SOURCE}/{part}/")])
        # the library is built for the host, and nothing besides
        planned = (build / "build.ninja").read_text(encoding="utf-8")
        self.assertRegex(planned, r"(?m)^build host: .*libattn\.a")
        self.assertNotIn("libattn", next(line for line in planned.splitlines()
                                         if line.startswith("build all: phony")))
        own = next(command["command"] for command in commands
                   if command["file"].startswith(str(source)))
        self.assertIn(f"{SOURCE}/include", own)
        self.assertRegex(own, r"-std=(c|gnu)\+\+20")
        for flag in ("-ffp-contract", "-fvisibility", f"-I{SOURCE} "):
            self.assertNotIn(flag, own)

    def test_add_subdirectory(self):
        self.as_a_part("added", f"add_subdirectory({SOURCE} attn)\n")

    def test_fetch_content(self):
        self.as_a_part("fetched", "include(FetchContent)\n"
                       f"set(FETCHCONTENT_SOURCE_DIR_ATTN {SOURCE})\n"
                       "FetchContent_Declare(attn URL https://example.invalid/attn.tar.gz)\n"
                       "FetchContent_MakeAvailable(attn)\n")


if __name__ == "__main__":
    unittest.main()
