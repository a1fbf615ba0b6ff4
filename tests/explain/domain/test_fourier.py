"""Relevance through the Fourier transform against dense float64 matrices, written from the equations of the layer."""

import numpy as np
import pytest
import torch

from auscult.explain.domain.fourier import Fourier, ShortTimeFourier
from auscult.mistake import Mistake

LENGTHS = [1, 2, 8, 9, 30, 101]
FRAMINGS = [(30, 8, 2), (31, 8, 3), (32, 7, 2), (45, 9, 1), (20, 32, 8)]  # samples, window, hop


def layer(size: int) -> np.ndarray:
    """What each coefficient contributes to each sample, of 1 and of i: (2, coefficients, samples)."""
    angle = 2 * np.pi * np.outer(np.arange(size), np.arange(size)) / size
    return np.stack([np.cos(angle), -np.sin(angle)]) / size


def folded(full: np.ndarray) -> np.ndarray:
    """Relevance (N,) of all coefficients, those of conjugates added up: (N // 2 + 1,)."""
    size = len(full)
    return np.array([full[k] + (full[size - k] if 0 < k < size - k else 0) for k in range(size // 2 + 1)])


def dense(frame: np.ndarray, sample: np.ndarray, relevance: np.ndarray, synthesis: np.ndarray) -> np.ndarray:
    """LRP-0 through one frame of the inverse transform: each sample's relevance goes by what contributes to it.

    Args:
        frame: (M,) what was transformed.
        sample: (M,) the samples that it, beside other frames, is a part of.
        relevance: (M,) of them.
        synthesis: (M,) the window that the frame is heard under.
    """
    coefficients = np.fft.fft(frame)
    contributions = layer(len(frame)) * np.stack([coefficients.real, coefficients.imag])[:, :, None] * synthesis
    quotient = np.divide(relevance, sample, out=np.zeros_like(relevance), where=sample != 0)
    return folded((contributions * quotient).sum((0, 2)))


def clips(samples: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Waveforms (2, 1, N), a third of them silent, and relevance."""
    generator = torch.Generator().manual_seed(seed)
    waveform = torch.randn(2, 1, samples, generator=generator, dtype=torch.float64)
    waveform[..., samples // 3 : 2 * samples // 3] = 0
    return waveform, torch.randn(2, 1, samples, generator=generator, dtype=torch.float64)


def hann(size: int) -> torch.Tensor:
    return torch.hann_window(size, dtype=torch.float64)


@pytest.mark.parametrize("samples", LENGTHS)
def test_frequencies_equal_the_dense_layer(samples):
    waveform, relevance = clips(samples)
    found, apart = Fourier(samples).relevance(waveform, relevance, epsilon=0)
    for clip in range(2):
        x, r = waveform[clip, 0].numpy(), relevance[clip, 0].numpy()
        np.testing.assert_allclose(found[clip, 0], dense(x, x, r, np.ones(samples)), atol=1e-11)
        np.testing.assert_allclose(apart[clip, 0], r[x == 0].sum(), atol=1e-12)


@pytest.mark.parametrize("samples, size, hop", FRAMINGS)
def test_short_time_equals_the_dense_layer(samples, size, hop):
    waveform, relevance = clips(samples)
    found, _ = ShortTimeFourier(samples, hann(size), hop).relevance(waveform, relevance, epsilon=0)
    half, window = size // 2, hann(size).numpy()
    frames = found.shape[-1]
    ends = (half, frames * hop + size)
    overlap = np.zeros(samples + sum(ends))
    for frame in range(frames):
        overlap[frame * hop : frame * hop + size] += window**2
    for clip in range(2):
        x, r = (np.pad(each[clip, 0].numpy(), ends) for each in (waveform, relevance))
        for frame in range(frames):
            place = slice(frame * hop, frame * hop + size)
            inside = np.divide(window, overlap[place], out=np.zeros(size), where=overlap[place] > 0)
            expected = dense(x[place] * window, x[place], r[place], inside)
            np.testing.assert_allclose(found[clip, 0, :, frame], expected, atol=1e-11)


@pytest.mark.parametrize("samples, size, hop", FRAMINGS)
def test_samples_of_amplitudes_equal_the_dense_layer(samples, size, hop):
    waveform, _ = clips(samples)
    view = ShortTimeFourier(samples, hann(size), hop)
    shape = view.transform(waveform).shape
    relevance = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found, apart = view.to_samples(waveform, relevance)
    window, time = hann(size).numpy(), np.arange(samples)
    for clip in range(2):
        x, expected, silent = waveform[clip, 0].numpy(), np.zeros(samples), 0.0
        for frame in range(shape[-1]):
            n = time - frame * hop + size // 2
            weight = np.where((n >= 0) & (n < size), window[np.clip(n, 0, size - 1)], 0)
            for k in range(shape[-2]):
                parts = x * weight * np.exp(-2j * np.pi * k * n / size)  # of samples, in X_k
                amplitude = abs(parts.sum())
                if amplitude > 1e-9:
                    along = (parts * parts.sum().conj()).real / amplitude
                    expected += relevance[clip, 0, k, frame].item() * along / amplitude
                else:
                    silent += relevance[clip, 0, k, frame].item()
        np.testing.assert_allclose(found[clip, 0], expected, atol=1e-9)
        np.testing.assert_allclose(apart[clip, 0], silent, atol=1e-9)


@pytest.mark.parametrize("samples", [8000, 7999])
def test_conserves_in_single_precision(samples):
    waveform, relevance = (each.float() for each in clips(samples))
    for view in (Fourier(samples), ShortTimeFourier(samples, torch.hann_window(455), 35)):
        found, apart = view.relevance(waveform, relevance)  # of samples that hardly sound, too: the hardest case
        assert found.dtype == torch.float32
        total, whole = found.flatten(2).sum(2) + apart, relevance.sum(-1)
        assert (total - whole).abs().max() < 1e-6 * relevance.abs().sum(-1).min()
        found, apart = view.relevance(waveform, waveform * relevance)
        total, whole = found.flatten(2).sum(2), (waveform * relevance).sum(-1)
        assert (total - whole).abs().max() < 1e-4 * whole.abs().min()


@pytest.mark.parametrize("view", [Fourier(50), ShortTimeFourier(50, hann(16), 4)])
def test_inverse_undoes_the_transform(view):
    waveform, _ = clips(50)
    torch.testing.assert_close(view.inverse(view.transform(waveform)), waveform, rtol=0, atol=1e-12)
    batched = view.transform(waveform.expand(2, 3, 50))
    torch.testing.assert_close(batched[:, 2:], view.transform(waveform))


def test_relevance_of_a_tone_is_at_its_frequency():
    time = torch.arange(400, dtype=torch.float64)
    waveform = torch.sin(2 * torch.pi * 12.0 / 400 * time) + 0.5 * torch.cos(2 * torch.pi * 30.0 / 400 * time)
    heard = torch.sin(2 * torch.pi * 12.0 / 400 * time)  # what a network that listens to the first tone relies on
    found, _ = Fourier(400).relevance(waveform, waveform * heard)
    assert found.argmax() == 12
    torch.testing.assert_close(found[12], found.sum(), rtol=1e-4, atol=0)


@pytest.mark.parametrize("view", [Fourier(30), ShortTimeFourier(30, hann(8), 2)])
def test_silence_keeps_its_relevance_apart(view):
    waveform = torch.zeros(1, 1, 30, dtype=torch.float64)
    found, apart = view.relevance(waveform, torch.ones_like(waveform))
    assert not found.any() and apart.item() == 30


def test_nearly_silent_samples_do_not_blow_up():
    waveform, relevance = (each.float() for each in clips(1000))
    waveform[..., ::7] *= 1e-30
    found, apart = Fourier(1000).relevance(waveform, relevance)
    assert found.isfinite().all()
    faint = torch.where(waveform.abs() < 1e-20, relevance, 0).sum(-1)
    torch.testing.assert_close(apart, faint, rtol=0, atol=0.05)  # of the others it absorbs a little


def test_is_differentiable():
    view = ShortTimeFourier(20, hann(8), 2)
    waveform = torch.randn(1, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    relevance = torch.ones(1, 20, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, r: view.relevance(x, x * r, 1e-3)[0], (waveform, relevance))


@pytest.mark.parametrize("size, hop", [(16, 16), (8, 9), (8, 0)])
def test_frames_that_leave_samples_out_are_refused(size, hop):
    with pytest.raises(Mistake, match="hop"):
        ShortTimeFourier(100, hann(size), hop)
