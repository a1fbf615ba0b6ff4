"""Figures of a clip's relevance, of perturbation curves and of interventions; see `canvas` for how they look."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, PercentFormatter
from scipy import signal

from auscult.drawing import literal, save
from auscult.explain.intervention.interventions import SHAMS
from auscult.explain.show.canvas import (
    BAR,
    NARROW,
    cells,
    colour_bar,
    colour_limit,
    density,
    draw_grey,
    draw_relevance,
    edges,
    name_rows,
    new_figure,
    small_figure,
)
from auscult.explain.show.seen import WINDOW_SECONDS
from auscult.explain.show.spectra import FLOOR_DB

Metrics = Mapping[str, float]

LINES = ("#D55E00", "#009E73", "#0072B2", "#000000", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito, without yellow
MARKERS = "osD^vPX"


def plot_clip(
    waveform: np.ndarray,
    relevance: np.ndarray,
    sample_rate: int,
    title: str = "",
    spectrogram: np.ndarray | None = None,
    frequencies: np.ndarray | None = None,
    times: np.ndarray | None = None,
    shown: str = "the network's input",
    bins: np.ndarray | None = None,
) -> Figure:
    """Draws a clip's waveform above its spectrogram, with relevance. Reports use it for any network.

    Relevance of samples colours the waveform, and its shares in time and frequency, if there are any, the spectrogram.
    Relevance of a spectrogram colours the spectrogram, and its sum over frequencies the waveform. The spectrogram is
    then the network's own input. All its rows are equally high, whatever range of frequencies they have, as the network
    sees it.

    Args:
        waveform: (T,).
        relevance: of samples (T,), or of a spectrogram (F, N), frequency by time.
        sample_rate: in hertz.
        title: title of the figure.
        spectrogram: (F, N), beneath relevance in time and frequency.
        frequencies: (F,), of its rows, in hertz, ascending.
        times: (N,), of its columns, in seconds from the start of the clip, evenly spaced.
        shown: name of the spectrogram in the caption.
        bins: (F, N), the shares of relevance (T,) in time and frequency; None: a grey spectrogram is for orientation.

    Raises:
        ValueError: relevance is seen in time and frequency, and the spectrogram or one of its axes is missing.
    """
    bins = relevance if relevance.ndim == 2 else bins
    figure = new_figure(title, height=4.2)
    above, below = figure.subplots(2, sharex=True, height_ratios=(2, 3))
    if relevance.ndim == 1:
        _draw_waveform(above, waveform, sample_rate, relevance, np.arange(len(waveform)) / sample_rate)
    if bins is None:
        level, frequencies, times = decibels(waveform, sample_rate)
        caption = f"grey: level, {FLOOR_DB:.0f} to 0 dB"
        draw_grey(below, level, cells(len(level), times), FLOOR_DB, 0.0)
    elif spectrogram is None or frequencies is None or times is None:
        raise ValueError("relevance of a spectrogram needs that, and the frequencies and times of its bins")
    else:
        if relevance.ndim == 2:
            _draw_waveform(above, waveform, sample_rate, relevance.sum(0), times)
        low, high = float(spectrogram.min()), float(spectrogram.max())
        caption = f"grey: {shown}, {low:.3g} to {high:.3g}".replace("-", "−")
        draw_grey(below, spectrogram, cells(len(spectrogram), times), low, high)
        image = draw_relevance(below, bins, cells(len(bins), times), colour_limit(bins, "bin"))
        colour_bar(below.inset_axes(BAR), image, "relevance", "bin")
    name_rows(below, frequencies)
    below.set(xlim=(0, len(waveform) / sample_rate), ylabel="hertz", xlabel="seconds")
    below.text(0.995, 0.98, caption, transform=below.transAxes, ha="right", va="top", fontsize=7, color="0.35")
    figure.align_ylabels()
    return figure


def time_axis(figure: Figure) -> tuple[float, float]:
    """Start and end of the time axis of `plot_clip`, as shares of the figure's width."""
    return figure.axes[0].get_position().x0, figure.axes[0].get_position().x1


def plot_curves(
    table: pd.DataFrame, features: str, title: str = "", value: str = "accuracy", chance: float | None = None
) -> Figure:
    """Draws the perturbation figure of the paper: accuracy over the share of removed features.

    Args:
        table: the table of `perturbation.summarise`.
        features: the removed features: "samples" or "bins".
        title: title of the figure.
        value: "accuracy"; "probability" for the mean probability of the label; "fall" or "error", see `fall.summarise`.
        chance: accuracy of a random guess, from 0 to 1; None: no line.
    """
    figure = small_figure(title, height=3.9)
    axes = figure.subplots()
    low, high = ("low", "high") if value == "accuracy" else (f"{value}_low", f"{value}_high")
    for number, (order, curve) in enumerate(table.groupby("order", sort=False)):
        style: dict[str, Any] = {"color": LINES[number % len(LINES)], "marker": MARKERS[number % len(MARKERS)]}
        axes.plot(curve["fraction"], curve[value], label=literal(str(order)), markersize=5, **style)
        axes.fill_between(curve["fraction"], curve[low], curve[high], color=style["color"], alpha=0.15, linewidth=0)
    fractions = np.unique(table["fraction"])
    # a symmetric logarithm has a place for zero
    axes.set_xscale("symlog", linthresh=fractions[fractions > 0].min(initial=1.0), linscale=0.4)
    labels = [f"{100 * fraction:g}" for fraction in fractions]
    axes.set_xticks(fractions, labels, rotation=90 if len(fractions) > 12 else 0)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlabel=f"percent of {features} removed", ylabel=value)
    if value in ("accuracy", "probability"):
        _as_shares(axes, chance)
    else:
        axes.grid(axis="y", color="0.9")
    legend = figure.legend(title="removed first", loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def plot_intervention(
    metrics: Mapping[str, Metrics], title: str = "", paper: Metrics | None = None, chance: float | None = None
) -> Figure:
    """Draws accuracy before and after an intervention and its shams, with intervals.

    Args:
        metrics: the metrics of `effect.compare`, for each group of bars, such as a fold.
        title: title of the figure.
        paper: the metrics of the paper, as far as they are known. Their bars are paler, and their ends are a standard
            deviation over folds, not an interval.
        chance: accuracy of a random guess, from 0 to 1; None: no line.
    """
    figure = small_figure(title, height=3.9, width=max(NARROW, 1.6 * (len(metrics) + bool(paper))))
    axes = figure.subplots()
    groups = {**metrics, **({"paper, approximately, ± 1 SD": paper} if paper else {})}
    _draw_accuracies(axes, list(groups.values()), with_paper=paper is not None)
    words = {f"intervention/{name}": name.split("_")[-1] for name in ("accuracy_before", "accuracy_after", "flipped")}
    labels = [literal(name) for name in groups]
    for place, group in enumerate(groups.values()):
        labels[place] += "".join(f"\n{100 * group[key]:.1f} % {word}" for key, word in words.items() if key in group)
    axes.set_xticks(range(len(groups)), labels, parse_math=False)
    axes.set_ylabel("accuracy")
    _as_shares(axes, chance)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def png(figure: Figure, dpi: float = 100) -> bytes:
    """The figure as a PNG file."""
    save(figure, file := io.BytesIO(), format="png", dpi=dpi)
    return file.getvalue()


def svg(figure: Figure) -> bytes:
    """The figure as an SVG file, sharp at any size. Its text is drawn as shapes, which need no font."""
    save(figure, file := io.BytesIO(), format="svg", metadata={"Date": None}, transparent=True)
    return file.getvalue()


def decibels(waveform: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The spectrogram (F, N) of a waveform, in decibels relative to its peak, its frequencies (F,) and times (N,)."""
    window = min(round(WINDOW_SECONDS * sample_rate), len(waveform))
    overlap = window - min(window, max(1, len(waveform) // 230))
    rows, columns, transform = signal.stft(waveform, sample_rate, nperseg=window, noverlap=overlap, padded=False)
    loudest = max(np.abs(transform).max(), 1e-12)
    return 20 * np.log10(np.maximum(np.abs(transform) / loudest, 10 ** (FLOOR_DB / 20))), rows, columns


def _draw_waveform(axes: Axes, waveform: np.ndarray, rate: int, relevance: np.ndarray, times: np.ndarray) -> None:
    """Draws the waveform (T,) over its relevance (N,) at `times`, per millisecond."""
    start, stop = edges(times)
    peak = max(float(np.abs(waveform).max()), 1e-9)
    seen = density(relevance, 1000 * (stop - start), "ms")
    image = draw_relevance(axes, seen[None], (start, stop, -1.1 * peak, 1.1 * peak), colour_limit(seen, "ms"))
    colour_bar(axes.inset_axes(BAR), image, "relevance", "ms")
    pieces = np.array_split(waveform, min(len(waveform), 1000))  # a screen has no room for more
    low, high = (np.array([extreme(piece) for piece in pieces]) for extreme in (np.min, np.max))
    low[:-1], high[:-1] = np.minimum(low[:-1], high[1:]), np.maximum(high[:-1], low[1:])  # without gaps
    seconds = len(waveform) / rate
    middle = (np.arange(len(pieces)) + 0.5) * seconds / len(pieces)
    axes.fill_between(middle, low, high, color="0.1", alpha=0.75, linewidth=0.4)
    axes.set(xlim=(0, seconds), ylim=(-1.1 * peak, 1.1 * peak), ylabel="amplitude")


def _draw_accuracies(axes: Axes, groups: list[Metrics], with_paper: bool) -> None:
    """Draws the accuracies of each group: before, after, and after each sham. The last group may be the paper."""
    shams = [name for name in SHAMS if any(f"intervention/{name}/accuracy_after" in group for group in groups)]
    bars = {"before": ("accuracy_before", LINES[2]), "after": ("accuracy_after", LINES[0])}
    bars |= {name: (f"{name}/accuracy_after", grey) for name, grey in zip(shams, ("0.45", "0.6", "0.75"), strict=False)}
    width = 0.8 / len(bars)
    has = np.array([sum(f"intervention/{metric}" in group for metric, _ in bars.values()) for group in groups])
    is_paper = np.arange(len(groups)) == (len(groups) - 1 if with_paper else -1)
    for number, (state, (metric, colour)) in enumerate(bars.items()):
        names = [f"intervention/{metric}{end}" for end in ("", "_low", "_high")]
        share, low, high = np.array([[group.get(name, np.nan) for name in names] for group in groups]).T
        places = np.arange(len(groups)) + (number - (has - 1) / 2) * width
        drawn = axes.bar(places, share, 0.95 * width, color=colour, label=state)
        drawn[-1].set_alpha(0.5 if with_paper else 1.0)
        axes.vlines(places[~is_paper], low[~is_paper], high[~is_paper], color="0.1", linewidth=2)
        axes.vlines(places[is_paper], low[is_paper], high[is_paper], color="0.1", linewidth=1, linestyle=":")


def _as_shares(axes: Axes, chance: float | None) -> None:
    if chance is not None:
        axes.axhline(chance, color="0.5", linestyle=":", label="chance")
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.grid(axis="y", color="0.9")
    axes.set(ylim=(0, 1.02), axisbelow=True)
