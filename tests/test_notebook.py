"""docs/auscult.ipynb runs, cell by cell, and finds what its network listens to; so do the README's lines."""

import json
import re
import shutil
from typing import Any

import numpy as np
import pytest
import soundfile

import auscult
from tests.conftest import ROOT

CELLS = json.loads((ROOT / "docs/auscult.ipynb").read_text(encoding="utf-8"))["cells"]


@pytest.mark.slow
def test_the_notebook_runs(ipython):
    known: dict[str, Any] = {}
    for cell in CELLS:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), known)
    explanation, note = known["explanation"], ("low", "high")[int(known["label"])]
    assert known["loss"].item() < 0.1 and explanation.prediction == explanation.target == note
    loudest = explanation.view.frequencies[explanation.relevance.argmax()]
    assert abs(loudest - {"low": 500, "high": 1500}[note]) < 10
    assert explanation.conservation_error < 1e-3


def test_the_notebook_is_kept_without_what_came_out_of_it():
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in CELLS if "outputs" in cell)


def test_the_lines_of_the_readme_run(trained, tmp_path, monkeypatch, ipython):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained("audionet", "sex").parent.parent, "outputs/DATE/TIME")
    soundfile.write("dog.wav", 0.1 * np.random.default_rng(0).standard_normal(20000), 44100)
    [lines] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    known: dict[str, Any] = {"auscult": auscult}
    exec(lines, known)
    assert (
        known["explanation"].relevance.shape == known["explanation"].view.inputs(np.zeros((1, 1, 8000), "f"))[0].shape
    )
