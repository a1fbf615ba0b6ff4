"""What is shown of one clip: its picture, its sounds, and what the network said of it."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from auscult.explain.domain.coefficients import CoefficientFrontEnd
from auscult.explain.show import plots, spectra
from auscult.explain.show.audible import SMOOTHING_SECONDS, sounds, wav
from auscult.explain.show.media import Picture, Sound
from auscult.mistake import Mistake
from auscult.modules.model import Model


@dataclass(frozen=True)
class View:
    """How a network's input lies in time and frequency.

    Args:
        model: whose inputs they are.
        frequencies: (F,) of a spectrogram's rows or of a spectrum, in hertz; None for waveforms.
        times: (N,) of a spectrogram's columns, in seconds from the clip's start; None for waveforms and spectra.
        smoothing: in seconds, of relevance of samples before it is heard; see `sounds`.
    """

    model: Model
    frequencies: np.ndarray | None
    times: np.ndarray | None
    smoothing: float = SMOOTHING_SECONDS

    @classmethod
    def of(cls, model: Model, shape: tuple[int, ...], smoothing: float = SMOOTHING_SECONDS) -> "View":
        """The view that a model's front end says it gives.

        Args:
            shape: of an input, without the batch.
            smoothing: see `View`.

        Raises:
            Mistake: it is neither a waveform, nor a spectrogram or spectrum whose front end names its axes.
        """
        front_end = model.front_end
        rows, columns = (
            axis if axis is None else axis.cpu().numpy() for axis in (front_end.frequencies, front_end.times)
        )
        if len(shape) == 2 and shape[0] == 1:
            return cls(model, rows, None, smoothing)
        if len(shape) == 3 and shape[0] == 1 and rows is not None and columns is not None:
            return cls(model, rows, columns, smoothing)
        raise Mistake(
            f"inputs of {front_end.name}, of the shape {shape}, cannot be drawn: they are to be waveforms"
            " (1, T), or spectrograms (1, F, N) of a front end with `frequencies` and `times`."
        )

    @property
    def sample_rate(self) -> int:
        """Of the waveforms, in hertz."""
        return self.model.sample_rate

    @property
    def features(self) -> str:
        if self.frequencies is None:
            return "samples"
        return "frequencies" if self.times is None else "bins"

    @property
    def of_coefficients(self) -> bool:
        """Whether relevance is of a transform's coefficients rather than of what the network is given."""
        return isinstance(self.model.front_end, CoefficientFrontEnd)

    def inputs(self, waveforms: np.ndarray) -> np.ndarray:
        """What the network is given of waveforms (B, T), as it is shown: (B, T), (B, F) or (B, F, N).

        Of coefficients, the level in decibels below the loudest, down to a floor.
        """
        with torch.no_grad():
            batch = torch.from_numpy(waveforms)[:, None].to(self.model.device)  # (B, 1, T)
            input = self.model.front_end(batch)[:, 0].cpu()
            return (spectra.level(input) if input.is_complex() else input).numpy()


def drawn(view: View, waveform: np.ndarray, relevance: np.ndarray, title: str) -> Figure:
    """The clip's figure.

    Args:
        waveform: (T,).
        relevance: (T,), (F,) or (F, N).
        title: of the figure.
    """
    if view.frequencies is not None and view.times is None:
        return spectra.plot_spectrum(view.inputs(waveform[None])[0], relevance, view.frequencies, title)
    shown = None if view.frequencies is None else view.inputs(waveform[None])[0]
    what = "level in decibels" if view.of_coefficients else "the network's input"
    return plots.plot_clip(waveform, relevance, view.sample_rate, title, shown, view.frequencies, view.times, what)


def picture(view: View, waveform: np.ndarray, relevance: np.ndarray, title: str) -> Picture:
    """The clip's figure, as a file; see `drawn`."""
    figure = drawn(view, waveform, relevance, title)
    if view.features == "frequencies":
        return Picture(plots.png(figure), f"Spectrum and relevance of its frequencies: {title}")
    alt = f"Waveform and spectrogram with relevance: {title}"
    return Picture(plots.png(figure), alt, time_axis=plots.time_axis(figure))


def audible(view: View, waveform: np.ndarray, relevance: np.ndarray) -> list[Sound]:
    """The clip's sounds, as WAV files."""
    heard = sounds_of(view, waveform, relevance)
    return [Sound(name, wav(samples, view.sample_rate)) for name, samples in heard.items()]


def sounds_of(view: View, waveform: np.ndarray, relevance: np.ndarray) -> dict[str, np.ndarray]:
    """The clip's sounds by name, see `sounds`."""
    grid: dict[str, Any] = {"frequencies": view.frequencies, "times": view.times}
    if view.model.front_end.spreads:
        grid["front_end"] = view.model.front_end
    if view.features == "frequencies":
        grid = {"of_spectrum": True}
    return sounds(waveform, relevance, view.sample_rate, view.smoothing, **grid)


def file_name(path: str, sound: str = "") -> str:
    """A name for a clip's files that any file system takes, without an ending."""
    stem = str(PurePosixPath(path).with_suffix("")) + (f"-{sound}" if sound else "")
    return re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._")[-100:] or "clip"
