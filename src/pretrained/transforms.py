"""The times and frequencies of torchaudio's spectrograms, which networks have inside."""

import torch
from torch import Tensor, nn
from torchaudio.transforms import LFCC, MFCC, MelSpectrogram, Resample, Spectrogram

from auscult.modules.mel import centres


def rate_of(network: nn.Module) -> int | None:
    """The sample rate in hertz that a network's spectrograms of torchaudio were made for; None if none says it.

    What the network resamples inside is of another rate than its waveforms.
    """
    rates = {module.sample_rate for module in network.modules() if isinstance(module, MelSpectrogram | MFCC | LFCC)}
    resampled = any(isinstance(module, Resample) for module in network.modules())
    return rates.pop() if len(rates) == 1 and not resampled else None


def axes_of(network: nn.Module, shape: tuple[int, ...], sample_rate: int) -> tuple[Tensor, Tensor] | None:
    """The frequencies (F,), in hertz, and times (N,), in seconds, of a spectrogram that a network makes inside.

    Args:
        network: may hold a `Spectrogram` or `MelSpectrogram` of torchaudio.
        shape: of what is to be a spectrogram, (..., F, N), also in decibels or normalised.
        sample_rate: of the waveforms, in hertz.

    Returns:
        None if it has no such transform, or not one with F rows alone.
    """
    if len(shape) < 2:
        return None
    found = []
    inside = {id(each.spectrogram) for each in network.modules() if isinstance(each, MelSpectrogram)}
    for module in network.modules():
        if isinstance(module, MelSpectrogram):
            scale = module.mel_scale
            frequencies = centres(scale.f_min, scale.f_max, scale.n_mels, scale.mel_scale)
            found.append((frequencies, module.hop_length, module.spectrogram.center, module.n_fft))
        elif isinstance(module, Spectrogram) and id(module) not in inside:
            frequencies = torch.linspace(0, sample_rate / 2, module.n_fft // 2 + 1)
            found.append((frequencies, module.hop_length, module.center, module.n_fft))
    fitting = [each for each in found if len(each[0]) == shape[-2]]
    if len(fitting) != 1:
        return None
    frequencies, hop, is_centred, window = fitting[0]
    start = 0.0 if is_centred else window / 2
    return frequencies, (start + hop * torch.arange(shape[-1])) / sample_rate
