"""Which channels of its input a network listens to, for each class that it is explained for."""

import numpy as np
import pandas as pd

from auscult.explain.measures.channels import Channels
from auscult.explain.relevance.results import Results
from auscult.explain.report.html import Section
from auscult.intervals import SpeakerIntervals

RELEVANCE, ENERGY = Channels.measures
MOST = 100  # rows of the table: classes with most clips
GUIDE = (
    "Pictures and sounds show all channels together: the mean of the input, and the sum of relevance. This table tells"
    " them apart. A network that listens to all channels alike has as large a share of relevance in a channel as the"
    " channel has of the energy. In brackets, 95 % intervals."
)


def has_channels(results: Results) -> bool:
    """Whether relevance of several channels was measured."""
    return any(RELEVANCE.is_in(name) for name in results.measured)


def channels_section(results: Results) -> Section:
    """The section with each channel's share of relevance and of energy; a row per class that is explained."""
    columns = {
        f"channel {name.rpartition('/')[2]}, {measure.name}": results.measured[name]
        for name in results.measured
        for measure in (RELEVANCE, ENERGY)
        if measure.is_in(name)
    }
    numbers, clips = np.unique(results.target, return_counts=True)
    rows = []
    for number in sorted(numbers[np.argsort(-clips, kind="stable")][:MOST].tolist()):
        chosen = results.target == number
        shares = {name: described(results, values, chosen) for name, values in columns.items()}
        rows.append({"relevance for": results.classes[number], "clips": int(chosen.sum()), **shares})
    return Section("Channels", [GUIDE], table=pd.DataFrame(rows))


def described(results: Results, values: np.ndarray, chosen: np.ndarray) -> str:
    """The mean of values (N,) over chosen clips (N,) bool, with its interval."""
    known = chosen & ~np.isnan(values)
    if not known.any():
        return "unknown"
    speakers = [clip.speaker for clip, is_one in zip(results.source.clips, known, strict=True) if is_one]
    low, high = SpeakerIntervals(speakers).of_mean(values[known])
    interval = "" if np.isnan(low) else f" [{low:.2f}, {high:.2f}]"
    return f"{values[known].mean(dtype=float):.2f}{interval}"
