"""Files stay short, hold no notes to self, and headers guard themselves."""

import re
import sys

import house

MAX_LINES = 500
SOURCES = (".cpp", ".hpp", ".h", ".c", ".py", ".cmake", ".sh", "CMakeLists.txt", "tools/dev")
PROSE = (".md",)
# spelt in parts, so that this file passes its own check
NOTE = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX")) + r")\b")
FOLDERS = house.ROOMS + ("cmake", "docs", "examples", "packaging", ".ci")


def tree(root):
    top = [path for path in root.iterdir() if path.is_file()]
    return sorted(top) + house.files(root, "", FOLDERS)


def check(root):
    violations = []
    for path in tree(root):
        name = path.relative_to(root).as_posix()
        source = name.endswith(SOURCES) or name.startswith(".ci/")
        if not source and not name.endswith(PROSE):
            continue
        lines = house.read(path).splitlines()
        if source and len(lines) > MAX_LINES:
            violations.append(f"{name}: {len(lines)} lines, more than {MAX_LINES}")
        for number, line in enumerate(lines, 1):
            if NOTE.search(line):
                violations.append(f"{name}:{number}: a note to self: {line.strip()}")
        if name.endswith(".hpp") and "#pragma once" not in lines:
            violations.append(f"{name}: a header without #pragma once")
    return violations


def self_test():
    clean = {
        "CMakeLists.txt": "project(x)\n",
        "README.md": "long\n" * (MAX_LINES + 1),
        "kernels/a.cpp": "int a;\n" * MAX_LINES,
        "kernels/a.hpp": "#pragma once\n",
        "tests/data/a.json": '{"' + "TO" + 'DO": 1}\n',
    }
    planted = [
        ("a long file", {"kernels/b.cpp": "int b;\n" * (MAX_LINES + 1)}, "501 lines"),
        ("a long script", {"tools/dev": "true\n" * (MAX_LINES + 1)}, "501 lines"),
        ("a note in a source", {"kernels/b.cpp": "// TO" "DO: later\n"}, "b.cpp:1: a note"),
        ("a note in the build", {"cmake/b.cmake": "\n# FIX" "ME\n"}, "b.cmake:2: a note"),
        ("a note in the docs", {"docs/b.md": "X" "XX\n"}, "docs/b.md:1: a note"),
        ("no guard", {"kernels/b.hpp": "int b();\n"}, "#pragma once"),
    ]
    house.self_test(check, clean, planted)


if __name__ == "__main__":
    if sys.argv[1:] == ["--self-test"]:
        self_test()
    house.report(check(house.ROOT))
