"""What python/examples shows does what it says."""

import json
import pathlib
import subprocess
import sys

import pytest
from conftest import REAL

EXAMPLES = pathlib.Path(__file__).resolve().parents[1] / "examples"


def test_the_notebook_runs(tmp_path, monkeypatch):
    if not (REAL / "smollm2-135m-instruct.Q4_1.gguf").exists():
        pytest.skip("it draws SmolLM2's attention: tools/dev models fetches that")
    notebook = json.loads((EXAMPLES / "attention.ipynb").read_text())
    monkeypatch.chdir(tmp_path)
    names = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), "attention.ipynb", "exec"), names)
    assert any("text/html" in output["data"] for cell in notebook["cells"] for output in cell.get("outputs", ()))


@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_a_script_runs(script, tmp_path):
    if not REAL.exists():
        pytest.skip("it uses the models that tools/dev models fetches")
    if "ray" in script.stem:
        pytest.importorskip("ray")
    result = subprocess.run([sys.executable, script, REAL], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0 and result.stdout, result.stderr
