"""Sentences on where the relevance of each class lies, and on its wrong predictions."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from auscult.explain.relevance.results import Results
from auscult.explain.report.class_averages import LEAD_SECONDS, ClassAverages
from auscult.explain.report.profiles import Half, half_of

SPREAD = 0.4  # share of an axis: if the shortest half is longer, relevance is spread over the axis
MOST_NAMED = 5  # classes named among the wrong predictions of a class
FEW = 3  # classes that are named one by one


@dataclass(frozen=True)
class Place:
    """Where half of the positive relevance of a class's recognised clips lies along one axis.

    Args:
        unit: of the axis: "Hz", or "s" after the onset.
        start, stop: the ends, in that unit.
        words: the same in words: "lies between 150 and 300 Hz".
        half: how sure that is.
    """

    unit: str
    start: float
    stop: float
    words: str
    half: Half

    @property
    def is_spread(self) -> bool:
        """Whether it says no more than that relevance is spread over the axis."""
        return "spread" in self.words


def places_of(averages: ClassAverages, results: Results, label: int) -> list[Place]:
    """Where half of the positive relevance of a class's recognised clips lies, in frequency and in time.

    An axis that relevance does not have is left out, and so are all if no clip was recognised or none has positive
    relevance.
    """
    recognised = np.flatnonzero((results.label == label) & (results.predicted == label))
    speakers = [results.source.clips[row].speaker for row in recognised]
    found = []
    axes = (("Hz", averages.in_frequency, band_ends, band), ("s", averages.in_time, interval_ends, interval))
    for unit, profiles, ends, words in axes:
        if profiles is None:
            continue
        own = replace(profiles, shares=profiles.shares[recognised], even=profiles.even[recognised])
        if half := half_of(own, speakers):
            cells = half.first, half.last
            found.append(Place(unit, *ends(cells, own.places), words(cells, own.places), half))
    return found


def class_findings(places: Sequence[Place], results: Results, label: int) -> str:
    """Says where half of the positive relevance of a class's recognised clips lies, and how sure that is."""
    if not ((results.label == label) & (results.predicted == label)).any():
        return "None of its clips was recognised."
    if not places:
        return "There is no positive relevance."
    said = [
        place.words if place.is_spread else f"{place.words} ({certainty(place.half, results.source.unit)})"
        for place in places
    ]
    target = results.question.target
    whose = "it" if isinstance(target, str) else results.classes[target]  # a recognised clip's answer is its class
    return f"Half of what speaks for {whose} {'; in time, half of it '.join(said)}."


def headline(places: Mapping[str, Sequence[Place]]) -> str:
    """Says where half of what speaks for each class lies, in one sentence; empty if that is not known.

    Of many classes, two are named whose ranges are sure and do not meet.

    Args:
        places: of each class by name, see `places_of`.
    """
    told = {name: next((place for place in own if not place.is_spread), None) for name, own in places.items()}
    named = [(name, place) for name, place in told.items() if place]
    if len(named) <= FEW:
        by = [f"at {range_of(place)} for {name}{'' if place.half.is_sure else ' (uncertain)'}" for name, place in named]
        each = "each" if by[1:] else "it"
        said = f"listens most {', '.join(by[:-1])}{' and ' if by[1:] else ''}{by[-1]}" if by else ""
    else:
        unit = Counter(place.unit for _, place in named).most_common(1)[0][0]
        sure = [(name, place) for name, place in named if place.unit == unit and place.half.is_sure]
        sure.sort(key=lambda both: both[1].start + both[1].stop)
        if not sure or sure[0][1].stop > sure[-1][1].start:
            return ""
        words = ("lowest", "highest") if unit == "Hz" else ("earliest", "latest")
        ends = zip((sure[0], sure[-1]), words, strict=True)
        first, last = (f"{word} for {name} ({range_of(place)})" for (name, place), word in ends)
        each, said = "each", f"listens {first} and {last}"
    count = sum(bool(own) for own in places.values())
    of = "The network" if count <= FEW else f"Of {count} classes, the network"
    return f"{of} {said}: half of what speaks for {each} lies there, by relevance." if said else ""


def range_of(place: Place) -> str:
    """The ends of a place in words: "150 to 300 Hz"."""
    if place.unit == "s" and place.stop <= 0:
        return "the time just before the onset"
    start, stop = _digits(max(place.start, 0.0)), _digits(place.stop)
    ends = stop if start == stop else f"{start} to {stop}"
    return f"{ends} {place.unit}{' after the onset' if place.unit == 's' else ''}"


def certainty(half: Half, unit: str) -> str:
    """How much a range holds for others than chose it; and whether even relevance has as much."""
    if math.isnan(half.low):
        return f"too few {unit}s to say how sure that is"
    uncertain = "" if half.is_sure else f", uncertain: evenly spread relevance has {100 * half.even:.0f} %"
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
    """Describes a range of rows in hertz."""
    if rows[1] - rows[0] + 1 > SPREAD * len(frequencies):
        return "is spread over all frequencies"
    low, high = band_ends(rows, frequencies)
    return f"lies between {_digits(max(low, 0.0))} and {_digits(high)} Hz"


def band_ends(rows: tuple[int, int], frequencies: np.ndarray) -> tuple[float, float]:
    """The ends of a range of rows, in hertz. A row reaches halfway to the centre of the next row."""
    centres = np.pad(frequencies.astype(float), 1, mode="reflect", reflect_type="odd")
    low, high = ((centres[row] + centres[row + 1]) / 2 for row in (rows[0], rows[1] + 1))
    return float(low), float(high)


def interval(columns: tuple[int, int], times: np.ndarray) -> str:
    """Describes a range of columns in seconds from the onset."""
    if columns[1] - columns[0] + 1 > SPREAD * len(times):
        return "is spread over all the time"
    start, stop = interval_ends(columns, times)
    if stop <= 0:
        return "lies just before the onset"
    if start <= max(0.0, float(times[1] - times[0]) - LEAD_SECONDS):
        return f"lies in the first {_digits(stop)} s after the onset"
    return f"lies between {_digits(start)} and {_digits(stop)} s after the onset"


def interval_ends(columns: tuple[int, int], times: np.ndarray) -> tuple[float, float]:
    """The ends of a range of columns, in seconds from the onset."""
    step = float(times[1] - times[0])
    return float(times[columns[0]]) - step / 2, float(times[columns[1]]) + step / 2


def _digits(value: float) -> str:
    return f"{float(f'{value:.2g}'):,g}".replace(",", "\N{NO-BREAK SPACE}")
