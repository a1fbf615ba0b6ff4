"""Examples for each class: its most typical clip and its most surprising clip."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from auscult.explain.relevance.results import Results
from auscult.explain.report.class_averages import ClassAverages, aligned, times_of
from auscult.explain.show.canvas import density
from auscult.explain.show.clip import View
from auscult.tables import any_names


@dataclass(frozen=True)
class Example:
    """A clip that stands out among those of its class.

    Args:
        label: class of the clip.
        kind: "typical" or "surprising".
        row: row of the clip.
        similarity: cosine between its aligned relevance and the mean over recognised clips of its class; NaN if no
            clip was recognised.
    """

    label: int
    kind: str
    row: int
    similarity: float

    def remark(self, results: Results) -> str:
        """Says why the clip stands out."""
        said, name = results.predicted[self.row], results.classes[self.label]
        if self.kind == "typical":
            return f"most typical of {name}"
        if said == self.label:
            return f"most surprising of {name}: recognised, but by other parts than most"
        probability = results.probabilities[self.row, said]
        return f"most surprising of {name}: taken for {results.classes[said]} with {100 * probability:.0f} %"


def examples(results: Results, view: View, averages: ClassAverages) -> list[Example]:
    """Chooses up to two examples for each class.

    - typical: the recognised clip whose relevance is most similar to the mean over recognised clips.
    - surprising: the wrong clip whose prediction has the highest probability. If no clip is wrong, the recognised clip
      that is least similar to the mean, unless it is the typical one.
    """
    alike, wrong = similarities(results, view, averages), results.predicted != results.label
    confidence = results.probabilities.max(1)
    chosen = []
    for label in range(len(results.classes)):
        right, mistaken = (np.flatnonzero((results.label == label) & group) for group in (~wrong, wrong))
        rows = {}
        if len(right):
            rows["typical"] = right[alike[right].argmax()]
        if len(mistaken):
            rows["surprising"] = mistaken[confidence[mistaken].argmax()]
        elif len(right) and (least := right[alike[right].argmin()]) != rows["typical"]:
            rows["surprising"] = least
        chosen += [Example(label, kind, int(row), float(alike[row])) for kind, row in rows.items()]
    return chosen


def similarities(results: Results, view: View, averages: ClassAverages) -> np.ndarray:
    """Cosine between the aligned relevance of each clip and the mean over recognised clips of its class, (N,).

    Relevance of samples changes its sign within milliseconds, relevance of frequencies within a few hertz. So both are
    compared as they are drawn: smoothed.
    """
    times = times_of(results, view)
    extent = float(averages.places[-1] - averages.places[0]) * (1000 if averages.unit == "ms" else 1)

    def direction(relevance: np.ndarray) -> np.ndarray:
        seen = density(relevance, extent, averages.unit) if relevance.ndim == 1 else relevance
        return seen.ravel() / (np.linalg.norm(seen) or 1.0)

    means = [direction(mean) for mean in averages.relevance[:, 0]]
    cosines = np.full(len(results.label), np.nan)
    for rows in results.batches():
        seen = view.as_seen(results.waveforms(rows), results.relevances(rows))
        for row, relevance in zip(rows, seen, strict=True):
            if averages.clips[results.label[row], 0]:
                own = direction(aligned(relevance, averages.onsets[row], times))
                cosines[row] = own @ means[results.label[row]]
    return cosines


def shown(chosen: Sequence[Example], results: Results, most: int) -> list[Example]:
    """The examples to show: all, or those of the `most` classes with the most mistakes."""
    wrong = results.predicted != results.label
    mistakes = np.bincount(results.label, wrong, minlength=len(results.classes))
    classes = set(np.argsort(-mistakes, kind="stable")[:most].tolist())
    return [example for example in chosen if example.label in classes]


def write_typical(path: Path, chosen: Sequence[Example], results: Results) -> None:
    """Writes `typical.csv`: the clips, their predictions and probabilities, and their similarity to the mean."""
    rows = [example.row for example in chosen]
    table = {
        "class": [results.classes[example.label] for example in chosen],
        "kind": [example.kind for example in chosen],
        "path": [results.source.clips[row].path for row in rows],
        "prediction": [results.classes[results.predicted[row]] for row in rows],
        "probability": results.probabilities.max(1)[rows],
        "similarity": [example.similarity for example in chosen],
    }
    any_names(pd.DataFrame)(table).to_csv(path, index=False, float_format="%.6g", errors="surrogateescape")
