"""What the house tests share: which files count, and how a violation and a self-test are told.

Each test is a script with a `check` that returns a list of violations, one line each. Run on the
tree it fails when there are any; run with --self-test it plants violations of its own and fails
when one of them goes unseen, because a check that cannot fail says nothing.
"""

import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

ROOMS = ("include", "kernels", "runtime", "models", "tools", "bindings", "python", "bench", "tests")


def files(root, suffixes, folders=ROOMS):
    """Files below the rooms whose name ends so, in a stable order."""
    found = []
    for folder in folders:
        for path in (root / folder).rglob("*"):
            if path.is_file() and path.name.endswith(suffixes) and "__pycache__" not in path.parts:
                found.append(path)
    return sorted(found)


def read(path):
    return path.read_text(encoding="utf-8")


def report(violations):
    """Prints them and leaves with the status that ctest wants."""
    for violation in violations:
        print(violation)
    sys.exit(1 if violations else 0)


def plant(tree):
    """A temporary folder with {path: text}; the caller keeps the returned object alive."""
    folder = tempfile.TemporaryDirectory()
    for name, text in tree.items():
        path = pathlib.Path(folder.name) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def self_test(check, clean, planted):
    """`clean`: a tree {path: text} with nothing wrong. `planted`: trees with one violation each,
    as (what it is, tree, a word the message must have)."""
    failures = []
    with plant(clean) as folder:
        for violation in check(pathlib.Path(folder)):
            failures.append(f"found in a clean tree: {violation}")
    for what, tree, word in planted:
        with plant({**clean, **tree}) as folder:
            violations = check(pathlib.Path(folder))
        if len(violations) != 1 or word not in violations[0]:
            failures.append(f"{what}: wanted one violation with '{word}', got {violations}")
    report(failures)
