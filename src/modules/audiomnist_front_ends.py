"""The published inputs of AudioMNIST's networks, made from waveforms, batched and on the device.

The constants are those of the public AudioMNIST preprocessing, which keeps samples in 16-bit units; here samples are in
[-1, 1]. The level does not matter to either input: `gain * waveform` gives the same input.
"""

import torch
from torch import Tensor, nn
from torchaudio.functional import spectrogram

from auscult.mistake import Mistake
from auscult.modules.front_end import FrontEnd

PERCENTILE = 0.95
OFFSET = 0.001 / 32768  # the 0.001 of the published divisor, for samples in [-1, 1]
# The smallest divisor, as a share of the peak, for recordings that are nearly all silence. It changes no ordinary clip:
# over the 3082 clips of AudioMNIST_AZ, the percentile is 0.18 of the peak in the median, 0.04 in one clip of a thousand
# and at least 0.023.
LEAST_SHARE = 0.01


class NormalizedWaveform(FrontEnd):
    """The waveform divided by its 95th percentile: AudioNet's input.

    It is differentiable. Multiplying with `divisor(waveform)` inverts it.
    """

    def forward(self, waveform: Tensor) -> Tensor:
        """Normalised waveforms (B, C, T) of waveforms (B, C, T); zeros stay zeros."""
        return waveform / self.divisor(waveform)

    @staticmethod
    def divisor(waveform: Tensor) -> Tensor:
        """Percentile plus 0.001 / 32768, but at least 1 % of the peak: (B, 1, 1) of waveforms (B, C, T).

        The percentile is taken over the signed samples of all channels with their silence, and interpolated linearly as
        in numpy.
        """
        waveform = waveform.flatten(1)[:, None]  # (B, 1, C * T)
        rank = PERCENTILE * (waveform.shape[-1] - 1)
        loudest = waveform.topk(waveform.shape[-1] - int(rank), dim=-1).values  # six times as fast as sorting
        percentile = torch.lerp(loudest[..., -1:], loudest[..., -2:-1], rank % 1)
        peak = waveform.abs().amax(dim=-1, keepdim=True)
        return torch.maximum(percentile + OFFSET, LEAST_SHARE * peak)


class DecibelSpectrogram(FrontEnd):
    """Decibels relative to the loudest bin of all channels of the clip: AlexNet's input.

    Row k is at k * sample_rate / 455 hertz, and column t is centred on sample (t + 2) * 35: see `frequencies` and
    `times`. The scaling of the published amplitudes cancels. Their least value, 1e-5 of a 16-bit step, is below the
    floor of every recording except digital silence, which is at the floor everywhere.

    The spectrogram is differentiable above the floor. It cannot be inverted, as phases are lost.

    Args:
        sample_rate: of the waveforms, in hertz; only `frequencies` and `times` depend on it.
        raw_decibels: return decibels in [-80, 0], as the published network takes them, instead of (dB + 80) / 80, where
            silence is zero.
    """

    samples = 8000
    window = 455  # samples of the periodic Hann window, and of each transform
    hop = 35  # samples
    first_frame = 2  # the published crop drops the frames centred on samples 0 and 35, ...
    size = 227  # ... and the highest of the 228 frequencies
    floor = -80.0  # decibels

    def __init__(self, sample_rate: int = 8000, raw_decibels: bool = False) -> None:
        super().__init__()
        self.sample_rate = sample_rate
        self.raw_decibels = raw_decibels

    @property
    def frequencies(self) -> Tensor:
        """Frequency of each row, (227,), in hertz."""
        return torch.arange(self.size) * self.sample_rate / self.window

    @property
    def times(self) -> Tensor:
        """Centre of each column, (227,), in seconds from the clip's start."""
        return (torch.arange(self.size) + self.first_frame) * self.hop / self.sample_rate

    def forward(self, waveform: Tensor) -> Tensor:
        """Spectrograms (B, C, 227, 227), frequency by time, of waveforms (B, C, 8000).

        Raises:
            Mistake: the waveforms have another length.
        """
        if waveform.shape[-1] != self.samples:
            raise Mistake(
                f"the spectrogram takes clips of {self.samples} samples, not {waveform.shape[-1]}: "
                "choose data.clip.sample_rate and data.clip.seconds with this product."
            )
        with torch.autocast(waveform.device.type, enabled=False):
            magnitude = self._magnitude(waveform)  # (B, C, 227, 227)
            loudest = magnitude.amax(dim=(1, 2, 3), keepdim=True).clamp(min=torch.finfo(magnitude.dtype).tiny)
            decibels = 20 * torch.log10((magnitude / loudest).clamp(min=10 ** (self.floor / 20)))
            scaled = decibels if self.raw_decibels else 1 - decibels / self.floor
        return scaled.to(waveform.dtype)

    @property
    def spreads(self) -> bool:
        """See `FrontEnd.spreads`."""
        return True

    def spread(self, relevance: Tensor) -> Tensor:
        """Puts relevance of the bins, (..., 227, 227), in its place in the whole transform, (..., 228, 229).

        The transform has this object's `window` and `hop`. Bins that the crop dropped have no relevance.
        """
        return nn.functional.pad(relevance, (self.first_frame, 0, 0, self.window // 2 + 1 - self.size))

    def _magnitude(self, waveform: Tensor) -> Tensor:
        # Rounding in a float32 transform reaches 0.0025 dB near the floor. MPS has no float64.
        precision = torch.float32 if waveform.device.type == "mps" else torch.float64
        transform = spectrogram(
            waveform.to(precision),
            pad=0,
            window=torch.hann_window(self.window, dtype=precision, device=waveform.device),
            n_fft=self.window,
            hop_length=self.hop,
            win_length=self.window,
            power=None,
            normalized=False,
            pad_mode="constant",
        )  # (B, C, 228, 229)
        return transform[..., : self.size, self.first_frame :].to(torch.complex64).abs()
