"""The house has one way through: who may import whom."""

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT

ABOVE = tuple(f"auscult.{room}" for room in ("explain", "run", "sweep", "leaderboard", "study", "serve"))
FORBIDDEN = {
    "src/datamodules": ("auscult.modules", "auscult.checkpoint.card", "auscult.checkpoint.checkpoint", *ABOVE),
    "src/modules": ("auscult.datamodules", "auscult.checkpoint.card", "auscult.checkpoint.checkpoint", *ABOVE),
    "src/explain": ("auscult.leaderboard", "auscult.serve", "auscult.study"),
    "src/leaderboard": ("auscult.serve", "auscult.study"),
    "src/study": ("auscult.serve", "auscult.leaderboard"),
    "src": ("train", "explain", "benchmark", "serve", "study", "speed", "results", "tests", "src"),
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
