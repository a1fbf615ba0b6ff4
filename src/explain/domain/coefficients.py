"""The parts of a model whose inputs are the coefficients of a signal."""

from typing import Any

import torch
from torch import Tensor, nn

from auscult.modules.front_end import FrontEnd


class Samples:
    """The identity as a transform: the coefficients are the samples."""

    def transform(self, waveform: Tensor) -> Tensor:
        """The waveform (..., N) itself."""
        return waveform

    def inverse(self, coefficients: Tensor) -> Tensor:
        """The samples (..., N) themselves."""
        return coefficients

    def relevance(self, waveform: Tensor, relevance: Tensor) -> tuple[Tensor, Tensor]:
        """Relevance (..., N) itself; nothing, (...), is kept apart."""
        return relevance, torch.zeros_like(relevance[..., 0])


class CoefficientFrontEnd(FrontEnd):
    """Turns waveforms (B, C, T) into the coefficients (B, C, ...) of their signals.

    Args:
        signal: turns waveforms into signals.
        transform: turns signals into coefficients.
        frequencies, times: axes of the coefficients, in hertz and seconds; None if they have no such axis.
    """

    def __init__(self, signal: nn.Module, transform: Any, frequencies: Tensor | None, times: Tensor | None) -> None:
        super().__init__()
        self.signal, self.transform, self.axes = signal, transform, (frequencies, times)

    def forward(self, waveform: Tensor) -> Tensor:
        """Coefficients (B, C, ...) of waveforms (B, C, T)."""
        return self.transform.transform(self.signal(waveform))

    @property
    def frequencies(self) -> Tensor | None:
        """Hertz of each row, (F,)."""
        return self.axes[0]

    @property
    def times(self) -> Tensor | None:
        """Seconds of each column from the start of the clip, (N,)."""
        return self.axes[1]


class CoefficientNetwork(nn.Module):
    """A network for coefficients (B, C, ...): it turns them into signals and gives these to a network.

    Args:
        network: a network for signals.
        transform: its inverse turns coefficients into signals.
    """

    def __init__(self, network: nn.Module, transform: Any) -> None:
        super().__init__()
        self.network, self.transform = network, transform

    def forward(self, coefficients: Tensor) -> Tensor:
        """Logits (B, classes) for coefficients (B, C, ...)."""
        return self.network(self.transform.inverse(coefficients))
