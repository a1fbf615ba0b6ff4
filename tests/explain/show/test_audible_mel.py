import numpy as np
from scipy import signal

from auscult.explain.show.audible import as_gain, heard, sounds
from auscult.modules.constant_q import ConstantQ
from auscult.modules.mel import LogMel


def mel_and_noise():
    front_end = LogMel(22050, 2.0)
    return front_end, np.random.default_rng(12).normal(0, 0.1, 44100)


def band_power(sound, low, high, rate=22050):
    frequency, power = signal.welch(sound, rate, nperseg=1024)
    return power[(frequency > low) & (frequency < high)].mean()


def test_evenly_relevant_mel_bands_sound_like_the_clip_between_them():
    front_end, clip = mel_and_noise()
    gain = as_gain(np.full((64, 64), 3.0), front_end, len(clip))
    transform = np.fft.rfftfreq(front_end.window, 1 / 22050)
    inside = (transform > 50) & (transform < 10900)
    np.testing.assert_allclose(gain[inside], 3.0)
    found = heard(clip, gain / 3.0, front_end.window, front_end.hop)
    middle = signal.sosfiltfilt(signal.butter(8, [100, 10000], "bandpass", fs=22050, output="sos"), found - clip)
    assert np.abs(middle[1000:-1000]).max() < 1e-3


def test_a_relevant_mel_band_is_heard_alone_and_when_it_is():
    front_end, clip = mel_and_noise()
    relevance = np.zeros((64, 64))
    relevance[40, 16:32], relevance[10, 40:48] = 1.0, -1.0  # the first half second of the second quarter, and later
    found = sounds(clip, relevance, 22050, front_end=front_end)
    low, high = front_end.frequencies[[39, 41]].tolist()
    assert band_power(found["positive"], low, high) > 1e3 * band_power(found["positive"], 1.3 * high, 11000)
    power = found["positive"] ** 2
    assert power[11025:22050].sum() > 0.95 * power.sum()
    low, high = front_end.frequencies[[9, 11]].tolist()
    assert band_power(found["negative"], low, high) > 1e3 * band_power(found["negative"], 2 * high, 11000)


def test_wide_bands_are_heard_as_much_as_narrow_ones():
    front_end, clip = mel_and_noise()
    relevance = np.zeros((64, 64))
    relevance[[10, 55]] = 1.0
    positive = sounds(clip, relevance, 22050, front_end=front_end)["positive"]
    low, high = (band_power(positive, *front_end.frequencies[[row, row + 1]].tolist()) for row in (10, 55))
    assert 0.3 < low / high < 3  # 17 dB apart if relevance were divided by the bands' widths


def test_constant_q_is_heard_at_its_frequencies():
    front_end = ConstantQ(22050, 4.0)
    clip = np.random.default_rng(13).normal(0, 0.1, 88200)  # a multiple of the transform's hop
    relevance = np.zeros((64, 64))
    relevance[40] = 1.0  # five octaves above 40 Hz
    axes = {"frequencies": front_end.frequencies.numpy(), "times": front_end.times.numpy()}
    positive = sounds(clip, relevance, 22050, **axes)["positive"]
    assert band_power(positive, 1230, 1330) > 1e3 * band_power(positive, 2000, 11000)
