"""M5, on waveforms (Dai et al., Very Deep Convolutional Neural Networks for Raw Waveforms, arXiv 1610.00087)."""

from torch import Tensor, nn


class M5(nn.Module):
    """Four blocks of convolution, batch norm, ReLU and a pool of 4; then the mean over time, and one dense layer.

    The first filters are as long as 10 ms of the original's 8 kHz.

    Args:
        classes: number of logits.
        width: filters of the first two blocks; the others have two and four times as many. The original's is 128.
        channels: of the input, as data.clip.channels.
    """

    def __init__(self, classes: int, width: int = 128, channels: int = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = channels
        for filters, kernel, stride in ((width, 80, 4), (width, 3, 1), (2 * width, 3, 1), (4 * width, 3, 1)):
            layers += [
                nn.Conv1d(before, filters, kernel, stride, padding=kernel // 2, bias=False),
                nn.BatchNorm1d(filters),
                nn.ReLU(),
                nn.MaxPool1d(4, ceil_mode=True),
            ]
            before = filters
        self.layers, self.dense = nn.Sequential(*layers), nn.Linear(before, classes)

    def forward(self, waveform: Tensor) -> Tensor:
        """Logits (B, classes) of waveforms (B, channels, T) of any length."""
        return self.dense(self.layers(waveform).mean(2))
