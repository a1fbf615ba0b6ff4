"""Sentences on where the relevance of each class lies, and on its wrong predictions."""

from collections import Counter

import numpy as np

from auscult.explain.relevance.results import Results
from auscult.explain.report.class_averages import LEAD_SECONDS, ClassAverages

SPREAD = 0.4  # share of an axis: if the shortest half is longer, relevance is spread over the axis
MOST_NAMED = 5  # classes named among the wrong predictions of a class


def class_findings(averages: ClassAverages, label: int, name: str) -> str:
    """Says where half of the positive relevance of recognised clips lies; empty for waveforms and spectra.

    Args:
        averages: averages of all classes.
        label: the class.
        name: name of the class.
    """
    count = averages.clips[label, 0]
    if not count:
        return f"{name}: none of its clips was recognised."
    if averages.by_row is None or averages.by_column is None or averages.frequencies is None:
        return ""
    recognised = "1 recognised clip" if count == 1 else f"{count} recognised clips"
    if not averages.by_row[label].any():
        return f"{name}: there is no positive relevance of {recognised}."
    rows, columns = shortest_half(averages.by_row[label]), shortest_half(averages.by_column[label])
    where = f"{band(rows, averages.frequencies)}, and half of it {interval(columns, averages.places)}"
    return f"{name}: half of the positive relevance of {recognised} {where}."


def confusions(results: Results, label: int) -> str:
    """Lists the wrong predictions for the clips of a class, the most frequent first."""
    predicted = results.predicted[(results.label == label) & (results.predicted != label)]
    taken = Counter(results.classes[number] for number in predicted).most_common()
    named = [f"{name} ({count})" for name, count in taken[:MOST_NAMED]]
    if rest := sum(count for _, count in taken[MOST_NAMED:]):
        named.append(f"others ({rest})")
    return f"Wrong clips were taken for {', '.join(named)}." if named else ""


def shortest_half(mass: np.ndarray) -> tuple[int, int]:
    """First and last index of the shortest range that holds at least half of a mass (N,); of equals, the fullest.

    Raises:
        ValueError: the mass is zero.
    """
    before = np.concatenate(([0.0], np.cumsum(mass)))  # (N + 1,)
    half = before[-1] / 2 * (1 - 1e-9)  # minus a rounding error
    if not half > 0:
        raise ValueError("no mass has no half")
    for length in range(1, len(before)):
        held = before[length:] - before[:-length]  # (N + 1 - length,)
        if held.max() >= half:
            break
    return int(held.argmax()), int(held.argmax()) + length - 1


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
    if start <= max(0.0, step - LEAD_SECONDS):
        return f"lies in the first {_digits(stop)} s after the onset"
    return f"lies between {_digits(start)} and {_digits(stop)} s after the onset"


def _digits(value: float) -> str:
    return f"{float(f'{value:.2g}'):,g}".replace(",", "\N{NO-BREAK SPACE}")
