"""Convolutions, a recurrent layer, and attention over time, on spectrograms."""

from torch import Tensor, nn


class CRNN(nn.Module):
    """Three convolutions over time and frequency, a bidirectional GRU over time, and a weighted mean of its outputs.

    As in sound event detection (Cakir et al., arXiv 1702.06286), with the attention pooling of Yang et al. (NAACL
    2016): `sum_t softmax(v . tanh(W h_t))_t * h_t`.

    Args:
        classes: number of logits.
        rows: rows F of the spectrogram, a multiple of 16.
        width: filters of the convolutions.
        states: of the GRU, in each direction.
        channels: of the input, as data.clip.channels.
    """

    def __init__(self, classes: int, rows: int = 64, width: int = 48, states: int = 64, channels: int = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, pool in ((channels, (2, 2)), (width, (4, 1)), (width, (2, 1))):
            layers += [
                nn.Conv2d(before, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
                nn.MaxPool2d(pool),
                nn.Dropout(0.2),
            ]
        self.layers = nn.Sequential(*layers)
        self.gru = nn.GRU(width * (rows // 16), states, batch_first=True, bidirectional=True)
        self.attention = nn.Sequential(nn.Linear(2 * states, states), nn.Tanh(), nn.Linear(states, 1))
        self.dense = nn.Linear(2 * states, classes)

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Logits (B, classes) of spectrograms (B, channels, F, N)."""
        hidden = self.layers(spectrogram)  # (B, C, F // 16, N // 2)
        hidden, _ = self.gru(hidden.flatten(1, 2).transpose(1, 2))  # (B, N // 2, 2 * states)
        weights = self.attention(hidden).softmax(1)  # (B, N // 2, 1)
        return self.dense((weights * hidden).sum(1))
