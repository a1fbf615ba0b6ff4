"""What corpora of excerpts share: their tables, and what is wrong with them."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

from auscult.datamodules.clips import Clip
from auscult.datamodules.esc50 import ESC50
from auscult.datamodules.excerpts import Excerpts
from auscult.datamodules.folds import Split, split, split_of
from auscult.datamodules.urbansound8k import UrbanSound8K
from auscult.mistake import Mistake

COLUMNS = {
    ESC50: ["filename", "fold", "target", "category", "esc10", "src_file", "take"],
    UrbanSound8K: ["slice_file_name", "fsID", "start", "end", "salience", "fold", "classID", "class"],
}


def record(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(800), 8000)


def write_table(corpus: Excerpts, content: list[dict[str, str]], lines: str = "\n", mark: str = "") -> None:
    path = corpus.root / corpus.table
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        file.write(mark)
        writer = csv.DictWriter(file, COLUMNS[type(corpus)], restval="0", lineterminator=lines)
        writer.writeheader()
        writer.writerows(content)


@pytest.fixture(params=[ESC50, UrbanSound8K], ids=["esc50", "urbansound8k"])
def corpus(request: pytest.FixtureRequest, tmp_path: Path) -> Excerpts:
    """One excerpt of each of three sources, in the folds 1, 2 and 5; the table is in the order of its sources."""
    corpus = request.param(tmp_path)
    for source, fold in (("70", 5), ("80", 1), ("90", 2)):
        record(corpus.root / corpus.folder(fold) / f"{source}-A.wav")
    write_table(corpus, rows(corpus))
    return corpus


def rows(corpus: Excerpts, *more: dict[str, str]) -> list[dict[str, str]]:
    return [
        row(corpus, "70-A.wav", "70", "5", "a"),
        row(corpus, "80-A.wav", "80", "1", "b"),
        row(corpus, "90-A.wav", "90", "2", "a"),
        *more,
    ]


def row(corpus: Excerpts, *cells: str) -> dict[str, str]:
    return dict(zip(corpus.columns, cells, strict=True))


def test_clips_name_their_source_and_class(corpus: Excerpts, caplog: pytest.LogCaptureFixture) -> None:
    wanted = [
        Clip(f"{corpus.folder(5)}/70-A.wav", "70", {"class": "a"}),
        Clip(f"{corpus.folder(1)}/80-A.wav", "80", {"class": "b"}),
        Clip(f"{corpus.folder(2)}/90-A.wav", "90", {"class": "a"}),
    ]
    wanted.sort(key=lambda clip: clip.path)
    assert corpus.clips() == wanted
    write_table(corpus, rows(corpus)[::-1])
    assert corpus.clips() == wanted
    assert not caplog.records


def test_folds_are_those_of_the_table(corpus: Excerpts) -> None:
    folds = corpus.published_folds("sound")
    assert folds[:5] == [["80"], ["90"], [], [], ["70"]] and not any(folds[5:])
    assert len(folds) == {ESC50: 5, UrbanSound8K: 10}[type(corpus)]
    assert folds == corpus.published_folds("any other")


@pytest.mark.parametrize(("lines", "mark"), [("\n", ""), ("\r\n", ""), ("\r\n", "\ufeff"), ("\r", ""), (" \n\n", "")])
def test_tables_of_other_systems(corpus: Excerpts, lines: str, mark: str) -> None:
    clips = corpus.clips()
    write_table(corpus, rows(corpus), lines, mark)
    assert corpus.clips() == clips


def test_recordings_may_have_another_ending(corpus: Excerpts, caplog: pytest.LogCaptureFixture) -> None:
    for fold, source, ending in ((5, "70", ".WAV"), (1, "80", ".flac"), (2, "90", ".ogg")):
        folder = corpus.root / corpus.folder(fold)
        soundfile.write(folder / f"{source}-A{ending}", soundfile.read(folder / f"{source}-A.wav")[0], 8000)
    (corpus.root / corpus.folder(5) / "70-A.wav").unlink()
    (corpus.root / corpus.folder(2) / "90-A.wav").unlink()
    names = {Path(clip.path).name for clip in corpus.clips()}
    assert names == {"70-A.WAV", "80-A.wav", "90-A.ogg"}  # the one that the table names, where it is there
    assert not caplog.records


def test_recordings_that_are_not_there_are_clips_all_the_same(corpus: Excerpts) -> None:
    clips = corpus.clips()
    (corpus.root / corpus.folder(1) / "80-A.wav").unlink()
    assert corpus.clips() == clips
    assert [corpus.stamp(clip) == "missing" for clip in clips] == [clip.speaker == "80" for clip in clips]


def test_recordings_that_the_table_does_not_name(corpus: Excerpts, caplog: pytest.LogCaptureFixture) -> None:
    folder = corpus.root / corpus.folder(1)
    for name in ("extra-1.wav", "extra-2.ogg", ".hidden.wav", "._80-A.wav"):
        record(folder / name)
    (folder / "notes.txt").touch()
    assert len(corpus.clips()) == 3
    [record_] = caplog.records
    assert record_.message.startswith(f"2 of 5 recordings under data.root are not named in {corpus.table} and are left")
    assert record_.message.endswith("extra-1.wav")


def mistake(corpus: Excerpts) -> str:
    with pytest.raises(Mistake) as caught:
        corpus.clips()
    sentence = str(caught.value)
    assert "\n" not in sentence and f"data.root={corpus.root}" in sentence
    return sentence


@pytest.mark.parametrize("fold", ["", "one", "1.5", "0", "-1", "11"])
def test_folds_that_are_none(corpus: Excerpts, fold: str) -> None:
    write_table(corpus, rows(corpus, row(corpus, "99-A.wav", "99", fold, "a")))
    said = mistake(corpus)
    assert said.startswith(f"row 4 of {corpus.table}")
    assert said[said.index(" has ") :].startswith(f" has the fold '{fold}'" if fold else " has no fold")
    assert not fold or f"from 1 to {corpus.folds}" in said


@pytest.mark.parametrize("column", [0, 1, 3])
def test_empty_cells(corpus: Excerpts, column: int) -> None:
    write_table(corpus, rows(corpus, row(corpus, "99-A.wav", "99", "1", "a") | {corpus.columns[column]: " "}))
    assert f"has no {corpus.columns[column]}: mend" in mistake(corpus)


def test_a_source_in_two_folds(corpus: Excerpts) -> None:
    write_table(corpus, rows(corpus, row(corpus, "70-B.wav", "70", "1", "b")))
    assert corpus.published_folds("sound")[:5] == [["70 (fold 1)", "80"], ["90"], [], [], ["70 (fold 5)"]]
    assert {clip.speaker for clip in corpus.clips()} == {"70 (fold 1)", "70 (fold 5)", "80", "90"}
    assert {corpus.undivided(clip.speaker) for clip in corpus.clips()} == {"70", "80", "90"}


# As published: the source, its folds, and how many excerpts of which class it has in each.
DIVIDED = {
    UrbanSound8K: [
        ("77751", (2, "drilling", 15), (7, "jackhammer", 15)),
        ("106905", (1, "siren", 4), (8, "engine_idling", 3)),
        ("132016", (1, "street_music", 6), (4, "jackhammer", 9)),
        ("176638", (1, "car_horn", 2), (4, "engine_idling", 3)),
        ("180937", (1, "jackhammer", 79), (9, "drilling", 16)),
    ],
    ESC50: [
        ("131943", (2, "clock_tick", 1), (3, "clock_alarm", 1)),
        ("134049", (2, "hen", 1), (3, "rooster", 1)),
        ("209698", (4, "clock_alarm", 1), (5, "clock_tick", 1)),
        ("234879", (4, "hen", 1), (5, "rooster", 2)),
    ],
}


@pytest.mark.parametrize("kind", DIVIDED)
def test_the_published_folds_are_tested_as_they_are(kind: type[Excerpts], tmp_path: Path, caplog) -> None:
    """No excerpt is learnt from whose source is tested or validated, and none else is left out."""
    corpus, content = kind(tmp_path), []
    classes = sorted({name for _, *parts in DIVIDED[kind] for _, name, _ in parts})
    for fold in range(1, corpus.folds + 1):
        content += [(f"{fold}{i}-0", f"{fold}{i}", str(fold), name) for i, name in enumerate(classes)]
    for source, *parts in DIVIDED[kind]:
        for fold, name, count in parts:
            content += [(f"{source}-{fold}-{i}", source, str(fold), name) for i in range(count)]
    write_table(corpus, [row(corpus, f"{name}.wav", *cells) for name, *cells in content])
    for name, _, fold, _ in content:
        path = corpus.root / corpus.folder(int(fold)) / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    clips, source_of = corpus.clips(), {f"{name}.wav": source for name, source, *_ in content}
    fold_of = {f"{name}.wav": int(fold) for name, _, fold, _ in content}
    for fold in range(corpus.folds):
        caplog.clear()
        with caplog.at_level("INFO"):
            parts = divided(corpus, clips, fold)
        names = [[Path(clips[i].path).name for i in part] for part in (parts.train, parts.validation, parts.test)]
        sources = [{source_of[name] for name in part} for part in names]
        assert sum(map(len, sources)) == len(set.union(*sources))
        assert sorted(names[2]) == sorted(name for name in fold_of if fold_of[name] == fold + 1)
        validating = (fold + 1) % corpus.folds + 1
        out = set(fold_of) - set().union(*names)
        both = {source: {part[0] for part in parts} & {fold + 1, validating} for source, *parts in DIVIDED[kind]}
        wanted = {
            name for name, source in source_of.items()
            if both.get(source) and fold_of[name] != (fold + 1 if fold + 1 in both[source] else validating)
        }  # fmt: skip
        assert out == wanted
        said = [message for message in caplog.messages if "leaves out" in message]
        assert len(said) == bool(out) and (not out or f"leaves out {len(out)} clips" in said[0])
        again = {n: sorted({clips[i].speaker for i in getattr(parts, n)}) for n in ("train", "validation", "test")}
        for name in again:
            assert np.array_equal(getattr(split_of(clips, "class", again), name), getattr(parts, name))


def divided(corpus: Excerpts, clips: list[Clip], fold: int) -> Split:
    return split(
        clips, "class", fold, published=corpus.published_folds("sound"), unit=corpus.unit,
        validates=corpus.validates, first_fold=corpus.first_fold, undivided=corpus.undivided,
    )  # fmt: skip


def test_what_is_in_two_folds_of_esc50_is_in_one_of_esc10(tmp_path: Path) -> None:
    corpus = ESC50(tmp_path, esc10=True)
    record(corpus.root / "audio/x.wav")
    content = [row(corpus, "2.wav", "7", "2", "clock_tick") | {"esc10": "True"}]
    write_table(corpus, [*content, row(corpus, "3.wav", "7", "3", "clock_alarm") | {"esc10": "False"}])
    assert [clip.speaker for clip in corpus.clips()] == ["7"]


def test_a_recording_named_twice(corpus: Excerpts) -> None:
    write_table(corpus, rows(corpus, row(corpus, "70-A.ogg", "70", "5", "b")))
    assert f"names {corpus.folder(5)}/70-A.ogg more than once" in mistake(corpus)


def test_tables_that_are_none(corpus: Excerpts) -> None:
    path = corpus.root / corpus.table
    text = path.read_text()
    for column in corpus.columns:
        renamed = text.splitlines()[0].split(",")
        renamed[renamed.index(column)] = "Other"
        path.write_text("\n".join([",".join(renamed), *text.splitlines()[1:]]))
        assert f"has no column '{column}', only" in mistake(corpus)
    path.write_text(text.splitlines()[0])
    assert f"names no recordings of {corpus.name}" in mistake(corpus)
    path.write_text("")
    assert "only an empty line" in mistake(corpus)
    path.write_text(text + "70-C.wav,70\n")
    assert "row 4 does not have" in mistake(corpus)
    path.write_bytes(b"\xff" + text.encode())
    assert "is not a CSV table in UTF-8" in mistake(corpus)
    path.unlink()
    assert mistake(corpus).startswith(f"there is no readable {corpus.table} under data.root=")


def test_roots_that_hold_no_recordings(corpus: Excerpts, tmp_path: Path) -> None:
    for path in (corpus.root / "audio").rglob("*.wav"):
        path.unlink()
    assert mistake(corpus).startswith("there are no recordings in audio")
    nowhere = type(corpus)(tmp_path / "nowhere")
    assert "there is no" in mistake(nowhere) and "point data.root to a copy of" in mistake(nowhere)
