"""Figures of relevance. They are matplotlib's Figure objects, without pyplot: nothing is global, any thread may draw.

Red is relevance for the target, blue against it, the stronger the more; both are told apart with any colour vision.
Titles and names are shown as they are, even with a `$` in them.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator, NullLocator, PercentFormatter
from scipy import signal
from scipy.ndimage import gaussian_filter1d

Metrics = Mapping[str, float]

PERCENTILES = {"ms": 97.0, "bin": 99.5}  # of absolute relevance, where colours end: one burst would leave all else pale
SMOOTHING_MS = 5.0  # in time, relevance is seen as an average over a Gaussian with this standard deviation
LEAD_SECONDS = 0.03  # shown before the onset in class averages: windows of the spectrogram reach that far
WINDOW_SECONDS, FLOOR_DB = 0.057, -70.0  # of grey spectrograms: long enough to resolve a voice's harmonics
WIDTH, LEFT, RIGHT = 9.0, 0.09, 0.885  # inches; shares of them where axes start and end
BAR = (1.012, 0, 0.016, 1)  # where a colour bar stands, in shares of its axes: they keep their own place
MOST_CHARACTERS = 100  # of a title as wide as the figure
LINES = ("#D55E00", "#009E73", "#0072B2", "#000000", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito, but yellow
MARKERS = "osD^vPX"

_shades = colormaps["RdBu_r"](np.linspace(0.1, 0.9, 257))
_shades[:, 3] = np.abs(np.linspace(-1, 1, 257)) ** 0.7
RELEVANCE_MAP = ListedColormap(_shades, "relevance")  # transparent at zero, so that the clip shows through


def plot_clip(
    waveform: np.ndarray,
    relevance: np.ndarray,
    sample_rate: int,
    title: str = "",
    frequencies: np.ndarray | None = None,
    times: np.ndarray | None = None,
) -> Figure:
    """A clip's waveform above its spectrogram, with relevance: what a report shows of any network.

    Relevance of samples colours the waveform; the spectrogram is there for the eye to find its way. Relevance of a
    spectrogram colours that, and its sum over frequencies the waveform.

    Args:
        waveform: (T,).
        relevance: (T,), or (F, N), frequency by time.
        sample_rate: in hertz.
        frequencies: (F,) of the rows, in hertz, evenly spaced; for relevance (F, N).
        times: (N,) of the columns, in seconds from the clip's start, evenly spaced; for relevance (F, N).

    Raises:
        ValueError: the relevance is (F, N), and one of these is missing.
    """
    figure = _figure(title, height=4.2)
    above, below = figure.subplots(2, sharex=True, height_ratios=(2, 3))
    _draw_spectrogram(below, waveform, sample_rate)
    if relevance.ndim == 1:
        _draw_waveform(above, waveform, sample_rate, relevance, np.arange(len(waveform)) / sample_rate)
    elif frequencies is None or times is None:
        raise ValueError("relevance of a spectrogram needs the frequencies and times of its bins")
    else:
        _draw_waveform(above, waveform, sample_rate, relevance.sum(0), times)
        extent = (*_edges(times), *_edges(frequencies))
        image = _draw_relevance(below, relevance, extent, colour_limit(relevance, "bin"))
        _colour_bar(below.inset_axes(BAR), image, "relevance", "bin")
    below.set_xlabel("seconds")
    figure.align_ylabels()
    return figure


def time_axis(figure: Figure) -> tuple[float, float]:
    """Where the time axis of `plot_clip` starts and ends, as shares of the figure's width."""
    return figure.axes[0].get_position().x0, figure.axes[0].get_position().x1


def for_average(
    relevance: np.ndarray, waveform: np.ndarray, sample_rate: int, times: np.ndarray | None = None
) -> np.ndarray:
    """What a clip adds to the average of its class: its relevance, shifted in time and over its absolute sum.

    Clips lie anywhere in the silence around them: without the shift, averages would show where. With it their sounds
    begin `LEAD_SECONDS` after the start, not stretched to one length: seconds remain seconds. Over its sum, every
    clip counts alike, however large its logit or ill conserved its relevance.

    Args:
        relevance: (T,), or (F, N) at `times`.
        waveform: (T,), zeros where there is silence around it.

    Returns:
        float64 of the relevance's shape, with zeros for what would come from beyond the clip's ends.
    """
    step, first = (1 / sample_rate, 0.0) if times is None else (float(times[1] - times[0]), float(times[0]))
    onset = int(np.argmax(waveform != 0)) / sample_rate
    taken = round((onset - LEAD_SECONDS - first) / step) + np.arange(relevance.shape[-1])
    inside = (taken >= 0) & (taken < len(taken))
    shifted = np.zeros(relevance.shape)
    shifted[..., inside] = relevance[..., taken[inside]] / (np.abs(relevance).sum(dtype=float) or 1.0)
    return shifted


def plot_class_averages(
    means: np.ndarray,
    clips: np.ndarray,
    classes: Sequence[str],
    seconds: float,
    title: str = "",
    frequencies: np.ndarray | None = None,
) -> Figure:
    """Mean relevance of each class: of the clips that were recognised and, below them, of those that were not.

    Args:
        means: (C, 2, T) or (C, 2, F, N) of what `for_average` returned, right before wrong.
        clips: (C, 2), how many clips these are means of.
        classes: C names.
        seconds: length of the time axis.
        frequencies: (F,) in hertz, evenly spaced; for relevance of spectrograms.
    """
    across, down = min(len(classes), 5), -(-len(classes) // 5)
    figure = _figure(title, height=1.1 + 2.2 * down)
    grid = figure.subplots(2 * down, across, sharex=True, sharey=True, squeeze=False)
    figure.subplots_adjust(wspace=0.08, hspace=0.25, top=1 - 0.5 / figure.get_figheight())
    panels: Any = grid.reshape(down, 2, across).swapaxes(1, 2).reshape(-1, 2)  # (C or more, 2)
    if frequencies is None:
        shown, heights, unit = per_ms(means, seconds)[:, :, None], (0.0, 1.0), "ms"  # (C, 2, 1, T)
        grid[0, 0].set_yticks([])
    else:
        shown, heights, unit = means, _edges(frequencies), "bin"
        figure.supylabel("hertz", fontsize=10, x=0.01)
    limit = colour_limit(shown[clips > 0], unit)
    for number, wrongly in np.ndindex(clips.shape):
        axes, count = panels[number, wrongly], clips[number, wrongly]
        mean = shown[number, wrongly] if count else np.zeros((1, 1))
        image = _draw_relevance(axes, mean, (-LEAD_SECONDS, seconds - LEAD_SECONDS, *heights), limit)
        axes.set_facecolor("white" if count else "0.95")
        text = _literal(f"{count} {('right', 'wrong')[wrongly]}: {classes[number]}", MOST_CHARACTERS // across)
        axes.set_title(text, loc="left", fontsize=8, pad=2, parse_math=False)
    for axes in panels[len(classes) :].flat:
        axes.set_axis_off()
    figure.supxlabel("seconds from the onset", fontsize=10, y=0.1 / figure.get_figheight(), va="bottom")
    _colour_bar(figure.add_axes((RIGHT + 0.01, 0.25, 0.013, 0.5)), image, "share of relevance", unit)
    return figure


def plot_curves(
    table: pd.DataFrame, features: str, title: str = "", value: str = "accuracy", chance: float | None = None
) -> Figure:
    """The paper's perturbation figure: accuracy over the share of the features that was removed.

    Args:
        table: of `perturbation.summarise`.
        features: what was removed: "samples" or "bins".
        value: "accuracy", or "probability" for the mean probability of the label.
        chance: what guessing would reach, 0..1.
    """
    figure = _figure(title, height=4.2)
    axes = figure.subplots()
    low, high = ("low", "high") if value == "accuracy" else (f"{value}_low", f"{value}_high")
    for number, (order, curve) in enumerate(table.groupby("order", sort=False)):
        style: dict[str, Any] = {"color": LINES[number % len(LINES)], "marker": MARKERS[number % len(MARKERS)]}
        axes.plot(curve["fraction"], curve[value], label=_literal(str(order)), markersize=5, **style)
        axes.fill_between(curve["fraction"], curve[low], curve[high], color=style["color"], alpha=0.15, linewidth=0)
    fractions = np.unique(table["fraction"])
    # zero has its place beside the logarithms
    axes.set_xscale("symlog", linthresh=fractions[fractions > 0].min(initial=1.0), linscale=0.4)
    labels = [f"{100 * fraction:g} %" for fraction in fractions]
    axes.set_xticks(fractions, labels, rotation=90 if len(fractions) > 12 else 0)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlabel=f"{features} removed", ylabel=value)
    _as_shares(axes, chance)
    for text in axes.legend(title="removed first", loc="lower left", edgecolor="none").get_texts():
        text.set_parse_math(False)
    return figure


def plot_intervention(
    metrics: Mapping[str, Metrics], title: str = "", paper: Metrics | None = None, chance: float | None = None
) -> Figure:
    """Accuracy before and after an intervention, with intervals: a pair of bars per group, such as a fold.

    Args:
        metrics: of each group, as `interventions.compare` returns them.
        paper: the same of the paper's figures, as far as known; they stand beside the others, paler.
        chance: what guessing would reach, 0..1.
    """
    figure = _figure(title, height=3.9, bottom=0.95)
    axes = figure.subplots()
    groups = {**metrics, **({"paper, approximately": paper} if paper else {})}
    for state, shift, colour in (("before", -0.19, LINES[2]), ("after", 0.19, LINES[0])):
        names = [f"intervention/accuracy_{state}{end}" for end in ("", "_low", "_high")]
        share, low, high = np.array([[group.get(name, np.nan) for name in names] for group in groups.values()]).T
        places = np.arange(len(groups)) + shift
        bars = axes.bar(places, share, 0.36, color=colour, label=state)
        bars[-1].set_alpha(0.5 if paper else 1.0)
        axes.vlines(places, low, high, color="0.1", linewidth=2)
    words = {f"intervention/{name}": name.split("_")[-1] for name in ("accuracy_before", "accuracy_after", "flipped")}
    labels = [_literal(name) for name in groups]
    for place, group in enumerate(groups.values()):
        labels[place] += "".join(f"\n{100 * group[key]:.1f} % {word}" for key, word in words.items() if key in group)
    axes.set_xticks(range(len(groups)), labels, parse_math=False)
    axes.set_ylabel("accuracy")
    _as_shares(axes, chance)
    axes.legend(frameon=False, bbox_to_anchor=(1, 1), loc="upper left")
    return figure


def png(figure: Figure, dpi: float = 100) -> bytes:
    """The figure as a PNG file."""
    figure.savefig(file := io.BytesIO(), format="png", dpi=dpi)
    return file.getvalue()


def colour_limit(relevance: np.ndarray, unit: str) -> float:
    """Where colours end on both sides of zero; above zero even where there is no relevance."""
    return float(np.percentile(np.abs(relevance), PERCENTILES[unit])) or float(np.abs(relevance).max()) or 1.0


def per_ms(relevance: np.ndarray, seconds: float) -> np.ndarray:
    """Relevance (..., N), spread over so many seconds, as a smooth density with the same sum."""
    rate = relevance.shape[-1] / (1000 * seconds)
    return rate * gaussian_filter1d(relevance.astype(float), SMOOTHING_MS * rate)


def _figure(title: str, height: float, bottom: float = 0.5) -> Figure:
    figure = Figure((WIDTH, height))
    top = 0.35 if title else 0.1  # inches
    figure.subplots_adjust(left=LEFT, right=RIGHT, bottom=bottom / height, top=1 - top / height, hspace=0.12)
    place = {"x": LEFT, "y": 1 - 0.08 / height}
    figure.suptitle(_literal(title), **place, ha="left", va="top", fontsize=10, parse_math=False)
    return figure


def _draw_waveform(axes: Axes, waveform: np.ndarray, rate: int, relevance: np.ndarray, times: np.ndarray) -> None:
    """The waveform (T,) in front of its relevance (N,) at `times`, per millisecond."""
    start, stop = _edges(times)
    peak = max(float(np.abs(waveform).max()), 1e-9)
    density = per_ms(relevance, stop - start)
    image = _draw_relevance(axes, density[None], (start, stop, -1.1 * peak, 1.1 * peak), colour_limit(density, "ms"))
    _colour_bar(axes.inset_axes(BAR), image, "relevance", "ms")
    pieces = np.array_split(waveform, min(len(waveform), 1000))  # a screen has no room for more
    low, high = (np.array([extreme(piece) for piece in pieces]) for extreme in (np.min, np.max))
    low[:-1], high[:-1] = np.minimum(low[:-1], high[1:]), np.maximum(high[:-1], low[1:])  # without gaps
    seconds = len(waveform) / rate
    middle = (np.arange(len(pieces)) + 0.5) * seconds / len(pieces)
    axes.fill_between(middle, low, high, color="0.1", alpha=0.75, linewidth=0.4)
    axes.set(xlim=(0, seconds), ylim=(-1.1 * peak, 1.1 * peak), ylabel="amplitude")


def _draw_spectrogram(axes: Axes, waveform: np.ndarray, sample_rate: int) -> None:
    window = min(round(WINDOW_SECONDS * sample_rate), len(waveform))
    overlap = window - min(window, max(1, len(waveform) // 230))
    rows, columns, transform = signal.stft(waveform, sample_rate, nperseg=window, noverlap=overlap, padded=False)
    level = 20 * np.log10(np.maximum(np.abs(transform) / max(np.abs(transform).max(), 1e-12), 10 ** (FLOOR_DB / 20)))
    # even the loudest is not black, so that colours show on it
    grey: dict[str, Any] = {"cmap": "Greys", "vmin": FLOOR_DB, "vmax": -0.45 * FLOOR_DB}
    axes.imshow(level, extent=(*_edges(columns), *_edges(rows)), aspect="auto", origin="lower", **grey)
    caption = f"grey: level, {FLOOR_DB:.0f} to 0 dB"
    axes.text(0.995, 0.98, caption, transform=axes.transAxes, ha="right", va="top", fontsize=7, color="0.35")
    axes.set(xlim=(0, len(waveform) / sample_rate), ylim=(0, sample_rate / 2), ylabel="hertz")


def _literal(text: str, most: int = MOST_CHARACTERS) -> str:
    """One line of characters that can be drawn; others appear as their Python escapes."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def _as_shares(axes: Axes, chance: float | None) -> None:
    if chance is not None:
        axes.axhline(chance, color="0.5", linestyle=":", label="chance")
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.grid(axis="y", color="0.9")
    axes.set(ylim=(0, 1.02), axisbelow=True)


def _edges(centres: np.ndarray) -> tuple[float, float]:
    """Where the first of evenly spaced cells starts and where the last one ends."""
    half = float(centres[-1] - centres[0]) / (2 * max(1, len(centres) - 1))
    return float(centres[0]) - half, float(centres[-1]) + half


def _draw_relevance(axes: Axes, relevance: np.ndarray, extent: tuple[float, ...], limit: float) -> AxesImage:
    shown: dict[str, Any] = {"cmap": RELEVANCE_MAP, "vmin": -limit, "vmax": limit, "extent": extent}
    return axes.imshow(relevance, origin="lower", aspect="auto", **shown)


def _colour_bar(place: Axes, image: AxesImage, name: str, unit: str) -> None:
    figure: Any = place.figure
    bar = figure.colorbar(image, cax=place, extend="both", ticks=MaxNLocator(5))
    bar.set_label(f"{name} per {unit}\n(ends at its {PERCENTILES[unit]:g}th percentile)", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    bar.ax.yaxis.get_offset_text().set_fontsize(7)
    bar.formatter.set_powerlimits((-2, 3))
