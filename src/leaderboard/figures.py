"""The figures of a leaderboard: curves over energy, and similarity over randomised layers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from auscult.drawing import literal
from auscult.explain.show.canvas import small_figure
from auscult.explain.show.plots import LINES, MARKERS
from auscult.leaderboard.ranking import CONTROLS, Entry

MOST_IN_LEGEND = 40  # characters of a name in the legend
GREYS = dict(zip(CONTROLS, ("0.3", "0.65"), strict=True))

Styles = dict[str, dict[str, Any]]  # of lines, by attribution


def plot_energy(entries: Sequence[Entry], styles: Styles) -> Figure:
    """Draws the mean probability of the label over the share of energy that is removed, and over that which is left.

    Args:
        entries: the entries of one domain.
        styles: of their lines, see `styles_of`.
    """
    figure, axes = panels(entries, ["energy/deletion", "energy/insertion"], styles)
    for own, words in zip(axes, ("removed, the most relevant first", "left, the most relevant alone"), strict=True):
        own.xaxis.set_major_formatter(PercentFormatter(1))
        own.set(ylabel="probability of the label", xlabel=f"energy {words}")
    return figure


def plot_cascade(entries: Sequence[Entry], styles: Styles) -> Figure:
    """Draws the mean similarity to the original relevance as layers are randomised, the last first, of a domain."""
    figure, (own,) = panels(entries, ["cascade"], styles)
    own.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    own.set(ylabel="rank correlation", xlabel="layers randomised, the last first")
    own.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def panels(entries: Sequence[Entry], curves: Sequence[str], styles: Styles) -> tuple[Figure, list[Axes]]:
    """Makes axes for each curve, one above the other. A line is the mean over the clips of an attribution."""
    figure = small_figure(entries[0].domain, 2.4 * len(curves) + 0.2 * len(entries) + 0.4)
    axes = list(figure.subplots(len(curves), sharey=True, squeeze=False)[:, 0])
    for own, curve in zip(axes, curves, strict=True):
        own.spines[["top", "right"]].set_visible(False)
        for entry in entries:
            if curve in entry.curves:
                places, values = entry.curves[curve]  # (F,), (N, F)
                name = literal(entry.attribution, MOST_IN_LEGEND)
                own.plot(places, np.nanmean(values, 0), label=name, **styles[entry.attribution])
    lines = {name: line for own in axes for line, name in zip(*own.get_legend_handles_labels(), strict=True)}
    figure.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure, axes


def styles_of(attributions: Sequence[str]) -> Styles:
    """The line style of each attribution. Controls are grey and have no markers."""
    styles: Styles = {}
    for number, name in enumerate(name for name in attributions if name not in CONTROLS):
        again = number >= len(LINES)
        styles[name] = {
            "color": LINES[number % len(LINES)], "marker": MARKERS[number % len(MARKERS)], "markersize": 3.5,
            "linewidth": 1.2, "linestyle": "--" if again else "-",
        }  # fmt: skip
    return styles | {name: {"color": grey, "linewidth": 1.6, "linestyle": ":"} for name, grey in GREYS.items()}
