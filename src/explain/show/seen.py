"""Relevance of samples as it is seen: handed on to time and frequency, where speech has its shape.

Relevance of samples says when a network listens, but not to what. Its shares in the short-time Fourier transform of the
same samples say both (`ShortTimeFourier.relevance`). They need no further pass through the network.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d, pad

from auscult.explain.attribution.base import Attribution
from auscult.explain.domain.fourier import ShortTimeFourier
from auscult.explain.show import spectra
from auscult.modules.model import Model

WINDOW_SECONDS = 0.057  # of the transform; it resolves the harmonics of a voice
FEWEST = 16  # samples of a window: shorter ones have no frequencies to speak of
MOST_ROWS, MOST_COLUMNS = 240, 300  # a page shows no more; neighbours are put together


class Seen:
    """Time and frequency of a waveform network's clips.

    Args:
        model: the model, whose front end gives the samples that the network sees, (B, C, T).
        samples: T.

    Attributes:
        frequencies, times: (F,) hertz and (N,) seconds of the cells, which may each hold several bins.
    """

    def __init__(self, model: Model, samples: int) -> None:
        self.model, rate = model, model.sample_rate
        size = min(round(WINDOW_SECONDS * rate), samples)
        self.transform = ShortTimeFourier(samples, torch.hann_window(size), size // 4)
        rows, columns = size // 2 + 1, self.transform.frames
        self.cell = -(-rows // MOST_ROWS), -(-columns // MOST_COLUMNS)  # bins of a cell, upwards and across
        self.shape = -(-rows // self.cell[0]), -(-columns // self.cell[1])
        up, across = ((np.arange(count) + 0.5) * cell - 0.5 for count, cell in zip(self.shape, self.cell, strict=True))
        self.frequencies, self.times = up * rate / size, across * self.transform.hop / rate

    @classmethod
    def of(cls, model: Model, samples: int, attribution: Attribution) -> "Seen | None":
        """None if values of the attribution cannot be handed on, as they are no shares of the logit; or no window fits.

        Shares that masking gave to samples are not handed on either: it asks about coefficients themselves, by domain.
        """
        is_share = not (attribution.is_slope or attribution.asks_logits_only)
        fits = min(round(WINDOW_SECONDS * model.sample_rate), samples) >= FEWEST
        return cls(model, samples) if is_share and fits else None

    @torch.no_grad()
    def relevances(self, waveforms: np.ndarray, relevances: np.ndarray) -> np.ndarray:
        """Relevance (B, F, N) of cells in all channels, from waveforms and relevance of samples, (B, C, T) each."""
        cells = np.empty((len(waveforms), *self.shape), np.float32)
        for row, relevance in enumerate(relevances):  # one by one: a long clip's bins are many times its cells
            signal = self.signal(waveforms[row : row + 1])
            of_channels, _ = self.transform.relevance(signal, torch.from_numpy(relevance[None]).to(signal))
            shares = of_channels.sum(1)
            missing = (-shares.shape[-1] % self.cell[1], -shares.shape[-2] % self.cell[0])
            cells[row] = avg_pool2d(pad(shares, (0, missing[0], 0, missing[1])), self.cell, divisor_override=1)[0]
        return cells

    @torch.no_grad()
    def inputs(self, waveforms: np.ndarray) -> np.ndarray:
        """Levels (B, F, N) of cells in decibels below the loudest, down to a floor, from waveforms (B, C, T)."""
        cells = np.empty((len(waveforms), *self.shape), np.float32)
        for row in range(len(waveforms)):
            level = spectra.level(self.transform.transform(self.signal(waveforms[row : row + 1])))
            cells[row] = max_pool2d(level, self.cell, ceil_mode=True)[0]
        return cells

    def signal(self, waveforms: np.ndarray) -> Tensor:
        """The samples (B, C, T) that the network sees, on the CPU."""
        signal: Tensor = self.model.front_end(torch.from_numpy(waveforms).to(self.model.device)).cpu()
        return signal
