"""Constant-Q spectrograms in decibels: rows as far apart as notes, instead of mel bands."""

import torch
from nnAudio.features import CQT
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool1d

from src.mistake import Mistake
from src.modules.mel import in_decibels


class ConstantQ(nn.Module):
    """Decibels below the clip's loudest bin, on a scale where silence is 0 and the loudest is 1.

    Brown's constant-Q transform (J. Acoust. Soc. Am. 89, 1991), computed by nnAudio with one kernel per row, its
    power averaged in time into columns of equal length. Blind to level: `gain * waveform` gives the same input.

    Differentiable where it is above the floor; phases are lost, so it cannot be inverted.

    Args:
        sample_rate: of the waveforms, in hertz.
        seconds: their length.
        rows: frequencies.
        rows_per_octave: how densely they lie.
        columns: columns, sharing the clip evenly among them.
        low_hz: the lowest frequency.
        hop_seconds: between two places where the transform is taken; not more than a column.
        floor: decibels, what counts as silence.

    Raises:
        Mistake: there is no such spectrogram.
    """

    def __init__(
        self,
        sample_rate: int,
        seconds: float,
        rows: int = 64,
        rows_per_octave: int = 8,
        columns: int = 64,
        low_hz: float = 40.0,
        hop_seconds: float = 0.012,
        floor: float = -80.0,
    ) -> None:
        super().__init__()
        self.sample_rate, self.samples = sample_rate, round(seconds * sample_rate)
        self.rows, self.rows_per_octave, self.columns = rows, rows_per_octave, columns
        self.low_hz, self.floor, self.hop = low_hz, floor, round(hop_seconds * sample_rate)
        self._check()
        self.transform = CQT(
            sr=sample_rate,
            hop_length=self.hop,
            fmin=low_hz,
            n_bins=rows,
            bins_per_octave=rows_per_octave,
            pad_mode="constant",
            verbose=False,
        )

    def _check(self) -> None:
        highest = float(self.frequencies[-1])
        if not 0 < self.low_hz < highest < self.sample_rate / 2:
            raise Mistake(
                f"model.front_end.rows={self.rows} end at {highest:.0f} Hz, above {self.sample_rate / 2:g} Hz, half of"
                " data.clip.sample_rate; choose fewer rows, or a higher model.front_end.rows_per_octave."
            )
        if not 1 <= self.hop <= self.samples / self.columns:
            raise Mistake(
                f"model.front_end.hop_seconds={self.hop / self.sample_rate:g} is longer than one of"
                f" {self.columns} columns of clips of {self.samples} samples; choose a shorter one."
            )

    @property
    def frequencies(self) -> Tensor:
        """Frequency of each row, (rows,), in hertz."""
        return self.low_hz * 2 ** (torch.arange(self.rows) / self.rows_per_octave)

    @property
    def times(self) -> Tensor:
        """Centre of each column, (columns,), in seconds from the clip's start."""
        frames = self.samples // self.hop + 1
        frame = (torch.arange(self.columns) + 0.5) * frames / self.columns - 0.5
        return frame * self.hop / self.sample_rate

    def forward(self, waveform: Tensor) -> Tensor:
        """Spectrograms (B, 1, rows, columns) of waveforms (B, 1, T).

        Raises:
            Mistake: the waveforms have another length.
        """
        if waveform.shape[-1] != self.samples:
            raise Mistake(
                f"the constant-Q spectrogram was built for clips of {self.samples} samples, not {waveform.shape[-1]}:"
                " choose model.front_end.seconds as long as data.clip.seconds"
            )
        with torch.autocast(waveform.device.type, enabled=False):
            power = self.transform(waveform.float()).square()  # (B, rows, frames)
            columns = adaptive_avg_pool1d(power, self.columns)
            return in_decibels(columns, self.floor).unsqueeze(1).to(waveform.dtype)
