"""Folders of classes, and folders that are taken for those."""

import re
from pathlib import Path

import pytest

from src.datamodules.folder import Folder
from src.mistake import Mistake
from tests.datamodules.test_folder import record


def labelled(root: Path, pattern: str | None = None) -> dict[str, tuple[str, str]]:
    """Path -> label and speaker."""
    return {clip.path: (clip.labels["label"], clip.speaker) for clip in Folder(root, pattern).clips()}


def patterns(text: str) -> list[str]:
    return re.findall(r"data\.pattern=(\S+)'", text)


def test_parts_of_a_corpus_are_said_not_to_be_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    record(tmp_path, *(f"{part}/{kind}/{part}.wav" for part in ("train", "valid", "Test") for kind in ("owl", "jay")))
    assert {label for label, _ in labelled(tmp_path).values()} == {"owl", "jay"}
    assert "the parts Test, train, valid of the corpus are not kept: folds are made anew over all" in caplog.text
    assert f"train on data.root={tmp_path}/train and test by explain.py input={tmp_path}/Test" in caplog.text
    assert "takes those" not in caplog.text
    [pattern] = patterns(caplog.text)
    assert labelled(tmp_path / "Test", pattern)["owl/Test.wav"][0] == "owl"


def test_one_part_alone_is_not_talked_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    record(tmp_path, "train/owl/0.wav", "train/jay/0.wav")
    labelled(tmp_path)
    assert "parts" not in caplog.text and "data.pattern" not in caplog.text


@pytest.mark.parametrize("above", ["", "audio/", "train/"])
def test_speakers_and_classes_are_both_kept(tmp_path: Path, above: str, caplog: pytest.LogCaptureFixture) -> None:
    record(tmp_path, *(f"{above}{word}/{who}/1.wav" for word in ("cat", "dog") for who in ("ada", "bob")))
    labelled(tmp_path)
    assert "takes those above for classes and the next for speakers" in caplog.text
    first, second = patterns(caplog.text)
    assert labelled(tmp_path, first)[f"{above}cat/ada/1.wav"] == ("cat", "ada")
    assert labelled(tmp_path, second)[f"{above}cat/ada/1.wav"] == ("ada", "cat")
    if not above:
        assert first == "^(?P<label>[^/]+)/(?P<speaker>[^/]+)/"


def test_recordings_at_two_depths_are_refused(tmp_path: Path) -> None:
    record(tmp_path, "set/owl/0.wav", "set/owl/2023/4.wav", "set/jay/0.wav", "set/jay/2023/4.wav")
    with pytest.raises(Mistake, match=r"the folder set/jay/2023 of a class lies within set/jay") as caught:
        labelled(tmp_path)
    outer, inner = patterns(str(caught.value))
    assert labelled(tmp_path, outer)["set/owl/2023/4.wav"][0] == "owl" == labelled(tmp_path, outer)["set/owl/0.wav"][0]
    assert labelled(tmp_path, inner)["set/owl/2023/4.wav"][0] == "2023"
    with pytest.raises(Mistake, match=r"'data\.pattern=\^\(\?P<label>\[\^/\]\+\)/' takes jay"):
        labelled(tmp_path / "set")


def test_a_part_that_holds_recordings_is_no_class(tmp_path: Path) -> None:
    record(tmp_path, "train/0.wav", "train/owl/4.wav")
    with pytest.raises(Mistake, match="move those of train to the folders of their classes"):
        labelled(tmp_path)


@pytest.mark.parametrize(
    "names", [("Actor_01", "Actor_02"), ("spk2", "speaker_3"), ("p225", "id10270"), ("sub-07", "subject 1")]
)
def test_folders_that_look_like_speakers_are_said(tmp_path: Path, names: tuple[str, ...], caplog) -> None:
    record(tmp_path / "one", *(f"{name}/0.wav" for name in names))
    labelled(tmp_path / "one")
    assert "look like speakers, and are taken for classes: data.pattern or data.csv names other" in caplog.text
    caplog.clear()
    record(tmp_path / "two", *(f"{kind}/{name}/0.wav" for kind, name in zip(("ill", "well"), names, strict=True)))
    labelled(tmp_path / "two")
    [pattern] = patterns(caplog.text)
    assert labelled(tmp_path / "two", pattern)[f"ill/{names[0]}/0.wav"] == ("ill", names[0])


@pytest.mark.parametrize("names", [("s1", "s2"), ("0", "1"), ("owl", "Actor_1"), ("part1", "class2")])
def test_other_folders_are_classes(tmp_path: Path, names: tuple[str, ...], caplog: pytest.LogCaptureFixture) -> None:
    record(tmp_path, *(f"{name}/0.wav" for name in names))
    labelled(tmp_path)
    assert "look like speakers" not in caplog.text


@pytest.mark.parametrize(
    ("name", "label"),
    [("cat_ada_1.wav", "cat"), ("my_clips/cat_1.wav", "cat"), ("my-cat-2.wav", "my"), ("dog12.wav", "dog")],
)
def test_an_example_of_a_pattern_works(tmp_path: Path, name: str, label: str) -> None:
    record(tmp_path, name)
    with pytest.raises(
        Mistake, match=f"one of the three has to name the labels, such as .* takes {label} from {name}"
    ) as caught:
        labelled(tmp_path)
    [pattern] = patterns(str(caught.value))
    assert labelled(tmp_path, pattern)[name][0] == label
