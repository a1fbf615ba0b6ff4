from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from auscult.explain.report.class_section import class_section, file_names
from tests.explain.small_results import COLUMNS, RATE, ROWS, small_results, small_view, wave_view


def section_of(tmp_path, classes: int, shape: tuple[int, ...] = (ROWS, COLUMNS), target: int | str = "predicted"):
    """Of three clips per class, of which the last is taken for the next class."""
    label = np.repeat(np.arange(classes), 3)
    said = np.where(np.arange(3 * classes) % 3 == 2, (label + 1) % classes, label)
    relevance = np.random.default_rng(0).standard_normal((3 * classes, *shape))
    names = [f"class {number}" for number in range(classes)]
    results = small_results(tmp_path, relevance, label.tolist(), np.eye(classes)[said].tolist(), names)
    results.question = replace(results.question, target=target)
    (tmp_path / "figures").mkdir()
    found = class_section(tmp_path, results, wave_view() if len(shape) == 1 else small_view())
    return found.section, found.examples


def test_each_class_has_its_figure_sentences_and_links(tmp_path):
    section, shown = section_of(tmp_path, 2)
    assert [part.title for part in section.parts] == ["class 0: 2 right, 1 wrong", "class 1: 2 right, 1 wrong"]
    assert sorted(file.name for file in (tmp_path / "figures/classes").iterdir()) == ["class_0.png", "class_1.png"]
    assert (tmp_path / "figures/class_averages.png").exists() and not section.pictures
    first = section.parts[0]
    assert [words for words, _ in first.plates] == ["2 right", "1 wrong"]
    assert all(plate.panels[0].grey and not plate.plays for _, plate in first.plates)
    assert first.text[0].startswith("Half of what speaks for it ") and first.name == "class 0"
    assert first.text[1] == "Wrong clips were taken for class 1 (1)."
    assert first.links[1] == ("most surprising of class 0: taken for class 1 with 100 %", "2.wav")
    assert {f"{example.row}.wav" for example in shown} == {path for part in section.parts for _, path in part.links}
    assert len(pd.read_csv(tmp_path / "typical.csv")) == 4


def test_of_many_classes_some_clips_are_shown_and_all_are_in_the_table(tmp_path, monkeypatch):
    monkeypatch.setattr("auscult.explain.report.class_section.MOST_CLASSES", 2)
    section, shown = section_of(tmp_path, 3)
    assert len(section.parts) == 3 and len(shown) == 4
    assert [len(part.links) for part in section.parts] == [2, 2, 0]
    assert "of the 2 classes with the most mistakes" in section.text[-1]
    assert len(pd.read_csv(tmp_path / "typical.csv")) == 6


def test_waveforms_have_the_overview_and_the_clips_only(tmp_path):
    section, _ = section_of(tmp_path, 2, (RATE,))
    assert not any(plate.panels[0].grey for part in section.parts for _, plate in part.plates)
    assert [len(part.links) for part in section.parts] == [2, 2]
    assert not (tmp_path / "figures/classes").exists()


@pytest.mark.parametrize(
    ("target", "words"),
    [("predicted", "the class that the clip was taken for"), ("true", "true class"), (1, "Red speaks for class 1, ")],
)
def test_it_says_what_the_relevance_is_for(tmp_path, target, words):
    assert words in section_of(tmp_path, 2, (RATE,), target)[0].text[0]


def test_files_of_classes_have_names_that_differ():
    names = file_names(["Dog", "dog", "a/b", "a b", "rain.fall", "../..", "x" * 300])
    assert len({name.lower() for name in names}) == 7
    assert names[4] == "rain.fall" and all(name.strip(".") and "/" not in name and len(name) < 110 for name in names)
