"""The feature extractors of Hugging Face's audio classifiers, as front ends on tensors.

They give what the extractors of `transformers` give for one recording at a time, on any device and with gradients.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad
from torchaudio.compliance import kaldi
from torchaudio.functional import melscale_fbanks

from auscult.mistake import Mistake
from auscult.modules.front_end import FrontEnd, check_one
from auscult.modules.mel import centres, shares


class UnitVariance(FrontEnd):
    """Waveforms with mean 0 and variance 1, as `Wav2Vec2FeatureExtractor` makes them; or waveforms as they are.

    Args:
        normalized: whether they are normalised (`do_normalize`).
    """

    def __init__(self, normalized: bool = True) -> None:
        super().__init__()
        self.normalized = normalized

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveforms (B, 1, T) of waveforms (B, 1, T)."""
        check_one(waveform, "a waveform network of Hugging Face")
        if not self.normalized:
            return waveform
        variance, mean = torch.var_mean(waveform, -1, correction=0, keepdim=True)
        return (waveform - mean) / (variance + 1e-7).sqrt()


class KaldiMel(FrontEnd):
    """Log-mel spectrograms by Kaldi's recipe, as `ASTFeatureExtractor` makes them (Gong et al., arXiv 2104.01778).

    Frames of 25 ms every 10 ms; zeros follow a short clip, and a long one is cut off.

    Args:
        sample_rate: of the waveforms, in hertz.
        bands: of mel.
        frames: of each spectrogram.
        mean, deviation: of the training's spectrograms; the result is `(x - mean) / (2 * deviation)`. None: it is x.

    Attributes:
        window: samples of the transform of each frame, a power of two; zeros follow the frame's samples.
        hop: samples from one frame to the next.

    Raises:
        Mistake: a waveform is shorter than a frame.
    """

    shift, length, low_hz = 10.0, 25.0, 20.0  # milliseconds and hertz

    def __init__(
        self, sample_rate: int = 16000, bands: int = 128, frames: int = 1024, mean: float | None = -4.2677393,
        deviation: float = 4.5689974,
    ) -> None:  # fmt: skip
        super().__init__()
        self.sample_rate, self.bands, self.length_in_frames = sample_rate, bands, frames
        self.mean, self.deviation = mean, deviation
        self.frame, self.hop = (int(sample_rate * part * 0.001) for part in (self.length, self.shift))  # as in kaldi
        self.window = 2 ** (self.frame - 1).bit_length()

    @property
    def seconds(self) -> float:
        """The longest clip that is seen as a whole, in seconds."""
        return ((self.length_in_frames - 1) * self.shift + self.length) / 1000

    @property
    def frequencies(self) -> Tensor:
        """Centre of each band, (bands,), in hertz."""
        return self._banks()[1].flatten()

    @property
    def times(self) -> Tensor:
        """Centre of each frame, (frames,), in seconds."""
        return (torch.arange(self.length_in_frames) * self.shift + self.length / 2) / 1000

    @property
    def spreads(self) -> bool:
        """See `FrontEnd.spreads`."""
        return True

    def spread(self, relevance: Tensor) -> Tensor:
        """Hands relevance of bands and frames back to the bins of a short-time transform, as `LogMel.spread` does.

        Frames here begin with the clip, and those of the transform are centred on its samples 0, hop, 2 * hop and so
        on. So the relevance of a frame is shared out over the two of the transform that it lies between. The sum stays
        the same.

        Args:
            relevance: (..., bands, frames).

        Returns:
            Relevance (..., window // 2 + 1, frames + 2) of the transform with this object's `window` and `hop`.
        """
        weights, middles = self._banks()  # (bands, window // 2), (bands, 1)
        bins = shares(pad(weights, (0, 1)).T.to(relevance), middles.flatten(), self.sample_rate) @ relevance
        before, later = divmod(self.frame / 2 / self.hop, 1)  # of the first frame's middle, in frames
        return (1 - later) * pad(bins, (int(before), 1)) + later * pad(bins, (int(before) + 1, 0))

    def _banks(self) -> tuple[Tensor, Tensor]:
        """The weights of the bands, (bands, window // 2), and their centres, (bands, 1), in hertz."""
        banks: tuple[Tensor, Tensor] = kaldi.get_mel_banks(
            self.bands, self.window, self.sample_rate, self.low_hz, 0.0, 100.0, -500.0, 1.0
        )
        return banks

    def forward(self, waveform: Tensor) -> Tensor:
        """Spectrograms (B, 1, bands, frames) of waveforms (B, 1, T)."""
        check_one(waveform, "Kaldi's spectrogram")
        if waveform.shape[-1] < self.length * self.sample_rate / 1000:
            raise Mistake(f"clips of {waveform.shape[-1]} samples are shorter than a frame of {self.length:g} ms.")
        with torch.autocast(waveform.device.type, enabled=False):
            clips = [self.of_clip(clip) for clip in waveform.float()]
        return torch.stack(clips)[:, None].transpose(2, 3)

    def of_clip(self, clip: Tensor) -> Tensor:
        """The spectrogram (frames, bands) of one waveform (1, T)."""
        bands = kaldi.fbank(
            clip, sample_frequency=self.sample_rate, window_type="hanning", num_mel_bins=self.bands,
            frame_length=self.length, frame_shift=self.shift, low_freq=self.low_hz,
        )[: self.length_in_frames]  # fmt: skip
        bands = pad(bands, (0, 0, 0, self.length_in_frames - len(bands)))
        return bands if self.mean is None else (bands - self.mean) / (2 * self.deviation)


class WhisperMel(FrontEnd):
    """Log-mel spectrograms of 30 s, as `WhisperFeatureExtractor` makes them (Radford et al., arXiv 2212.04356).

    Zeros follow a short clip, and a long one is cut off. What lies 80 dB below the loudest bin is as loud as that.

    Args:
        sample_rate: of the waveforms, in hertz.
        bands: of mel.
        seconds: length of the spectrograms.
        window, hop: of the Hann windows, in samples.
    """

    filters: Tensor  # (window // 2 + 1, bands)

    def __init__(
        self, sample_rate: int = 16000, bands: int = 80, seconds: float = 30.0, window: int = 400, hop: int = 160
    ) -> None:
        super().__init__()
        self.sample_rate, self.seconds, self.window, self.hop = sample_rate, float(seconds), window, hop
        filters = melscale_fbanks(window // 2 + 1, 0.0, 8000.0, bands, sample_rate, "slaney", "slaney")
        self.register_buffer("filters", filters, persistent=False)

    @property
    def frequencies(self) -> Tensor:
        """Centre of each band, (bands,), in hertz."""
        return centres(0.0, 8000.0, self.filters.shape[1], "slaney")

    @property
    def times(self) -> Tensor:
        """Centre of each frame, (frames,), in seconds."""
        return torch.arange(round(self.seconds * self.sample_rate) // self.hop) * self.hop / self.sample_rate

    @property
    def spreads(self) -> bool:
        """See `FrontEnd.spreads`."""
        return True

    def spread(self, relevance: Tensor) -> Tensor:
        """Hands relevance of bands (..., bands, frames) back to bins (..., window // 2 + 1, frames), as `LogMel` does.

        The sum stays the same.
        """
        return shares(self.filters.to(relevance), self.frequencies, self.sample_rate) @ relevance

    def forward(self, waveform: Tensor) -> Tensor:
        """Spectrograms (B, 1, bands, frames) of waveforms (B, 1, T)."""
        check_one(waveform, "Whisper's spectrogram")
        samples = round(self.seconds * self.sample_rate)
        with torch.autocast(waveform.device.type, enabled=False):
            clip = waveform[:, 0, :samples].float()
            clip = pad(clip, (0, samples - clip.shape[-1]))
            window = torch.hann_window(self.window, device=clip.device)
            transform = torch.stft(clip, self.window, self.hop, window=window, return_complex=True)
            power = transform[..., :-1].abs() ** 2  # (B, K, frames)
            decades = (self.filters.T @ power).clamp(min=1e-10).log10()
            loudest = decades.amax(dim=(-2, -1), keepdim=True)
        return ((torch.maximum(decades, loudest - 8.0) + 4.0) / 4.0)[:, None]
