"""Recordings whose names are not UTF-8, as old archives and foreign file systems have them, through all programs."""

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

PATTERN = 'data.pattern="say-(?P<digit>\\d)-by-(?P<speaker>[^-]+)-\\d"'


@pytest.fixture
def foreign(tmp_path: Path, spoken_folder: Path) -> Path:
    """The folder, its speakers and files named in Latin 1."""
    folder = tmp_path / os.fsdecode(b"t\xf6ne")
    folder.mkdir()
    for path in spoken_folder.iterdir():
        shutil.copy(path, folder / path.name.replace("ada", os.fsdecode(b"j\xfcrgen")))
    (folder / os.fsdecode(b"other-\xe9.wav")).touch()
    (folder / os.fsdecode(b"say-0-by-j\xfcrgen-9.wav")).write_text("this is not audio")
    return folder


@pytest.mark.slow
def test_names_that_are_not_utf_8(
    train_here: Callable[..., str], explain_here: Callable[..., str], tmp_path: Path, foreign: Path
) -> None:
    train = ["task=label", "task.label=digit", "data.batch_size=6", "trainer.max_epochs=1", "hydra.run.dir=run"]
    shutil.move(foreign, tmp_path / "clips")  # the command line itself is UTF-8: Hydra's grammar takes no other
    assert train_here("data=folder", "data.root=clips", PATTERN, *train) == ""
    with open(tmp_path / "run/skipped.csv", encoding="utf-8", errors="surrogateescape") as file:
        assert [row["path"] for row in csv.DictReader(file)] == [os.fsdecode(b"say-0-by-j\xfcrgen-9.wav")]
    assert json.loads((tmp_path / "run/metrics.json").read_text())["clips/skipped"] == 1
    assert "1 of 32 recordings do not match data.pattern and are left out" in (tmp_path / "run/train.log").read_text()
    predictions = (tmp_path / "run/predictions.csv").read_bytes()
    assert b"-by-" in predictions

    checkpoint = "checkpoint=run/checkpoints/best.ckpt"
    named = os.fsdecode(b"say-1-by-j\xfcrgen-0.wav")
    assert explain_here(checkpoint, "input=clips", "hydra.run.dir=explained", "limit=4", "clips=4") == ""
    with h5py.File(tmp_path / "explained/relevance.h5") as file:
        assert len(file["path"][:]) == 4
    report = (tmp_path / "explained/report.html").read_text(encoding="utf-8")
    assert "this is not audio" not in report and "say-0-by-j" in report
    (tmp_path / "one").mkdir()
    shutil.copy(tmp_path / "clips" / named, tmp_path / "one" / named)
    assert explain_here(checkpoint, "input=one", "hydra.run.dir=one_run") == ""
    with h5py.File(tmp_path / "one_run/relevance.h5") as file:
        assert [os.fsdecode(path) for path in file["path"][:]] == [named]
    assert (tmp_path / "one_run/report.html").stat().st_size > 10_000
