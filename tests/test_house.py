"""The house has one way through: which room may import which."""

import ast
from graphlib import TopologicalSorter
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


def room_of(name: str) -> str | None:
    """The folder below `src` in which a module lies, or the module of a name; the module itself if it lies in `src`."""
    parts = name.split(".")[1:]
    while parts and not (ROOT / "src").joinpath(*parts).with_suffix(".py").exists():
        if (ROOT / "src").joinpath(*parts).is_dir():
            return None  # the name is a room; its modules have names of their own
        parts.pop()
    return ".".join(parts[:-1]) or ".".join(parts) or None


def test_no_way_leads_back_to_a_room():
    below: dict[str, set[str]] = {}
    for path in sorted((ROOT / "src").rglob("*.py")):
        if path.name == "__init__.py":
            continue
        own = room_of(".".join(("auscult", *path.relative_to(ROOT / "src").with_suffix("").parts)))
        others = {room_of(name) for name in imported(path) if name.startswith("auscult.")}
        below.setdefault(own, set()).update(others - {own, None})
    assert len(below) > 20 and below["leaderboard"] > {"explain", "explain.relevance"}
    TopologicalSorter(below).prepare()  # raises CycleError, which names the rooms


@pytest.mark.parametrize("room", FORBIDDEN)
def test_rooms_know_only_what_they_may(room):
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        for name in imported(path):
            assert not name.startswith(tuple(f"{other}." for other in FORBIDDEN[room])), (path, name)
            assert name not in FORBIDDEN[room], (path, name)
