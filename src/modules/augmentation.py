"""Changes of the waveform that leave its label as it is, batched on the device, drawn anew every time.

Random shifts are not among them: the datamodule already embeds each training clip at a random offset.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Augmentation(nn.Module):
    """Speed, then noise, then gain, each drawn per clip from torch's global generator.

    Does nothing in evaluation mode, and each change does nothing where its option is 0 or null.

    Args:
        gain_db: level, uniform in [-gain_db, gain_db] decibels. The front ends of AudioNet and AlexNet
            normalise level away, so this is for front ends that do not.
        noise_snr_db: lowest and highest signal-to-noise ratio in decibels, or null for no noise. Noise
            fills the whole clip; its power per hertz falls by something between 0 (white) and 3 dB
            (pink) an octave.
        speed: the clip plays at a speed uniform in [1 - speed, 1 + speed], pitch and all, about the
            centre of its energy; what leaves the frame is lost.
    """

    def __init__(self, gain_db: float = 0.0, noise_snr_db: Sequence[float] | None = None, speed: float = 0.0) -> None:
        super().__init__()
        self.gain_db = gain_db
        self.noise_snr_db = None if noise_snr_db is None else (noise_snr_db[0], noise_snr_db[1])
        self.speed = speed

    def forward(self, waveform: Tensor) -> Tensor:
        """Changed waveforms (B, 1, T) of waveforms (B, 1, T)."""
        if not self.training:
            return waveform
        if self.speed:
            waveform = at_speed(waveform, _uniform(1 - self.speed, 1 + self.speed, waveform))
        if self.noise_snr_db is not None:
            waveform = waveform + noise_for(waveform, _uniform(*self.noise_snr_db, waveform))
        if self.gain_db:
            waveform = waveform * 10 ** (_uniform(-self.gain_db, self.gain_db, waveform) / 20)
        return waveform


def at_speed(waveform: Tensor, factor: Tensor) -> Tensor:
    """Waveforms (B, 1, T), each played at its factor (B, 1, 1) about the centre of its energy.

    Interpolates with Catmull-Rom cubics, exact at a factor of 1. At 8 kHz their error is -42 dB for a
    tone of 1 kHz, -21 dB at 2 kHz and -10 dB at 3 kHz: enough for augmentation, too little for measuring.
    """
    samples = waveform.shape[-1]
    time = torch.arange(samples, device=waveform.device)  # (T,)
    energy = waveform.float().square()
    centre = (energy * time).sum(-1, keepdim=True) / energy.sum(-1, keepdim=True).clamp(min=1e-20)
    delay = (time - centre) * (factor.float() - 1)  # (B, 1, T) from where a sample is to where it is taken
    before = delay.floor()
    t = (delay - before).to(waveform.dtype)  # in [0, 1) between two samples

    padded = nn.functional.pad(waveform, (1, 1))  # all that lies outside the frame is a zero

    def tap(offset: int) -> Tensor:
        return padded.gather(-1, (time + before.long() + (offset + 1)).clamp(0, samples + 1))

    a, b, c, d = tap(-1), tap(0), tap(1), tap(2)
    return b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))


def noise_for(waveform: Tensor, snr_db: Tensor) -> Tensor:
    """Coloured noise (B, 1, T) at ratios (B, 1, 1) to waveforms (B, 1, T).

    The ratio is of powers, the signal's being the mean over its non-zero samples: the silence that a clip
    is embedded in does not count. A silent clip gets silence.
    """
    batch, channels, samples = waveform.shape
    spectrum = torch.randn(batch, channels, samples // 2 + 1, dtype=torch.complex64, device=waveform.device)
    slope = _uniform(0, 1, waveform).float()  # power falls with frequency to this exponent
    frequency = torch.arange(samples // 2 + 1, device=waveform.device).clamp(min=1)
    noise = torch.fft.irfft(spectrum * frequency ** (-slope / 2), n=samples)

    signal = waveform.float()
    signal_power = signal.square().sum(-1, keepdim=True) / (signal != 0).sum(-1, keepdim=True).clamp(min=1)
    noise_power = noise.square().mean(-1, keepdim=True)
    return (noise * (signal_power / noise_power).sqrt() * 10 ** (-snr_db / 20)).to(waveform.dtype)


def _uniform(low: float, high: float, waveform: Tensor) -> Tensor:
    draws = torch.rand(waveform.shape[0], 1, 1, device=waveform.device)
    return (low + (high - low) * draws).to(waveform.dtype)
