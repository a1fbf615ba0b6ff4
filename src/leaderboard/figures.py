"""The figures of a leaderboard: curves over energy, and similarity over randomised layers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from auscult.drawing import literal
from auscult.explain.show.plots import LINES, MARKERS
from auscult.leaderboard.ranking import Entry

MOST_IN_LEGEND = 40  # characters of a name in the legend
CONTROLS = {"amplitude": "0.3", "random": "0.65"}  # grey


def plot_energy(entries: Sequence[Entry]) -> Figure:
    """Draws the mean probability of the label over the removed share of energy, and over the share left, by domain."""
    figure, axes = panels(entries, ["energy/deletion", "energy/insertion"])
    for own in axes.flat:
        own.xaxis.set_major_formatter(PercentFormatter(1))
    for row, words in zip(axes, ("removed, the most relevant first", "left, the most relevant alone"), strict=True):
        row[0].set_ylabel("probability of the label")
        for own in row:
            own.set_xlabel(f"energy {words}")
    return figure


def plot_cascade(entries: Sequence[Entry]) -> Figure:
    """Draws the mean similarity to the original relevance as layers are randomised, the last first, by domain."""
    figure, axes = panels(entries, ["cascade"])
    axes[0, 0].set_ylabel("rank correlation")
    for own in axes.flat:
        own.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        own.set_xlabel("layers randomised, the last first")
        own.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def panels(entries: Sequence[Entry], curves: Sequence[str]) -> tuple[Figure, np.ndarray]:
    """Makes a column of axes per domain and a row per curve. A line is the mean over the clips of an attribution."""
    domains = list(dict.fromkeys(entry.domain for entry in entries))
    styles = styles_of(list(dict.fromkeys(entry.attribution for entry in entries)))
    figure = Figure((3 + 3 * len(domains), 0.4 + 2.8 * len(curves)), layout="constrained")
    axes = figure.subplots(len(curves), len(domains), sharex=True, sharey=True, squeeze=False)
    for row, curve in enumerate(curves):
        for column, domain in enumerate(domains):
            own: Axes = axes[row, column]
            own.spines[["top", "right"]].set_visible(False)
            for entry in entries:
                if entry.domain == domain and curve in entry.curves:
                    places, values = entry.curves[curve]  # (F,), (N, F)
                    own.plot(
                        places,
                        np.nanmean(values, 0),
                        label=literal(entry.attribution, MOST_IN_LEGEND),
                        **styles[entry.attribution],
                    )
            axes[0, column].set_title(domain, fontsize="medium")
    lines = {name: line for own in axes.flat for line, name in zip(*own.get_legend_handles_labels(), strict=True)}
    figure.legend(lines.values(), lines.keys(), loc="outside right upper", frameon=False, fontsize="small")
    return figure, axes


def styles_of(attributions: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The line style of each attribution. Controls are grey and have no markers."""
    styles: dict[str, dict[str, Any]] = {}
    for number, name in enumerate(name for name in attributions if name not in CONTROLS):
        again = number >= len(LINES)
        styles[name] = {
            "color": LINES[number % len(LINES)], "marker": MARKERS[number % len(MARKERS)], "markersize": 3.5,
            "linewidth": 1.2, "linestyle": "--" if again else "-",
        }  # fmt: skip
    return styles | {name: {"color": grey, "linewidth": 1.6, "linestyle": ":"} for name, grey in CONTROLS.items()}
