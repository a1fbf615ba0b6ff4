"""The house has one way through: who may import whom."""

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT

FORBIDDEN = {
    "src/datamodules": (
        "auscult.modules",
        "auscult.explain",
        "auscult.run.training",
        "auscult.checkpoint.checkpoint",
        "train",
        "explain",
    ),
    "src/modules": (
        "auscult.datamodules",
        "auscult.explain",
        "auscult.run.training",
        "auscult.checkpoint.checkpoint",
        "train",
        "explain",
    ),
    "src/explain": ("auscult.serve", "auscult.study"),
    "src/study": ("auscult.serve",),
    "src": ("train", "explain", "benchmark", "serve", "study", "tests"),
}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("room", FORBIDDEN)
def test_rooms_know_only_what_they_may(room):
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        for name in imported(path):
            assert not name.startswith(tuple(f"{other}." for other in FORBIDDEN[room])), (path, name)
            assert name not in FORBIDDEN[room], (path, name)
