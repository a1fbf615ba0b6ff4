"""The common parts of figures of relevance: frame, colours, and axes in seconds and hertz.

Figures are matplotlib objects without pyplot: nothing is global, and any thread may draw. Red is relevance for the
target, blue is relevance against it; stronger colours mean more. Both colours differ for any colour vision. Titles and
names are shown as they are, even with a `$`.
"""

import math
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter, MaxNLocator
from scipy.ndimage import gaussian_filter1d

from auscult.drawing import MOST_CHARACTERS, literal
from auscult.explain.show.audible import SMOOTHING_HZ

PERCENTILES = {
    "ms": 97.0,
    "Hz": 99.0,
    "bin": 99.5,
}  # of |relevance|, where colours end; else a burst would make all pale
# relevance along one axis is drawn as a mean over a Gaussian with this standard deviation
SMOOTHING = {"ms": 5.0, "Hz": SMOOTHING_HZ}  # the same as in sounds
WIDTH, LEFT, RIGHT = 9.0, 0.09, 0.885  # inches; shares of them where axes start and end
NARROW = 4.6  # inches
BAR = (1.012, 0, 0.016, 1)  # place of a colour bar, in shares of its axes, which keep their size
EVEN = 0.02  # rows are evenly spaced if their gaps differ by less than this share
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
LINE = 1.6  # height of a line of text, in its font size

Extent = tuple[float, float, float, float]  # left, right, bottom, top

_shades = colormaps["RdBu_r"](np.linspace(0.1, 0.9, 257))
_shades[:, 3] = np.abs(np.linspace(-1, 1, 257)) ** 0.7
RELEVANCE_MAP = ListedColormap(_shades, "relevance")  # transparent at zero, so that the clip is visible


def new_figure(title: str, height: float, bottom: float = 0.5) -> Figure:
    """A figure of the usual width; `height` and the room at its `bottom` are in inches."""
    figure = Figure((WIDTH, height))
    top = 0.35 if title else 0.1  # inches
    figure.subplots_adjust(left=LEFT, right=RIGHT, bottom=bottom / height, top=1 - top / height, hspace=0.12)
    place = {"x": LEFT, "y": 1 - 0.08 / height}
    figure.suptitle(literal(title, MOST_CHARACTERS), **place, ha="left", va="top", fontsize=10, parse_math=False)
    return figure


def small_figure(title: str, height: float, width: float = NARROW) -> Figure:
    """A figure that can be read on a phone, and in a column of a paper; sizes are in inches."""
    figure = Figure((width, height), layout="constrained")
    if title:
        figure.suptitle(literal(title, round(MOST_CHARACTERS * width / WIDTH)), fontsize=10, parse_math=False)
    return figure


def colour_limit(relevance: np.ndarray, unit: str) -> float:
    """The value where colours end, on both sides of zero. It is above zero even without relevance."""
    return float(np.percentile(np.abs(relevance), PERCENTILES[unit])) or float(np.abs(relevance).max()) or 1.0


def density(relevance: np.ndarray, extent: float, unit: str) -> np.ndarray:
    """Converts relevance (..., N) over an extent in ms or Hz to a smooth density per ms or Hz, with the same sum."""
    rate = relevance.shape[-1] / extent
    return rate * gaussian_filter1d(relevance.astype(float), SMOOTHING[unit] * rate)


def edges(centres: np.ndarray) -> tuple[float, float]:
    """The start of the first and the end of the last of evenly spaced cells, given their centres."""
    half = float(centres[-1] - centres[0]) / (2 * max(1, len(centres) - 1))
    return float(centres[0]) - half, float(centres[-1]) + half


def cells(rows: int, times: np.ndarray) -> Extent:
    """The extent of a spectrogram (F, N): columns in seconds, rows by number, all equally high."""
    return (*edges(times), -0.5, rows - 0.5)


def draw_relevance(axes: Axes, relevance: np.ndarray, extent: Extent, limit: float) -> AxesImage:
    """Draws relevance (F, N). Its colours end at plus and minus `limit`."""
    shown: dict[str, Any] = {"cmap": RELEVANCE_MAP, "vmin": -limit, "vmax": limit, "extent": extent}
    return axes.imshow(relevance, origin="lower", aspect="auto", **shown)


def draw_grey(axes: Axes, spectrogram: np.ndarray, extent: Extent, low: float, high: float) -> AxesImage:
    """Draws a spectrogram (F, N) in grey: white at `low`, dark grey at `high`, so that colours show on it."""
    grey: dict[str, Any] = {"cmap": "Greys", "vmin": low, "vmax": high + 0.45 * ((high - low) or 1.0)}
    return axes.imshow(spectrogram, extent=extent, aspect="auto", origin="lower", **grey)


def name_rows(axes: Axes, frequencies: np.ndarray) -> None:
    """Labels an axis of row numbers in hertz: round values, as many as there is room for.

    Args:
        axes: axes at their final place and size.
        frequencies: (F,), frequencies of the rows, ascending, evenly spaced or not.
    """
    size = float(axes.yaxis.get_ticklabels()[0].get_fontsize())
    room = axes.get_window_extent().height / axes.figure.dpi * 72 / (LINE * size)  # labels
    chosen = round_values(frequencies, max(2, int(room)))
    places = np.interp(chosen, frequencies, np.arange(len(frequencies)))
    kept: list[int] = []
    for number in reversed(range(len(chosen))):  # if labels are crowded, they are those of low frequencies
        if not kept or places[kept[0]] - places[number] >= len(frequencies) / room:
            kept.insert(0, number)
    axes.set_yticks(places[kept], [f"{f / 1000:g}k" if f >= 1000 else f"{f:g}" for f in chosen[kept]])


def round_values(frequencies: np.ndarray, most: int) -> np.ndarray:
    """Round values between the lowest and the highest frequency: even steps for even rows, else 1-2-5."""
    low, high, gaps = frequencies[0], frequencies[-1], np.diff(frequencies)
    steps = np.sort(np.outer(10.0 ** np.arange(0, 6), (1, 2, 5)).ravel())
    if len(gaps) == 0 or np.ptp(gaps) <= EVEN * gaps.mean() or ((low <= steps) & (steps <= high)).sum() < 2:
        steps = np.array(MaxNLocator(min(most, 5), steps=[1, 2, 5, 10]).tick_values(low, high))
    return steps[(low <= steps) & (steps <= high * (1 + 1e-9))]  # plus a rounding error


def colour_bar(place: Axes, colours: ScalarMappable, name: str, unit: str) -> None:
    """Draws the scale of the colours of relevance, and says where they end. Small numbers are in powers of ten."""
    figure: Any = place.figure
    power = math.floor(math.log10(colours.get_clim()[1] or 1.0))
    power = power if not -2 <= power <= 3 else 0
    in_powers = FuncFormatter(lambda value, _: f"{value / 10.0**power:.3g}".replace("-", "−"))
    bar = figure.colorbar(colours, cax=place, extend="both", ticks=MaxNLocator(5), format=in_powers)
    times = f" × 10{str(power).translate(SUPERSCRIPTS)}" if power else ""
    bar.set_label(f"{name} per {unit}{times}\n(ends at its {PERCENTILES[unit]:g}th percentile)", fontsize=8)
    bar.ax.tick_params(labelsize=7)
