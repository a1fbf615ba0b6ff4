"""Relevance of samples as relevance of frequencies, and relevance of a transform's bins as relevance of samples.

A waveform is what the inverse Fourier transform makes of its coefficients. That transform is a linear layer, which can
be put before any network, and the rule of LRP for linear layers carries relevance through it: to each coefficient in
proportion to what it contributes to the samples (Vielhaben et al., "Explainable AI for Time Series via Virtual
Inspection Layers", arXiv 2303.06365). Here it is done by fast Fourier transforms, without the paper's matrices.

All is batched, on the device and in the precision of the waveforms, and differentiable.
"""

import torch
from torch import Tensor

from auscult.mistake import Mistake

EPSILON = 1e-6  # of a clip's peak: beside it, a sample counts as silence
LEAST_OVERLAP = 1e-3  # of the windows' largest: where they overlap less, a waveform cannot be made of its frames


class Fourier:
    """The discrete Fourier transform of whole waveforms.

    A coefficient stands for its conjugate, too: relevance is of the N // 2 + 1 from 0 hertz to half the sample rate.

    Args:
        samples: N, the waveforms' length, even or odd.
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
            (..., N // 2 + 1), and what is kept apart, (...), as no sound carries it: the relevance of silent samples.
            Together they are the sum of the samples' relevance.
        """
        q, apart = quotient(waveform, relevance, epsilon)
        products = real_product(self.transform(waveform), self.transform(q))
        return products * (pairs(self.samples, products) / self.samples), apart


class ShortTimeFourier:
    """The short-time Fourier transform: frames centred on samples 0, hop, 2 * hop, ..., with zeros beyond the ends.

    Args:
        samples: N, the waveforms' length.
        window: (M,) real.
        hop: samples from one frame to the next.

    Raises:
        Mistake: the frames leave out samples, or nearly so, and the waveform cannot be made of them.
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
                f"windows of {self.size} samples that are {hop} apart do not overlap enough for a waveform to be made"
                " of its frames; choose a shorter hop."
            )

    def _overlap(self) -> Tensor:
        """Sum of the squares of all windows over each sample, (N,)."""
        squares = self.window.square()[:, None].expand(-1, self.frames)
        return self._overlapped(squares[None])[0]

    def _overlapped(self, frames: Tensor) -> Tensor:
        """Sums (B, N) of frames (B, M, frames), each at its place."""
        length = (self.frames - 1) * self.hop + self.size
        padded = torch.nn.functional.fold(frames, (1, length), (1, self.size), stride=(1, self.hop))[:, 0, 0]
        missing = self.size // 2 + self.samples - length
        return torch.nn.functional.pad(padded, (0, max(0, missing)))[:, self.size // 2 :][:, : self.samples]

    def transform(self, waveform: Tensor) -> Tensor:
        """Coefficients (..., M // 2 + 1, frames), complex, of waveforms (..., N)."""
        flat = waveform.reshape(-1, self.samples)
        found = torch.stft(
            flat,
            self.size,
            self.hop,
            window=self.window.to(flat),
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        return found.reshape(*waveform.shape[:-1], *found.shape[1:])

    def inverse(self, coefficients: Tensor) -> Tensor:
        """Waveforms (..., N) of coefficients (..., M // 2 + 1, frames): those whose transform is nearest to them."""
        flat = coefficients.reshape(-1, *coefficients.shape[-2:])
        frames = torch.fft.irfft(flat, n=self.size, dim=1) * self.window.to(flat.real)[:, None]
        return (self._overlapped(frames) / self.overlap.to(frames)).reshape(*coefficients.shape[:-2], self.samples)

    def relevance(self, waveform: Tensor, relevance: Tensor, epsilon: float = EPSILON) -> tuple[Tensor, Tensor]:
        """Relevance of the coefficients: `Fourier.relevance`, frame by frame.

        A waveform is the sum of its frames under the synthesis window, which is the window over the sum of all windows'
        squares there; X is the transform under the window and Q that of q under the synthesis window.

        Args: as for `Fourier.relevance`.

        Returns:
            (..., M // 2 + 1, frames), and what is kept apart, (...): together, the sum of the samples' relevance.
        """
        q, apart = quotient(waveform, relevance, epsilon)
        products = real_product(self.transform(waveform), self.transform(q / self.overlap.to(q)))
        return products * (pairs(self.size, products) / self.size)[:, None], apart

    def of_samples(self, waveform: Tensor, relevance: Tensor) -> tuple[Tensor, Tensor]:
        """Relevance of the coefficients' amplitudes handed back to the samples, the other way round.

        What a network sees of a coefficient is its amplitude, and a sample contributes to that what it adds along the
        coefficient's own phase: this is the linear part of a spectrogram. Each sample gets its share of every frame,
        `R_n = x_n * sum over k of R_k * Re(conj(X_k) * w_n * exp(-2 pi i k n / M)) / |X_k|^2`.

        Args:
            waveform: (..., N).
            relevance: (..., M // 2 + 1, frames) of the amplitudes of its transform.

        Returns:
            (..., N), and what is kept apart, (...): the relevance of coefficients 120 dB or more below the clip's
            loudest. Together they are the sum of the amplitudes' relevance.
        """
        coefficients = self.transform(waveform)
        amplitude = coefficients.abs()
        sounding = amplitude > EPSILON * amplitude.amax((-2, -1), keepdim=True)
        divisor = torch.where(sounding, amplitude, 1)
        shares = torch.where(sounding, relevance, 0) / divisor * (coefficients / divisor)
        scale = self.size / pairs(self.size, amplitude)[:, None]  # irfft halves what stands for its conjugate, too
        flat = (shares * scale).reshape(-1, *shares.shape[-2:])
        frames = torch.fft.irfft(flat, n=self.size, dim=1) * self.window.to(amplitude)[:, None]
        back = self._overlapped(frames).reshape(waveform.shape)
        return waveform * back, torch.where(sounding, 0, relevance).sum((-2, -1))


def quotient(waveform: Tensor, relevance: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Relevance per unit of each sample, `relevance / (waveform + epsilon * peak * sign(waveform))`, and 0 at zeros.

    Args:
        waveform: (..., N).
        relevance: (..., N).
        epsilon: what stabilises the division, as a share of each clip's peak. It keeps the sample's sign.

    Returns:
        (..., N), and what is kept apart, (...): the relevance of zeros, and what the stabiliser absorbs of others.
    """
    amplitude = waveform.abs()
    least = torch.finfo(waveform.dtype).tiny ** 0.5  # where all of a clip is silent
    q = relevance * waveform.sign() / (amplitude + (epsilon * amplitude.amax(-1, keepdim=True)).clamp(min=least))
    return q, torch.addcmul(relevance, waveform, q, value=-1).sum(-1)


def real_product(one: Tensor, other: Tensor) -> Tensor:
    """Real part of one coefficient times the other's conjugate."""
    return torch.addcmul(one.real * other.real, one.imag, other.imag)


def pairs(samples: int, like: Tensor) -> Tensor:
    """How many of the transform's `samples` coefficients each of the first N // 2 + 1 stands for."""
    count = torch.full((samples // 2 + 1,), 2.0).to(like)
    count[0] = 1
    if samples % 2 == 0:
        count[-1] = 1
    return count
