"""The clips that show best what the network makes of a class: the most typical one, and the most surprising one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from auscult.explain.relevance.results import Results
from auscult.explain.report.class_averages import ClassAverages, aligned, times_of
from auscult.explain.show.canvas import density
from auscult.explain.show.clip import View


@dataclass(frozen=True)
class Example:
    """A clip that stands out among those of its class.

    Args:
        label: its class.
        kind: "typical" or "surprising".
        row: its number.
        similarity: cosine between its aligned relevance and the mean of its class's recognised clips; NaN where none
            was recognised.
    """

    label: int
    kind: str
    row: int
    similarity: float

    def remark(self, results: Results) -> str:
        """What makes it stand out."""
        said, name = results.predicted[self.row], results.classes[self.label]
        if self.kind == "typical":
            return f"most typical of {name}"
        if said == self.label:
            return f"most surprising of {name}: recognised, but for other reasons than the rest"
        probability = results.probabilities[self.row, said]
        return f"most surprising of {name}: taken for {results.classes[said]} with {100 * probability:.0f} %"


def examples(results: Results, view: View, averages: ClassAverages) -> list[Example]:
    """Up to two of each class.

    - typical: the recognised clip whose relevance is most like the mean of those that were recognised.
    - surprising: of the wrong ones, the one that was taken for another class with the highest probability; where there
      is none, the recognised clip least like the mean, unless it is the typical one.
    """
    alike, wrong = similarities(results, view, averages), results.predicted != results.label
    confidence = results.probabilities.max(1)
    found = []
    for label in range(len(results.classes)):
        right, mistaken = (np.flatnonzero((results.label == label) & group) for group in (~wrong, wrong))
        rows = {}
        if len(right):
            rows["typical"] = right[alike[right].argmax()]
        if len(mistaken):
            rows["surprising"] = mistaken[confidence[mistaken].argmax()]
        elif len(right) and (least := right[alike[right].argmin()]) != rows["typical"]:
            rows["surprising"] = least
        found += [Example(label, kind, int(row), float(alike[row])) for kind, row in rows.items()]
    return found


def similarities(results: Results, view: View, averages: ClassAverages) -> np.ndarray:
    """Cosine between each clip's aligned relevance and the mean of its class's recognised clips, (N,).

    Relevance of samples changes its sign within milliseconds, that of frequencies within a few hertz, so it is compared
    as it is seen: smoothed.
    """
    times = times_of(results, view)
    extent = float(averages.places[-1] - averages.places[0]) * (1000 if averages.unit == "ms" else 1)

    def direction(relevance: np.ndarray) -> np.ndarray:
        seen = density(relevance, extent, averages.unit) if relevance.ndim == 1 else relevance
        return seen.ravel() / (np.linalg.norm(seen) or 1.0)

    means = [direction(mean) for mean in averages.relevance[:, 0]]
    found = np.full(len(results.label), np.nan)
    for rows in results.batches():
        for row, relevance in zip(rows, results.relevances(rows), strict=True):
            if averages.clips[results.label[row], 0]:
                own = direction(aligned(relevance, averages.onsets[row], times))
                found[row] = own @ means[results.label[row]]
    return found


def shown(found: Sequence[Example], results: Results, most: int) -> list[Example]:
    """Those of the classes with the most mistakes, if there are more classes than `most`."""
    wrong = results.predicted != results.label
    mistakes = np.bincount(results.label, wrong, minlength=len(results.classes))
    classes = set(np.argsort(-mistakes, kind="stable")[:most].tolist())
    return [example for example in found if example.label in classes]


def write_typical(path: Path, found: Sequence[Example], results: Results) -> None:
    """`typical.csv`: the clips, what they were taken for with which probability, and how like the mean they are."""
    rows = [example.row for example in found]
    table = {
        "class": [results.classes[example.label] for example in found],
        "kind": [example.kind for example in found],
        "path": [results.source.clips[row].path for row in rows],
        "prediction": [results.classes[results.predicted[row]] for row in rows],
        "probability": results.probabilities.max(1)[rows],
        "similarity": [example.similarity for example in found],
    }
    pd.DataFrame(table).to_csv(path, index=False, float_format="%.6g", errors="surrogateescape")
