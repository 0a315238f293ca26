"""What libattn.so shows to those who link it: every name that a public header marks with ATTN_API, and no
other, so that nothing of ours, or of the libraries that we use, meets a name of the application.

usage: exports.py LIBRARY | exports.py --self-test COMPILER
NM in the environment names the nm to use.
"""

import os
import pathlib
import re
import subprocess
import sys

import house

NM = os.environ.get("NM", "nm")

NO_CODE = re.compile(r"//[^\n]*|/\*.*?\*/|^\s*#[^\n]*", re.DOTALL | re.MULTILINE)
CLASS = re.compile(r"\b(?:class|struct)\s+ATTN_API\s+(\w+)")
FUNCTION = re.compile(r"\bATTN_API\b[^;{}()]*?\b(\w+)\s*\(")
# a class brings these besides its members
OF_CLASS = re.compile(r"(typeinfo for|typeinfo name for|vtable for) attn::(\w+)$")
# attn::Model::open(...), attn::tune(...); with a tag where a standard string is returned
CXX_NAME = re.compile(r"attn::(\w+)(?:::(~?\w+|operator[^\w\s(]+))?(\[abi:\w+\])*(\(|$)")
C_NAME = re.compile(r"attn_\w+$")


def declared(folder):
    """(classes, functions) that the headers mark."""
    classes, functions = set(), set()
    for path in sorted(folder.glob("*.h*")):
        text = NO_CODE.sub("", house.read(path))
        classes.update(CLASS.findall(text))
        functions.update(FUNCTION.findall(CLASS.sub("", text)))
    return classes, functions


def exported(library):
    output = subprocess.run([NM, "-D", "-C", "--defined-only", "--without-symbol-versions", str(library)],
                            check=True, text=True, capture_output=True).stdout
    for line in output.splitlines():
        kind, name = line[17:].split(" ", 1)
        if kind != "A":  # the version itself
            yield name


def owner(name):
    """The class or function that a symbol belongs to; None if it is of neither prefix."""
    of_class = OF_CLASS.match(name)
    if of_class:
        return of_class.group(2)
    match = CXX_NAME.match(name)
    if match:
        return match.group(1)
    return name if C_NAME.match(name) else None


def check(folder, library):
    classes, functions = declared(folder)
    seen, violations = set(), []
    for name in exported(library):
        if owner(name) in classes | functions:
            seen.add(owner(name))
        else:
            violations.append(f"{library}: shows what no public header marks: {name}")
    for name in sorted((classes | functions) - seen):
        violations.append(f"{library}: does not show {name}")
    return violations


def self_test(compiler):
    header = """
#define ATTN_API __attribute__((visibility("default")))
namespace attn {
class ATTN_API Thing : public Base {  // ATTN_API in a comment(
 public:
  class Impl;
  int size() const;
};
ATTN_API int tune(Thing& thing, int x = 1);
}
extern "C" ATTN_API int attn_open(const char* path);
"""
    base = "struct Base { virtual ~Base() = default; };\n"
    right = ("int attn::Thing::size() const { return 1; }\n"
             "int attn::tune(Thing&, int) { return 1; }\n"
             "int attn_open(const char*) { return 1; }\n")
    shown = '__attribute__((visibility("default")))'
    planted = [
        ("nothing wrong", right, None),
        ("a function without a definition", right.replace("attn::tune(Thing&, int)", "tuned(int)"), "tune"),
        ("a name outside", right + f"{shown} int helper() {{ return 1; }}\n", "helper"),
        ("a C name that no header has", right + f'extern "C" {shown} int attn_close() {{ return 1; }}\n',
         "attn_close"),
        ("a nested class", right + "class attn::Thing::Impl { public: int f(); };\n"
         "int attn::Thing::Impl::f() { return 1; }\n", "Thing::Impl::f"),
        ("a template of the standard library", "#include <vector>\n#include <string>\n" + right
         + f"template class {shown} std::vector<std::string>;\n", "std::vector"),
        ("an inner namespace", right + f"namespace attn::kernels {{ {shown} int f() {{ return 1; }} }}\n",
         "attn::kernels::f"),
    ]
    failures = []
    with house.plant({"include/x.hpp": header}) as name:
        folder = pathlib.Path(name)
        for what, text, word in planted:
            source, library = folder / "x.cpp", folder / "x.so"
            includes = "".join(line + "\n" for line in text.splitlines() if line.startswith("#"))
            code = text.replace(includes, "")
            source.write_text(includes + base + '#include "include/x.hpp"\n' + code, encoding="utf-8")
            subprocess.run([*compiler, "-std=c++20", "-shared", "-fPIC", "-fvisibility=hidden",
                            "-fvisibility-inlines-hidden", str(source), "-o", str(library)], check=True)
            violations = check(folder / "include", library)
            if word is None and violations:
                failures.append(f"{what}: found {violations}")
            if word is not None and not any(word in violation for violation in violations):
                failures.append(f"{what}: wanted a violation with '{word}', got {violations}")
    house.report(failures)


if __name__ == "__main__":
    if sys.argv[1] == "--self-test":
        self_test(sys.argv[2:])
    house.report(check(house.ROOT / "include" / "attn", sys.argv[1]))
