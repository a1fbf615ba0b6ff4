"""The section of the report on classes: averages, places of relevance, and examples."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from auscult.explain.relevance.results import Results
from auscult.explain.report import class_examples as typical
from auscult.explain.report.class_averages import ClassAverages, class_averages
from auscult.explain.report.class_examples import Example
from auscult.explain.report.class_figures import VERDICTS, plot_class, plot_class_averages
from auscult.explain.report.class_findings import Place, class_findings, confusions, places_of
from auscult.explain.report.class_plates import class_plate
from auscult.explain.report.html import ClipPanel, Part, Section
from auscult.explain.show import plots
from auscult.explain.show.clip import View
from auscult.explain.show.plate import with_band, with_range
from auscult.progress import tracked

MOST_CLASSES = 10  # with clips on the page: a clip takes 1.5 MB (4 s at 22 050 Hz)
RELEVANCE_OF = {"predicted": "the class that the clip was taken for", "true": "the clip's true class"}


@dataclass(frozen=True)
class Classes:
    """What a report says of the classes.

    Args:
        section: its section.
        examples: the clips that it shows of them.
        places: where half of what speaks for each class lies, by name.
        onsets: (n,), onset of each clip, in seconds.
    """

    section: Section
    examples: list[Example]
    places: dict[str, list[Place]]
    onsets: np.ndarray


def class_section(folder: Path, results: Results, view: View) -> Classes:
    """Looks at the relevance of each class.

    Writes `figures/class_averages.png`, `typical.csv` and, if relevance has two axes, `figures/classes/`.
    """
    averages = class_averages(results, view)
    examples = typical.examples(results, view, averages)
    typical.write_typical(folder / "typical.csv", examples, results)
    shown = typical.shown(examples, results, MOST_CLASSES)
    drawn = folder / "figures/class_averages.png"
    drawn.write_bytes(plots.png(plot_class_averages(averages, results.classes)))
    places = {name: places_of(averages, results, label) for label, name in enumerate(results.classes)}
    parts = class_parts(folder, results, averages, shown, places)
    section = Section("Class averages", explained(results, averages), parts=parts)
    return Classes(section, shown, places, averages.onsets)


def how_sure(unit: str) -> str:
    """Explains the brackets of `class_findings`."""
    return (
        "A range is the shortest one with half of the positive relevance of recognised clips, in rows and columns of"
        f" the picture. For other {unit}s: what it holds for a {unit} whose clips did not choose it, with the 95 %"
        f" interval over {unit}s."
    )


def explained(results: Results, averages: ClassAverages) -> list[str]:
    """Explains how to read the averages."""
    target = results.question.target
    whose = RELEVANCE_OF[target] if isinstance(target, str) else results.classes[target]
    aligned = "" if averages.unit == "Hz" else ", aligned to where their sounds begin"
    text = [
        f"Mean relevance of the clips of each class, those that were recognised and those that were not{aligned}."
        f" Red speaks for {whose}, blue against it, and every clip counts alike. Each picture has its own scale:"
        " compare where relevance lies, not how much of it there is. figures/class_averages.png shows them for print."
    ]
    if averages.spectrogram is not None:
        text.append(
            "What all classes share, such as less relevance towards the edges, comes from the network and is no sign of"
            " a class: look for the differences between classes."
        )
        text.append(
            "Grey is the mean spectrogram of the same clips, the darker the louder. Relevance is"
            " smoothed over a 64th of each axis, so that means of few clips are less speckled."
        )
    if len(results.classes) > MOST_CLASSES:
        text.append(
            f"Typical and surprising clips are shown of the {MOST_CLASSES} classes with the most mistakes; typical.csv"
            " names those of all classes."
        )
    return text


def class_parts(
    folder: Path,
    results: Results,
    averages: ClassAverages,
    examples: Sequence[Example],
    places: Mapping[str, Sequence[Place]],
) -> list[Part]:
    """One part for each class that has clips."""
    parts = []
    names = enumerate(zip(results.classes, file_names(results.classes), strict=True))
    for label, (name, stem) in tracked(names, "drawing classes", len(results.classes)):
        right, wrong = averages.clips[label]
        if right + wrong == 0:
            continue
        if averages.spectrogram is not None:
            (folder / "figures/classes").mkdir(exist_ok=True)
            (folder / f"figures/classes/{stem}.png").write_bytes(plots.png(plot_class(averages, label)))
        plates = [
            (f"{count} {verdict}", class_plate(averages, (label, is_wrong), name))
            for is_wrong, (count, verdict) in enumerate(zip((right, wrong), VERDICTS, strict=True))
            if count
        ]
        text = [class_findings(places[name], results, label), confusions(results, label)]
        links = [
            (example.remark(results), results.source.clips[example.row].path)
            for example in examples
            if example.label == label
        ]
        title = f"{name}: {right} right, {wrong} wrong"
        parts.append(Part(title, [line for line in text if line], links, plates, name))
    return parts


def ranged(shown: ClipPanel, results: Results, view: View, classes: Classes, row: int) -> ClipPanel:
    """The clip with the places where half of what speaks for its class lies, if its relevance is for that class."""
    drawn = shown.plate
    if drawn is None or (results.question.target == "predicted" and results.predicted[row] != results.label[row]):
        return shown
    for place in classes.places[results.classes[results.label[row]]]:
        ends = place.start, place.stop, place.half.is_sure
        if place.is_spread:
            continue
        if place.unit == drawn.axis == "s":
            begins = float(classes.onsets[row])
            drawn = with_range(drawn, begins + place.start, begins + place.stop, place.half.is_sure, shown.seconds)
        elif drawn.axis == "Hz" and view.frequencies is not None:
            drawn = with_range(drawn, *ends, float(view.frequencies[-1]))
        elif view.grid.frequencies is not None:
            drawn = with_band(drawn, *ends, view.grid.frequencies)
    return replace(shown, plate=drawn)


def file_names(classes: Sequence[str]) -> list[str]:
    """Names for the files of classes, without ending. They are valid and distinct on any file system."""
    names = [re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._-")[:100] or "class" for name in classes]
    count = Counter(name.lower() for name in names)
    alone = {name.lower() for name in names if count[name.lower()] == 1}
    unique = []
    for number, name in enumerate(names):
        if count[name.lower()] > 1:
            name += f"-{number}"
            while name.lower() in alone:
                name += f"-{number}"
        unique.append(name)
    return unique
