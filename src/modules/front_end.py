"""What a network is given of a waveform, and how that lies in time and frequency."""

from typing import Any

import torch
from torch import Tensor, nn

from auscult.mistake import Mistake


class FrontEnd(nn.Module):
    """`front_end(waveform (B, 1, T)) -> input (B, ...)`, and what is known of the input.

    What is not known keeps its default. Any other module serves as a front end, too, see `as_front_end`.

    Attributes:
        window, hop: samples of the short-time transform, under a Hann window, that the input's bins are made of; only
            together with `spread`.
    """

    window: int
    hop: int

    @property
    def name(self) -> str:
        """For messages."""
        return type(self).__name__

    @property
    def frequencies(self) -> Tensor | None:
        """Centre of each row of a spectrogram, or of each value of a spectrum, (F,), in hertz, ascending."""
        return None

    @property
    def times(self) -> Tensor | None:
        """Centre of each column of a spectrogram, (N,), in seconds from the clip's start, ascending."""
        return None

    @property
    def spreads(self) -> bool:
        """Whether relevance of the input's bins can be handed back to those of a short-time transform."""
        return False

    def spread(self, relevance: Tensor) -> Tensor:
        """Relevance of the bins of that transform, (..., window // 2 + 1, frames), of that of the input (..., F, N).

        Raises:
            Mistake: the input is not made of such bins.
        """
        raise Mistake(
            f"{self.name} cannot hand its relevance back to samples, as it has no `spread`; leave domain out."
        )


class OtherFrontEnd(FrontEnd):
    """Any module as a front end, which may have `frequencies`, `times`, and `spread` with `window` and `hop`."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.known: dict[str, Any] = {name: getattr(module, name, None) for name in ("frequencies", "times", "spread")}
        if self.spreads:
            self.window, self.hop = (int(getattr(module, name)) for name in ("window", "hop"))

    def forward(self, waveform: Tensor) -> Tensor:
        """What the module gives of waveforms (B, C, T)."""
        return self.module(waveform)

    @property
    def name(self) -> str:
        """The name of the module's class."""
        return type(self.module).__name__

    @property
    def frequencies(self) -> Tensor | None:
        """See `FrontEnd.frequencies`."""
        return as_axis(self.known["frequencies"])

    @property
    def times(self) -> Tensor | None:
        """See `FrontEnd.times`."""
        return as_axis(self.known["times"])

    @property
    def spreads(self) -> bool:
        """See `FrontEnd.spreads`."""
        return self.known["spread"] is not None

    def spread(self, relevance: Tensor) -> Tensor:
        """See `FrontEnd.spread`."""
        handing_back = self.known["spread"]
        return super().spread(relevance) if handing_back is None else handing_back(relevance)


def as_front_end(module: nn.Module) -> FrontEnd:
    """The module, whatever it inherits from."""
    return module if isinstance(module, FrontEnd) else OtherFrontEnd(module)


def as_axis(values: Any) -> Tensor | None:
    """Places along an axis, as a tensor; None where they are not known."""
    return None if values is None else torch.as_tensor(values)
