"""Speech at another pitch, formants and all, and no longer or shorter for it.

It is played faster by the factor (resampled), which moves every frequency by it and shortens it by as much, and then
made as long as before without touching its frequencies (WSOLA).
"""

import math
from fractions import Fraction

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d, conv1d, pad
from torchaudio.functional import resample

HOP_SECONDS = 0.015  # half a window, which holds two periods of the lowest voices
REACH_SECONDS = 0.008  # of the original to either side; both sides together hold a period of the lowest voices
LARGEST_DENOMINATOR = 1000  # of the ratio that stands for the factor: at most 0.05 % off it, and 1.5 and 0.66 exact
NEARNESS = 0.02  # of the correlation, at the end of the reach: of places that fit alike, such as silence, the nearest


def at_pitch(waveform: Tensor, factor: float, sample_rate: int) -> Tensor:
    """Waveforms (B, 1, T) with every frequency multiplied by the factor, (B, 1, T).

    Each sound stays where it is in the clip, to some 10 ms for factors such as 1.5 and 0.66. What would lie above half
    the sample rate is removed, not aliased; below a factor of 1, nothing is left above factor times half the rate.
    1 changes no bit.
    """
    ratio = Fraction(factor).limit_denominator(LARGEST_DENOMINATOR)
    if ratio == 1:
        return waveform
    flat = waveform[:, 0]  # (B, T)
    faster = resample(flat, ratio.numerator, ratio.denominator, lowpass_filter_width=64)  # (B, T / factor)
    return lengthened(faster, float(ratio), flat.shape[-1], sample_rate)[:, None]


def lengthened(waveform: Tensor, factor: float, samples: int, sample_rate: int) -> Tensor:
    """Waveforms (B, L) made longer by the factor, (B, samples), or shorter where it is below 1, at the same pitch.

    WSOLA (Verhelst and Roelands, ICASSP 1993): windows are laid half over each other at regular steps, each taken from
    where it belongs in the original or, within reach of that, where it resembles most what follows the window before.
    """
    hop, reach = round(HOP_SECONDS * sample_rate), round(REACH_SECONDS * sample_rate / factor)
    size = 2 * hop
    steps = math.ceil(samples / hop) + 1
    window = torch.hann_window(size, dtype=waveform.dtype, device=waveform.device)  # sums to 1 with itself a hop later
    last = round(steps * hop / factor)
    source = pad(waveform, (hop + reach, max(0, last + size + reach - waveform.shape[-1])))
    away = torch.linspace(-1, 1, 2 * reach + 1, device=waveform.device).abs()
    power = avg_pool1d(source.square(), size, stride=1)  # (B, ...) of the windows that start at each sample
    length = (size * power).sqrt().clamp(min=1e-6)
    within = torch.arange(size, device=waveform.device)

    result = waveform.new_zeros(len(waveform), steps * hop + hop)
    place = torch.full((len(waveform), 1), reach, device=waveform.device)  # (B, 1) where the window starts in `source`
    for step in range(steps):
        start = round(step * hop / factor)  # of the search
        if step > 0:
            follows = source.gather(1, place + hop + within)  # (B, size)
            near = source[:, start : start + 2 * reach + size]
            product = conv1d(near[None], follows[:, None], groups=len(near))[0]  # (B, 2 * reach + 1)
            loudest = length[:, start : start + 2 * reach + 1].amax(1, keepdim=True)  # else bursts would be skipped
            correlation = product / loudest / length.gather(1, place + hop)
            place = start + (correlation - NEARNESS * away).argmax(1, keepdim=True)
        result[:, step * hop : step * hop + size] += window * source.gather(1, place + within)
    return result[:, hop : hop + samples]
