"""Every header compiles alone. One that a .cpp includes before anything else is shown to by the build
already; the others are compiled here.

usage: headers.py COMPILER [FLAGS...] | headers.py --self-test COMPILER
"""

import concurrent.futures
import os
import re
import subprocess
import sys

import house

INCLUDE = re.compile(r'^\s*#\s*include\s*["<]([^">]+)[">]', re.MULTILINE)
# headers behind kernels/simd.hpp belong to an ISA level; one of them will do here
LEVEL = ("-DATTN_ISA_NS=avx2", "-DATTN_ISA_avx2", "-mavx2", "-mfma", "-mf16c", "-mbmi2")


def find(root, target):
    for base in (root, root / "include", root / "tests"):
        if (base / target).is_file():
            return base / target
    return None


def behind_level(root, path, seen):
    """True if the header is kernels/simd.hpp or includes it, directly or not."""
    if path in seen:
        return False
    seen.add(path)
    if path == root / "kernels" / "simd.hpp":
        return True
    found = (find(root, target) for target in INCLUDE.findall(house.read(path)))
    return any(behind_level(root, other, seen) for other in found if other)


def shown_by_build(root):
    first = set()
    for path in house.files(root, (".cpp",)):
        match = INCLUDE.search(house.read(path))
        if match:
            first.add(find(root, match.group(1)))
    return first


def compile_alone(root, compiler, path):
    name = path.relative_to(root).as_posix()
    flags = LEVEL if behind_level(root, path, set()) else ()
    command = [*compiler, "-std=c++20", "-fsyntax-only", "-x", "c++", *flags,
               f"-I{root}", f"-I{root}/include", f"-I{root}/tests", "-"]
    result = subprocess.run(command, input=f'#include "{path}"\n', text=True, capture_output=True)
    if result.returncode == 0:
        return None
    errors = [line for line in result.stderr.splitlines() if "error:" in line]
    return f"{name}: does not compile alone: {errors[0] if errors else result.stderr}"


def check(root, compiler):
    shown = shown_by_build(root)
    headers = [path for path in house.files(root, (".hpp",)) if path not in shown]
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        results = pool.map(lambda path: compile_alone(root, compiler, path), headers)
        return [violation for violation in results if violation]


def self_test(compiler):
    clean = {
        "kernels/a.hpp": "#pragma once\n#include <cstddef>\ninline std::size_t a() { return 1; }\n",
        # wrong alone, but what the build sees is not compiled again here
        "kernels/b.hpp": "#pragma once\nstd::size_t b();\n",
        "kernels/b.cpp": '#include "kernels/b.hpp"\n',
        "kernels/simd.hpp": "#ifndef ATTN_ISA_NS\n#error\n#endif\n#ifndef __AVX2__\n#error\n#endif\n",
        "kernels/lanes.hpp": '#include "kernels/simd.hpp"\n',
    }
    planted = [
        ("a type without its header", {"runtime/x.hpp": "std::size_t x();\n"}, "runtime/x.hpp"),
        ("one that comes after another include",
         {"runtime/x.hpp": "std::size_t x();\n",
          "runtime/x.cpp": '#include <cstddef>\n#include "runtime/x.hpp"\n'}, "runtime/x.hpp"),
    ]
    house.self_test(lambda root: check(root, compiler), clean, planted)


if __name__ == "__main__":
    if sys.argv[1] == "--self-test":
        self_test(sys.argv[2:])
    house.report(check(house.ROOT, sys.argv[1:]))
