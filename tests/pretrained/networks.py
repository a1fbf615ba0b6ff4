"""Networks as people have them, each with a habit of its own. Tests name this file: `network=…/networks.py:Mel`."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchaudio.transforms import AmplitudeToDB, MelSpectrogram

RATE = 16000


class Mel(nn.Module):
    """A spectrogram inside, BatchNorm, a functional ReLU; told how many classes there are."""

    def __init__(self, num_classes: int, width: int = 4) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.mel = MelSpectrogram(RATE, n_fft=512, hop_length=160, n_mels=24)
        self.decibels = AmplitudeToDB()
        self.convolution = nn.Conv2d(1, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.dense = nn.Linear(width, num_classes)

    def forward(self, waveform: Tensor) -> Tensor:
        image = self.decibels(self.mel(waveform)) / 40
        return self.dense(F.relu(self.norm(self.convolution(image))).mean((2, 3)))


class Flat(Mel):
    """Takes (B, T), and gives probabilities."""

    def forward(self, waveform: Tensor) -> Tensor:
        clips, samples = waveform.shape  # which waveforms (B, 1, T) do not have
        return super().forward(waveform.view(clips, 1, samples)).softmax(1)


class Frames(nn.Module):
    """Gives a group of tensors, of which one has a logit for each frame and class."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convolution = nn.Conv1d(1, 5, 400, 160)

    def forward(self, waveform: Tensor) -> dict[str, Tensor]:
        frames = self.convolution(waveform)
        return {"logits": frames.transpose(1, 2), "hidden": frames}


class Tuple(Frames):
    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        frames = self.convolution(waveform)
        return frames.mean(2), frames


class FramesLast(Frames):
    def forward(self, waveform: Tensor) -> Tensor:
        return self.convolution(waveform)


class Yes(Frames):
    """One probability for a yes."""

    def forward(self, waveform: Tensor) -> Tensor:
        return torch.sigmoid(self.convolution(waveform).relu().mean((1, 2)))


class InPlace(Tuple):
    """Changes what it is given."""

    def forward(self, waveform: Tensor) -> Tensor:
        waveform *= 2
        return self.convolution(waveform).mean(2)


class Chance(Tuple):
    """Draws by chance in evaluation."""

    def forward(self, waveform: Tensor) -> Tensor:
        return F.dropout(self.convolution(waveform).mean(2), 0.5)


class Residue(Mel):
    """Uses the waveform behind its spectrogram, too."""

    def forward(self, waveform: Tensor) -> Tensor:
        return super().forward(waveform) + waveform.abs().mean((1, 2))[:, None] * torch.arange(5.0)


class Twice(Mel):
    """Uses its spectrogram twice."""

    def forward(self, waveform: Tensor) -> Tensor:
        return super().forward(waveform) + super().forward(2 * waveform)


class OfOneLength(nn.Module):
    """Takes clips of 1000 samples only."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(1000, 3)

    def forward(self, waveform: Tensor) -> Tensor:
        return self.dense(waveform[:, 0])


class Infinite(Tuple):
    def forward(self, waveform: Tensor) -> Tensor:
        return self.convolution(waveform).mean(2) / 0


class Scalar(Tuple):
    def forward(self, waveform: Tensor) -> Tensor:
        return self.convolution(waveform).mean()


class Text(Tuple):
    def forward(self, waveform: Tensor) -> str:
        return "dog"


def fails() -> nn.Module:
    raise RuntimeError("no such luck")


def number() -> int:
    return 3


ready = FramesLast()
constant = 3
