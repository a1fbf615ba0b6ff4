"""DS-CNN, a small network for keywords, on spectrograms (Zhang et al., Hello Edge, arXiv 1711.07128)."""

from torch import Tensor, nn


def block(before: int, channels: int, kernel: int | tuple[int, int], stride: int, groups: int = 1) -> list[nn.Module]:
    """A convolution with batch norm and ReLU, padded so that a stride of 1 keeps the size."""
    size = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (size[0] // 2, size[1] // 2)
    return [
        nn.Conv2d(before, channels, size, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    ]


class DSCNN(nn.Module):
    """A convolution, blocks of a convolution per channel and one across channels, the mean, and one dense layer.

    Args:
        classes: number of logits.
        width: filters; the original's three sizes have 64, 172 and 276.
        blocks: of two convolutions; 4 or 5 in the original.
        dropout: probability of dropping a filter's mean.
        channels: of the input, as data.clip.channels.
    """

    def __init__(
        self, classes: int, width: int = 128, blocks: int = 5, dropout: float = 0.2, channels: int = 1
    ) -> None:
        super().__init__()
        layers = block(channels, width, (10, 4), stride=2)
        for number in range(blocks):
            layers += block(width, width, 3, stride=2 if number == 1 else 1, groups=width)
            layers += block(width, width, 1, stride=1)
        self.layers, self.dropout, self.dense = nn.Sequential(*layers), nn.Dropout(dropout), nn.Linear(width, classes)

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Logits (B, classes) of spectrograms (B, channels, F, N) of any size."""
        return self.dense(self.dropout(self.layers(spectrogram).mean((2, 3))))
