"""Tables and labels that are not what they are taken for."""

import logging
from pathlib import Path

import pytest

from auscult.checkpoint.card import trained_config
from auscult.datamodules.confound import Confound
from auscult.datamodules.division import Division
from auscult.datamodules.folder import Folder
from auscult.datamodules.labels.speakers import labels_of_speakers
from auscult.mistake import Mistake


def corpus(root: Path, column: str, values: list[str], speakers: int = 6) -> Folder:
    """Recordings that a table labels, by so many speakers; their sound is not looked at."""
    rows = [f"path,speaker,{column}"]
    for number, value in enumerate(values):
        (root / f"{number}.wav").touch()
        rows.append(f"{number}.wav,{number % speakers},{value}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    return Folder(root, csv="labels.csv")


def divided(folder: Folder, label: str, classes: list[str] | None = None, confound: Confound | None = None) -> Division:
    task = {"name": "label", "label": label, "classes": classes, "folds": 3, "balance": False, "fold_seed": 0}
    return Division(folder, task, 0, confound=confound)


@pytest.mark.parametrize("missing", ["nan", "NA", "N/A", "null"])
def test_a_class_that_reads_like_a_missing_value_is_said(tmp_path, caplog, missing):
    with caplog.at_level(logging.WARNING):
        made = divided(corpus(tmp_path, "word", ["yes", "yes", "no", "no", missing] * 12), "word")
    assert missing in made.classes
    assert f"{missing} is one of the classes (task.label=word), and reads like a missing value" in caplog.text


def test_a_class_with_another_name_is_not(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        divided(corpus(tmp_path, "word", ["yes", "none"] * 12), "word")
    assert "missing" not in caplog.text


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["cat", "dog", "cat;dog"], "cat;dog"),
        (["cat", "dog", "cat | purring"], "cat | purring"),
        (["cat", "dog", "cat,dog"], "cat,dog"),
    ],
)
def test_several_labels_in_a_cell_are_said(tmp_path, caplog, labels, said):
    with caplog.at_level(logging.WARNING):
        made = divided(corpus(tmp_path, "animal", [f'"{label}"' for label in labels] * 12, speakers=5), "animal")
    assert said in made.classes
    assert (
        f"{said} reads like several labels, and is a class of its own here (of such classes, task.label=animal has 1)"
        in caplog.text
    )


def test_a_comma_in_a_name_is_no_second_label(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        divided(corpus(tmp_path, "place", ['"cough, dry"', "cough"] * 12, speakers=5), "place")
    assert "several labels" not in caplog.text


def test_speakers_that_repeat_the_class_are_said(tmp_path):
    folder = corpus(tmp_path, "animal", ["cat", "dog", "cow"] * 12)
    table = tmp_path / "labels.csv"
    rows = [row.split(",") for row in table.read_text().splitlines()[1:]]
    table.write_text("path,speaker,animal\n" + "\n".join(f"{path},{animal},{animal}" for path, _, animal in rows))
    (tmp_path / "unlabelled.wav").touch()
    with open(table, "a") as file:
        file.write("\nunlabelled.wav,someone,\n")
    with pytest.raises(Mistake, match="the speaker of each recording is the same as its animal, such as cat: name the"):
        divided(folder, "animal")


def test_numbers_are_no_classes(tmp_path):
    with pytest.raises(
        Mistake, match=r"age has 24 different numbers, too many for classes: say task=number task\.label=age"
    ):
        divided(corpus(tmp_path, "age", [f"{30 + number / 10}" for number in range(24)]), "age")


def test_a_label_for_each_recording_is_no_class(tmp_path):
    with pytest.raises(Mistake, match=r"word has 24 classes for 24 recordings, nearly one for each, such as take_0"):
        divided(corpus(tmp_path, "word", [f"take_{number}" for number in range(24)]), "word")


def test_few_recordings_of_a_tasks_own_classes_lack_speakers(tmp_path):
    """Ten digits that one person has said once are digits, and no numbers."""
    digits = [str(digit) for digit in range(10)]
    with pytest.raises(Mistake, match=r"too few speakers for folds: digit '0' comes from 1 of them, and 3 are needed"):
        divided(corpus(tmp_path, "digit", digits, speakers=1), "digit", classes=digits)


@pytest.mark.parametrize(
    ("column", "parts", "is_said"),
    [
        ("use", ["train", "test"], True),
        ("use", ["Train", "VAL", "test"], True),
        ("use", ["train"], False),
        ("use", ["train", "noise"], False),
        ("fold", ["1", "2", "3"], True),
        ("fold", ["1"], False),
    ],
)
@pytest.mark.parametrize("by_pattern", [False, True])
def test_a_column_or_group_of_parts_is_not_kept(tmp_path, caplog, column, parts, is_said, by_pattern):
    folder = corpus(tmp_path, column, parts * 12)
    if by_pattern:
        for part in parts:
            (tmp_path / part).mkdir()
            (tmp_path / part / "a.wav").touch()
        folder = Folder(tmp_path, pattern=f"(?P<{column}>[^/]+)/(?P<label>.)")
    with caplog.at_level(logging.WARNING):
        folder.clips()
    assert (f"the parts of the corpus that the column or group {column} names" in caplog.text) is is_said


def test_speakers_that_a_table_spells_in_another_way_are_refused(tmp_path):
    """A spreadsheet has made 1 of 01."""
    people = tmp_path / "people.csv"
    people.write_text("Speaker ID,sex\n" + "".join(f"{number},female\n" for number in range(1, 13)))
    for number in range(1, 13):
        (tmp_path / f"{number:02d}_a.wav").touch()
    with pytest.raises(Mistake, match=r"lists 1, and recordings name 01: spell them alike \(9 speakers in all\)\."):
        Folder(tmp_path, pattern=r"(?P<speaker>\d+)_", speakers=people).clips()
    spelled = Folder(tmp_path, pattern=r"0*(?P<speaker>\d+)_", speakers=people).clips()
    assert {clip.labels["sex"] for clip in spelled} == {"female"}


def test_beginnings_and_ends_are_said_not_to_be_read(tmp_path, caplog):
    for name in "abc":
        (tmp_path / f"{name}.wav").touch()
    (tmp_path / "labels.csv").write_text("filename,Start,End,label\na.wav,1,2,x\nb.wav,1,2,y\nc.wav,2,3,x\n")
    assert len(Folder(tmp_path, csv="labels.csv").clips()) == 3
    assert "the columns Start and End of data.csv are not read, and each recording counts as a whole" in caplog.text


def test_columns_in_capitals_are_known(tmp_path, caplog):
    folder = corpus(tmp_path, "Word", ["yes", "no"] * 12)
    table = tmp_path / "labels.csv"
    table.write_text(table.read_text().replace("path,speaker", "File Name,Speaker"))
    assert len({clip.speaker for clip in folder.clips()}) == 6
    with pytest.raises(Mistake, match=r"say task=label task\.label=Word, or another corpus"):
        divided(folder, "word")


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("audio/{}.mp3", "their endings differ from those of the recordings, such as audio/0.wav."),
        ("{}", "add their folders and endings, as in audio/0.wav."),
        ("{}.mp3", "add their folders and endings, as in audio/0.wav."),
        ("audio/{}", "add their endings, as in audio/0.wav."),
        ("{}.wav", "say data.root={root}/audio data.csv={root}/labels.csv."),
    ],
)
def test_how_paths_are_mended_is_said(tmp_path, written, says):
    (tmp_path / "audio").mkdir()
    for number in range(6):
        (tmp_path / f"audio/{number}.wav").touch()
    rows = "".join(f"{written.format(number)},x\n" for number in range(6))
    (tmp_path / "labels.csv").write_text(f"path,label\n{rows}")
    with pytest.raises(Mistake) as caught:
        Folder(tmp_path, csv="labels.csv").clips()
    assert str(caught.value).endswith(says.format(root=tmp_path))


def test_rows_without_a_path_are_said(tmp_path, caplog):
    folder = corpus(tmp_path, "word", ["yes", "no"] * 12)
    with open(tmp_path / "labels.csv", "a") as table:
        table.write(",anna,yes\n,,\n")
    with caplog.at_level(logging.WARNING):
        assert len(folder.clips()) == 24
    assert "1 rows of data.csv have labels and no path, and are left out." in caplog.text


def test_what_is_planted_gives_a_class_away_that_there_is(tmp_path):
    confound = Confound("hum", "word", "maybe", 0.9, -20, 0.3, 0, 8000)
    with pytest.raises(Mistake, match=r"data\.confound\.class=maybe is no class of this task; choose yes, no\."):
        divided(corpus(tmp_path, "word", ["yes", "no"] * 12), "word", ["yes", "no", "maybe"], confound)


def test_digits_are_classes(tmp_path):
    assert divided(corpus(tmp_path, "digit", [str(number // 6) for number in range(60)]), "digit").classes == [
        str(digit) for digit in range(10)
    ]


def test_codes_of_classes_are_no_numbers(tmp_path):
    """Where one of many is rare, it is said which one, as of names."""
    codes = [str(number % 20) for number in range(120)] + ["20"]
    with pytest.raises(Mistake, match="word '20' comes from 1 of them, and 3 are needed"):
        divided(corpus(tmp_path, "word", codes, speakers=7), "word")


def test_the_column_of_paths_is_no_label(tmp_path):
    with pytest.raises(Mistake, match=r"data\.csv's path says where recordings lie, and is no label"):
        divided(corpus(tmp_path, "digit", ["1", "2"] * 12), "path")


def test_a_table_of_recordings_is_no_table_of_speakers(tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("speaker,sex\nanna,female\nanna,female\nben,male\nben,male\nben,male\ncleo,female\n")
    with pytest.raises(Mistake, match=r"names 2 speakers more than once, such as anna; .*data\.csv"):
        labels_of_speakers(table, "data.speakers")


def test_a_table_beside_the_pattern_of_a_checkpoint():
    own = {"name": "folder", "root": "here", "pattern": "(?P<digit>.)", "csv": None, "speakers": None}
    card = {"config": {"data": own, "task": {}}, "classes": ["0", "1"]}
    said = {"root": None, "csv": "labels.csv", "speakers": None, "cache_dir": "there", "batch_size": 1}
    with pytest.raises(Mistake, match=r"whose labels come from its data\.pattern; leave it out, or add input="):
        trained_config(card, said, "best.ckpt")
