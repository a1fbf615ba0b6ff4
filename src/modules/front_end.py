"""Front ends make a network's input from waveforms, and name the times and frequencies of this input."""

from typing import Any

import torch
from torch import Tensor, nn

from auscult.mistake import Mistake


class FrontEnd(nn.Module):
    """`front_end(waveform (B, C, T)) -> input (B, ...)`, with the axes of the input.

    A subclass overrides the properties that its input has. Any other module can serve as a front end, too, see
    `as_front_end`.

    Attributes:
        window, hop: samples of the short-time transform with a Hann window that the input's bins are made from; only
            together with `spread`.
    """

    window: int
    hop: int

    @property
    def name(self) -> str:
        """The name of the front end, for messages."""
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
        """Whether `spread` can hand relevance of the input back to the bins of a short-time transform."""
        return False

    def spread(self, relevance: Tensor) -> Tensor:
        """Hands relevance of the input (..., F, N) back to the transform's bins, (..., window // 2 + 1, frames).

        The frames are those of `torch.stft` with zeros around the clip: their centres are its samples 0, hop, 2 * hop
        and so on. They may be more than the clip has, where the front end puts zeros behind the clip, or fewer, where
        it cuts the clip off.

        Raises:
            Mistake: the input is not made from such bins.
        """
        raise Mistake(
            f"{self.name} cannot hand its relevance back to samples, as it has no `spread`; leave domain out."
        )


class OtherFrontEnd(FrontEnd):
    """Any module as a front end; it may have `frequencies`, `times`, and `spread` with `window` and `hop`."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        names = ("frequencies", "times", "spread")
        self.attributes: dict[str, Any] = {name: getattr(module, name, None) for name in names}
        if self.spreads:
            self.window, self.hop = (int(getattr(module, name)) for name in ("window", "hop"))

    def forward(self, waveform: Tensor) -> Tensor:
        """The module's input for the network, from waveforms (B, C, T)."""
        return self.module(waveform)

    @property
    def name(self) -> str:
        """The module's own name if it has one, else that of its class."""
        return str(getattr(self.module, "name", type(self.module).__name__))

    @property
    def frequencies(self) -> Tensor | None:
        """See `FrontEnd.frequencies`."""
        return as_axis(self.attributes["frequencies"])

    @property
    def times(self) -> Tensor | None:
        """See `FrontEnd.times`."""
        return as_axis(self.attributes["times"])

    @property
    def spreads(self) -> bool:
        """See `FrontEnd.spreads`."""
        return self.attributes["spread"] is not None

    def spread(self, relevance: Tensor) -> Tensor:
        """See `FrontEnd.spread`."""
        hand_back = self.attributes["spread"]
        return super().spread(relevance) if hand_back is None else hand_back(relevance)


def as_front_end(module: nn.Module) -> FrontEnd:
    """The module itself if it is a `FrontEnd`, else the module as one."""
    return module if isinstance(module, FrontEnd) else OtherFrontEnd(module)


def check_one(waveform: Tensor, name: str) -> None:
    """Raises a Mistake unless waveforms (B, C, T) have one channel, for what takes only one."""
    if waveform.shape[1] != 1:
        raise Mistake(f"{name} takes clips of one channel, not {waveform.shape[1]}: leave data.clip.channels out.")


def as_axis(values: Any) -> Tensor | None:
    """Positions along an axis as a tensor; None if there are none."""
    return None if values is None else torch.as_tensor(values)
