"""What stands where features of a network's input were removed.

A new fill is a subclass of `Fill` and a YAML in `conf/fill`, built with `build(node, "fill", silence, inputs)`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

import torch
from torch import Tensor


class Fill(ABC):
    """`fill(input (B, ...)) -> values`, of the same shape. A clip's values depend on the clip alone, not its batch.

    Args:
        silence: (1, ...) what the front end makes of digital silence, "nothing there".
        inputs: starts a pass over the data set's inputs, in batches (B, ...). Only `Mean` makes one.
    """

    def __init__(self, silence: Tensor, inputs: Callable[[], Iterable[Tensor]]) -> None:
        self.silence = silence
        self.inputs = inputs

    @abstractmethod
    def __call__(self, input: Tensor) -> Tensor:
        """What stands where features of the inputs (B, ...) were removed, (B, ...); may be a view, not to write to."""


class Silence(Fill):
    """Nothing: zeros in a waveform, the floor in a spectrogram, also in one of raw decibels."""

    def __call__(self, input: Tensor) -> Tensor:
        return self.silence.to(input).expand_as(input)


class Zero(Fill):
    """The number zero, which in raw decibels is the clip's peak, not silence."""

    def __call__(self, input: Tensor) -> Tensor:
        return input.new_zeros(()).expand_as(input)


class Noise(Fill):
    """White Gaussian noise about silence, as strong as the clip is where it is not silent.

    Real noise is kept within the clip's own range, so that no spectrogram falls below its floor. The draw behind it is
    the same for every clip; another seed shows what depends on it.

    Args:
        seed: of the draw.
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
        if input.is_complex():  # which has no range
            return silence + rms * draw
        lowest, highest = input.amin(inner, keepdim=True), input.amax(inner, keepdim=True)
        return (silence + rms * draw).clamp(lowest, highest)


class Mean(Fill):
    """The mean input over the data set: next to zero for waveforms, a blurred word for spectrograms."""

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
