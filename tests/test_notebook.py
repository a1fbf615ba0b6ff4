"""docs/auscult.ipynb runs, cell by cell, and finds what its network listens to."""

import json
from typing import Any

from tests.conftest import ROOT

CELLS = json.loads((ROOT / "docs/auscult.ipynb").read_text(encoding="utf-8"))["cells"]


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
