"""The picture and the sounds of one clip."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from auscult.explain.attribution.base import Attribution
from auscult.explain.domain.coefficients import CoefficientFrontEnd
from auscult.explain.show import plots, spectra
from auscult.explain.show.audible import SMOOTHING_SECONDS, sounds, wav
from auscult.explain.show.media import Picture, Sound
from auscult.explain.show.seen import Seen
from auscult.mistake import Mistake
from auscult.modules.model import Model


@dataclass(frozen=True)
class View:
    """The axes of a network's input. All its channels are drawn and heard together.

    Args:
        model: the model with these inputs.
        frequencies: (F,), of the rows of a spectrogram or of a spectrum, in hertz; None for waveforms.
        times: (N,), of the columns of a spectrogram, in seconds from the start of the clip; None for waveforms and
            spectra.
        smoothing: of relevance of samples before it is heard, in seconds; see `sounds`.
        seen: time and frequency of relevance of samples; None if it cannot be handed on to them.
    """

    model: Model
    frequencies: np.ndarray | None
    times: np.ndarray | None
    smoothing: float = SMOOTHING_SECONDS
    seen: Seen | None = None

    @classmethod
    def of(
        cls,
        model: Model,
        shape: tuple[int, ...],
        smoothing: float = SMOOTHING_SECONDS,
        attribution: Attribution | None = None,
    ) -> "View":
        """The view of a model's inputs, from the axes of its front end.

        Args:
            model: the model.
            shape: shape of an input, without the batch.
            smoothing: see `View`.
            attribution: what gives the relevance; None: relevance of samples is not handed on to time and frequency.

        Raises:
            Mistake: the input is no waveform of the model's channels, and no spectrogram or spectrum whose front end
                names its axes.
        """
        front_end = model.front_end
        rows, columns = (
            axis if axis is None else axis.cpu().numpy() for axis in (front_end.frequencies, front_end.times)
        )
        if len(shape) == 2 and shape[0] in (1, model.channels):
            seen = Seen.of(model, shape[1], attribution) if attribution is not None and rows is None else None
            return cls(model, rows, None, smoothing, seen)
        if len(shape) == 3 and rows is not None and columns is not None:
            return cls(model, rows, columns, smoothing)
        raise Mistake(
            f"inputs of {front_end.name}, of the shape {shape}, cannot be drawn; use waveforms"
            f" ({model.channels}, T), or spectrograms (C, F, N) of a front end with `frequencies` and `times`."
        )

    @property
    def sample_rate(self) -> int:
        """Sample rate of the waveforms, in hertz."""
        return self.model.sample_rate

    @property
    def features(self) -> str:
        """The features of an input in a word: samples, frequencies or bins."""
        if self.frequencies is None:
            return "samples"
        return "frequencies" if self.times is None else "bins"

    @property
    def shown(self) -> str:
        """What a spectrogram beneath relevance shows, in words."""
        is_level = self.seen is not None or isinstance(self.model.front_end, CoefficientFrontEnd)
        return "level in decibels" if is_level else "the network's input"

    @property
    def grid(self) -> "View | Seen":
        """What has the axes and inputs of relevance as it is seen: time and frequency, or those of the view itself."""
        return self.seen or self

    def as_seen(self, waveforms: np.ndarray, relevances: np.ndarray) -> np.ndarray:
        """The sum over all channels of relevance (B, C, ...), in time and frequency if there is `seen`.

        Args:
            waveforms: (B, C, T).

        Returns:
            (B, T), (B, F) or (B, F, N).
        """
        return relevances.sum(1) if self.seen is None else self.seen.relevances(waveforms, relevances)

    def inputs(self, waveforms: np.ndarray) -> np.ndarray:
        """The inputs of the network for waveforms (B, C, T), as they are drawn: (B, T), (B, F) or (B, F, N).

        They are the mean of all channels. Coefficients are drawn as levels in decibels below the loudest one, down to a
        floor, and power as in `spectra.visible`.
        """
        with torch.no_grad():
            input = self.model.front_end(torch.from_numpy(waveforms).to(self.model.device)).cpu()
            if input.is_complex():
                return spectra.level(input).numpy()
            return (spectra.visible(input.mean(1)) if input.dim() == 4 else input.mean(1)).numpy()


def drawn(view: View, waveform: np.ndarray, relevance: np.ndarray, title: str) -> Figure:
    """Draws the figure of a clip.

    Args:
        view: the axes of the relevance.
        waveform: (C, T).
        relevance: (C, T), (C, F) or (C, F, N).
        title: title of the figure.
    """
    if view.frequencies is not None and view.times is None:
        return spectra.plot_spectrum(view.inputs(waveform[None])[0], relevance.sum(0), view.frequencies, title)
    grid: dict[str, Any] = {}
    if view.grid.times is not None:
        grid["spectrogram"], grid["shown"] = view.grid.inputs(waveform[None])[0], view.shown
        grid["frequencies"], grid["times"] = view.grid.frequencies, view.grid.times
    if view.seen:
        grid["bins"] = view.as_seen(waveform[None], relevance[None])[0]
    return plots.plot_clip(waveform.mean(0), relevance.sum(0), view.sample_rate, title, **grid)


def picture(view: View, waveform: np.ndarray, relevance: np.ndarray, title: str) -> Picture:
    """The figure of `drawn` as a PNG file."""
    figure = drawn(view, waveform, relevance, title)
    if view.features == "frequencies":
        return Picture(plots.png(figure), f"Spectrum and relevance of its frequencies: {title}")
    alt = f"Waveform and spectrogram with relevance: {title}"
    return Picture(plots.png(figure), alt, time_axis=plots.time_axis(figure))


def audible(view: View, waveform: np.ndarray, relevance: np.ndarray) -> list[Sound]:
    """The sounds of the clip as WAV files."""
    heard = sounds_of(view, waveform, relevance)
    return [Sound(name, wav(samples, view.sample_rate)) for name, samples in heard.items()]


def sounds_of(view: View, waveform: np.ndarray, relevance: np.ndarray) -> dict[str, np.ndarray]:
    """The sounds of the clip by name, see `audible.sounds`: of the mean and of the relevance of all channels.

    Args: as for `drawn`.
    """
    grid: dict[str, Any] = {"frequencies": view.frequencies, "times": view.times}
    if view.model.front_end.spreads:
        grid["front_end"] = view.model.front_end
    if view.features == "frequencies":
        grid = {"is_spectrum": True}
    return sounds(waveform.mean(0), relevance.sum(0), view.sample_rate, view.smoothing, **grid)


def file_name(path: str, sound: str = "") -> str:
    """A name for the files of a clip, without ending. It is valid on any file system."""
    stem = str(PurePosixPath(path).with_suffix("")) + (f"-{sound}" if sound else "")
    return re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._")[-100:] or "clip"
