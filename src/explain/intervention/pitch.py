"""Speech at another pitch, with the same length. Pitch and formants move together.

The waveform is first resampled, that is played faster: each frequency is multiplied by the factor, and the length is
divided by it. WSOLA then restores the length without a change of frequencies.
"""

import math
from fractions import Fraction

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d, conv1d, pad
from torchaudio.functional import resample

HOP_SECONDS = 0.015  # half a window, which holds two periods of the lowest voices
REACH_SECONDS = 0.008  # search to each side; both sides together hold a period of the lowest voices
LARGEST_DENOMINATOR = 1000  # of the ratio for the factor: at most 0.05 % away; 1.5 and 0.66 are exact
NEARNESS = 0.02  # penalty at the end of the reach: of equally good places, as in silence, the nearest wins


def at_pitch(waveform: Tensor, factor: float, sample_rate: int) -> Tensor:
    """Multiplies every frequency of waveforms (B, C, T) by the factor, (B, C, T); of each channel by itself.

    Each sound keeps its place in the clip, to some 10 ms for factors such as 1.5 and 0.66. Frequencies above half the
    sample rate are removed, not aliased. With a factor below 1, nothing is left above the factor times half the rate.
    A factor of 1 changes no bit.
    """
    ratio = Fraction(factor).limit_denominator(LARGEST_DENOMINATOR)
    if ratio == 1:
        return waveform
    flat = waveform.flatten(0, 1)  # (B * C, T)
    faster = resample(flat, ratio.numerator, ratio.denominator, lowpass_filter_width=64)  # (B * C, T / factor)
    return lengthened(faster, float(ratio), flat.shape[-1], sample_rate).view_as(waveform)


def lengthened(waveform: Tensor, factor: float, samples: int, sample_rate: int) -> Tensor:
    """Makes waveforms (B, L) longer by the factor, (B, samples), at the same pitch; below 1, shorter.

    WSOLA (Verhelst and Roelands, ICASSP 1993): windows overlap by half at regular steps. Each is taken near its place
    in the original, where it is most similar to the continuation of the window before.
    """
    hop, reach = round(HOP_SECONDS * sample_rate), round(REACH_SECONDS * sample_rate / factor)
    size = 2 * hop
    steps = math.ceil(samples / hop) + 1
    window = torch.hann_window(size, dtype=waveform.dtype, device=waveform.device)  # two of them, a hop apart, sum to 1
    last = round(steps * hop / factor)
    source = pad(waveform, (hop + reach, max(0, last + size + reach - waveform.shape[-1])))
    away = torch.linspace(-1, 1, 2 * reach + 1, device=waveform.device).abs()
    power = avg_pool1d(source.square(), size, stride=1)  # (B, ...), of the window that starts at each sample
    length = (size * power).sqrt().clamp(min=1e-6)
    within = torch.arange(size, device=waveform.device)

    result = waveform.new_zeros(len(waveform), steps * hop + hop)
    place = torch.full((len(waveform), 1), reach, device=waveform.device)  # (B, 1), start of the window in `source`
    for step in range(steps):
        start = round(step * hop / factor)  # start of the search
        if step > 0:
            follows = source.gather(1, place + hop + within)  # (B, size)
            near = source[:, start : start + 2 * reach + size]
            product = conv1d(near[None], follows[:, None], groups=len(near))[0]  # (B, 2 * reach + 1)
            loudest = length[:, start : start + 2 * reach + 1].amax(1, keepdim=True)  # else it would skip bursts
            correlation = product / loudest / length.gather(1, place + hop)
            place = start + (correlation - NEARNESS * away).argmax(1, keepdim=True)
        result[:, step * hop : step * hop + size] += window * source.gather(1, place + within)
    return result[:, hop : hop + samples]
