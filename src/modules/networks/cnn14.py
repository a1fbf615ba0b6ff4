"""A network like CNN14, on spectrograms (Kong et al., PANNs, arXiv 1912.10211)."""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn


class Pair(nn.Module):
    """Two convolutions with batch norm and ReLU, and a mean over 2 x 2."""

    def __init__(self, before: int, channels: int, pool: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.pool = pool

    def forward(self, input: Tensor) -> Tensor:
        """(B, before, F, N) -> (B, channels, F // pool, N // pool)."""
        input = F.relu(self.bn1(self.conv1(input)))
        input = F.relu(self.bn2(self.conv2(input)))
        return F.avg_pool2d(input, self.pool)


class CNN14(nn.Module):
    """Six pairs of convolutions; then the mean over frequency, maximum plus mean over time, and two dense layers.

    Args:
        classes: number of logits.
        width: filters of the first pair; each next has twice as many. CNN14's is 64, which makes 80 million weights.
        dropout: probability of dropping an output of a pair; the dense layers' is 0.5.
        channels: of the input, as data.clip.channels.
    """

    def __init__(self, classes: int, width: int = 8, dropout: float = 0.2, channels: int = 1) -> None:
        super().__init__()
        filters = [channels, *(width * 2**number for number in range(6))]
        self.pairs = nn.ModuleList(
            Pair(before, after, pool=1 if number == 5 else 2)
            for number, (before, after) in enumerate(pairwise(filters))
        )
        self.dropout = nn.Dropout(dropout)
        self.dense, self.head = nn.Linear(filters[-1], filters[-1]), nn.Linear(filters[-1], classes)

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Logits (B, classes) of spectrograms (B, channels, F, N), F and N 32 or more."""
        hidden = spectrogram
        for pair in self.pairs:
            hidden = self.dropout(pair(hidden))
        hidden = hidden.mean(2)  # (B, C, N)
        hidden = hidden.amax(2) + hidden.mean(2)  # (B, C)
        hidden = F.relu(self.dense(F.dropout(hidden, 0.5, self.training)))
        return self.head(F.dropout(hidden, 0.5, self.training))
