"""A network of somebody's own, written when the import name was `src`."""

from torch import Tensor, nn

from src.mistake import Mistake


class Small(nn.Module):
    def __init__(self, classes: int, **options: object) -> None:
        super().__init__()
        if classes < 2:
            raise Mistake("model.network: Small tells two classes apart at least.")
        self.layers = nn.Sequential(
            nn.Conv1d(1, 4, 40, 20), nn.ReLU(), nn.MaxPool1d(10), nn.Flatten(), nn.Linear(4 * 39, classes)
        )

    def forward(self, waveform: Tensor) -> Tensor:
        return self.layers(waveform)
