"""Recordings of one's own, before a network hears them."""

from pathlib import Path

import pytest

from auscult.datamodules.labels.class_folders import INNERMOST
from auscult.datamodules.source import Source, recordings
from auscult.explain.explanation import source_of
from tests.datamodules.test_folder import record

CLIP = {"sample_rate": 8000, "seconds": 1.0}


def test_a_checkpoint_s_own_speakers_are_asked_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = record(tmp_path / "own", "owl_ada.wav", "jay_bob.wav")
    data = {
        "csv": None,
        "pattern": "(?P<label>.+)_(?P<speaker>[a-z]+)",
        "speakers": None,
        "cache_dir": tmp_path / "cache",
    }
    card = {"classes": ["jay", "owl"], "speakers": {"train": ["ada"], "validation": ["bob"], "test": ["cem"]}}
    config = {"limit": None, "seed": 0, "input": str(root), "data": data}
    source_of(config, {"data": {"clip": CLIP}, "task": {"label": "label"}}, card)
    assert "1 of the recordings' 2 speakers have names of speakers who trained the checkpoint (ada)" in caplog.text


def read(
    root: Path, label: str, classes: list[str], pattern: str | None = None, trained_on: tuple[str, ...] = ()
) -> Source:
    data = {"csv": None, "pattern": pattern, "speakers": None, "cache_dir": root.parent / "cache"}
    return recordings(str(root), {"data": {"clip": CLIP}, "task": {"label": label}}, classes, data, None, 0, trained_on)


@pytest.mark.parametrize(
    ("label", "names", "classes"),
    [
        ("label", ("owl", "jay"), ["jay", "owl"]),
        ("digit", ("0", "7"), ["0", "7"]),
        ("sex", ("F", "men"), ["female", "male"]),
    ],
)
@pytest.mark.parametrize("below", ["", "ada/"])
def test_folders_called_as_the_classes_could_be_tested(
    tmp_path: Path, label, names, classes, below: str, caplog
) -> None:
    root = record(tmp_path / "own", *(f"{name}/{below}{n}.wav" for name in names for n in range(2)), "other.wav")
    assert set(read(root, label, classes).labels) == {-1}
    assert "with the names of the checkpoint's classes, but have no labels to test" in caplog.text
    pattern = caplog.text.partition("data.pattern=")[2].partition("'")[0]
    assert (pattern == INNERMOST.format(label)) == (not below)
    assert read(root, label, classes, pattern).labels.tolist() == [0, 0, 1, 1] or label == "label"
    assert len(read(root, label, classes, pattern).labels) == 4


def test_other_folders_are_not_talked_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(record(tmp_path / "own", "owl/0.wav", "tit/0.wav", "hen/0.wav", "1.wav"), "label", ["jay", "owl"])
    assert "no labels to test" not in caplog.text


def test_speakers_that_trained_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = record(tmp_path / "own", "owl/ada.wav", "owl/bob.wav", "jay/cem.wav")
    pattern, trained = r"(?P<label>\w+)/(?P<speaker>\w+)", ("ada", "cem", "dan", "owl/bob.wav")
    read(root, "label", ["jay", "owl"], pattern, trained)
    assert "2 of the recordings' 3 speakers have names of speakers who trained the checkpoint (ada, cem)" in caplog.text
    caplog.clear()
    read(root, "label", ["jay", "owl"], pattern, ("dan",))
    read(root, "label", ["jay", "owl"], r"(?P<label>\w+)/", trained)  # named by their paths, which others may have
    read(root, "speaker", ["ada", "bob", "cem"], pattern, trained)
    assert "trained the checkpoint" not in caplog.text
