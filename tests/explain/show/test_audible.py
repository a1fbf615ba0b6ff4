import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from auscult.explain.show.audible import heard, k_weighting, loudness, on_transform, sounds, wav
from auscult.explain.show.clip import View, sounds_of
from auscult.mistake import Mistake
from auscult.modules.audiomnist_front_ends import DecibelSpectrogram
from auscult.modules.model import Model

SHARED = Path(os.environ.get("AUSCULT_SHARED", Path(__file__).parents[3] / "shared"))
RATE = 8000
TIME = np.arange(RATE) / RATE
NAMES = ["original", "positive", "negative", "positive left, negative right", "blend"]


def noise(seed: int = 0, level: float = 0.1) -> np.ndarray:
    return level * np.random.default_rng(seed).standard_normal(RATE)


def word() -> np.ndarray:
    """Half a second of a voice-like sound amid silence."""
    clip = np.zeros(RATE)
    voice = sum(np.sin(2 * np.pi * 150 * k * TIME[:4000]) / k for k in range(1, 20))
    clip[2000:6000] = 0.2 * voice * np.hanning(4000)
    return clip


def decibels_apart(one: np.ndarray, other: np.ndarray, rate: int = RATE) -> float:
    return 10 * np.log10(loudness(one, rate) / loudness(other, rate))


def energy(sound: np.ndarray, low: float, high: float) -> float:
    spectrum = np.abs(np.fft.rfft(sound)) ** 2
    frequency = np.fft.rfftfreq(len(sound), 1 / RATE)
    return spectrum[(frequency >= low) & (frequency < high)].sum()


def inner(sound: np.ndarray) -> np.ndarray:
    """Without the fades."""
    return sound[40:-40]


def proportional(one: np.ndarray, other: np.ndarray, tolerance: float = 1e-5) -> bool:
    scale = (one * other).sum() / (other * other).sum()
    return scale > 0 and np.abs(one - scale * other).max() < tolerance * np.abs(one).max()


def test_positive_and_negative_are_the_published_products():
    clip, relevance = word(), noise(1)
    found = sounds(clip, relevance, RATE, smoothing=0)
    assert list(found) == NAMES
    assert proportional(inner(found["original"]), inner(clip))
    assert proportional(inner(found["positive"]), inner(relevance.clip(0) * clip))
    assert proportional(inner(found["negative"]), inner((-relevance).clip(0) * clip))


def test_left_less_right_is_relevance_times_waveform():
    clip, relevance = word(), noise(1)
    both = sounds(clip, relevance, RATE, smoothing=0)["positive left, negative right"]
    assert both.shape == (RATE, 2)
    assert proportional(inner(both[:, 0] - both[:, 1]), inner(relevance * clip))


def test_the_blend_has_the_original_under_it():
    clip, relevance = word(), np.zeros(RATE)
    relevance[3000:4000] = 1.0
    found = sounds(clip, relevance, RATE, smoothing=0)
    silent_in_positive = slice(4100, 5500)
    assert not found["positive"][silent_in_positive].any()
    under, original = found["blend"][silent_in_positive], found["original"][silent_in_positive]
    level = 20 * np.log10(np.abs(under).max() / np.abs(original).max())
    assert -22 < level < -19
    assert proportional(under, original)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), gain=st.floats(-60, 30), sparse=st.booleans(), rate=st.sampled_from([8000, 16000]))
def test_all_sounds_are_equally_loud_and_none_clips(seed, gain, sparse, rate):
    random = np.random.default_rng(seed)
    clip = np.clip(10 ** (gain / 20) * word(), -1, 1)
    relevance = random.standard_normal(RATE) ** (5 if sparse else 1)
    found = sounds(clip, relevance, rate)
    for sound in found.values():
        assert sound.dtype == np.float32
        assert np.abs(sound).max() <= 0.97 + 1e-6
        assert decibels_apart(sound, found["original"], rate) == pytest.approx(0, abs=0.01)
        assert not sound[0].any() and not sound[-1].any()


def test_the_original_is_no_quieter_than_it_must_be():
    clip = 0.1 * word()
    found = sounds(clip, np.ones(RATE), RATE)
    assert np.abs(found["original"]).max() == pytest.approx(np.abs(clip).max(), rel=1e-3)
    spike = np.zeros(RATE)
    spike[4000 + 13] = 1.0
    loud = sounds(4 * word(), spike, RATE)
    assert max(np.abs(sound).max() for sound in loud.values()) == pytest.approx(0.97, abs=1e-5)


@pytest.mark.parametrize("shape", [(RATE,), (227, 227)])
def test_edges_are_free_of_clicks(shape):
    for sound in sounds(np.full(RATE, 0.3), np.ones(shape), RATE).values():
        steps = np.abs(np.diff(sound, axis=0))
        assert not sound[[0, -1]].any() and steps.max() <= 0.05 * np.abs(sound).max()
        assert steps[40:-40].max() < 1e-5  # fades are of 5 ms


def test_what_is_heard_depends_on_no_scale_of_the_relevance():
    clip, relevance = word(), noise(2)
    for scale in (1e-30, 1e30):
        for name, sound in sounds(clip, scale * relevance, RATE).items():
            np.testing.assert_allclose(sound, sounds(clip, relevance, RATE)[name], atol=1e-6)


@pytest.mark.parametrize("shape", [(RATE,), (227, 227)])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_silence_stays_silence(shape, value):
    for sound in sounds(np.zeros(RATE), np.full(shape, value), RATE).values():
        assert np.isfinite(sound).all() and not sound.any()


@pytest.mark.parametrize("shape", [(RATE,), (227, 227)])
def test_without_relevance_only_the_clip_is_heard(shape):
    found = sounds(word(), np.zeros(shape), RATE)
    assert not found["positive"].any() and not found["negative"].any()
    assert decibels_apart(found["blend"], found["original"]) == pytest.approx(-20, abs=0.01)


def test_rounding_errors_of_a_sign_are_not_blown_up():
    relevance = np.abs(noise(3)) + 0.01
    relevance[::7] = -1e-8
    assert not sounds(word(), relevance, RATE, smoothing=0)["negative"].any()
    relevance[::7] = -0.01
    assert sounds(word(), relevance, RATE, smoothing=0)["negative"].any()


def test_relevance_of_silence_is_not_heard_as_something_else():
    relevance = np.zeros(RATE)
    relevance[:2000], relevance[3000:] = 1.0, 1e-7
    assert not sounds(word(), relevance, RATE, smoothing=0)["positive"].any()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_relevance_that_is_not_finite_is_refused(value):
    relevance = np.ones(RATE)
    relevance[17] = value
    with pytest.raises(Mistake, match="attribution"):
        sounds(word(), relevance, RATE)


@pytest.mark.parametrize("shape", [(RATE - 1,), (227, 226), (1, RATE), (1, 227, 227)])
def test_shapes_that_do_not_fit_are_refused(shape):
    with pytest.raises(ValueError):
        sounds(word(), np.ones(shape), RATE)


def test_inputs_stay_as_they_are():
    clip, relevance = word(), noise(4)
    copies = clip.copy(), relevance.copy()
    sounds(clip, relevance, RATE, smoothing=0.005)
    np.testing.assert_array_equal(clip, copies[0])
    np.testing.assert_array_equal(relevance, copies[1])


def test_smoothing_leaves_speech_under_an_envelope():
    clip = np.sin(2 * np.pi * 500 * TIME)
    relevance = np.abs(noise(5))
    crackling, smooth = (sounds(clip, relevance, RATE, smoothing)["positive"] for smoothing in (0.0, 0.005))
    beside = [energy(sound, 700, 4000) / energy(sound, 0, 4000) for sound in (crackling, smooth)]
    assert beside[0] > 0.1 and beside[1] < 0.001


def test_smoothing_averages_the_signs_together():
    relevance = np.where(np.arange(RATE) % 2, 1.0, -0.5)
    assert sounds(word(), relevance, RATE, smoothing=0)["negative"].any()
    assert not sounds(word(), relevance, RATE, smoothing=0.005)["negative"].any()


@pytest.mark.parametrize("clip", [word(), noise(6)], ids=["word", "noise"])
def test_gains_of_one_give_the_clip_back(clip):
    gain = on_transform(np.ones((227, 227)), RATE, RATE, None, None)
    assert gain.shape == (228, 229)
    np.testing.assert_allclose(heard(clip, gain), clip, atol=1e-12)
    found = sounds(clip, np.ones((227, 227)), RATE)
    np.testing.assert_allclose(found["positive"], found["original"], atol=1e-5)


def test_relevance_of_a_band_is_heard_in_that_band():
    front_end = DecibelSpectrogram(RATE)
    relevance = np.zeros((227, 227))
    relevance[(front_end.frequencies >= 1000) & (front_end.frequencies <= 1500)] = 1.0
    relevance[(front_end.frequencies >= 2500) & (front_end.frequencies <= 3000)] = -1.0
    found = sounds(noise(7), relevance, RATE)
    around = 2 * RATE / 455  # half the main lobe of a Hann window
    for name, low, high in (("positive", 1000, 1500), ("negative", 2500, 3000)):
        assert energy(inner(found[name]), low - around, high + around) > 0.999 * energy(inner(found[name]), 0, 4001)
    assert energy(found["original"], 0, 1000) > 0.2 * energy(found["original"], 0, 4001)


def test_relevance_of_a_moment_is_heard_in_that_moment():
    times = DecibelSpectrogram(RATE).times.numpy()
    relevance = np.zeros((227, 227))
    relevance[:, (times >= 0.4) & (times <= 0.6)] = 1.0
    sound = sounds(noise(8), relevance, RATE)["positive"] ** 2
    window = 455 / RATE
    assert sound[np.abs(TIME - 0.5) < 0.1 + window].sum() > 0.9999 * sound.sum()


def test_what_the_front_end_crops_is_heard_as_its_neighbour():
    gain = on_transform(np.arange(227 * 227.0).reshape(227, 227), RATE, RATE, None, None)
    np.testing.assert_allclose(gain[:227, 2:], np.arange(227 * 227.0).reshape(227, 227), rtol=1e-6, atol=0.01)
    np.testing.assert_allclose(gain[227], gain[226], atol=0.01)
    np.testing.assert_allclose(gain[:, :2], gain[:, [2, 2]], atol=0.01)


def test_spectrograms_of_other_front_ends_are_heard_too():
    frequencies, times = np.linspace(100, 3900, 39), np.linspace(0.05, 1.95, 20)  # coarser, and of two seconds
    relevance = np.zeros((39, 20))
    relevance[(frequencies >= 1000) & (frequencies <= 1500)] = 1.0
    clip = np.concatenate([noise(9), noise(10)])
    found = sounds(clip, relevance, RATE, frequencies=frequencies, times=times)
    assert found["positive"].shape == clip.shape
    assert energy(inner(found["positive"]), 880, 1620) > 0.99 * energy(inner(found["positive"]), 0, 4001)
    with pytest.raises(ValueError, match="frequencies and times"):
        sounds(clip, np.ones((227, 227)), RATE)
    with pytest.raises(ValueError):
        sounds(clip, relevance, RATE, frequencies=frequencies[1:], times=times)


def test_k_weighting_is_the_standard_s_table():
    # ITU-R BS.1770-4, tables 1 and 2, at 48 kHz
    shelf = [1.53512485958697, -2.69169618940638, 1.19839281085285, 1, -1.69065929318241, 0.73248077421585]
    highpass = [1, -2, 1, 1, -1.99004745483398, 0.99007225036621]
    np.testing.assert_allclose(k_weighting(48000), [shelf, highpass], atol=1e-7)


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_loudness_of_a_tone_is_the_standard_s(rate):
    tone = np.sin(2 * np.pi * 997 * np.arange(rate) / rate)
    # a full-scale tone in one channel reads -3.01 LKFS, of which -0.691 dB is the standard's constant
    assert 10 * np.log10(loudness(tone, rate)) - 0.691 == pytest.approx(-3.01, abs=0.05)
    assert decibels_apart(np.stack([tone, tone], 1), tone, rate) == pytest.approx(0, abs=1e-9)
    assert decibels_apart(np.stack([tone, 0 * tone], 1), tone, rate) == pytest.approx(-3.01, abs=0.01)


@pytest.mark.parametrize("rate", [100, 1000, 3363, 3364, 3365, 4000])
def test_k_weighting_is_stable_at_low_rates(rate):
    for section in k_weighting(rate):
        assert (np.abs(np.roots(section[3:])) < 1).all()


def test_loudness_does_not_count_silence_around_a_word():
    clip = word()
    assert decibels_apart(np.concatenate([clip, np.zeros(5 * RATE)]), clip) == pytest.approx(0, abs=1e-6)
    assert loudness(np.zeros(RATE), RATE) == 0


@pytest.mark.parametrize("samples", [1, 2, 30, 300])
def test_the_shortest_clips_are_heard(samples):
    found = sounds(np.full(samples, 0.5), np.ones(samples), RATE)
    assert all(len(sound) == samples and np.isfinite(sound).all() for sound in found.values())


@pytest.mark.parametrize("name", ["positive", "positive left, negative right"])
def test_a_wav_file_holds_what_is_heard(tmp_path, name):
    sound = sounds(word(), noise(11), RATE)[name]
    (tmp_path / "sound.wav").write_bytes(wav(sound, RATE))
    samples, rate = soundfile.read(tmp_path / "sound.wav", dtype="float32")
    assert rate == RATE and soundfile.info(tmp_path / "sound.wav").subtype == "PCM_16"
    np.testing.assert_allclose(samples, sound, atol=1 / 32768)
    assert (tmp_path / "sound.wav").read_bytes() == wav(sound, RATE)


@pytest.mark.real
def test_real_words_are_heard_at_their_own_level():
    speakers = sorted((SHARED / "data" / "audiomnist_az" / "data").glob("*"))[::20]
    if not speakers:
        pytest.skip("needs audiomnist_az in $AUSCULT_SHARED")
    for speaker in speakers:
        samples, rate = soundfile.read(min(speaker.glob("*.flac")))
        clip = soxr.resample(samples - samples.mean(), rate, RATE)[:RATE]
        clip = np.pad(clip, (0, RATE - len(clip)))
        _, _, transform = signal.stft(clip, RATE, nperseg=455, noverlap=420)
        relevance = np.abs(transform[:227, 2:229])  # loud bins are relevant
        for heatmap in (relevance, noise(12) * clip):
            found = sounds(clip, heatmap, RATE)
            levels = [decibels_apart(sound, found["original"]) for sound in found.values() if sound.any()]
            np.testing.assert_allclose(levels, 0, atol=0.01)
            assert max(np.abs(sound).max() for sound in found.values()) <= 0.97 + 1e-6


def test_relevance_of_frequencies_is_heard_at_them():
    """Of two tones one after the other, that with relevance is heard, where it sounds."""
    rate, seconds = 8000, np.arange(8000) / 8000
    first = np.where(seconds < 0.5, np.sin(2 * np.pi * 400 * seconds), 0)
    second = np.where(seconds >= 0.5, np.sin(2 * np.pi * 2000 * seconds), 0)
    relevance = np.zeros(4001)
    relevance[350:450], relevance[1950:2050] = 1, -1
    found = sounds(0.3 * (first + second), relevance, rate, is_spectrum=True)
    middle = slice(500, 3500)
    for name, tone, other in (("positive", first, second), ("negative", second, first)):
        where = middle if name == "positive" else slice(4500, 7500)
        heard = found[name][where]
        assert np.corrcoef(heard, tone[where])[0, 1] > 0.99
        assert np.abs(np.corrcoef(found[name], other)[0, 1]) < 0.05


def test_smoothed_relevance_of_samples_is_the_default_and_the_published_form_an_option():
    clip = np.sin(2 * np.pi * 500 * TIME)
    relevance = np.abs(noise(8))
    model = Model(torch.nn.Identity(), classes=["a"], sample_rate=RATE)
    for view, smoothing in ((View.of(model, (1, RATE)), 0.005), (View.of(model, (1, RATE), 0.0), 0.0)):
        heard = sounds_of(view, clip[None], relevance[None])["positive"]
        np.testing.assert_array_equal(heard, sounds(clip, relevance, RATE, smoothing)["positive"])
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(heard, sounds(clip, relevance, RATE)["positive"], atol=0.01)
