"""Sentences on where the relevance of each class lies, and on its wrong predictions."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np

from auscult.explain.relevance.results import Results
from auscult.explain.report.class_averages import LEAD_SECONDS, ClassAverages
from auscult.explain.report.profiles import Half, half_of

SPREAD = 0.4  # share of an axis: if the shortest half is longer, relevance is spread over the axis
MOST_NAMED = 5  # classes named among the wrong predictions of a class


def class_findings(averages: ClassAverages, results: Results, label: int) -> str:
    """Says where half of the positive relevance of a class's recognised clips lies, and how sure that is."""
    recognised = np.flatnonzero((results.label == label) & (results.predicted == label))
    if not len(recognised):
        return "None of its clips was recognised."
    speakers = [results.source.clips[row].speaker for row in recognised]
    target, said = results.question.target, []
    for profiles, words in ((averages.in_frequency, band), (averages.in_time, interval)):
        if not profiles:
            continue
        own = replace(profiles, shares=profiles.shares[recognised], even=profiles.even[recognised])
        if half := half_of(own, speakers):
            where = words((half.first, half.last), profiles.places)
            said.append(where if "spread" in where else f"{where} ({certainty(half, results.source.unit)})")
    if not said:
        return "There is no positive relevance."
    whose = "it" if isinstance(target, str) else results.classes[target]  # a recognised clip's answer is its class
    return f"Half of what speaks for {whose} {'; in time, half of it '.join(said)}."


def certainty(half: Half, unit: str) -> str:
    """How much a range holds for others than chose it; and whether even relevance has as much."""
    if math.isnan(half.low):
        return f"too few {unit}s to say how sure that is"
    uncertain = "" if half.is_sure else f", uncertain: even relevance has {100 * half.even:.0f} %"
    share, low, high = (f"{100 * value:.0f}" for value in (half.share, half.low, half.high))
    return f"for other {unit}s {share} % [{low}, {high}]{uncertain}"


def confusions(results: Results, label: int) -> str:
    """Lists the wrong predictions for the clips of a class, the most frequent first."""
    predicted = results.predicted[(results.label == label) & (results.predicted != label)]
    taken = Counter(results.classes[number] for number in predicted).most_common()
    named = [f"{name} ({count})" for name, count in taken[:MOST_NAMED]]
    if rest := sum(count for _, count in taken[MOST_NAMED:]):
        named.append(f"others ({rest})")
    return f"Wrong clips were taken for {', '.join(named)}." if named else ""


def band(rows: tuple[int, int], frequencies: np.ndarray) -> str:
    """Describes a range of rows in hertz. A row reaches halfway to the centre of the next row."""
    if rows[1] - rows[0] + 1 > SPREAD * len(frequencies):
        return "is spread over all frequencies"
    centres = np.pad(frequencies.astype(float), 1, mode="reflect", reflect_type="odd")
    low, high = ((centres[row] + centres[row + 1]) / 2 for row in (rows[0], rows[1] + 1))
    return f"lies between {_digits(max(low, 0.0))} and {_digits(high)} Hz"


def interval(columns: tuple[int, int], times: np.ndarray) -> str:
    """Describes a range of columns in seconds from the onset."""
    if columns[1] - columns[0] + 1 > SPREAD * len(times):
        return "is spread over all the time"
    step = float(times[1] - times[0])
    start, stop = float(times[columns[0]]) - step / 2, float(times[columns[1]]) + step / 2
    if stop <= 0:
        return "lies just before the onset"
    if start <= max(0.0, step - LEAD_SECONDS):
        return f"lies in the first {_digits(stop)} s after the onset"
    return f"lies between {_digits(start)} and {_digits(stop)} s after the onset"


def _digits(value: float) -> str:
    return f"{float(f'{value:.2g}'):,g}".replace(",", "\N{NO-BREAK SPACE}")
