"""javad's small network as one of a user's own: `network=…/vad.py:Speech front_end=mel`; its outputs are for frames."""

import torch
from torch import Tensor, nn


class Mel(nn.Module):
    """javad's log-mel spectrogram (B, 64, N) of waveforms (B, T), normalised over each clip."""

    def __init__(self) -> None:
        super().__init__()
        from javad.utils import load_mel_filters

        self.register_buffer("filters", load_mel_filters(64).float())  # (64, 201)
        self.register_buffer("window", torch.hann_window(400))
        self.times = torch.arange(64) / 100  # seconds of frames
        self.frequencies = self.filters.argmax(1) * 40.0  # hertz

    def forward(self, waveform: Tensor) -> Tensor:
        power = torch.stft(waveform, 400, 160, window=self.window, return_complex=True)[..., :-1].abs() ** 2
        level = (self.filters @ power).clamp(min=1e-10).log10()
        level = torch.maximum(level, level.amax((1, 2), keepdim=True) - 8.0)
        level = (level + 4) / 4
        return (level - level.mean((1, 2), keepdim=True)) / level.std((1, 2), keepdim=True)


class Speech(nn.Module):
    """Waveforms (B, T) of 0.64 s to a logit of speech for each of 64 frames, (B, 64, 1)."""

    sample_rate, classes = 16000, ("no speech", "speech")

    def __init__(self) -> None:
        super().__init__()
        from javad import from_pretrained

        self.mel, self.network = Mel(), from_pretrained("tiny")

    def forward(self, waveform: Tensor) -> Tensor:
        return self.network(self.mel(waveform)[:, None])[..., None]
