"""Mel spectrograms in decibels, the input of networks for environmental sounds."""

import logging
import warnings

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool1d
from torchaudio.functional import melscale_fbanks
from torchaudio.functional.functional import _hz_to_mel, _mel_to_hz  # 2.11, to which torchaudio is bound, has them
from torchaudio.transforms import Spectrogram

from auscult.mistake import Mistake
from auscult.modules.columns import ColumnSpectrogram

log = logging.getLogger(__name__)


class LogMel(ColumnSpectrogram):
    """Power in Hann windows, summed into triangular bands that are evenly spaced in mel (HTK's formula).

    Args:
        sample_rate, seconds, columns, hop_seconds, floor: see `ColumnSpectrogram`.
        bands: number of rows.
        window_seconds: length of the Hann window, rounded to an even number of samples.
        low_hz: lower end of the lowest band.
        high_hz: upper end of the highest band; None: half the sample rate.

    Raises:
        Mistake: a value is out of range.
    """

    filters: Tensor  # (K, bands)
    averages: Tensor  # (frames, columns)

    def __init__(
        self,
        sample_rate: int,
        seconds: float,
        bands: int = 64,
        columns: int = 64,
        window_seconds: float = 0.046,
        hop_seconds: float = 0.012,
        low_hz: float = 20.0,
        high_hz: float | None = None,
        floor: float = -80.0,
    ) -> None:
        super().__init__(sample_rate, seconds, columns, hop_seconds, floor)
        self.bands, self.window = bands, 2 * round(window_seconds * sample_rate / 2)
        self.low_hz, self.high_hz = low_hz, sample_rate / 2 if high_hz is None else high_hz
        if not 0 <= low_hz < self.high_hz <= sample_rate / 2:
            raise Mistake(
                f"model.front_end.low_hz={low_hz:g} must be below high_hz={self.high_hz:g}, and both within 0 and"
                f" {sample_rate / 2:g} Hz, half of data.clip.sample_rate."
            )
        self.spectrogram = Spectrogram(self.window, hop_length=self.hop, power=2, pad_mode="constant")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torchaudio warns of empty bands by the names of its own options
            filters = melscale_fbanks(self.window // 2 + 1, low_hz, self.high_hz, bands, sample_rate)
        self.empty = filters.sum(0) == 0  # (bands,)
        if self.empty.any():
            log.warning(
                "%d of %d bands hold no frequency and are silent, the highest of them at %.0f Hz; lower"
                " model.front_end.bands, or raise model.front_end.window_seconds=%g.",
                self.empty.sum(), bands, self.frequencies[self.empty][-1], window_seconds,
            )  # fmt: skip
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("averages", adaptive_avg_pool1d(torch.eye(self.frames), columns), persistent=False)

    @property
    def frequencies(self) -> Tensor:
        """Centre of each band, (bands,), in hertz."""
        ends = mel(torch.tensor([self.low_hz, self.high_hz]))
        return hertz(torch.linspace(float(ends[0]), float(ends[1]), self.bands + 2)[1:-1])

    def power(self, waveform: Tensor) -> Tensor:
        """See `ColumnSpectrogram.power`."""
        return self.filters.T @ self.spectrogram(waveform)

    @property
    def spreads(self) -> bool:
        """See `FrontEnd.spreads`."""
        return True

    def spread(self, relevance: Tensor) -> Tensor:
        """Hands relevance of bands and columns back to the bins of the short-time transform that they are made from.

        The relevance of a band is shared out over its frequencies by the weights of its triangle, and the relevance of
        a column equally over its frames. The sum stays exactly the same. The place is approximate within a bin, which
        at the defaults is 60 Hz (the lowest) to 1 000 Hz (the highest) wide and 60 ms long. It is not known which part
        of a bin the network relied on, so louder frequencies do not get more. The relevance of a band without
        frequencies goes to the frequency next to its centre.

        Args:
            relevance: (..., bands, columns).

        Returns:
            Relevance (..., K, frames) of the transform with this object's `window` and `hop`.
        """
        bins = shares(self.filters.to(relevance), self.frequencies, self.sample_rate) @ relevance
        averages = self.averages.to(relevance)
        return bins @ (averages / averages.sum(0)).T


def centres(low_hz: float, high_hz: float, bands: int, scale: str) -> Tensor:
    """Centre of each triangular band, (bands,), in hertz.

    Args:
        low_hz, high_hz: ends of the lowest and of the highest band.
        scale: "htk" or "slaney", as in torchaudio.
    """
    ends = [_hz_to_mel(hertz, scale) for hertz in (low_hz, high_hz)]
    return _mel_to_hz(torch.linspace(ends[0], ends[1], bands + 2)[1:-1], scale)


def shares(filters: Tensor, frequencies: Tensor, sample_rate: int) -> Tensor:
    """The share of each bin of a transform in each band, (K, bands): the weights, divided by their sum over the bins.

    A band without bins gets the one next to its centre.

    Args:
        filters: weights (K, bands).
        frequencies: centre of each band, (bands,), in hertz.
        sample_rate: half of it is the frequency of the last bin, in hertz.
    """
    empty = filters.sum(0) == 0
    last = len(filters) - 1
    nearest = (frequencies.to(filters) * 2 * last / sample_rate).round().long().clamp(max=last)
    filters = filters.clone()
    filters[nearest[empty], empty.nonzero()[:, 0]] = 1
    return filters / filters.sum(0)


def mel(hertz: Tensor) -> Tensor:
    """Mel of hertz by O'Shaughnessy's formula, as in HTK."""
    return 2595 * torch.log10(1 + hertz / 700)


def hertz(mel: Tensor) -> Tensor:
    """The inverse of `mel`."""
    return 700 * (10 ** (mel / 2595) - 1)
