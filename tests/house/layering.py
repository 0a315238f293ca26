"""Includes go one way: tools, bindings -> models -> runtime -> kernels; a library that a room may use
is used there and nowhere else; OpenMP stands in one file, but for where a peer is told how
many threads to take."""

import re
import sys

import house

# room -> the rooms its files may include from. Listed, not derived: the arrows are the design.
MAY_INCLUDE = {
    "include": (),
    "kernels": ("kernels",),
    "runtime": ("runtime", "kernels"),
    "models": ("models", "runtime", "kernels"),
    "tools": ("tools", "models", "runtime", "kernels"),
    "bindings": ("bindings", "models", "runtime", "kernels"),
    "python": ("python",),  # and the facade
    "bench": ("bench", "tools", "models", "runtime", "kernels"),
    # a room's tests see what the room sees, and what tests share
    "tests/kernels": ("tests/kernels", "tests/support", "kernels"),
    "tests/numerics": ("tests/numerics", "tests/kernels", "tests/support", "kernels"),
    "tests/runtime": ("tests/runtime", "tests/support", "runtime", "kernels"),
    "tests/models": ("tests/models", "tests/support", "models", "runtime", "kernels"),
    "tests/tools": ("tests/tools", "tests/support", "tools", "models", "runtime", "kernels"),
    "tests/bindings": ("tests/bindings", "tests/support", "bindings", "models", "runtime", "kernels"),
    "tests/fuzz": ("tests/fuzz", "tests/support", "models", "runtime", "kernels"),
    "tests/sweeps": ("tests/sweeps", "tests/fuzz", "tests/support", "models", "runtime", "kernels"),
    "tests/faults": ("tests/faults", "tests/support", "models", "runtime", "kernels"),
    "tests/load": ("tests/load", "tests/support", "models", "runtime", "kernels"),
    # what a test takes from here, its own room still has to see: it would not link otherwise
    "tests/support": ("tests/support", "tests/load", "models", "runtime", "kernels"),
}

# The public headers, and who may include them: errors are everybody's, the facade is what models
# offer to those above.
ERRORS = "include/attn/error.hpp"
SEES_FACADE = ("include", "models", "tools", "bindings", "python", "bench", "tests/models", "tests/tools",
               "tests/bindings", "tests/support", "tests/fuzz", "tests/sweeps", "tests/faults",
               "tests/load")

# oneDNN's adapter holds an oneDNN that was built on OpenMP to one thread; a test plays a host that
# has a team of its own
OPENMP_DOORS = ("kernels/workers_openmp.cpp", "kernels/matmul/matmul_onednn.cpp", "bench/kernels/",
                "tests/support/neighbour.cpp")

# library headers -> the paths (prefixes) that may include them
LIBRARIES = (
    (r"omp\.h", OPENMP_DOORS),
    (r"(oneapi|dnnl)", ("kernels/matmul/", "bench/")),
    (r"cblas", ("bench/",)),
    (r"benchmark/", ("bench/",)),
    (r"catch2/", ("tests/",)),
    (r"CLI/", ("tools/", "bench/")),
    (r"(cairo|ft2build|freetype|zlib)", ("tools/",)),
    (r"utf8proc", ("models/",)),
    (r"nanobind/", ("python/",)),
    (r"(nlohmann|fmt|xxh)", ("runtime/", "models/", "tools/", "bindings/", "bench/", "tests/")),
)
XSIMD = re.compile(r"xsimd/")
# whatever includes this is compiled once per ISA level
XSIMD_DOOR = "kernels/simd.hpp"

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
OPENMP = re.compile(r"#\s*pragma\s+omp\b|\bomp_[a-z_]+\s*\(|\b_OPENMP\b")


def room_of(name):
    parts = name.split("/")
    if parts[0] == "tests" and len(parts) > 2:
        return "/".join(parts[:2])
    return parts[0]


def resolve(root, target):
    """The file of this tree that an include names, as a path from the root; None if none."""
    for base in ("", "include/", "tests/"):
        if (root / (base + target)).is_file():
            return base + target
    return None


def check_include(root, name, mark, target):
    room = room_of(name)
    found = None if ".." in target else resolve(root, target)
    if found is None:
        if mark == '"':
            return f"{name}: \"{target}\" is not a path from the root of the project"
        if XSIMD.match(target) and name != XSIMD_DOOR and not name.endswith("_simd.cpp"):
            return f"{name}: <{target}> is for {XSIMD_DOOR} and *_simd.cpp"
        for pattern, homes in LIBRARIES:
            if re.match(pattern, target) and not name.startswith(homes):
                return f"{name}: <{target}> is for {', '.join(homes)}"
        return None
    if mark == "<":
        return f"{name}: {target} is ours: include it with quotes"
    if found == ERRORS:
        return None
    if found.startswith("include/"):
        if room in SEES_FACADE:
            return None
        return f"{name}: {target} is not for {room}"
    if room_of(found) not in MAY_INCLUDE[room]:
        return f"{name}: {room} may not include {target}"
    return None


def check(root):
    violations = []
    for path in house.files(root, (".cpp", ".hpp", ".h", ".c")):
        name = path.relative_to(root).as_posix()
        text = house.read(path)
        if room_of(name) not in MAY_INCLUDE:
            violations.append(f"{name}: stands in no room that the layering knows")
            continue
        for mark, target in INCLUDE.findall(text):
            violation = check_include(root, name, mark, target)
            if violation:
                violations.append(violation)
        if not name.startswith(OPENMP_DOORS) and OPENMP.search(text):
            violations.append(f"{name}: OpenMP is for kernels/workers_openmp.cpp")
    return violations


def self_test():
    clean = {
        "include/attn/error.hpp": "#include <string>\n",
        "include/attn/attn.hpp": '#include "attn/error.hpp"\n',
        "kernels/simd.hpp": "#include <xsimd/xsimd.hpp>\n",
        "kernels/a/a.hpp": '#include "attn/error.hpp"\n',
        "kernels/workers_openmp.cpp": "#include <omp.h>\n#pragma omp parallel\n",
        "runtime/b.hpp": '#include "kernels/a/a.hpp"\n',
        "models/c.hpp": '#include "attn/attn.hpp"\n#include "runtime/b.hpp"\n',
        "bench/kernels/e.cpp": "#include <omp.h>\nvoid f() { omp_set_num_threads(1); }\n",
        "tools/d.cpp": '#include "models/c.hpp"\n#include <CLI/CLI.hpp>\n',
        "tests/support/s.hpp": '#include "kernels/a/a.hpp"\n',
        "tests/kernels/a/a_test.cpp": '#include "kernels/a/a.hpp"\n#include "support/s.hpp"\n',
    }
    planted = [
        ("kernels see runtime", {"kernels/x.cpp": '#include "runtime/b.hpp"\n'}, "kernels may not"),
        ("runtime sees models", {"runtime/x.cpp": '#include "models/c.hpp"\n'}, "runtime may not"),
        ("runtime sees the facade", {"runtime/x.cpp": '#include "attn/attn.hpp"\n'}, "not for runtime"),
        ("models see tools", {"tools/t.hpp": "\n", "models/x.cpp": '#include "tools/t.hpp"\n'},
         "models may not"),
        ("kernel tests see runtime", {"tests/kernels/x.cpp": '#include "runtime/b.hpp"\n'},
         "tests/kernels may not"),
        ("the public header sees runtime", {"include/attn/x.hpp": '#include "runtime/b.hpp"\n'},
         "include may not"),
        ("relative path", {"kernels/a/x.cpp": '#include "../a/a.hpp"\n'}, "not a path"),
        ("path from the file", {"kernels/a/x.cpp": '#include "a.hpp"\n'}, "not a path"),
        ("angle brackets", {"kernels/x.cpp": "#include <kernels/a/a.hpp>\n"}, "quotes"),
        ("xsimd outside", {"kernels/x.cpp": "#  include <xsimd/xsimd.hpp>\n"}, "*_simd.cpp"),
        ("JSON in kernels", {"kernels/x.cpp": "#include <nlohmann/json.hpp>\n"}, "runtime/"),
        ("arguments in models", {"models/x.cpp": "#include <CLI/CLI.hpp>\n"}, "tools/"),
        ("omp.h elsewhere", {"kernels/x.cpp": "#include <omp.h>\n"}, "workers_openmp"),
        ("a pragma elsewhere", {"runtime/x.cpp": "#pragma omp simd\n"}, "workers_openmp"),
        ("an OpenMP call elsewhere", {"runtime/x.cpp": "int n = omp_get_max_threads();\n"},
         "workers_openmp"),
        ("a room of its own", {"tests/other/x.cpp": "\n"}, "no room"),
    ]
    house.self_test(check, clean, planted)


if __name__ == "__main__":
    if sys.argv[1:] == ["--self-test"]:
        self_test()
    house.report(check(house.ROOT))
