"""What the release objects may hold.

isa LEVEL OBJECT...: an object compiled for an ISA level may define no symbol that an object of another
level, or of none, could define as well. The linker keeps one copy of such a symbol, and where it is
the AVX-512 one, an older CPU dies of SIGILL in what looked like an inline function of a header.
Three kinds of names are of the level alone:
  - those in the level's own namespace (attn::kernels::avx512, attn::bench::avx512), or with a type
    from it among their template arguments;
  - those with an xsimd type that only this level is compiled with in their signature, as in
    xsimd::batch<float, xsimd::avx512bw>; for avx2 that is avx, avx2 and fma3, for the avx512 objects
    an avx2 type does not count, since the avx2 objects have it too;
  - DW.ref.*, pointers that the unwinder reads: data, the same in every object.

library ARCHIVE...: the rooms below tools never end the process and keep no state of their own that
can change, so no call to abort and its like, and nothing writable in .data or .bss.

usage: symbols.py isa LEVEL OBJECT... | symbols.py library ARCHIVE... | symbols.py --self-test COMPILER
NM in the environment names the nm to use.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

import house

NM = os.environ.get("NM", "nm")

OF_LEVEL = {
    "avx2": re.compile(r"\battn::(kernels|bench)::avx2::|\bxsimd::(avx2?|fma3<)"),
    "avx512": re.compile(r"\battn::(kernels|bench)::avx512::|\bxsimd::avx512"),
    "avx512_dot": re.compile(r"\battn::kernels::avx512_dot::|\bxsimd::avx512"),
    "amx": re.compile(r"\battn::kernels::amx::"),
}
UNWINDER = re.compile(r"DW\.ref\.")

ENDS_PROCESS = re.compile(r"(abort|exit|_exit|_Exit|quick_exit|raise|__assert_fail)$")

WRITABLE = re.compile(r"\.(data|bss|tdata|tbss)\b(?!\.rel\.ro)|\*COM\*")
# Writable to the linker, yet nothing that one model could tell another, each with why; a guard
# variable goes with what it guards.
UNCHANGING = (
    UNWINDER,
    # an object without members: only its vtable pointer is there
    re.compile(r"attn::kernels::serial_workers\(\)::workers$"),
    # what the CPU and the system allow, found out once: it does not change while a process runs
    re.compile(r"attn::kernels::isa_supported\(attn::kernels::Isa\)::usable$"),
    re.compile(r"attn::kernels::\(anonymous namespace\)::features\(\)::found$"),
    # what is thrown where there is no memory to make it
    re.compile(r"attn::models::\(anonymous namespace\)::out_of_memory$"),
    # const tables whose rows stand in other files, so that they are put together at the first use or
    # by the dynamic linker
    re.compile(r"attn::kernels::matmul_table\(\)::table$"),
    re.compile(r"attn::runtime::all_ops\(\)::table$"),
    re.compile(r"attn::models::architectures\(\)::table$"),
    # an address that says "present" where shapes are planned; neither read nor written
    re.compile(r"attn::runtime::Session::shapes_at_bounds\(\) const::token$"),
)


def symbols(path):
    """(name, type, section) of every symbol in an object or archive, names demangled."""
    output = subprocess.run([NM, "-C", "-f", "sysv", str(path)], check=True, text=True,
                            capture_output=True).stdout
    for line in output.splitlines():
        # split from the right: a demangled operator|| has bars of its own
        fields = [field.strip() for field in line.rsplit("|", 6)]
        if len(fields) == 7 and fields[0] != "Name":
            yield fields[0], fields[2], fields[6]


def check_isa(level, paths):
    violations = []
    for path in paths:
        for name, kind, _ in symbols(path):
            shared = kind in "uvVwW" or kind.isupper()
            if not shared or kind in "Uwv" or UNWINDER.match(name):
                continue
            if not OF_LEVEL[level].search(name):
                violations.append(f"{path}: another object may define this as well: {name}")
    return violations


def check_library(paths):
    violations = []
    for path in paths:
        for name, kind, section in symbols(path):
            if kind == "U" and ENDS_PROCESS.match(name):
                violations.append(f"{path}: calls {name}")
            if kind.upper() in "BCDGSUV" and WRITABLE.match(section):
                guarded = name.removeprefix("guard variable for ")
                if not any(known.match(guarded) for known in UNCHANGING):
                    violations.append(f"{path}: state that can change: {name} in {section}")
    return violations


def self_test(compiler):
    """Compiles a violation at a time and wants to see each."""
    preamble = """
        namespace xsimd { struct avx2 {}; struct avx512bw {}; template <class T, class A> struct batch {};
        template <class A> __attribute__((noinline)) int f(batch<float, A>) { static int x; return ++x; } }
        namespace attn::kernels { template <class F> __attribute__((noinline)) int call(F f) { return f(); } }
        """
    isa = [
        ("the level's namespace",
         "namespace attn::kernels::avx512 { int f() { struct L { int operator()() { return 1; } }; return call(L{}); } }",
         None),
        ("the level's xsimd type",
         "namespace attn::kernels::avx512 { int f() { return xsimd::f(xsimd::batch<float, xsimd::avx512bw>{}); } }",
         None),
        ("a local function", "static int f() { return 1; } namespace attn::kernels::avx512 { int g() { return f(); } }",
         None),
        ("another level's namespace", "namespace attn::kernels::avx2 { int f() { return 1; } }", "avx2::f"),
        ("another level's xsimd type",
         "namespace attn::kernels::avx512 { int f() { return xsimd::f(xsimd::batch<float, xsimd::avx2>{}); } }",
         "xsimd::f"),
        ("no namespace of a level", "namespace attn::kernels { int f() { return 1; } }", "kernels::f"),
        ("a variable", "namespace attn::kernels { int shared = 1; }", "shared"),
        ("an inline function of a header",
         "inline __attribute__((noinline)) int clamp(int x) { return x < 0 ? 0 : x; }"
         "namespace attn::kernels::avx512 { int f(int x) { return clamp(x); } }", "clamp"),
    ]
    library = [
        ("constants and tables",
         "static const char* const names[] = {\"a\", \"b\"}; const char* f(int i) { return names[i]; }"
         "struct V { virtual ~V(); }; V::~V() = default; constexpr int t[] = {1, 2}; int g(int i) { return t[i]; }",
         None),
        ("abort", "#include <cstdlib>\nvoid f(int i) { if (i == 0) std::abort(); }", "calls abort"),
        ("exit", "#include <cstdlib>\nvoid f(int i) { if (i == 0) std::exit(1); }", "calls exit"),
        ("a counter", "int f() { static int count = 0; return ++count; }", "count"),
        ("an initialised one", "int level = 3; int f() { return ++level; }", "level"),
        ("one per thread", "thread_local int mine = 3; int f() { return ++mine; }", "mine"),
        ("an object made at the first use",
         "#include <string>\nconst char* f() { static const std::string s(\"at the first use\"); return s.c_str(); }",
         "f()::s"),
        ("a pointer table that can be written",
         "static const char* names[] = {\"a\", \"b\"}; const char* f(int i) { names[0] = nullptr; return names[i]; }",
         "names"),
    ]
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        source, obj = pathlib.Path(folder, "x.cpp"), pathlib.Path(folder, "x.o")

        def try_one(what, text, word, check):
            source.write_text(text, encoding="utf-8")
            subprocess.run([*compiler, "-std=c++20", "-O2", "-fPIC", "-c", str(source), "-o", str(obj)],
                           check=True)
            violations = check([obj])
            if word is None and violations:
                failures.append(f"{what}: nothing is wrong, yet {violations}")
            if word is not None and not any(word in violation for violation in violations):
                failures.append(f"{what}: wanted a violation with '{word}', got {violations}")

        for what, text, word in isa:
            try_one(what, preamble + text, word, lambda paths: check_isa("avx512", paths))
        for what, text, word in library:
            try_one(what, text, word, check_library)
    house.report(failures)


if __name__ == "__main__":
    mode = sys.argv[1]
    if mode == "--self-test":
        self_test(sys.argv[2:])
    elif mode == "isa":
        house.report(check_isa(sys.argv[2], sys.argv[3:]))
    else:
        house.report(check_library(sys.argv[2:]))
