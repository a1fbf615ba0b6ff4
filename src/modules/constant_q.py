"""Constant-Q spectrograms in decibels, whose rows are spaced like musical notes."""

import torch
from nnAudio.features import CQT
from torch import Tensor

from auscult.mistake import Mistake
from auscult.modules.columns import ColumnSpectrogram


class ConstantQ(ColumnSpectrogram):
    """Brown's constant-Q transform (J. Acoust. Soc. Am. 89, 1991), computed by nnAudio with one kernel per row.

    Args:
        sample_rate, seconds, columns, hop_seconds, floor: see `ColumnSpectrogram`.
        rows: number of frequencies.
        rows_per_octave: rows in an octave.
        low_hz: the lowest frequency.

    Raises:
        Mistake: a value is out of range.
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
        super().__init__(sample_rate, seconds, columns, hop_seconds, floor)
        self.rows, self.rows_per_octave, self.low_hz = rows, rows_per_octave, low_hz
        highest = float(self.frequencies[-1])
        if not 0 < low_hz < highest < sample_rate / 2:
            raise Mistake(
                f"model.front_end.rows={rows} end at {highest:.0f} Hz, above {sample_rate / 2:g} Hz, half of"
                " data.clip.sample_rate; choose fewer rows, or a higher model.front_end.rows_per_octave."
            )
        self.transform = CQT(
            sr=sample_rate,
            hop_length=self.hop,
            fmin=low_hz,
            n_bins=rows,
            bins_per_octave=rows_per_octave,
            pad_mode="constant",
            verbose=False,
        )

    @property
    def frequencies(self) -> Tensor:
        """Frequency of each row, (rows,), in hertz."""
        return self.low_hz * 2 ** (torch.arange(self.rows) / self.rows_per_octave)

    def power(self, waveform: Tensor) -> Tensor:
        """See `ColumnSpectrogram.power`."""
        return self.transform(waveform).square()
