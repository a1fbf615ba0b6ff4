"""Relevance of samples as relevance of frequencies, and relevance of a transform's bins as relevance of samples.

The inverse Fourier transform turns coefficients into a waveform. This transform is a linear layer that can be put
before any network. The rule of LRP for linear layers carries relevance through it: each coefficient gets relevance in
proportion to its contribution to the samples (Vielhaben et al., "Explainable AI for Time Series via Virtual Inspection
Layers", arXiv 2303.06365). Here fast Fourier transforms replace the matrices of the paper.

All functions take batches, keep the device and the precision of the waveforms, and are differentiable.
"""

import torch
from torch import Tensor

from auscult.mistake import Mistake

EPSILON = 1e-6  # share of a clip's peak below which a sample counts as silence
LEAST_OVERLAP = 1e-3  # share of the largest overlap that each sample needs, or the frames do not determine it


class Fourier:
    """The discrete Fourier transform of whole waveforms.

    There is relevance for the N // 2 + 1 coefficients up to half the sample rate; each includes its conjugate.

    Args:
        samples: N, the length of the waveforms, even or odd.
    """

    def __init__(self, samples: int) -> None:
        self.samples = samples

    def transform(self, waveform: Tensor) -> Tensor:
        """Coefficients (..., N // 2 + 1), complex, of waveforms (..., N)."""
        return torch.fft.rfft(waveform)

    def inverse(self, coefficients: Tensor) -> Tensor:
        """Waveforms (..., N) of coefficients (..., N // 2 + 1)."""
        return torch.fft.irfft(coefficients, n=self.samples)

    def relevance(self, waveform: Tensor, relevance: Tensor, epsilon: float = EPSILON) -> tuple[Tensor, Tensor]:
        """Relevance of the coefficients, `R_k = c_k / N * Re(X_k * conj(Q_k))`.

        X and Q are the transforms of the waveform and of `q = relevance / waveform`; c is 1 at 0 hertz and, where N is
        even, at half the sample rate, and 2 elsewhere (arXiv 2303.06365, equation 9, for real waveforms).

        Args:
            waveform: (..., N).
            relevance: (..., N) of its samples.
            epsilon: see `quotient`.

        Returns:
            Relevance (..., N // 2 + 1), and the part that is kept apart, (...): the relevance of silent samples, which
            no coefficient can have. The total is that of the samples' relevance.
        """
        q, apart = quotient(waveform, relevance, epsilon)
        products = real_product(self.transform(waveform), self.transform(q))
        return products * (pairs(self.samples, products) / self.samples), apart


class ShortTimeFourier:
    """The short-time Fourier transform: frames centred on samples 0, hop, 2 * hop, ..., with zeros beyond the ends.

    Args:
        samples: N, the length of the waveforms.
        window: (M,) real.
        hop: number of samples from one frame to the next.

    Raises:
        Mistake: the frames omit samples, or nearly omit them, so that the waveform cannot be recovered.
    """

    def __init__(self, samples: int, window: Tensor, hop: int) -> None:
        self.samples, self.window, self.hop = samples, window, hop
        self.size = len(window)
        if not 1 <= hop <= self.size:
            raise Mistake(f"a hop of {hop} samples is not within 1 and the window's {self.size}.")
        self.frames = (samples - self.size % 2) // hop + 1
        self.overlap = self._overlap()
        if self.overlap.min() < LEAST_OVERLAP * self.overlap.max():
            raise Mistake(
                f"windows of {self.size} samples that are {hop} apart do not overlap enough to recover a waveform"
                " from its frames; choose a shorter hop."
            )

    def _overlap(self) -> Tensor:
        """The sum of the squares of all windows at each sample, (N,)."""
        squares = self.window.square()[:, None].expand(-1, self.frames)
        return self._overlapped(squares[None])[0]

    def _overlapped(self, frames: Tensor) -> Tensor:
        """Adds up frames (B, M, frames), each at its place in the waveform, (B, N)."""
        length = (self.frames - 1) * self.hop + self.size
        padded = torch.nn.functional.fold(frames, (1, length), (1, self.size), stride=(1, self.hop))[:, 0, 0]
        missing = self.size // 2 + self.samples - length
        return torch.nn.functional.pad(padded, (0, max(0, missing)))[:, self.size // 2 :][:, : self.samples]

    def transform(self, waveform: Tensor) -> Tensor:
        """Coefficients (..., M // 2 + 1, frames), complex, of waveforms (..., N)."""
        flat = waveform.reshape(-1, self.samples)
        coefficients = torch.stft(
            flat,
            self.size,
            self.hop,
            window=self.window.to(flat),
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        return coefficients.reshape(*waveform.shape[:-1], *coefficients.shape[1:])

    def inverse(self, coefficients: Tensor) -> Tensor:
        """The waveforms (..., N) whose transform is nearest to the coefficients (..., M // 2 + 1, frames)."""
        flat = coefficients.reshape(-1, *coefficients.shape[-2:])
        frames = torch.fft.irfft(flat, n=self.size, dim=1) * self.window.to(flat.real)[:, None]
        return (self._overlapped(frames) / self.overlap.to(frames)).reshape(*coefficients.shape[:-2], self.samples)

    def relevance(self, waveform: Tensor, relevance: Tensor, epsilon: float = EPSILON) -> tuple[Tensor, Tensor]:
        """Relevance of the coefficients: `Fourier.relevance`, frame by frame.

        A waveform is the sum of its frames under the synthesis window: the window divided by the sum of all windows'
        squares. X is the transform under the window, and Q is the transform of q under the synthesis window.

        Args: as for `Fourier.relevance`.

        Returns:
            Relevance (..., M // 2 + 1, frames), and the part that is kept apart, (...). The total is that of the
            samples' relevance.
        """
        q, apart = quotient(waveform, relevance, epsilon)
        products = real_product(self.transform(waveform), self.transform(q / self.overlap.to(q)))
        return products * (pairs(self.size, products) / self.size)[:, None], apart

    def to_samples(self, waveform: Tensor, relevance: Tensor) -> tuple[Tensor, Tensor]:
        """Hands relevance of the coefficients' amplitudes back to the samples: the opposite of `relevance`.

        A spectrogram network sees the amplitude of a coefficient. A sample contributes to the amplitude what it adds in
        the direction of the coefficient's phase; this is the linear part of a spectrogram. A sample's relevance is
        `R_n = x_n * sum over k of R_k * Re(conj(X_k) * w_n * exp(-2 pi i k n / M)) / |X_k|^2`.

        Args:
            waveform: (..., N).
            relevance: (..., M // 2 + 1, frames), of the amplitudes of the waveform's transform. Frames that it lacks
                have none.

        Returns:
            Relevance (..., N), and the part that is kept apart, (...): the relevance of coefficients that are 120 dB or
            more below the loudest one of the clip, and of frames behind the clip. The total is that of the amplitudes'
            relevance.
        """
        behind = relevance[..., self.frames :].sum((-2, -1))
        relevance = torch.nn.functional.pad(relevance, (0, self.frames - relevance.shape[-1]))
        coefficients = self.transform(waveform)
        amplitude = coefficients.abs()
        sounding = amplitude > EPSILON * amplitude.amax((-2, -1), keepdim=True)
        divisor = torch.where(sounding, amplitude, 1)
        shares = torch.where(sounding, relevance, 0) / divisor * (coefficients / divisor)
        scale = self.size / pairs(self.size, amplitude)[:, None]  # irfft halves those with a conjugate
        flat = (shares * scale).reshape(-1, *shares.shape[-2:])
        frames = torch.fft.irfft(flat, n=self.size, dim=1) * self.window.to(amplitude)[:, None]
        back = self._overlapped(frames).reshape(waveform.shape)
        return waveform * back, torch.where(sounding, 0, relevance).sum((-2, -1)) + behind


def quotient(waveform: Tensor, relevance: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Relevance per unit of each sample, `relevance / (waveform + epsilon * peak * sign(waveform))`, and 0 at zeros.

    Args:
        waveform: (..., N).
        relevance: (..., N).
        epsilon: stabilises the division, as a share of each clip's peak. It has the sign of the sample.

    Returns:
        Quotients (..., N), and the relevance that is kept apart, (...): that of zeros, and what epsilon absorbs.
    """
    amplitude = waveform.abs()
    least = torch.finfo(waveform.dtype).tiny ** 0.5  # for clips that are all silent
    q = relevance * waveform.sign() / (amplitude + (epsilon * amplitude.amax(-1, keepdim=True)).clamp(min=least))
    return q, torch.addcmul(relevance, waveform, q, value=-1).sum(-1)


def real_product(one: Tensor, other: Tensor) -> Tensor:
    """Real part of one coefficient times the other's conjugate."""
    return torch.addcmul(one.real * other.real, one.imag, other.imag)


def pairs(samples: int, like: Tensor) -> Tensor:
    """How many of the N coefficients of a transform each of the first N // 2 + 1 stands for: 1 or 2."""
    count = torch.full((samples // 2 + 1,), 2.0).to(like)
    count[0] = 1
    if samples % 2 == 0:
        count[-1] = 1
    return count
