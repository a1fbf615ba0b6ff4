"""Tables and labels that are not what they are taken for."""

import logging
from pathlib import Path

import pytest

from auscult.checkpoint.card import trained_config
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


def divided(folder: Folder, label: str) -> Division:
    task = {"name": "label", "label": label, "classes": None, "folds": 3, "balance": False, "fold_seed": 0}
    return Division(folder, task, 0)


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


def test_numbers_are_no_classes(tmp_path):
    with pytest.raises(Mistake, match="age has 24 different numbers, and only classes can be learnt"):
        divided(corpus(tmp_path, "age", [f"{30 + number / 10}" for number in range(24)]), "age")


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
