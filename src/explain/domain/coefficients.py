"""A model in coefficients of the signal: what a transform gives is its input."""

from typing import Any

import torch
from torch import Tensor, nn

from auscult.modules.front_end import FrontEnd


class Samples:
    """A transform that leaves the samples as they are."""

    def transform(self, waveform: Tensor) -> Tensor:
        return waveform

    def inverse(self, coefficients: Tensor) -> Tensor:
        return coefficients

    def relevance(self, waveform: Tensor, relevance: Tensor) -> tuple[Tensor, Tensor]:
        return relevance, torch.zeros_like(relevance[..., 0])


class CoefficientFrontEnd(FrontEnd):
    """Makes coefficients (B, 1, ...) of the signals of waveforms (B, 1, T).

    Args:
        signal: makes the signals.
        transform: makes coefficients of them.
        frequencies, times: of the coefficients.
    """

    def __init__(self, signal: nn.Module, transform: Any, frequencies: Tensor | None, times: Tensor | None) -> None:
        super().__init__()
        self.signal, self.transform, self.axes = signal, transform, (frequencies, times)

    def forward(self, waveform: Tensor) -> Tensor:
        return self.transform.transform(self.signal(waveform))

    @property
    def frequencies(self) -> Tensor | None:
        return self.axes[0]

    @property
    def times(self) -> Tensor | None:
        return self.axes[1]


class CoefficientNetwork(nn.Module):
    """Takes coefficients (B, 1, ...), and gives the network the signal that they make.

    Args:
        network: of signals.
        transform: whose inverse makes signals of coefficients.
    """

    def __init__(self, network: nn.Module, transform: Any) -> None:
        super().__init__()
        self.network, self.transform = network, transform

    def forward(self, coefficients: Tensor) -> Tensor:
        return self.network(self.transform.inverse(coefficients))
