"""Folders and tables as other people's programs leave them."""

import unicodedata
from pathlib import Path

import pytest

from auscult.datamodules.folder import Folder
from auscult.datamodules.labels.speakers import labels_of_speakers
from auscult.datamodules.labels.table import read_table
from auscult.mistake import Mistake
from tests.datamodules.test_folder import record


def taken_apart(text: str) -> str:
    """As macOS writes names: letters, then their accents."""
    return unicodedata.normalize("NFD", text)


@pytest.mark.parametrize("between", [",", ";", "\t", "; "])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("ending", ["csv", "tsv", "txt"])
def test_tables_are_divided_as_their_first_line_is(
    tmp_path: Path, between: str, line_end: str, encoding: str, ending: str
) -> None:
    path = tmp_path / f"labels.{ending}"
    rows = [["path", "word", "age"], ["a.wav", "für", "3"], ["b.wav", "日本", ""]]
    path.write_bytes(line_end.join(between.join(row) for row in [*rows, [""]]).encode(encoding))
    columns, cells_of_rows = read_table(path, "it")
    assert columns == rows[0]
    assert cells_of_rows == [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def test_what_else_divides_is_in_the_cells(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('path;said\na.wav;"one; two"\nb.wav;3,5\nc.wav;"a ""word""\nand a line"\n')
    assert [row["said"] for row in read_table(tmp_path / "a.csv", "it")[1]] == [
        "one; two",
        "3,5",
        'a "word"\nand a line',
    ]
    # a row of Common Voice's validated.tsv: marks are a part of what was said
    (tmp_path / "a.tsv").write_text('path\tsentence\na.mp3\t"Come here, he said\nb.mp3\t"whole"\nc.mp3\tone, "two"\n')
    sentences = [row["sentence"] for row in read_table(tmp_path / "a.tsv", "it")[1]]
    assert sentences == ['"Come here, he said', "whole", 'one, "two"']


def test_rows_that_lack_a_cell(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("path\tword\tage\na.wav\tone\n")
    with pytest.raises(Mistake, match="row 1 does not have 3 cells"):
        read_table(tmp_path / "a.tsv", "it")


@pytest.mark.parametrize("in_table", [str, taken_apart])
@pytest.mark.parametrize("on_disk", [str, taken_apart])
def test_names_are_the_same_in_either_form(tmp_path: Path, in_table, on_disk) -> None:
    record(tmp_path, on_disk("für/müller.wav"), on_disk("für/weiß.wav"))
    rows = ["path,größe,speaker", "für/müller.wav,größer,Zoë", "für/weiß.wav,größer,Zoë"]
    (tmp_path / "labels.csv").write_text(in_table("\n".join(rows)), encoding="utf-8")
    clips = Folder(tmp_path, csv="labels.csv").clips()
    assert [clip.path for clip in clips] == sorted([on_disk("für/müller.wav"), on_disk("für/weiß.wav")])  # as on disk
    assert all((clip.speaker, clip.labels) == ("Zoë", {"größe": "größer"}) for clip in clips)
    clips = Folder(tmp_path, pattern=in_table("(?P<word>für)/(?P<speaker>[^.]+)")).clips()
    assert {(clip.speaker, clip.labels["word"]) for clip in clips} == {("müller", "für"), ("weiß", "für")}


def test_one_class_where_two_forms_lie_side_by_side(tmp_path: Path) -> None:
    record(tmp_path, "für/a.wav", taken_apart("für/b.wav"), "und/c.wav")
    if len(list(tmp_path.iterdir())) < 3:
        pytest.skip("this file system takes both for one")
    assert {clip.labels["label"] for clip in Folder(tmp_path).clips()} == {"für", "und"}
    (tmp_path / "labels.csv").write_text("path,word\nfür/a.wav,1\n")
    assert [clip.path for clip in Folder(tmp_path, csv="labels.csv").clips()] == ["für/a.wav"]


def test_speakers_in_either_form(tmp_path: Path) -> None:
    for content in ("speaker;sex\nZoë;f\n", '{"Zoë": {"gender": "f"}}'):
        for form in (str, taken_apart):
            (tmp_path / "people").write_text(form(content), encoding="utf-8")
            assert labels_of_speakers(tmp_path / "people", "data.speakers") == {"Zoë": {"sex": "f"}}


def test_a_table_may_name_whole_paths(tmp_path: Path) -> None:
    root = record(tmp_path / "corpus", "a/0.wav", "b/1.wav")
    (tmp_path / "linked").symlink_to(root)
    for written in (root, tmp_path / "linked"):
        (tmp_path / "labels.csv").write_text(f"path,word\n{written}/a/0.wav,one\nb/../b/1.wav,two\n")
        for given in {root, tmp_path / "linked"} if written == root else {tmp_path / "linked"}:
            clips = Folder(given, csv=tmp_path / "labels.csv").clips()
            assert [(clip.path, clip.labels["word"]) for clip in clips] == [("a/0.wav", "one"), ("b/1.wav", "two")]


def test_the_folder_of_a_recording_is_its_label(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    record(tmp_path, "cat/0.wav", "cat/1.flac", "train/dog/0.wav", "0.wav")
    clips = Folder(tmp_path).clips()
    assert [(clip.path, clip.labels) for clip in clips] == [
        ("cat/0.wav", {"label": "cat"}), ("cat/1.flac", {"label": "cat"}), ("train/dog/0.wav", {"label": "dog"}),
    ]  # fmt: skip
    assert "1 of 4 recordings lie in no folder of a class and are left out, such as 0.wav" in caplog.text


def test_without_folders_something_has_to_name_the_labels(tmp_path: Path) -> None:
    record(tmp_path, "all/0.wav", "all/1.wav", "2.wav")
    with pytest.raises(Mistake, match="and the recordings do not lie in a folder for each class"):
        Folder(tmp_path).clips()


@pytest.mark.parametrize(
    ("written", "sex"), [("male_masculine", "male"), ("female_feminine", "female"), ("F", "female")]
)
def test_a_column_gender_is_the_sex(tmp_path: Path, written: str, sex: str) -> None:
    record(tmp_path, "a.wav")
    (tmp_path / "validated.tsv").write_text(f"path\tgender\na.wav\t{written}\n")
    [clip] = Folder(tmp_path, csv="validated.tsv").clips()
    assert clip.labels == {"gender": written, "sex": sex}
