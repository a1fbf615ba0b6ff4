"""Which clips of a report have similar relevance: the same sounds, wherever they are in the clip."""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter

from auscult.explain.relevance.results import Results
from auscult.explain.report.class_averages import SMOOTHING, for_average, onset_of, times_of
from auscult.explain.show.clip import View

MOST, LEAST = 2, 0.3  # clips that are named, and their least similarity


def most_similar(results: Results, view: View, rows: Sequence[int]) -> dict[int, list[int]]:
    """The rows with the most similar relevance, for each row; fewer than `MOST` if others are hardly similar.

    Relevance is aligned and smoothed as in class averages. Its similarity is the cosine, from -1 to 1.
    """
    directions, times = [], times_of(results, view)
    for row in rows:
        waveform = results.waveform(row)
        seen = view.as_seen(waveform[None], results.relevance(row)[None])[0]
        aligned = for_average(seen, onset_of(waveform, view.sample_rate), times)
        smooth = gaussian_filter(aligned, [SMOOTHING * size for size in aligned.shape], mode="nearest").ravel()
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
