"""What is shown of one clip: its picture, its sounds, and what the network said of it."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from src.explain import plots
from src.explain.audible import sounds, wav
from src.explain.report import Picture, Sound
from src.mistake import Mistake
from src.modules.classifier import Classifier


@dataclass(frozen=True)
class View:
    """How a network's input lies in time and frequency.

    Args:
        sample_rate: of the waveforms, in hertz.
        frequencies: (F,) of a spectrogram's rows, in hertz; None for waveforms.
        times: (N,) of its columns, in seconds from the clip's start; None for waveforms.
    """

    sample_rate: int
    frequencies: np.ndarray | None = None
    times: np.ndarray | None = None

    @classmethod
    def of(cls, classifier: Classifier, sample_rate: int, shape: tuple[int, ...]) -> "View":
        """The view that a front end says it gives.

        Args:
            shape: of an input, without the batch.

        Raises:
            Mistake: it is neither a waveform nor a spectrogram whose front end names its rows and columns.
        """
        front_end = classifier.front_end
        if len(shape) == 2 and shape[0] == 1:
            return cls(sample_rate)
        if len(shape) == 3 and shape[0] == 1 and hasattr(front_end, "frequencies") and hasattr(front_end, "times"):
            return cls(sample_rate, np.asarray(front_end.frequencies), np.asarray(front_end.times))
        raise Mistake(
            f"inputs of {type(front_end).__name__}, of the shape {shape}, cannot be drawn: they are to be waveforms"
            " (1, T), or spectrograms (1, F, N) of a front end with `frequencies` and `times`."
        )

    @property
    def features(self) -> str:
        return "samples" if self.frequencies is None else "bins"


def picture(view: View, waveform: np.ndarray, relevance: np.ndarray, title: str) -> Picture:
    """The clip's figure.

    Args:
        waveform: (T,).
        relevance: (T,) or (F, N).
        title: of the figure.
    """
    figure = plots.plot_clip(waveform, relevance, view.sample_rate, title, view.frequencies, view.times)
    alt = f"Waveform and spectrogram with relevance: {title}"
    return Picture(plots.png(figure), alt, time_axis=plots.time_axis(figure))


def audible(view: View, waveform: np.ndarray, relevance: np.ndarray) -> list[Sound]:
    """The clip's sounds, as WAV files."""
    found = sounds(waveform, relevance, view.sample_rate, frequencies=view.frequencies, times=view.times)
    return [Sound(name, wav(samples, view.sample_rate)) for name, samples in found.items()]


def file_name(path: str, sound: str = "") -> str:
    """A name for a clip's files that any file system takes, without an ending."""
    stem = str(PurePosixPath(path).with_suffix("")) + (f"-{sound}" if sound else "")
    return re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._")[-100:] or "clip"
