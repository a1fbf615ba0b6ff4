from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from auscult.modules.augmentation import Augmentation, at_speed, noise_for, turned

ALL: dict[str, Any] = {"gain_db": 6.0, "noise_snr_db": (10.0, 30.0), "speed": 0.1, "shift": 1.0}


def words(clips: int = 3) -> Tensor:
    """Noise of various lengths and levels, embedded in silence, (clips, 1, 8000)."""
    generator = torch.Generator().manual_seed(0)
    waveform = torch.zeros(clips, 1, 8000)
    for clip in range(clips):
        start, length = 500 * (clip % 5), 2000 + 600 * (clip % 7)
        waveform[clip, 0, start : start + length] = torch.randn(length, generator=generator) * 0.3 / (clip + 1)
    return waveform


def tone(hertz: float, seconds: float = 0.5) -> Tensor:
    time = torch.arange(8000, dtype=torch.float64) / 8000
    envelope = torch.exp(-(((time - 0.5) / (seconds / 4)) ** 2))
    return (envelope * torch.sin(2 * torch.pi * hertz * time)).float().view(1, 1, -1)


def loudest_hertz(waveform: Tensor) -> float:
    return np.abs(np.fft.rfft(waveform.flatten().numpy(), n=80_000)).argmax() / 10


def as_factor(*values: float) -> Tensor:
    return torch.tensor(values).view(-1, 1, 1)


def test_all_off_changes_no_bit_and_draws_nothing() -> None:
    state = torch.get_rng_state()
    assert torch.equal(Augmentation().train()(words()), words())
    assert torch.equal(torch.get_rng_state(), state)


def test_evaluation_changes_no_bit_and_draws_nothing() -> None:
    state = torch.get_rng_state()
    assert torch.equal(Augmentation(**ALL).eval()(words()), words())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("options", [{name: value} for name, value in ALL.items()], ids=list(ALL))
def test_same_seed_same_result_and_another_seed_another(options: dict[str, Any]) -> None:
    augmentation = Augmentation(**options).train()
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(augmentation(words()))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    assert results[0].shape == words().shape


def test_gain_is_drawn_per_clip_from_the_whole_range() -> None:
    torch.manual_seed(0)
    waveform = words(200)
    ratio = Augmentation(gain_db=6).train()(waveform).abs().amax(-1) / waveform.abs().amax(-1)
    gain = 20 * ratio.log10()
    assert gain.abs().max() <= 6 + 1e-4
    assert gain.min() < -5.5 and gain.max() > 5.5
    assert abs(gain.mean().item()) < 1


def test_noise_has_the_ratio_asked_for_and_fills_the_clip() -> None:
    torch.manual_seed(0)
    waveform = words()
    noise = noise_for(waveform, as_factor(0.0, 12.0, 40.0)).double()
    for clip, added, snr in zip(waveform.double(), noise, (0, 12, 40), strict=True):
        active = clip[clip != 0]
        assert 10 * torch.log10(active.square().mean() / added.square().mean()) == pytest.approx(snr, abs=1e-3)
        quarters = added.view(4, -1).square().mean(-1)
        assert quarters.max() < 3 * quarters.min()


def test_ratios_are_drawn_per_clip_from_the_range() -> None:
    torch.manual_seed(0)
    waveform = words(200)
    noise = (Augmentation(noise_snr_db=(10, 30)).train()(waveform) - waveform).double()
    active = waveform.double().square().sum(-1) / (waveform != 0).sum(-1)
    snr = 10 * torch.log10(active / noise.square().mean(-1))
    assert 10 - 1e-2 < snr.min() < 12 and 28 < snr.max() < 30 + 1e-2


def test_noise_lies_between_white_and_pink() -> None:
    torch.manual_seed(0)
    noise = noise_for(torch.ones(300, 1, 8000), torch.zeros(300, 1, 1))
    power = torch.fft.rfft(noise[:, 0].double()).abs().square()
    low, high = power[:, 200:400].mean(-1), power[:, 1600:3200].mean(-1)  # three octaves apart
    fall = 10 * torch.log10(low / high)  # in decibels: 0 for white, 9 for pink
    assert -1.5 < fall.min() < 1.5 and 7.5 < fall.max() < 10.5


def test_silence_stays_silence() -> None:
    assert not Augmentation(**ALL).train()(torch.zeros(2, 1, 8000)).any()


@settings(max_examples=20, deadline=None)
@given(hertz=st.floats(200, 2000), factor=st.floats(0.8, 1.25))
def test_speed_moves_a_tone_by_its_factor(hertz: float, factor: float) -> None:
    assert loudest_hertz(at_speed(tone(hertz), as_factor(factor))) == pytest.approx(hertz * factor, rel=0.005)


def test_speed_equals_the_tone_played_at_it() -> None:
    time = torch.arange(8000, dtype=torch.float64) / 8000 - 0.5
    for factor in (0.9, 1.1):
        moved = factor * time
        played = torch.exp(-((moved / 0.1) ** 2)) * torch.cos(2 * torch.pi * 300 * moved)
        waveform = (torch.exp(-((time / 0.1) ** 2)) * torch.cos(2 * torch.pi * 300 * time)).float()
        result = at_speed(waveform.view(1, 1, -1), as_factor(factor)).flatten()
        torch.testing.assert_close(result, played.float(), rtol=0, atol=2e-3)


def test_a_factor_of_one_changes_no_bit() -> None:
    assert torch.equal(at_speed(words(), as_factor(1.0, 1.0, 1.0)), words())


def test_each_clip_has_its_own_factor_and_keeps_its_centre() -> None:
    waveform = torch.cat([tone(440), tone(880), tone(440).roll(1000, dims=-1)])
    result = at_speed(waveform, as_factor(0.9, 1.0, 1.1))
    assert [loudest_hertz(clip) for clip in result] == pytest.approx([396, 880, 484], rel=0.005)
    time = torch.arange(8000)
    for before, after in zip(waveform, result, strict=True):
        centres = [(clip.square() * time).sum() / clip.square().sum() for clip in (before, after)]
        assert centres[0] == pytest.approx(centres[1], abs=2)


def test_what_leaves_the_frame_is_lost_and_silence_comes_in() -> None:
    waveform = torch.ones(2, 1, 8000)
    slow, fast = at_speed(waveform, as_factor(0.5, 2.0))
    torch.testing.assert_close(slow, torch.ones(1, 8000))
    assert not fast[0, :1990].any() and not fast[0, 6010:].any()
    torch.testing.assert_close(fast[0, 2010:5990], torch.ones(3980))


def test_turning_is_numpys_roll() -> None:
    shares = as_factor(0.25, -0.1, 1.0)
    expected = [np.roll(clip, shift) for clip, shift in zip(words()[:, 0].numpy(), (2000, -800, 8000), strict=True)]
    np.testing.assert_array_equal(turned(words(), shares)[:, 0], expected)


def test_shifts_stay_within_their_share() -> None:
    torch.manual_seed(0)
    pulse = torch.zeros(500, 1, 1000)
    pulse[..., 500] = 1
    places = Augmentation(shift=0.2).train()(pulse).argmax(-1)
    assert 300 <= int(places.min()) < 320 and 680 < int(places.max()) <= 700


@pytest.mark.parametrize("shape", [(200, 1, 64, 64), (200, 1, 640)])
def test_masks_silence_bands_and_times_of_each_clip(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    silence = torch.full((1, *shape[1:]), -80.0)
    masked = Augmentation(time_mask=0.25, band_mask=0.125).masked(torch.zeros(shape), silence)
    silent = (masked == -80).flatten(0, 1).numpy()  # (B, ...)
    assert ((masked == 0) | (masked == -80)).all()
    columns = silent.reshape(len(silent), -1, shape[-1]).all(1).sum(1)  # of each clip
    assert 0.3 * shape[-1] < columns.max() <= 0.5 * shape[-1]  # two of up to a quarter, which may overlap
    assert abs(columns.mean() - 0.225 * shape[-1]) < 0.03 * shape[-1]  # half of each on average, less what overlaps
    if len(shape) == 4:
        rows = silent.all(2).sum(1)
        assert 0.15 * 64 < rows.max() <= 0.25 * 64
        assert (silent == (silent.all(1, keepdims=True) | silent.all(2, keepdims=True))).all()  # nothing else
    assert len(np.unique(silent.reshape(len(silent), -1), axis=0)) > 150  # each clip its own


def test_mixing_keeps_shares_of_inputs_and_labels_together() -> None:
    torch.manual_seed(0)
    label = torch.arange(400) % 4
    input = torch.nn.functional.one_hot(label, 4).float().view(400, 1, 4, 1)
    mixed, target = Augmentation(mixup=0.4).mixed(input, label, classes=4)
    torch.testing.assert_close(mixed.view(400, 4), target)
    torch.testing.assert_close(target.sum(1), torch.ones(400))
    own = target.gather(1, label[:, None])
    assert float(own.min()) >= 0.5 and 0.6 < float(own.mean()) < 0.95


def test_without_mixing_labels_stay_what_they_are() -> None:
    label = torch.tensor([2, 0])
    input = torch.rand(2, 1, 8)
    mixed = Augmentation().mixed(input, label, classes=3)
    assert mixed[0] is input and mixed[1] is label and not Augmentation().masks
