"""Changes training clips at random, batched and on the device. Labels stay as they are, or are mixed.

Clips that are shorter than the waveform need no shift: the data module already embeds them at a random place.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchaudio.functional import mask_along_axis_iid

MASKS = 2  # per axis


class Augmentation(nn.Module):
    """Shift, speed, noise and gain of waveforms; masks and mixing of the network's input.

    Each change is drawn per clip from torch's global generator. An option of 0 or null switches its change off.

    Args:
        shift: the waveform is shifted earlier or later by up to this share of its length; what leaves at one end comes
            in at the other. This suits sounds without a beginning, such as rain.
        gain_db: the level changes by a uniform number in [-gain_db, gain_db] decibels. The front ends of AudioNet and
            AlexNet remove the level, so this is for other front ends.
        noise_snr_db: lowest and highest signal-to-noise ratio in decibels, or null for no noise. Noise fills the whole
            clip; its power per hertz falls by 0 dB (white) to 3 dB (pink) per octave.
        speed: the clip is played at a uniform speed in [1 - speed, 1 + speed], which changes its pitch, about the
            centre of its energy; what leaves the frame is lost.
        time_mask: up to this share of the input's time axis is silenced, twice (SpecAugment, Park et al.,
            arXiv 1904.08779).
        band_mask: the same for the input's frequency axis, if it has one.
        mixup: clips and their labels are averaged with those of another clip of the batch, with weights from
            Beta(mixup, mixup) (Zhang et al., arXiv 1710.09412); the larger weight is the clip's own.
    """

    def __init__(
        self,
        shift: float = 0.0,
        gain_db: float = 0.0,
        noise_snr_db: Sequence[float] | None = None,
        speed: float = 0.0,
        time_mask: float = 0.0,
        band_mask: float = 0.0,
        mixup: float = 0.0,
    ) -> None:
        super().__init__()
        self.shift = shift
        self.gain_db = gain_db
        self.noise_snr_db = None if noise_snr_db is None else (noise_snr_db[0], noise_snr_db[1])
        self.speed = speed
        self.time_mask, self.band_mask, self.mixup = time_mask, band_mask, mixup

    def forward(self, waveform: Tensor) -> Tensor:
        """Changes waveforms (B, C, T) in training mode, all channels alike; returns them as they are in evaluation."""
        if not self.training:
            return waveform
        if self.shift:
            waveform = turned(waveform, _uniform(-self.shift, self.shift, waveform))
        if self.speed:
            waveform = at_speed(waveform, _uniform(1 - self.speed, 1 + self.speed, waveform))
        if self.noise_snr_db is not None:
            waveform = waveform + noise_for(waveform, _uniform(*self.noise_snr_db, waveform))
        if self.gain_db:
            waveform = waveform * 10 ** (_uniform(-self.gain_db, self.gain_db, waveform) / 20)
        return waveform

    @property
    def masks(self) -> bool:
        """Whether `masked` does anything."""
        return bool(self.time_mask or self.band_mask)

    def masked(self, input: Tensor, silence: Tensor) -> Tensor:
        """Inputs (B, C, T) or (B, C, F, N) whose masked parts are replaced by silence (1, ...)."""
        kept = torch.ones_like(input[:, :1])
        for _ in range(MASKS):
            if self.time_mask:
                kept = mask_along_axis_iid(kept, round(self.time_mask * input.shape[-1]), 0.0, axis=input.dim() - 1)
            if self.band_mask and input.dim() == 4:
                kept = mask_along_axis_iid(kept, round(self.band_mask * input.shape[2]), 0.0, axis=2)
        return torch.where(kept > 0, input, silence)

    def mixed(self, input: Tensor, label: Tensor, classes: int) -> tuple[Tensor, Tensor]:
        """Averages each input (B, ...) with another one of the batch, and their labels likewise.

        Args:
            label: (B,) int64, tags (B, C) or numbers (B,).
            classes: the number of classes.

        Returns:
            The inputs (B, ...), and targets (B, classes) with the share of each class, or mixed tags or numbers. If
            `mixup` is 0, `input` and `label` are returned as they are.
        """
        if not self.mixup:
            return input, label
        share = torch.distributions.Beta(self.mixup, self.mixup).sample((len(input),)).to(input.device)  # (B,)
        share = torch.maximum(share, 1 - share)
        other = torch.randperm(len(input), device=input.device)
        own = share.to(input.dtype).view(-1, *[1] * (input.dim() - 1))
        target = (label if label.is_floating_point() else nn.functional.one_hot(label, classes)).to(share)
        part = share.view(-1, *[1] * (target.dim() - 1))
        return torch.lerp(input[other], input, own), torch.lerp(target[other], target, part)


def turned(waveform: Tensor, share: Tensor) -> Tensor:
    """Shifts waveforms (B, C, T) to later by a share (B, 1, 1) of their length; their ends come in at the beginning."""
    samples = waveform.shape[-1]
    time = torch.arange(samples, device=waveform.device)  # (T,)
    return waveform.gather(-1, ((time - (share.float() * samples).round().long()) % samples).expand_as(waveform))


def at_speed(waveform: Tensor, factor: Tensor) -> Tensor:
    """Plays waveforms (B, C, T) at a speed `factor` (B, 1, 1) about the centre of their energy.

    Interpolates with Catmull-Rom cubics, which are exact at a factor of 1. At a rate of 8 kHz, their error is -42 dB
    for a tone of 1 kHz, -21 dB at 2 kHz and -10 dB at 3 kHz: this is enough for augmentation, but not for measuring.
    """
    samples = waveform.shape[-1]
    time = torch.arange(samples, device=waveform.device)  # (T,)
    energy = waveform.float().square().sum(1, keepdim=True)
    centre = (energy * time).sum(-1, keepdim=True) / energy.sum(-1, keepdim=True).clamp(min=1e-20)
    delay = (time - centre) * (factor.float() - 1)  # (B, C, T) from a sample to the place that it is taken from
    before = delay.floor()
    t = (delay - before).to(waveform.dtype)  # in [0, 1) between two samples

    padded = nn.functional.pad(waveform, (1, 1))  # samples outside the frame are zeros

    def tap(offset: int) -> Tensor:
        place = (time + before.long() + (offset + 1)).clamp(0, samples + 1)
        return padded.gather(-1, place.expand_as(waveform))

    a, b, c, d = tap(-1), tap(0), tap(1), tap(2)
    return b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))


def noise_for(waveform: Tensor, snr_db: Tensor) -> Tensor:
    """Coloured noise (B, C, T) for waveforms (B, C, T), at signal-to-noise ratios (B, 1, 1).

    The power of the signal is the mean over its samples that are not zero: the silence around a clip does not count.
    The noise of a silent clip is silence. Each channel has its own noise, all of the same level.
    """
    batch, channels, samples = waveform.shape
    spectrum = torch.randn(batch, channels, samples // 2 + 1, dtype=torch.complex64, device=waveform.device)
    slope = _uniform(0, 1, waveform).float()  # power falls as frequency ** -slope
    frequency = torch.arange(samples // 2 + 1, device=waveform.device).clamp(min=1)
    noise = torch.fft.irfft(spectrum * frequency ** (-slope / 2), n=samples)

    signal = waveform.float()
    signal_power = signal.square().sum((1, 2), keepdim=True) / (signal != 0).sum((1, 2), keepdim=True).clamp(min=1)
    noise_power = noise.square().mean((1, 2), keepdim=True)
    return (noise * (signal_power / noise_power).sqrt() * 10 ** (-snr_db / 20)).to(waveform.dtype)


def _uniform(low: float, high: float, waveform: Tensor) -> Tensor:
    draws = torch.rand(waveform.shape[0], 1, 1, device=waveform.device)
    return (low + (high - low) * draws).to(waveform.dtype)
