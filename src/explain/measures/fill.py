"""Values that replace removed features of a network's input.

A new fill is a subclass of `Fill` and a YAML in `conf/fill`, built with `build(node, "fill", silence, inputs)`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

import torch
from torch import Tensor


class Fill(ABC):
    """`fill(input (B, ...)) -> values (B, ...)`. The values of a clip depend on that clip, not on its batch.

    Args:
        silence: (1, ...), the front end's output for digital silence.
        inputs: starts a pass over the inputs of the data set, in batches (B, ...). Only `Mean` needs it.
    """

    def __init__(self, silence: Tensor, inputs: Callable[[], Iterable[Tensor]]) -> None:
        self.silence = silence
        self.inputs = inputs

    @abstractmethod
    def __call__(self, input: Tensor) -> Tensor:
        """The values that replace removed features of inputs (B, ...), (B, ...). May be a view: do not write to it."""


class Silence(Fill):
    """Silence: zeros in a waveform, the floor in a spectrogram, also in one of raw decibels."""

    def __call__(self, input: Tensor) -> Tensor:
        return self.silence.to(input).expand_as(input)


class Zero(Fill):
    """The number zero, which in raw decibels is the clip's peak, not silence."""

    def __call__(self, input: Tensor) -> Tensor:
        return input.new_zeros(()).expand_as(input)


class Noise(Fill):
    """White Gaussian noise around silence, as strong as the sounding part of the clip.

    Real noise is kept within the clip's own range, so that no spectrogram falls below its floor. The draw behind it is
    the same for every clip; another seed shows what depends on the draw.

    Args:
        seed: seed of the draw.
    """

    def __init__(self, silence: Tensor, inputs: Callable[[], Iterable[Tensor]], seed: int = 0) -> None:
        super().__init__(silence, inputs)
        self.seed = seed

    def __call__(self, input: Tensor) -> Tensor:
        silence = self.silence.to(input)
        inner = tuple(range(1, input.dim()))
        level = input - silence  # (B, ...)
        active = (level != 0).sum(inner, keepdim=True).clamp(min=1)  # (B, 1, ...)
        rms = (level.abs().square().sum(inner, keepdim=True) / active).sqrt()
        kind = torch.complex64 if input.is_complex() else torch.float32
        draw = torch.randn(input.shape[1:], generator=torch.Generator().manual_seed(self.seed), dtype=kind).to(input)
        if input.is_complex():  # complex inputs have no range
            return silence + rms * draw
        lowest, highest = input.amin(inner, keepdim=True), input.amax(inner, keepdim=True)
        return (silence + rms * draw).clamp(lowest, highest)


class Mean(Fill):
    """The mean input over the data set: close to zero for waveforms, a blurred word for spectrograms."""

    def __init__(self, silence: Tensor, inputs: Callable[[], Iterable[Tensor]]) -> None:
        super().__init__(silence, inputs)
        total, clips = (
            torch.zeros_like(silence, dtype=torch.promote_types(silence.dtype, torch.float64), device="cpu"),
            0,
        )
        for batch in inputs():
            total += batch.to("cpu", total.dtype).sum(0, keepdim=True)
            clips += len(batch)
        self.mean = (total / max(clips, 1)).to(silence)  # (1, ...)

    def __call__(self, input: Tensor) -> Tensor:
        return self.mean.to(input).expand_as(input)
