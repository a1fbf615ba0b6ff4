"""A colour map as a network's first layer: it turns spectrograms into pictures in colour, as in Audio-LRP."""

import torch
from matplotlib import colormaps
from torch import Tensor, nn

from auscult.mistake import Mistake


class Colours(nn.Module):
    """Turns spectrograms (B, 1, F, N) from 0 to 1 into pictures (B, 3, F, N) in red, green and blue, from 0 to 1.

    This is a layer of the network and not of the front end. So relevance belongs to the spectrogram and has one value
    per bin, which can be shown and removed. Colours between the 256 of matplotlib's map are interpolated linearly.

    Args:
        name: a colour map of matplotlib, such as "magma".

    Raises:
        Mistake: there is no such map.
    """

    table: Tensor  # (256, 3)

    def __init__(self, name: str) -> None:
        super().__init__()
        if not isinstance(name, str) or name not in colormaps:
            raise Mistake(
                f"model.network.colours={name} is no colour map of matplotlib; choose magma, or null for none."
            )
        table = torch.tensor(colormaps[name](range(256))[:, :3].tolist())
        self.register_buffer("table", table, persistent=False)  # it is no weight, so checkpoints do not store it

    def forward(self, level: Tensor) -> Tensor:
        """Colours (B, 3, F, N) of levels (B, 1, F, N) from 0 to 1."""
        place = level[:, 0].clamp(0, 1) * (len(self.table) - 1)  # (B, F, N)
        below = place.detach().long().clamp(max=len(self.table) - 2)
        share = (place - below).unsqueeze(-1)
        colours = torch.lerp(self.table[below], self.table[below + 1], share.to(self.table))  # (B, F, N, 3)
        return colours.movedim(-1, 1).to(level)

    def relevance_of_input(self, input: Tensor, relevance: Tensor) -> Tensor:
        """LRP's rule: the relevance (B, 3, F, N) of a bin's colours is added up, (B, 1, F, N), as in Audio-LRP."""
        return relevance.sum(1, keepdim=True)
