"""Means of inputs and relevance over the clips of each class, separately for right and wrong predictions.

The relevance of one clip shows why this clip was recognised. The mean shows why the class is recognised.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter

from auscult.datamodules.audio.energy import loud_part, with_energy
from auscult.datamodules.audio.filters import highpassed
from auscult.datamodules.recording import FRAME_SECONDS, HOP_SECONDS
from auscult.explain.relevance.results import Results
from auscult.explain.report.profiles import CELL, Profiles, along_axes, shares_of
from auscult.explain.show.canvas import colour_limit, density
from auscult.explain.show.clip import View
from auscult.progress import tracked

SMOOTHING = 1 / 64  # standard deviation as a share of rows and columns: means of few clips are speckled
LOWEST_HZ, TRIM_DB = 60.0, 25.0  # where a clip sounds that was not trimmed: as recordings are trimmed by default
LEAD_SECONDS = 0.03  # shown before the onset, as windows of the spectrogram reach that far


@dataclass(frozen=True)
class ClassAverages:
    """Means for C classes; index 0 for right predictions, 1 for wrong ones. Relevance is that of `View.as_seen`.

    Args:
        clips: (C, 2), number of clips in each mean.
        relevance: (C, 2, T), (C, 2, F) or (C, 2, F, N), means of `for_average`; zeros if there are no
            clips.
        places: (T,) or (N,), places of the columns, in seconds from the onset; for a spectrum (F,), in hertz.
        onsets: onset of each clip, in seconds.
        spectrogram: (C, 2, F, N), mean of what relevance is drawn over, aligned; None if relevance has one axis.
        frequencies: (F,), frequencies of the rows, in hertz; None if relevance has one axis.
        in_frequency, in_time: profiles of all clips along these axes; None if relevance has no such axis.
        unit: relevance is drawn per "ms", "Hz" or, for spectrograms, "bin".
    """

    clips: np.ndarray
    relevance: np.ndarray
    places: np.ndarray
    onsets: np.ndarray
    spectrogram: np.ndarray | None = None
    frequencies: np.ndarray | None = None
    in_frequency: Profiles | None = None
    in_time: Profiles | None = None
    unit: str = "ms"

    def seen(self, group: tuple[int, int]) -> tuple[np.ndarray, float]:
        """The mean relevance (F, N) or (1, N) of a group as it is drawn, smoothed, and the value where colours end."""
        mean = self.relevance[group]
        if mean.ndim == 1:
            step = float(self.places[1] - self.places[0]) * (1000 if self.unit == "ms" else 1)
            smooth = density(mean, len(mean) * step, self.unit)[None]
        else:
            smooth = gaussian_filter(mean, [SMOOTHING * size for size in mean.shape], mode="nearest")
        return smooth, colour_limit(smooth, self.unit)

    @property
    def levels(self) -> tuple[float, float]:
        """The lowest and the highest value of all mean spectrograms: one grey means the same in each class."""
        assert self.spectrogram is not None
        all_means = self.spectrogram[self.clips > 0]
        return float(all_means.min()), float(all_means.max())


def sounding(waveform: np.ndarray, sample_rate: int, is_trimmed: bool = True) -> tuple[int, int]:
    """The first and the last (exclusive) sample of a clip (C, T) or (T,) that sounds, in any channel.

    A clip that was trimmed lies between zeros. In another one, what sounds is found as trimming would find it: what is
    less than 25 dB softer than the loudest frame, above 60 Hz.
    """
    channels = np.atleast_2d(waveform)
    nonzero = np.flatnonzero(channels.any(0))
    if not len(nonzero):
        return 0, 0
    first, last = int(nonzero[0]), int(nonzero[-1]) + 1
    if is_trimmed:
        return first, last
    frame, hop = (max(1, round(seconds * sample_rate)) for seconds in (FRAME_SECONDS, HOP_SECONDS))
    lowest = LOWEST_HZ if sample_rate > 2 * LOWEST_HZ else None
    heard = highpassed(iter([channels[:, first:last].T.astype(np.float64)]), sample_rate, lowest)
    start, stop, _, _ = loud_part(with_energy(heard), frame, hop, TRIM_DB)
    return first + start, first + stop


def onset_of(waveform: np.ndarray, sample_rate: int, is_trimmed: bool = True) -> float:
    """Where the sound of a clip (C, T) or (T,) begins, in seconds."""
    return sounding(waveform, sample_rate, is_trimmed)[0] / sample_rate


def aligned(
    values: np.ndarray, onset: float, times: np.ndarray | None, outside: float | np.ndarray = 0.0, scale: float = 1.0
) -> np.ndarray:
    """Shifts the values of a clip in time, so that its sound begins `LEAD_SECONDS` after the first column.

    The silence around clips differs. Without the shift, averages would show the places of clips. Clips are not
    stretched to one length: seconds remain seconds.

    Args:
        values: (..., N) at `times`.
        onset: begin of the sound, in seconds.
        times: (N,), evenly spaced, in seconds; None: the values have no time axis, and nothing is shifted.
        outside: value for columns from beyond the ends of the clip.
        scale: factor for the values.

    Returns:
        float64, (..., N).
    """
    if times is None:
        return values * float(scale)
    count = len(times)
    step = float(times[-1] - times[0]) / (count - 1)
    shift = min(count, max(-count, round((onset - LEAD_SECONDS - float(times[0])) / step)))
    shifted = np.empty(values.shape)
    shifted[...] = outside
    taken, put = slice(max(0, shift), count + min(0, shift)), slice(max(0, -shift), count - max(0, shift))
    np.multiply(values[..., taken], scale, out=shifted[..., put])
    return shifted


def for_average(relevance: np.ndarray, onset: float, times: np.ndarray | None) -> np.ndarray:
    """The relevance of a clip for the mean of its class: aligned, and divided by its absolute sum.

    So every clip counts alike, whatever its logit and the conservation of its relevance are.
    """
    total = float(np.abs(relevance).sum(dtype=float))
    return aligned(relevance, onset, times, scale=1 / total if total else 1.0)


class Means:
    """Collects arrays in groups and computes the mean of each group; zeros for empty groups.

    Args:
        groups: shape of the groups.
        shape: shape of an array.
    """

    def __init__(self, groups: tuple[int, ...], shape: tuple[int, ...]) -> None:
        self.count, self.total = np.zeros(groups, int), np.zeros((*groups, *shape))

    def add(self, group: tuple[int, ...], values: np.ndarray) -> None:
        """Adds values (*shape) to a group."""
        self.count[group] += 1
        self.total[group] += values

    def __call__(self) -> np.ndarray:
        """The means, (*groups, *shape)."""
        count = self.count.reshape(*self.count.shape, *(1 for _ in range(self.total.ndim - self.count.ndim)))
        return self.total / np.maximum(count, 1)


def class_averages(results: Results, view: View) -> ClassAverages:
    """Averages all clips in one pass. Their labels are known. Of each clip, only its profiles stay in memory."""
    classes, clips, grid, times = len(results.classes), len(results.label), view.grid, times_of(results, view)
    empty = np.zeros((1, *results.waveform(0).shape), np.float32)
    silence = grid.inputs(empty)[0]  # (T,), (F,) or (F, N)
    relevance, onsets = Means((classes, 2), silence.shape), np.zeros(clips)
    inputs = Means((classes, 2), silence.shape) if silence.ndim == 2 else None
    places, unit = places_of(silence.shape, view, times)
    cell = max(1, round(CELL[unit] / ((places[1] - places[0]) * (1000 if unit == "ms" else 1)))) if unit in CELL else 1
    profiles: list[tuple[np.ndarray, ...]] = []
    room = np.ones((clips, len(places)), bool)  # where each clip sounds
    batches = list(results.batches())
    for rows in tracked(batches, "averaging classes", len(batches)):
        waveforms = results.waveforms(rows)
        seen = view.as_seen(waveforms, results.relevances(rows))
        shown = grid.inputs(waveforms) if inputs is not None else seen
        for place, row in enumerate(rows):
            label, wrong = int(results.label[row]), int(results.predicted[row] != results.label[row])
            onsets[row] = onset_of(waveforms[place], view.sample_rate, results.source.is_trimmed)
            added = for_average(seen[place], onsets[row], times)
            relevance.add((label, wrong), added)
            profiles.append(along_axes(added, cell))
            if times is not None:
                room[row] = places <= sound_of(waveforms[place], view.sample_rate, results.source.is_trimmed)
            if inputs is not None:
                inputs.add((label, wrong), aligned(shown[place], onsets[row], times, silence))
    averages = ClassAverages(relevance.count, relevance(), places, onsets, unit=unit)
    along = [shares_of(np.array(axis)).astype(np.float32) for axis in zip(*profiles, strict=True)]  # (n, N) each
    if inputs is None:
        cells = np.arange(0, len(places), cell)
        centres = np.add.reduceat(places, cells) / np.diff(np.append(cells, len(places)))
        if times is None:
            return replace(averages, in_frequency=evenly(centres, along[0]))
        return replace(averages, in_time=evenly(centres, along[0], np.add.reduceat(room, cells, axis=1, dtype=int)))
    assert grid.frequencies is not None
    return replace(
        averages, spectrogram=inputs(), frequencies=grid.frequencies,
        in_frequency=evenly(grid.frequencies, along[0]), in_time=evenly(places, along[1], room),
    )  # fmt: skip


def evenly(places: np.ndarray, shares: np.ndarray, room: np.ndarray | None = None) -> Profiles:
    """Profiles beside relevance that is even wherever a clip has room (n, N) for it; None: everywhere."""
    return Profiles(places, shares, shares_of(np.ones(shares.shape) if room is None else room.astype(float)))


def places_of(shape: tuple[int, ...], view: View, times: np.ndarray | None) -> tuple[np.ndarray, str]:
    """The places of the columns of averages, and the unit of relevance."""
    if times is None:
        assert view.frequencies is not None
        return view.frequencies, "Hz"
    return np.arange(shape[-1]) * (times[1] - times[0]) - LEAD_SECONDS, "ms" if len(shape) == 1 else "bin"


def sound_of(waveform: np.ndarray, sample_rate: int, is_trimmed: bool = True) -> float:
    """Seconds from the onset of a clip (C, T) or (T,) to the end of its sound."""
    start, stop = sounding(waveform, sample_rate, is_trimmed)
    return max(0, stop - 1 - start) / sample_rate


def times_of(results: Results, view: View) -> np.ndarray | None:
    """Seconds from the start of the clip, for the last axis of relevance as seen; None if that axis is not time."""
    if view.grid.times is None and view.features == "samples":
        return np.arange(results.source.dataset.length) / view.sample_rate
    return view.grid.times
