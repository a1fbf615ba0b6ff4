"""What a page draws of a clip by itself: pictures without any text, and where the text beside them stands.

The page writes the axes in its own letters and colours, so that they can be read on any screen, in light and in dark.
Pictures are transparent where nothing is: relevance in its colours, lying on the clip in a grey for both.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from auscult.datamodules.clips import Segment
from auscult.explain.show.canvas import PERCENTILES, colour_limit, density, edges, round_values
from auscult.explain.show.clip import View
from auscult.explain.show.media import data_uri
from auscult.explain.show.seen import MOST_COLUMNS, MOST_ROWS
from auscult.explain.show.spectra import FLOOR_DB

PIECES, HEIGHT = 400, 100  # the box of an outline; a phone has no more pixels
CLEAR = 11.0  # percent of a panel's height, below which the words of two rows would touch
LEVELS = 127  # of colours, on both sides of none
# The grey and the colours are seen on white and on black paper: they differ in how dense they are, not in their shade.
GREY, AGAINST, FOR = (122, 122, 122), (38, 112, 200), (196, 24, 48)

Tick = tuple[float, str]  # percent from the left or from the bottom, and words
Range = tuple[float, float, bool]  # from and to, in percent likewise, and whether it is sure


@dataclass(frozen=True)
class Layer:
    """A picture in a panel.

    Args:
        uri: a PNG as a data URI.
        start, width: where it lies, in percent of the panel's width.
    """

    uri: str
    start: float = 0.0
    width: float = 100.0


@dataclass(frozen=True)
class Panel:
    """One picture of a plate.

    Args:
        relevance: in colours.
        grey: what was heard; None if there is an outline.
        outline: what was heard, as the path of a shape in a box of `PIECES` times `HEIGHT`; empty if it is grey.
        ticks: of the vertical axis.
        scale: where colours end, in words.
        range: a part of the vertical axis that stands out.
    """

    relevance: Layer
    grey: Layer | None = None
    outline: str = ""
    ticks: tuple[Tick, ...] = ()
    scale: str = ""
    range: Range | None = None


@dataclass(frozen=True)
class Plate:
    """Pictures of a clip, or of the mean of a class, one above the other, along one axis.

    Args:
        panels: from top to bottom.
        ticks: of the horizontal axis.
        marks: what is said below them: start and end in percent, and words.
        axis: its unit: "s" or "Hz".
        alt: what the plate shows, in words.
        plays: whether a cursor can follow the clip's sound along the axis.
        range: a part of the horizontal axis that stands out.
    """

    panels: tuple[Panel, ...]
    ticks: tuple[Tick, ...]
    axis: str
    alt: str
    plays: bool = False
    marks: tuple[tuple[float, float, str], ...] = ()
    range: Range | None = None


def plate(
    view: View, waveform: np.ndarray, relevance: np.ndarray, target: str, segments: Sequence[Segment] = ()
) -> Plate:
    """The plate of a clip.

    Args:
        view: the axes of the relevance.
        waveform: (C, T).
        relevance: (C, T), (C, F) or (C, F, N).
        target: the class that is explained.
        segments: what is said when, in seconds from the start of the clip.
    """
    if view.features == "frequencies":
        return _of_spectrum(view, waveform, relevance, target)
    samples = waveform.shape[1]
    seconds = samples / view.sample_rate
    times = np.arange(samples) / view.sample_rate if view.times is None else view.times
    along = relevance.sum(tuple(range(relevance.ndim - 1)))  # (T,) or (N,)
    panels = [replace(_strip(along, times, seconds, "ms"), outline=_envelope(waveform.mean(0)))]
    if view.grid.times is not None and view.grid.frequencies is not None:
        bins = view.as_seen(waveform[None], relevance[None])[0]
        shown = view.grid.inputs(waveform[None])[0]
        panels.append(_spectrogram(shown, bins, view.grid.frequencies, view.grid.times, seconds))
    alt = f"Waveform and spectrogram with relevance for {target}"
    marks = tuple(
        (100 * max(each.start, 0.0) / seconds, 100 * min(each.stop, seconds) / seconds, each.name)
        for each in segments
        if each.stop > 0 and each.start < seconds
    )
    return Plate(tuple(panels), ticks(0.0, seconds), "s", alt, plays=True, marks=marks)


def with_range(drawn: Plate, start: float, stop: float, is_sure: bool, extent: float) -> Plate:
    """The plate with a part of its horizontal axis that stands out.

    Args:
        start, stop: the part, in the unit of the axis, which is as long as `extent`.
        is_sure: whether that part is sure.
    """
    first, last = (100 * min(max(end, 0.0), extent) / extent for end in (start, stop))
    return replace(drawn, range=(first, last, is_sure))


def with_band(drawn: Plate, low: float, high: float, is_sure: bool, frequencies: np.ndarray) -> Plate:
    """The plate with a band of its spectrogram, in hertz, that stands out; see `with_range`.

    Args:
        frequencies: (F,), of the rows of the spectrogram.
    """
    centres = np.pad(frequencies.astype(float), 1, mode="reflect", reflect_type="odd")
    rows = np.interp([low, high], centres, np.arange(-1, len(frequencies) + 1)) + 0.5
    start, stop = (100 * rows / len(frequencies)).tolist()
    panels = (replace(panel, range=(start, stop, is_sure)) if panel.grey else panel for panel in drawn.panels)
    return replace(drawn, panels=tuple(panels))


def _of_spectrum(view: View, waveform: np.ndarray, relevance: np.ndarray, target: str) -> Plate:
    """The level (F,) of a clip over frequency, in decibels, with relevance (C, F)."""
    assert view.frequencies is not None
    level, highest = view.inputs(waveform[None])[0], float(view.frequencies[-1])
    pieces = _pieces(level)
    tops = [HEIGHT * (1 - (piece.max() - FLOOR_DB) / -FLOOR_DB) for piece in pieces]
    outline = _path([(place, top) for place, top in enumerate(tops)], [(len(tops) - 1, HEIGHT), (0, HEIGHT)], len(tops))
    panel = replace(_strip(relevance.sum(0), view.frequencies, highest, "Hz"), outline=outline)
    return Plate((panel,), ticks(0.0, highest), "Hz", f"Level of frequencies with their relevance for {target}")


def _strip(relevance: np.ndarray, places: np.ndarray, length: float, unit: str) -> Panel:
    """Relevance (N,) at places along an axis of a length, as colours of its density."""
    start, stop = edges(places)
    extent = (stop - start) * (1000 if unit == "ms" else 1)
    seen = density(relevance, extent, unit)
    limit = colour_limit(seen, unit)
    means = np.array([piece.mean() for piece in _pieces(seen)])
    layer = Layer(coloured(means[None] / limit), 100 * start / length, 100 * (stop - start) / length)
    return Panel(layer, scale=_scale(limit, unit))


def _spectrogram(
    shown: np.ndarray, bins: np.ndarray, frequencies: np.ndarray, times: np.ndarray, seconds: float
) -> Panel:
    """Relevance (F, N) over a spectrogram (F, N). All rows are equally high."""
    start, stop = edges(times)
    place = 100 * start / seconds, 100 * (stop - start) / seconds
    low, high = float(shown.min()), float(shown.max())
    limit = colour_limit(bins, "bin")
    grey = Layer(greyed((fitting(shown) - low) / ((high - low) or 1.0)), *place)
    colour = Layer(coloured(fitting(bins) / limit), *place)
    return Panel(colour, grey, ticks=row_ticks(frequencies), scale=_scale(limit, "bin"))


def _scale(limit: float, unit: str) -> str:
    return f"Colours end at ±{limit:.2g} per {unit}, their {PERCENTILES[unit]:g}th percentile."


def ticks(start: float, stop: float) -> tuple[Tick, ...]:
    """Round values on an axis between two ends."""
    named = round_values(np.array([start, stop]), 5).tolist()
    return tuple((100 * (value - start) / (stop - start), f"{value:g}") for value in named)


def row_ticks(frequencies: np.ndarray) -> tuple[Tick, ...]:
    """Round values on an axis of rows (F,) in hertz, all equally high."""
    named = round_values(frequencies, 5)
    rows = (np.interp(named, frequencies, np.arange(len(frequencies))) + 0.5) / len(frequencies)
    words = [f"{value / 1000:g}k" if value >= 1000 else f"{value:g}" for value in named]
    kept: list[Tick] = []
    for place, word in reversed(list(zip((100 * rows).tolist(), words, strict=True))):
        if not kept or kept[0][0] - place >= CLEAR:
            kept.insert(0, (place, word if kept else f"{word} Hz".replace("k Hz", " kHz")))
    return tuple(kept)


def _envelope(waveform: np.ndarray) -> str:
    """The outline of a waveform (T,), from the highest values to the lowest ones and back."""
    peak = 1.1 * max(float(np.abs(waveform).max()), 1e-9)
    pieces = _pieces(waveform)
    high, low = ([HEIGHT / 2 * (1 - end(piece) / peak) for piece in pieces] for end in (np.max, np.min))
    return _path(list(enumerate(high)), list(enumerate(low))[::-1], len(pieces))


def _pieces(values: np.ndarray) -> list[np.ndarray]:
    """Values (N,) in at most `PIECES` pieces, each at its place: one that is longer than others is not at the start."""
    count = min(len(values), PIECES)
    return np.split(values, np.arange(1, count) * len(values) // count)


def _path(there: list[tuple[int, float]], back: list[tuple[int, float]], pieces: int) -> str:
    points = (f"{(place + 0.5) * PIECES / pieces:g} {height:.1f}" for place, height in there + back)
    return f"M{'L'.join(points)}Z"


def fitting(values: np.ndarray, most: tuple[int, int] = (MOST_ROWS, MOST_COLUMNS)) -> np.ndarray:
    """Values (F, N) as means of neighbours, with at most so many rows and columns."""
    rows, columns = np.minimum(values.shape, most).tolist()
    if (rows, columns) == values.shape:
        return values
    return np.asarray(Image.fromarray(values.astype(np.float32)).resize((columns, rows), Image.Resampling.BOX))


def colours(levels: int = LEVELS) -> np.ndarray:
    """The colours of relevance from -1 to 1, (2 * levels + 1, 4) bytes: red for the class, blue against it."""
    strength = np.linspace(-1, 1, 2 * levels + 1)
    shades = np.where(strength[:, None] < 0, AGAINST, FOR)
    return np.column_stack([shades, 255 * np.abs(strength)]).round().astype(np.uint8)


def coloured(relevance: np.ndarray) -> str:
    """Relevance (F, N) from -1 to 1, or beyond, in its colours: a PNG as a data URI, low frequencies at its bottom."""
    return _png(np.clip(relevance, -1, 1) * LEVELS + LEVELS, colours())


def greyed(level: np.ndarray) -> str:
    """Levels (F, N) from 0 to 1 in a grey that is the denser the louder: a PNG as for `coloured`."""
    return _png(255 * level, np.column_stack([np.full((256, 3), GREY), np.arange(256)]).astype(np.uint8))


def _png(numbers: np.ndarray, palette: np.ndarray) -> str:
    """A picture (F, N) of the numbers of colours in a palette (256 or less, 4)."""
    image = Image.fromarray(np.ascontiguousarray(np.rint(numbers[::-1]).astype(np.uint8)), "P")
    image.putpalette(palette[:, :3].tobytes())
    image.save(file := io.BytesIO(), format="PNG", transparency=palette[:, 3].tobytes(), optimize=True)
    return data_uri("image/png", file.getvalue())
