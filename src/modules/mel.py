"""Mel spectrograms in decibels: the input of networks for environmental sounds."""

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool1d
from torchaudio.functional import melscale_fbanks
from torchaudio.transforms import Spectrogram

from src.mistake import Mistake


class LogMel(nn.Module):
    """Decibels below the clip's loudest band and time, on a scale where silence is 0 and the loudest is 1.

    Power in windows, summed into triangular bands that are evenly spaced in mel (HTK's formula), averaged in time
    into columns of equal length, in decibels. Blind to level: `gain * waveform` gives the same input.

    Differentiable where it is above the floor; phases and what is inside a bin are lost, so it cannot be inverted.

    Args:
        sample_rate: of the waveforms, in hertz.
        seconds: their length.
        bands: rows.
        columns: columns, sharing the clip evenly among them.
        window_seconds: length of the Hann window.
        hop_seconds: from one window to the next; not more than a column.
        low_hz: where the lowest band begins.
        high_hz: where the highest band ends; None: at half the sample rate.
        floor: decibels, what counts as silence.

    Raises:
        Mistake: there is no such spectrogram.
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
        super().__init__()
        self.sample_rate, self.samples = sample_rate, round(seconds * sample_rate)
        self.bands, self.columns, self.floor = bands, columns, floor
        self.window, self.hop = round(window_seconds * sample_rate), round(hop_seconds * sample_rate)
        self.low_hz, self.high_hz = low_hz, sample_rate / 2 if high_hz is None else high_hz
        self._check()
        self.spectrogram = Spectrogram(self.window, hop_length=self.hop, power=2, pad_mode="constant")
        self.frames = self.spectrogram(torch.zeros(1, self.samples)).shape[-1]  # before they are averaged
        filters = melscale_fbanks(self.window // 2 + 1, low_hz, self.high_hz, bands, sample_rate)
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("averages", adaptive_avg_pool1d(torch.eye(self.frames), columns), persistent=False)

    def _check(self) -> None:
        if not 0 <= self.low_hz < self.high_hz <= self.sample_rate / 2:
            raise Mistake(
                f"model.front_end.low_hz={self.low_hz:g} must be below high_hz={self.high_hz:g}, and both within 0 and"
                f" {self.sample_rate / 2:g} Hz, half of data.clip.sample_rate."
            )
        if not 1 <= self.hop <= self.samples / self.columns:
            raise Mistake(
                f"model.front_end.hop_seconds={self.hop / self.sample_rate:g} is longer than one of"
                f" {self.columns} columns of clips of {self.samples} samples; choose a shorter one."
            )
        if self.floor >= 0:
            raise Mistake(f"model.front_end.floor={self.floor:g} must be below 0 dB, the loudest of the clip.")

    @property
    def frequencies(self) -> Tensor:
        """Centre of each band, (bands,), in hertz."""
        ends = mel(torch.tensor([self.low_hz, self.high_hz]))
        return hertz(torch.linspace(float(ends[0]), float(ends[1]), self.bands + 2)[1:-1])

    @property
    def times(self) -> Tensor:
        """Centre of each column, (columns,), in seconds from the clip's start."""
        frame = (torch.arange(self.columns) + 0.5) * self.frames / self.columns - 0.5
        return frame * self.hop / self.sample_rate

    def forward(self, waveform: Tensor) -> Tensor:
        """Spectrograms (B, 1, bands, columns) of waveforms (B, 1, T).

        Raises:
            Mistake: the waveforms have another length.
        """
        if waveform.shape[-1] != self.samples:
            raise Mistake(
                f"the mel spectrogram was built for clips of {self.samples} samples, not {waveform.shape[-1]}: choose"
                " model.front_end.seconds as long as data.clip.seconds"
            )
        with torch.autocast(waveform.device.type, enabled=False):
            power = self.spectrogram(waveform.float())  # (B, 1, K, frames)
            return in_decibels(self.filters.T @ power @ self.averages, self.floor).to(waveform.dtype)

    def spread(self, relevance: Tensor) -> Tensor:
        """Relevance of bands and columns, handed back to the bins of the short-time transform that they are made of.

        Each band's relevance is shared out over its frequencies as its triangle weighs them, each column's over its
        frames as its average does. That is exact in what adds up: the sum stays the same. It is approximate in where
        it goes inside a bin, which at the defaults is 60 Hz (the lowest) to 1 000 Hz (the highest) wide and 60 ms
        long: what of it the network relied on is not known, so louder frequencies there do not get more than others.

        Args:
            relevance: (..., bands, columns).

        Returns:
            (..., K, frames) of the transform with this object's `window` and `hop`.
        """
        filters, averages = self.filters.to(relevance), self.averages.to(relevance)
        return (filters / filters.sum(0)) @ relevance @ (averages / averages.sum(0)).T


def in_decibels(power: Tensor, floor: float) -> Tensor:
    """Decibels below each clip's loudest bin, from `floor` as 0 to the loudest as 1: (B, 1, F, N) of powers."""
    loudest = power.amax(dim=(-2, -1), keepdim=True).clamp(min=torch.finfo(power.dtype).tiny)
    decibels = 10 * torch.log10((power / loudest).clamp(min=10 ** (floor / 10)))
    return 1 - decibels / floor


def mel(hertz: Tensor) -> Tensor:
    """O'Shaughnessy's formula, as in HTK."""
    return 2595 * torch.log10(1 + hertz / 700)


def hertz(mel: Tensor) -> Tensor:
    """The inverse of `mel`."""
    return 700 * (10 ** (mel / 2595) - 1)
