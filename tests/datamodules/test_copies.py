"""A recording that is there twice is on one side only."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from auscult.datamodules.datamodule import AudioDataModule
from auscult.datamodules.folder import Folder
from auscult.datamodules.recording import ClipSettings

TASK = {"name": "label", "label": "label", "classes": None, "folds": 5, "balance": False, "fold_seed": 0}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twelve noises of two classes."""
    random = np.random.default_rng(0)
    for kind in ("cat", "dog"):
        (tmp_path / "corpus" / kind).mkdir(parents=True)
        for number in range(12):
            samples = random.uniform(-0.5, 0.5, 3000)
            soundfile.write(tmp_path / f"corpus/{kind}/{number}.wav", samples, 8000, subtype="PCM_16")
    return tmp_path / "corpus"


def opened(root: Path, speakers: dict[str, list[str]] | None = None, fold: int = 0) -> AudioDataModule:
    module = AudioDataModule(Folder(root), TASK, fold, ClipSettings(), root.parent / "cache", 4, 0, speakers)
    module.setup()
    return module


def samples_of(module: AudioDataModule) -> dict[str, list[bytes]]:
    parts = {name: getattr(module.split, name) for name in ("train", "validation", "test")}
    return {name: [module.cache.samples(clip)[0].tobytes() for clip in clips] for name, clips in parts.items()}


@pytest.mark.parametrize("fold", range(5))
def test_no_copy_is_on_two_sides(root: Path, fold: int, caplog: pytest.LogCaptureFixture) -> None:
    for path in sorted(root.rglob("*.wav"))[::2]:
        shutil.copy(path, path.with_name(f"{path.stem} (1).wav"))
    for path in sorted(root.rglob("1*.wav")):  # the same samples in another file
        soundfile.write(path.with_suffix(".flac"), *soundfile.read(path, dtype="int16"))
    module = opened(root, fold=fold)
    whole = AudioDataModule(Folder(root), TASK, fold, ClipSettings(), root.parent / "cache", 4, 0)
    whole.find()
    parts = samples_of(module)
    sides = [set(samples) for samples in parts.values()]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 24  # nothing is lost
    assert np.array_equal(module.split.test, whole.split.test)  # nor is what is tested changed
    left_out = sum(len(getattr(whole.split, n)) - len(getattr(module.split, n)) for n in ("train", "validation"))
    assert left_out > 0
    assert f"{left_out} recordings are left out of training or validation" in caplog.text
    # and whoever opens the checkpoint finds the same
    assert samples_of(opened(root, module.speakers(), fold)) == parts


def test_without_copies_nothing_is_said(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    module = opened(root)
    assert sum(len(part) for part in samples_of(module).values()) == 24
    assert "copies" not in caplog.text


def test_a_class_of_one_recording_keeps_its_copies(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = min((root / "cat").glob("*.wav"))
    for path in (root / "cat").glob("*.wav"):
        if path != one:
            shutil.copy(one, path)
    assert sum(len(part) for part in samples_of(opened(root)).values()) == 24
    assert "they stay, as a class would lose all its clips" in caplog.text


def test_copies_with_another_label_are_said(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    for path in (root / "cat").glob("*.wav"):
        shutil.copy(path, root / "dog" / f"copy of {path.name}")
    opened(root)
    [warning] = [record.message for record in caplog.records if "are copies of what is tested" in record.message]
    match = re.search(
        r"\((\d+) of them have another label than .*, such as (\S.*) \('(\w+)'\) of (\S+) \('(\w+)'\): mend", warning
    )
    assert match and int(match[1]) > 0
    assert {match[2].split("/")[0], match[4].split("/")[0]} == {match[3], match[5]} == {"cat", "dog"}


def test_copies_with_the_same_label_are_not_said_to_have_another(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    for path in (root / "cat").glob("*.wav"):
        shutil.copy(path, path.with_name(f"copy of {path.name}"))
    opened(root)
    assert "are copies of what" in caplog.text and "another label" not in caplog.text


def test_two_formats_of_a_recording_are_said(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    for path in sorted((root / "cat").glob("*.wav")):
        soundfile.write(path.with_suffix(".mp3"), *soundfile.read(path))
    module = opened(root)
    part_of = {module.clips[clip].path: name for name in module.split._fields for clip in getattr(module.split, name)}
    count = sum(part_of[f"cat/{n}.wav"] != part_of[f"cat/{n}.mp3"] for n in range(12))
    assert count > 0 and f"{count} recordings differ only in the ending from one in another part" in caplog.text
    assert r"let data.pattern end in \.mp3$, or move the others" in caplog.text
    caplog.clear()
    corpus = Folder(root, r"(?P<label>\w+)/(?P<speaker>\d+)\.")
    AudioDataModule(corpus, TASK, 0, ClipSettings(), root.parent / "cache", 4, 0).setup()  # the speaker is on one side
    assert "differ only in the ending" not in caplog.text


def test_speakers_can_be_told_apart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    random = np.random.default_rng(0)
    for speaker in ("ada", "bob", "cem"):
        for take in range(10):
            soundfile.write(tmp_path / f"{speaker}_{take}.wav", random.uniform(-0.5, 0.5, 3000), 8000)
    soundfile.write(tmp_path / "_10.wav", random.uniform(-0.5, 0.5, 3000), 8000)
    corpus = Folder(tmp_path, pattern="^(?P<speaker>[a-z]*)_")
    task = TASK | {"name": "speaker", "label": "speaker"}
    module = AudioDataModule(corpus, task, 0, ClipSettings(), tmp_path / "cache", 4, 0)
    module.setup()
    assert module.classes == ["ada", "bob", "cem"]
    for name in ("train", "validation", "test"):
        clips = [module.clips[i] for i in getattr(module.split, name)]
        assert {clip.labels["speaker"] for clip in clips} == {"ada", "bob", "cem"}
        assert all(clip.path.startswith(clip.labels["speaker"]) for clip in clips)
    parts = [set(module.speakers()[name]) for name in ("train", "validation", "test")]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 30
    assert "recordings/test" in module.counts()
    assert "1 clips have no label 'speaker'" in caplog.text
