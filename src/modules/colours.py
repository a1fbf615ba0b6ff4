"""A colour map as a network's first layer: spectrograms become pictures in colour, as those of Audio-LRP are."""

import torch
from matplotlib import colormaps
from torch import Tensor, nn

from auscult.mistake import Mistake


class Colours(nn.Module):
    """Pictures (B, 3, F, N) in red, green and blue, from 0 to 1, of spectrograms (B, 1, F, N) on a scale from 0 to 1.

    It is a layer of the network and no part of its front end, so that relevance is of the spectrogram, one value a bin:
    what one sees and can take away. Between the 256 colours of matplotlib's map it interpolates linearly.

    Args:
        name: of a map of matplotlib, such as "magma".

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
        self.register_buffer("table", table, persistent=False)  # it is no weight, and in no checkpoint

    def forward(self, level: Tensor) -> Tensor:
        """Colours (B, 3, F, N) of levels (B, 1, F, N) within 0 and 1."""
        place = level[:, 0].clamp(0, 1) * (len(self.table) - 1)  # (B, F, N)
        below = place.detach().long().clamp(max=len(self.table) - 2)
        share = (place - below).unsqueeze(-1)
        colours = torch.lerp(self.table[below], self.table[below + 1], share.to(self.table))  # (B, F, N, 3)
        return colours.movedim(-1, 1).to(level)
