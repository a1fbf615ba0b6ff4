"""What is shown of one clip: its picture, its sounds, and what the network said of it."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import torch

from src.explain import plots, spectra
from src.explain.audible import sounds, wav
from src.explain.domain import Coefficients
from src.explain.report import Picture, Sound
from src.mistake import Mistake
from src.modules.classifier import Classifier


@dataclass(frozen=True)
class View:
    """How a network's input lies in time and frequency.

    Args:
        sample_rate: of the waveforms, in hertz.
        frequencies: (F,) of a spectrogram's rows or of a spectrum, in hertz; None for waveforms.
        times: (N,) of a spectrogram's columns, in seconds from the clip's start; None for waveforms and spectra.
        classifier: whose front end makes the inputs.
    """

    sample_rate: int
    frequencies: np.ndarray | None
    times: np.ndarray | None
    classifier: Classifier

    @classmethod
    def of(cls, classifier: Classifier, sample_rate: int, shape: tuple[int, ...]) -> "View":
        """The view that a front end says it gives.

        Args:
            shape: of an input, without the batch.

        Raises:
            Mistake: it is neither a waveform, nor a spectrogram or spectrum whose front end names its axes.
        """
        front_end: Any = classifier.front_end
        if len(shape) == 2 and shape[0] == 1:
            spectrum = torch.as_tensor(front_end.frequencies).numpy() if hasattr(front_end, "frequencies") else None
            return cls(sample_rate, spectrum, None, classifier)
        if len(shape) == 3 and shape[0] == 1 and hasattr(front_end, "frequencies") and hasattr(front_end, "times"):
            rows, columns = (torch.as_tensor(axis).cpu() for axis in (front_end.frequencies, front_end.times))
            return cls(sample_rate, rows.numpy(), columns.numpy(), classifier)
        raise Mistake(
            f"inputs of {type(front_end).__name__}, of the shape {shape}, cannot be drawn: they are to be waveforms"
            " (1, T), or spectrograms (1, F, N) of a front end with `frequencies` and `times`."
        )

    @property
    def features(self) -> str:
        if self.frequencies is None:
            return "samples"
        return "frequencies" if self.times is None else "bins"

    @property
    def of_coefficients(self) -> bool:
        """Whether relevance is of a transform's coefficients rather than of what the network is given."""
        return isinstance(self.classifier.front_end, Coefficients)

    def inputs(self, waveforms: np.ndarray) -> np.ndarray:
        """What the network is given of waveforms (B, T), as it is shown: (B, T), (B, F) or (B, F, N).

        Of coefficients, the level in decibels below the loudest, down to a floor.
        """
        with torch.no_grad():
            batch = torch.from_numpy(waveforms)[:, None].to(self.classifier.device)  # (B, 1, T)
            input = self.classifier.front_end(batch)[:, 0].cpu()
            return (spectra.level(input) if input.is_complex() else input).numpy()


def picture(view: View, waveform: np.ndarray, relevance: np.ndarray, title: str) -> Picture:
    """The clip's figure.

    Args:
        waveform: (T,).
        relevance: (T,), (F,) or (F, N).
        title: of the figure.
    """
    if view.frequencies is not None and view.times is None:
        figure = spectra.plot_spectrum(view.inputs(waveform[None])[0], relevance, view.frequencies, title)
        return Picture(plots.png(figure), f"Spectrum and relevance of its frequencies: {title}")
    shown = None if view.frequencies is None else view.inputs(waveform[None])[0]
    what = "level in decibels" if view.of_coefficients else "the network's input"
    figure = plots.plot_clip(waveform, relevance, view.sample_rate, title, shown, view.frequencies, view.times, what)
    alt = f"Waveform and spectrogram with relevance: {title}"
    return Picture(plots.png(figure), alt, time_axis=plots.time_axis(figure))


def audible(view: View, waveform: np.ndarray, relevance: np.ndarray) -> list[Sound]:
    """The clip's sounds, as WAV files."""
    heard = sounds_of(view, waveform, relevance)
    return [Sound(name, wav(samples, view.sample_rate)) for name, samples in heard.items()]


def sounds_of(view: View, waveform: np.ndarray, relevance: np.ndarray) -> dict[str, np.ndarray]:
    """The clip's sounds by name, see `sounds`."""
    grid: dict[str, Any] = {"frequencies": view.frequencies, "times": view.times}
    if hasattr(view.classifier.front_end, "spread"):
        grid["front_end"] = view.classifier.front_end
    if view.features == "frequencies":
        grid = {"of_spectrum": True}
    return sounds(waveform, relevance, view.sample_rate, **grid)


def file_name(path: str, sound: str = "") -> str:
    """A name for a clip's files that any file system takes, without an ending."""
    stem = str(PurePosixPath(path).with_suffix("")) + (f"-{sound}" if sound else "")
    return re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._")[-100:] or "clip"
