"""Spectrograms in decibels with columns of equal length: the common part of mel and constant-Q spectrograms."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool1d

from auscult.mistake import Mistake
from auscult.modules.front_end import FrontEnd


class ColumnSpectrogram(FrontEnd, ABC):
    """Decibels relative to the clip's loudest bin, on a scale where silence is 0 and the loudest bin is 1.

    Power is averaged in time into columns of equal length. The loudest bin is that of all channels of the clip. The
    level does not matter: `gain * waveform` gives the same input. The spectrogram is differentiable above the floor. It
    cannot be inverted, as phases and details within bins are lost.

    Args:
        sample_rate: of the waveforms, in hertz.
        seconds: length of the waveforms.
        columns: number of equal parts of the clip.
        hop_seconds: from one frame to the next; at most one column.
        floor: decibels, negative; what is below counts as silence.

    Raises:
        Mistake: a value is out of range.
    """

    def __init__(self, sample_rate: int, seconds: float, columns: int, hop_seconds: float, floor: float) -> None:
        super().__init__()
        self.sample_rate, self.samples = sample_rate, round(seconds * sample_rate)
        self.columns, self.hop, self.floor = columns, round(hop_seconds * sample_rate), floor
        if not 1 <= self.hop <= self.samples / columns:
            raise Mistake(
                f"model.front_end.hop_seconds={hop_seconds:g} must be at least a sample and at most one of {columns}"
                f" columns of clips of {self.samples} samples; {self._way_out()}"
            )
        if floor >= 0:
            raise Mistake(f"model.front_end.floor={floor:g} must be below 0 dB, the loudest of the clip.")

    def _way_out(self) -> str:
        longest = self.samples // self.columns  # samples
        if longest < 1:
            return "choose longer clips."
        return f"choose from {1 / self.sample_rate:.6g} to {longest / self.sample_rate:.6g}."

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Moves buffers to the network's device, but keeps single precision, in which `forward` computes."""
        return super()._apply(lambda tensor: tensor.to(fn(tensor).device), recurse)

    @property
    @abstractmethod
    def frequencies(self) -> Tensor:
        """Centre of each row, (F,), in hertz."""

    @abstractmethod
    def power(self, waveform: Tensor) -> Tensor:
        """Power (B, F, frames) of waveforms (B, T); frames are centred on samples 0, hop, 2 * hop, ..."""

    @property
    def frames(self) -> int:
        """The number of frames of a clip, before they are averaged."""
        return self.samples // self.hop + 1

    @property
    def times(self) -> Tensor:
        """Centre of each column, (columns,), in seconds from the clip's start."""
        frame = (torch.arange(self.columns) + 0.5) * self.frames / self.columns - 0.5
        return frame * self.hop / self.sample_rate

    def forward(self, waveform: Tensor) -> Tensor:
        """Spectrograms (B, C, F, columns) of waveforms (B, C, T).

        Raises:
            Mistake: the waveforms have another length.
        """
        if waveform.shape[-1] != self.samples:
            raise Mistake(
                f"the spectrogram was built for clips of {self.samples} samples, not {waveform.shape[-1]}: choose"
                " model.front_end.seconds as long as data.clip.seconds."
            )
        with torch.autocast(waveform.device.type, enabled=False):
            power = self.power(waveform.float().flatten(0, 1))  # (B * C, F, frames)
            return self.scaled(power.unflatten(0, waveform.shape[:2])).to(waveform.dtype)

    def scaled(self, power: Tensor) -> Tensor:
        """Power (B, C, F, frames) in decibels, (B, C, F, columns), on the scale from 0 to 1."""
        averages = adaptive_avg_pool1d(power.flatten(0, 1), self.columns)  # (B * C, F, columns)
        power = averages.unflatten(0, power.shape[:2])
        loudest = power.amax(dim=(1, 2, 3), keepdim=True).clamp(min=torch.finfo(power.dtype).tiny)
        decibels = 10 * torch.log10((power / loudest).clamp(min=10 ** (self.floor / 10)))
        return 1 - decibels / self.floor
