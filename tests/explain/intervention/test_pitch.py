import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from auscult.explain.intervention.pitch import at_pitch

RATE = 8000
TIME = np.arange(RATE) / RATE


def faded(samples: np.ndarray, start: float, end: float) -> Tensor:
    """Samples between two times in seconds, with soft edges of 20 ms, as a waveform (1, 1, 8000)."""
    edges = np.clip(np.minimum(TIME - start, end - TIME) / 0.02, 0, 1)
    return torch.tensor(samples * edges, dtype=torch.float32).view(1, 1, -1)


def tone(hertz: float, start: float = 0.2, end: float = 0.8) -> Tensor:
    return faded(0.5 * np.sin(2 * np.pi * hertz * TIME), start, end)


def voice(f0: float, scale: float = 1.0) -> np.ndarray:
    """Harmonics of a pitch under two formants, all frequencies multiplied by the scale."""
    harmonics = np.arange(f0, 2400, f0)
    levels = sum(1 / (1 + ((harmonics - formant) / 120) ** 2) for formant in (700, 1500))
    return 0.2 * sum(
        level * np.cos(2 * np.pi * scale * hertz * TIME + number**2)
        for number, (hertz, level) in enumerate(zip(harmonics, levels, strict=True))
    )


def loudest_hertz(waveform: Tensor) -> float:
    return np.abs(np.fft.rfft(waveform.flatten().numpy() * np.hanning(RATE), 80_000)).argmax() / 10


def decibels(waveform: Tensor) -> float:
    return 10 * torch.log10(waveform.double().square().mean() + 1e-20).item()


def edges(waveform: Tensor) -> tuple[float, float]:
    """Seconds at which a sound begins and ends, at a tenth of its peak."""
    loud = (waveform.flatten().abs() > 0.1 * waveform.abs().max()).nonzero()
    return loud[0].item() / RATE, loud[-1].item() / RATE


@pytest.mark.parametrize("factor", [1.5, 0.66, 1.02])
@pytest.mark.parametrize("hertz", [110, 440, 1000, 2500])
def test_a_tone_moves_and_keeps_its_level_and_place(hertz: float, factor: float) -> None:
    before = tone(hertz)
    after = at_pitch(before, factor, RATE)
    assert after.shape == before.shape
    assert loudest_hertz(after) == pytest.approx(factor * hertz, abs=0.5)
    middle = slice(2400, 5600)
    assert decibels(after[..., middle]) == pytest.approx(decibels(before[..., middle]), abs=0.1)
    for piece in after[..., middle].unflatten(-1, (8, 400)).unbind(2):  # nor does it waver
        assert decibels(piece) == pytest.approx(decibels(before[..., middle]), abs=1)
    np.testing.assert_allclose(edges(after), edges(before), atol=0.01)


@settings(max_examples=8, deadline=None)
@given(hertz=st.floats(100, 2000), factor=st.floats(0.5, 1.9))
def test_any_tone_moves_by_any_factor(hertz: float, factor: float) -> None:
    # within a tenth of a semitone: windows are joined at whole samples, which moves a tone by a few tenths of a percent
    assert loudest_hertz(at_pitch(tone(hertz), factor, RATE)) == pytest.approx(factor * hertz, rel=6e-3, abs=1)


@pytest.mark.parametrize("f0, factor", [(110.0, 1.5), (200.0, 0.66)])
def test_pitch_and_formants_of_a_voice_move_together(f0: float, factor: float) -> None:
    middle = slice(2000, 6000)
    window = np.hanning(4000)
    after = at_pitch(faded(voice(f0), 0.1, 0.9), factor, RATE).flatten().numpy()
    spectra = [np.abs(np.fft.rfft(samples[middle] * window)) for samples in (after, voice(f0, factor))]
    harmonics = np.arange(1, int(2400 / f0)) * factor * f0
    bins = np.round(harmonics * 4000 / RATE).astype(int)
    levels = [20 * np.log10([spectrum[bin - 3 : bin + 4].max() for bin in bins]) for spectrum in spectra]
    np.testing.assert_allclose(levels[0], levels[1], atol=2)
    between = np.round((harmonics + 0.5 * factor * f0) * 4000 / RATE).astype(int)
    assert np.median(20 * np.log10(spectra[0][between])) < np.median(levels[0]) - 30  # harmonics and little else


@pytest.mark.parametrize("hertz", [2800, 3000, 3900])
def test_what_would_lie_above_half_the_rate_is_removed_and_not_aliased(hertz: float) -> None:
    before = tone(hertz)
    assert decibels(at_pitch(before, 1.5, RATE)) < decibels(before) - 50


def test_a_word_keeps_its_rhythm() -> None:
    syllables = [(0.1, 0.25), (0.4, 0.45), (0.6, 0.9)]
    for factor in (1.5, 0.66):
        after = at_pitch(sum(tone(500, *syllable) for syllable in syllables), factor, RATE).flatten()
        loud = after.unflatten(0, (100, 80)).square().mean(-1) > 0.01  # in steps of 10 ms
        expected = torch.zeros(100, dtype=torch.bool)
        for start, end in syllables:
            expected[round(100 * start) : round(100 * end)] = True
        assert (loud == expected).float().mean() > 0.9


@pytest.mark.parametrize("factor", [0.66, 1.5])
def test_a_burst_in_the_quiet_is_neither_skipped_nor_doubled(factor: float) -> None:
    room = 0.001 * torch.randn(10, 1, RATE, generator=torch.Generator().manual_seed(0))
    bursts = torch.cat([tone(1000, 0.5 + number / 1000, 0.51 + number / 1000) for number in range(10)])
    after = at_pitch(room + bursts, factor, RATE)
    gain = 10 * torch.log10(after.square().sum(-1) / bursts.square().sum(-1))
    assert gain.abs().max() < 6


@pytest.mark.parametrize("factor", [0.1, 0.66, 1.5, 10])
def test_silence_stays_silence(factor: float) -> None:
    assert not at_pitch(torch.zeros(2, 1, RATE), factor, RATE).any()


@pytest.mark.parametrize("factor", [0.66, 1.5])
def test_silence_around_a_sound_stays_silence(factor: float) -> None:
    after = at_pitch(tone(440, 0.4, 0.6), factor, RATE)
    assert not after[..., :2800].any() and not after[..., 5200:].any()


def test_a_factor_of_one_changes_no_bit() -> None:
    assert torch.equal(at_pitch(tone(440), 1.0, RATE), tone(440))


def test_a_batch_is_its_clips() -> None:
    clips = torch.cat([tone(440), 0.01 * tone(300), torch.zeros(1, 1, RATE), tone(120, 0, 1)])
    together = at_pitch(clips, 1.5, RATE)
    alone = torch.cat([at_pitch(clip[None], 1.5, RATE) for clip in clips])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


def test_other_rates_and_lengths() -> None:
    time = torch.arange(11_111) / 16_000
    after = at_pitch(torch.sin(2 * torch.pi * 1000 * time).view(1, 1, -1), 1.5, 16_000)
    assert after.shape == (1, 1, 11_111)
    spectrum = torch.fft.rfft(after.flatten() * torch.hann_window(11_111), 160_000).abs()
    assert spectrum.argmax().item() / 10 == pytest.approx(1500, abs=1)
