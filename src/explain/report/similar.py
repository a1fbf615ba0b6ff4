"""Which clips of a report have similar relevance: the same sounds, wherever they are in the clip."""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter

from auscult.explain.relevance.results import Results
from auscult.explain.report.class_averages import SMOOTHING, for_average, onset_of, times_of
from auscult.explain.show.clip import View
from auscult.explain.show.plate import fitting
from auscult.progress import tracked

MOST_CELLS = (120, 400)  # rows and columns that are compared
MOST, LEAST = 2, 0.3  # clips that are named, and their least similarity


def most_similar(results: Results, view: View, rows: Sequence[int]) -> dict[int, list[int]]:
    """The rows with the most similar relevance, for each row; fewer than `MOST` if others are hardly similar.

    Relevance is aligned as in class averages, and smoothed over a 64th of its axes. Its similarity is the cosine, from
    -1 to 1.
    """
    directions, times = [], times_of(results, view)
    for row in tracked(rows, "comparing clips", len(rows)):
        waveform = results.waveform(row)
        seen = view.as_seen(waveform[None], results.relevance(row)[None])[0]
        aligned = for_average(seen, onset_of(waveform, view.sample_rate, results.source.is_trimmed), times)
        small = fitting(np.atleast_2d(aligned), MOST_CELLS)
        smooth = gaussian_filter(small, [SMOOTHING * size for size in small.shape], mode="nearest").ravel()
        directions.append(smooth / (np.linalg.norm(smooth) or 1.0))
    if not directions:
        return {}
    similarity = np.array(directions) @ np.array(directions).T  # (n, n)
    np.fill_diagonal(similarity, -1)
    ranked = np.argsort(-similarity, axis=1, kind="stable")[:, :MOST]
    return {
        row: [rows[other] for other in ranked[place] if similarity[place, other] >= LEAST]
        for place, row in enumerate(rows)
    }
