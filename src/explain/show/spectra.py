"""The figure of relevance over frequency alone, and the level of coefficients."""

import numpy as np
import torch
from matplotlib.figure import Figure

from auscult.explain.show.canvas import RELEVANCE_MAP, density, new_figure

FLOOR_DB = -70.0  # lowest level, relative to the loudest
PEAKED = 30  # times the median: decibels from 0 to 1 have their loudest bin at less than ten times theirs
AGAINST, FOR = RELEVANCE_MAP(0.0), RELEVANCE_MAP(1.0)


def level(coefficients: torch.Tensor) -> torch.Tensor:
    """The level (B, ...) of coefficients (B, C, ...) in decibels relative to the loudest of the clip.

    It is that of the power of all channels, from `FLOOR_DB` to 0.
    """
    amplitude = torch.linalg.vector_norm(coefficients, dim=1)
    loudest = amplitude.flatten(1).amax(1).view(-1, *[1] * (amplitude.dim() - 1))
    share = amplitude / loudest.clamp(min=torch.finfo(amplitude.dtype).tiny)
    return 20 * torch.log10(share.clamp(min=10 ** (FLOOR_DB / 20)))


def visible(spectrograms: torch.Tensor) -> torch.Tensor:
    """Spectrograms (B, F, N) as they are drawn: power and amplitudes in decibels, as otherwise little would be seen.

    They are known by their loudest bin, which is far above the median of those that sound. From `FLOOR_DB` below that
    bin to it, their levels are drawn from 0 to 1, so that silence is 0 as before.
    """
    drawn = spectrograms.clone()
    for own in drawn:
        sounding = own[own > 0]
        if own.min() >= 0 and len(sounding) and own.max() > PEAKED * sounding.median():
            own.copy_(1 - (10 * torch.log10(own / own.max())).clamp(min=FLOOR_DB) / FLOOR_DB)
    return drawn


def plot_spectrum(level: np.ndarray, relevance: np.ndarray, frequencies: np.ndarray, title: str = "") -> Figure:
    """Draws the level of a clip over frequency and, below, the relevance of its frequencies per hertz.

    Args:
        level: (F,) in decibels.
        relevance: (F,).
        frequencies: (F,) in hertz, evenly spaced from 0.
    """
    figure = new_figure(title, height=4.2)
    above, below = figure.subplots(2, sharex=True, height_ratios=(2, 3))
    pieces = np.array_split(np.arange(len(level)), min(len(level), 800))  # a screen has no room for more
    highest = np.array([level[piece].max() for piece in pieces])
    above.fill_between([frequencies[piece].mean() for piece in pieces], FLOOR_DB, highest, color="0.55", linewidth=0)
    above.set(ylim=(FLOOR_DB, 3), ylabel="decibels")
    seen = density(relevance, frequencies[-1] - frequencies[0], "Hz")
    for part, colour in ((np.maximum(seen, 0), FOR), (np.minimum(seen, 0), AGAINST)):
        below.fill_between(frequencies, 0, part, color=colour, linewidth=0)
    below.axhline(0, color="0.4", linewidth=0.6)
    below.ticklabel_format(axis="y", scilimits=(-2, 3))
    below.set(xlim=(frequencies[0], frequencies[-1]), xlabel="hertz", ylabel="relevance per Hz")
    figure.align_ylabels()
    return figure
