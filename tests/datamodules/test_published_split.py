"""One published split: it stays as it is, and no speaker is in two parts of it if that can be avoided."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auscult.datamodules.clips import Clip
from auscult.datamodules.folds import Split
from auscult.datamodules.published_split import published_split, with_parts, without_part
from auscult.mistake import Mistake, NoSuchFold

TASK = {"folds": 5, "fold_seed": 0}
PARTS = ("train", "validation", "test")


def corpus(speakers_of: dict[str, str], classes: str = "ab", takes: int = 1) -> tuple[list[Clip], dict[str, str]]:
    """Clips of each class by each speaker of each part, and the part of each."""
    clips = [
        Clip(f"{part}/{name}{speaker}{take}", speaker, {"label": name})
        for part, speakers in speakers_of.items()
        for speaker in speakers
        for name in classes
        for take in range(takes)
    ]
    part_of = {clip.path: clip.path.split("/")[0] for clip in clips}
    return with_parts(clips, part_of), part_of


def parted(clips: list[Clip], part_of: dict[str, str], fold: int = 0) -> Split:
    return published_split(clips, "label", fold, part_of, TASK, without_part)


def paths(clips: list[Clip], members: object) -> set[str]:
    return {clips[i].path for i in members}  # type: ignore[attr-defined]


def test_a_whole_split_stays_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    clips, part_of = corpus({"train": "uvwxyz", "validation": "pq", "test": "mno"})
    split = parted(clips, part_of)
    for name in PARTS:
        assert paths(clips, getattr(split, name)) == {path for path, part in part_of.items() if part == name}
    assert not caplog.records


def test_there_is_one_fold() -> None:
    clips, part_of = corpus({"train": "uvw", "validation": "pq", "test": "mn"})
    with pytest.raises(NoSuchFold, match=r"fold=1 does not exist: fold=0 .* data\.published_split=false makes folds"):
        parted(clips, part_of, fold=1)


def test_without_validation_whole_training_speakers_validate(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clips, part_of = corpus({"train": "qrstuvwxyz", "test": "mno"}, takes=2)
    split = parted(clips, part_of)
    validating = {clips[i].speaker for i in split.validation}
    assert len(validating) == 2 and len(split.validation) == 8
    assert not validating & {clips[i].speaker for i in split.train}
    assert paths(clips, split.test) == {path for path in part_of if path.startswith("test/")}
    assert "8 of the 40 published training clips validate" in caplog.text


def test_a_class_of_few_speakers_trains_and_does_not_validate() -> None:
    clips, part_of = corpus({"train": "qrstuvwxyz", "test": "mno"})
    clips.append(Clip("train/rare", "q", {"label": "rare"}))
    split = parted(clips, {**part_of, "train/rare": "train"})
    assert "train/rare" in paths(clips, split.train)
    assert "q" not in {clips[i].speaker for i in split.validation}


def test_shared_speakers_leave_training_and_validation(caplog: pytest.LogCaptureFixture) -> None:
    clips, part_of = corpus({"train": "mpuvw", "validation": "npq", "test": "mn"})
    split = parted(clips, part_of)
    assert {clips[i].speaker for i in split.test} == {"m (test)", "n (test)"}
    assert {clips[i].speaker for i in split.validation} == {"p (validation)", "q"}
    assert {clips[i].speaker for i in split.train} == set("uvw")
    assert "6 clips of training or validation are left out, as their speakers are tested" in caplog.text


def test_rows_that_were_divided_at_random_stay_so(caplog: pytest.LogCaptureFixture) -> None:
    clips, part_of = corpus({"train": "mnop", "test": "mnop"}, takes=3)
    split = parted(clips, part_of)
    assert len(split.test) == 24 and len(split.train) + len(split.validation) == 24
    assert "they stay, as a class would lose all its clips, and accuracies say little about others" in caplog.text


def test_parts_without_clips() -> None:
    clips, part_of = corpus({"train": "uvw", "validation": "pq", "test": "mn"})
    with pytest.raises(Mistake, match="test has no clips"):
        parted([clip for clip in clips if not clip.path.startswith("test/")], part_of)
    with pytest.raises(Mistake, match="training has no clips"):
        parted([clip for clip in clips if not clip.path.startswith("train/")], part_of)


@given(st.dictionaries(st.sampled_from(PARTS), st.sets(st.sampled_from("klmnopqrstuvwxyz"), min_size=3), min_size=3))
def test_no_speaker_is_in_two_parts_unless_training_would_end(speakers_of: dict[str, set[str]]) -> None:
    clips, part_of = corpus({part: "".join(sorted(speakers)) for part, speakers in speakers_of.items()})
    train, validation, test = parted(clips, part_of)
    assert paths(clips, test) == {path for path in part_of if path.startswith("test/")}
    heard = [{without_part(clips[i].speaker) for i in part} for part in (train, validation, test)]
    if not (speakers_of["validation"] <= speakers_of["test"] or speakers_of["train"] <= heard[1] | heard[2]):
        assert not (heard[0] & heard[1] or heard[0] & heard[2] or heard[1] & heard[2])
    names = [{clips[i].speaker for i in part} for part in (train, validation, test)]
    assert len(set().union(*names)) == sum(map(len, names))  # a checkpoint, which holds names, finds the same parts
