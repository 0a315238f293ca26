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


# ray_dataset.py takes arguments, and a cluster: test_ray.py runs it
SCRIPTS = [script for script in sorted(EXAMPLES.glob("*.py")) if script.stem != "ray_dataset"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_runs(script, tmp_path):
    if not REAL.exists():
        pytest.skip("it uses the models that tools/dev models fetches")
    result = subprocess.run([sys.executable, script, REAL], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0 and result.stdout, result.stderr
