"""Folders of classes, and folders that are taken for those."""

import re
import shlex
from pathlib import Path

import pytest

from auscult.datamodules.division import Division, spelled_alike
from auscult.datamodules.folder import Folder
from auscult.mistake import Mistake
from tests.datamodules.test_folder import record


def labelled(root: Path, pattern: str | None = None) -> dict[str, tuple[str, str]]:
    """Path -> label and speaker."""
    return {clip.path: (clip.labels["label"], clip.speaker) for clip in Folder(root, pattern).clips()}


def patterns(text: str) -> list[str]:
    return re.findall(r"data\.pattern=(\S+)'", text)


def test_parts_of_a_corpus_are_said_not_to_be_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    record(tmp_path, *(f"{part}/{kind}/{part}.wav" for part in ("train", "valid", "Test") for kind in ("owl", "jay")))
    assert {label for label, _ in labelled(tmp_path).values()} == {"owl", "jay"}
    assert "the parts Test, train, valid of the corpus are not kept: folds are made of all their" in caplog.text
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
    with pytest.raises(Mistake, match=f"(name the labels|name others), such as .* takes {label} from {name}") as caught:
        labelled(tmp_path)
    [pattern] = patterns(str(caught.value))
    assert labelled(tmp_path, pattern)[name][0] == label


TASK = {"name": "label", "label": "label", "classes": None, "folds": 3, "balance": False, "fold_seed": 0}


def test_a_class_of_few_recordings_may_be_left_out(tmp_path: Path) -> None:
    record(
        tmp_path,
        *(f"{kind}/{n}.wav" for kind in ("owl", "jay") for n in range(3)),
        "_background noise_/0.wav",
        "owl's/0.wav",
    )
    with pytest.raises(Mistake, match="comes from 1 of them, and 3 are needed") as caught:
        Division(Folder(tmp_path), TASK, 0)
    message = str(caught.value)
    assert "add speakers or choose another task, or leave them out by 'data.pattern=" in message
    [option] = shlex.split(message[message.index("'data.pattern") :].removesuffix("."))
    pattern = option.removeprefix("data.pattern=")
    division = Division(Folder(tmp_path, pattern), TASK, 0)
    assert division.classes == ["jay", "owl"] and len(division.clips) == 6
    with pytest.raises(Mistake, match=r"let data\.pattern match no recording of label _background noise_, owl's\.$"):
        Division(Folder(tmp_path, "(?P<label>[^/]+)/"), TASK, 0)
    rows = [f"{path},{path.split('/')[0]}" for path in labelled(tmp_path)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *rows]))
    with pytest.raises(Mistake, match=r"remove the rows of .* _background noise_, owl's from data\.csv\.$"):
        Division(Folder(tmp_path, csv="labels.csv"), TASK, 0)


def test_two_classes_are_needed(tmp_path: Path) -> None:
    record(tmp_path, "owl/0.wav", "owl/1.wav", "owl/2.wav", "jay/0.wav")
    with pytest.raises(Mistake, match=r"add speakers or choose another task\.$"):
        Division(Folder(tmp_path), TASK, 0)


def test_names_that_are_nearly_the_same_are_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = [
        f"{kind}/{who}_{n}.wav"
        for n in range(2)
        for kind in ("Wren", "wren")
        for who in ("1", "01", "1.0", "anna", "Anna")
    ]
    record(tmp_path, *names)
    Division(Folder(tmp_path, "(?P<label>[^/]+)/(?P<speaker>[^_]+)_"), TASK, 0)
    warnings = [record.getMessage() for record in caplog.records if "differ only in capitals" in record.getMessage()]
    assert [text.partition(" and differ")[0] for text in warnings] == [
        "Wren and wren are two classes (task.label=label)", "01 and 1 are two speakers",
    ]  # fmt: skip
    assert "(1 such pairs): if they are one, spell them alike." in warnings[0] and "(3 such pairs)" in warnings[1]


@pytest.mark.parametrize(
    ("names", "alike"),
    [
        (["a", "b", "1", "10", "100"], 0), (["1.5", "1.05"], 0), (["0", "00"], 1), (["p1", "p01"], 1), (["", "0"], 0),
        (["Straße", "STRASSE"], 1), (["2", "2.00"], 1), (["v2", "v2.0"], 0),
    ],
)  # fmt: skip
def test_which_names_are_nearly_the_same(names: list[str], alike: int) -> None:
    assert len(spelled_alike(names)) == alike


def test_a_label_that_takes_the_ending_along(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    record(tmp_path, "a_no.WAV", "a_no.flac")
    clips = Folder(tmp_path, "_(?P<label>.+)").clips()
    assert [clip.labels["label"] for clip in clips] == ["no.WAV", "no.flac"]
    assert "includes the ending of files, such as no.WAV for the label of a_no.WAV" in caplog.text
    caplog.clear()
    Folder(tmp_path, r"(?P<file>(?P<speaker>.)_(?P<label>[^.]+)(?P<format>.+))").clips()
    assert "includes the ending" not in caplog.text
