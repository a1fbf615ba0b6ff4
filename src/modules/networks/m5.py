"""M5, on waveforms (Dai et al., Very Deep Convolutional Neural Networks for Raw Waveforms, arXiv 1610.00087)."""

from torch import Tensor, nn


class M5(nn.Module):
    """Four blocks of convolution, batch norm, ReLU and a pool of 4; then the mean over time, and one dense layer.

    The first filters are as long as 10 ms of the original's 8 kHz.

    Args:
        classes: number of logits.
        width: channels of the first two blocks; the others have two and four times as many. The original's is 128.
    """

    def __init__(self, classes: int, width: int = 128) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 1
        for channels, kernel, stride in ((width, 80, 4), (width, 3, 1), (2 * width, 3, 1), (4 * width, 3, 1)):
            layers += [
                nn.Conv1d(before, channels, kernel, stride, padding=kernel // 2, bias=False),
                nn.BatchNorm1d(channels),
                nn.ReLU(),
                nn.MaxPool1d(4, ceil_mode=True),
            ]
            before = channels
        self.layers, self.dense = nn.Sequential(*layers), nn.Linear(before, classes)

    def forward(self, waveform: Tensor) -> Tensor:
        """Logits (B, classes) of waveforms (B, 1, T) of any length."""
        return self.dense(self.layers(waveform).mean(2))
