"""Means of inputs and relevance over the clips of each class, separately for right and wrong predictions.

The relevance of one clip shows why this clip was recognised. The mean shows why the class is recognised.
"""

from dataclasses import dataclass, replace

import numpy as np

from auscult.explain.relevance.results import Results
from auscult.explain.show.clip import View

LEAD_SECONDS = 0.03  # shown before the onset, as windows of the spectrogram reach that far


@dataclass(frozen=True)
class ClassAverages:
    """Means for C classes; index 0 for right predictions, 1 for wrong ones.

    Args:
        clips: (C, 2), number of clips in each mean.
        relevance: (C, 2, T), (C, 2, F) or (C, 2, F, N), means of `for_average`; zeros if there are no
            clips.
        places: (T,) or (N,), places of the columns, in seconds from the onset; for a spectrum (F,), in hertz.
        onsets: onset of each clip, in seconds.
        spectrogram: (C, 2, F, N), mean of the network's inputs, aligned; None for waveforms and spectra.
        frequencies: (F,), frequencies of the rows, in hertz; None for waveforms and spectra.
        by_row, by_column: (C, F) and (C, N), mean positive relevance of right clips, summed over the other axis;
            None for waveforms and spectra.
        unit: relevance is drawn per "ms", "Hz" or, for spectrograms, "bin".
    """

    clips: np.ndarray
    relevance: np.ndarray
    places: np.ndarray
    onsets: np.ndarray
    spectrogram: np.ndarray | None = None
    frequencies: np.ndarray | None = None
    by_row: np.ndarray | None = None
    by_column: np.ndarray | None = None
    unit: str = "ms"


def onset_of(waveform: np.ndarray, sample_rate: int) -> float:
    """The end of the silence before a clip (T,), in seconds."""
    return int(np.argmax(waveform != 0)) / sample_rate


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


class SpectrogramMeans:
    """Means for spectrograms only: of the inputs, and of positive relevance by row and by column."""

    def __init__(self, classes: int, rows: int, columns: int) -> None:
        self.inputs = Means((classes, 2), (rows, columns))
        self.by_row, self.by_column = Means((classes,), (rows,)), Means((classes,), (columns,))

    def add(self, label: int, wrong: int, relevance: np.ndarray, input: np.ndarray) -> None:
        """Adds the relevance and the input of a clip, both aligned, (F, N)."""
        self.inputs.add((label, wrong), input)
        if not wrong:
            positive = np.maximum(relevance, 0)
            self.by_row.add((label,), positive.sum(1))
            self.by_column.add((label,), positive.sum(0))


def class_averages(results: Results, view: View) -> ClassAverages:
    """Averages all clips in one pass. Their labels are known. Memory does not grow with the number of clips."""
    samples, classes, shape = results.source.dataset.length, len(results.classes), results.shape
    times = times_of(results, view)
    relevance, onsets = Means((classes, 2), shape), np.zeros(len(results.label))
    more = SpectrogramMeans(classes, *shape) if len(shape) == 2 else None
    silence = view.inputs(np.zeros((1, samples), np.float32))[0]  # (T,), (F,) or (F, N)
    for rows in results.batches():
        waveforms, relevances = results.waveforms(rows), results.relevances(rows)
        inputs = waveforms if more is None else view.inputs(waveforms)
        for place, row in enumerate(rows):
            label, wrong = int(results.label[row]), int(results.predicted[row] != results.label[row])
            onsets[row] = onset_of(waveforms[place], view.sample_rate)
            added = for_average(relevances[place], onsets[row], times)
            relevance.add((label, wrong), added)
            if more is not None:
                more.add(label, wrong, added, aligned(inputs[place], onsets[row], times, silence))
    if times is None:
        assert view.frequencies is not None
        return ClassAverages(relevance.count, relevance(), view.frequencies, onsets, unit="Hz")
    columns = np.arange(shape[-1]) * (times[1] - times[0]) - LEAD_SECONDS
    averages = ClassAverages(relevance.count, relevance(), columns, onsets)
    if more is None:
        return averages
    positive = {"by_row": more.by_row(), "by_column": more.by_column()}
    return replace(averages, spectrogram=more.inputs(), frequencies=view.frequencies, unit="bin", **positive)


def times_of(results: Results, view: View) -> np.ndarray | None:
    """Seconds from the start of the clip, for the last axis of relevance; None if that axis is not time."""
    if view.features == "samples":
        return np.arange(results.source.dataset.length) / view.sample_rate
    return view.times
