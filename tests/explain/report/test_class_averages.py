import numpy as np
import pytest

from auscult.datamodules.recording import ClipSettings, prepare
from auscult.explain.report.class_averages import (
    LEAD_SECONDS,
    aligned,
    class_averages,
    for_average,
    onset_of,
    sound_of,
)
from auscult.explain.waveform import clip_of
from auscult.modules.audiomnist_front_ends import DecibelSpectrogram
from tests.explain.small_results import (
    COLUMNS,
    FREQUENCIES,
    RATE,
    ROWS,
    SILENCE,
    TIMES,
    clip,
    small_results,
    small_view,
    wave_view,
)

SAMPLES = np.arange(8000) / 8000


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("start", [0, 100, 3000, 7000])
def test_averages_begin_at_the_onset_and_count_every_clip_alike(start, scale):
    waveform, lead = np.zeros(8000), round(LEAD_SECONDS * 8000)
    waveform[start : start + 1000] = 0.1
    relevance = scale * np.where(waveform != 0, 1.0, 0.0)
    shifted = for_average(relevance, onset_of(waveform, 8000), SAMPLES)
    np.testing.assert_allclose(shifted[lead : lead + 1000], 0.001)
    assert shifted.sum() == pytest.approx(1)
    assert not for_average(np.zeros(8000), onset_of(waveform, 8000), SAMPLES).any()


def test_averages_of_spectrograms_begin_at_the_onset():
    spectrograms, times = [], DecibelSpectrogram(8000).times.numpy()
    for start in (1400, 3500):  # whole frames apart
        relevance = np.zeros((227, 227))
        relevance[30, start // 35 - 2 : start // 35 + 8] = [*range(1, 11)]
        spectrograms.append(for_average(relevance, start / 8000, times))
    np.testing.assert_array_equal(*spectrograms)
    onset = spectrograms[0][30].nonzero()[0][0] * 35 / 8000
    assert onset == pytest.approx(LEAD_SECONDS, abs=35 / 8000)


@pytest.mark.parametrize(("onset", "shift"), [(0.0, 0), (0.3, 3), (0.31, 3), (5.0, 10)])
def test_what_comes_from_beyond_the_clip_is_as_it_is_outside(onset, shift):
    values = np.arange(1.0, 41).reshape(4, 10)
    expected = np.concatenate([values[:, shift:], np.full((4, shift), -7.0)], axis=1)
    np.testing.assert_array_equal(aligned(values, onset, TIMES, -7.0), expected)
    late = aligned(values, 0.0, TIMES + onset, -7.0)  # the first column lies after the onset
    expected = np.concatenate([np.full((4, shift), -7.0), values[:, : 10 - shift]], axis=1)
    np.testing.assert_array_equal(late, expected)


def test_right_and_wrong_predictions_are_averaged_apart(tmp_path):
    onsets, label, said = [0.0, 0.2, 0.5, 0.3, 0.1], [0, 0, 0, 1, 0], [0, 0, 1, 1, 0]
    pattern = np.random.default_rng(0).standard_normal((5, ROWS, 2))  # of 0.2 s, from the onset
    relevance = np.zeros((5, ROWS, COLUMNS))
    for row, onset in enumerate(onsets):
        relevance[row, :, round(10 * onset) : round(10 * onset) + 2] = pattern[row]
    probability = np.eye(3)[said].tolist()
    waveforms = [clip(onset, level=0.1 * (row + 1)) for row, onset in enumerate(onsets)]
    results = small_results(tmp_path, relevance, label, probability, ["a", "b", "c"], waveforms)
    averages = class_averages(results, small_view())

    normal = pattern / np.abs(pattern).sum((1, 2), keepdims=True)
    groups = {(0, 0): [0, 1, 4], (0, 1): [2], (1, 0): [3]}
    assert averages.clips.tolist() == [[3, 1], [1, 0], [0, 0]]
    for group in np.ndindex(3, 2):
        members = groups.get(group, [])
        expected, shown = np.zeros((ROWS, COLUMNS)), np.zeros((ROWS, COLUMNS))
        if members:
            expected[:, :2] = normal[members].mean(0)
            shown[:, :2], shown[:, 2:] = np.mean([0.1 * (row + 1) for row in members]), SILENCE
        np.testing.assert_allclose(averages.relevance[group], expected, atol=1e-7)
        np.testing.assert_allclose(averages.spectrogram[group], shown, atol=1e-4)
    positive = pattern.clip(0) / pattern.clip(0).sum((1, 2), keepdims=True)
    assert averages.in_frequency is not None and averages.in_time is not None
    np.testing.assert_allclose(averages.in_frequency.shares, positive.sum(2), atol=1e-6)
    np.testing.assert_allclose(averages.in_time.shares[:, :2], positive.sum(1), atol=1e-6)
    assert averages.in_frequency.even.tolist() == [[1 / ROWS] * ROWS] * 5
    sounding = [1 / 3] * 3 + [0] * (COLUMNS - 3)  # until 0.2 s after the onset: places -0.03, 0.07 and 0.17 s
    np.testing.assert_allclose(averages.in_time.even, [sounding] * 5, err_msg="for each clip by itself")
    np.testing.assert_allclose(averages.onsets, onsets)
    np.testing.assert_allclose(averages.places, TIMES - LEAD_SECONDS)
    assert averages.frequencies is not None and averages.frequencies.tolist() == FREQUENCIES.tolist()


def test_batches_make_no_difference(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    waveforms = [clip(onset) for onset in random.uniform(0, 0.7, 20)]
    label, probability = random.integers(0, 2, 20).tolist(), random.dirichlet((1, 1), 20).tolist()
    results = small_results(
        tmp_path, random.standard_normal((20, ROWS, COLUMNS)), label, probability, ["a", "b"], waveforms
    )
    whole = class_averages(results, small_view())
    monkeypatch.setattr("auscult.explain.relevance.results.BATCH", 3)
    parts = class_averages(results, small_view())
    np.testing.assert_allclose(parts.relevance, whole.relevance)
    np.testing.assert_allclose(parts.spectrogram, whole.spectrogram)


def test_waveforms_have_relevance_in_time_only(tmp_path):
    relevance = np.zeros((2, RATE))
    relevance[0, 300:400], relevance[1, 500:600] = 1.0, 3.0
    waveforms = [clip(0.3), clip(0.5)]
    results = small_results(tmp_path, relevance, [0, 0], [[0.9, 0.1]] * 2, ["a", "b"], waveforms)
    averages = class_averages(results, wave_view())
    expected = np.zeros(RATE)
    expected[30:130] = 0.01  # from the onset, 30 ms after the start
    np.testing.assert_allclose(averages.relevance[0, 0], expected)
    assert averages.spectrogram is None and averages.in_frequency is None and averages.in_time is not None
    cells = averages.in_time.places  # of 10 ms
    np.testing.assert_allclose(cells, np.arange(100) / 100 + 0.0045 - LEAD_SECONDS)
    np.testing.assert_allclose(averages.in_time.shares, [np.where((cells > 0) & (cells < 0.1), 0.1, 0)] * 2, atol=1e-6)
    assert averages.places[0] == -LEAD_SECONDS and averages.places[1] - averages.places[0] == pytest.approx(1 / RATE)


@pytest.mark.parametrize("offset", [0.0, 0.3])
@pytest.mark.parametrize("noise", [0.0, 1e-4, 4e-3])
def test_the_onset_is_that_of_the_sound_and_not_of_the_room(noise, offset):
    """A word behind half a second of a room, 28 dB softer or more, with an offset and rumble."""
    generator = np.random.default_rng(0)
    waveform = offset + noise * generator.standard_normal(16000)
    waveform += 0.05 * np.sin(2 * np.pi * 8 * np.arange(16000) / 16000)
    waveform[8000:12000] += 0.1 * generator.standard_normal(4000)
    assert onset_of(waveform, 16000, is_trimmed=False) == pytest.approx(0.5, abs=0.025)
    assert sound_of(waveform, 16000, is_trimmed=False) == pytest.approx(0.25, abs=0.05)
    cancelling = np.stack([waveform, -waveform])
    assert onset_of(cancelling, 16000, is_trimmed=False) == onset_of(waveform, 16000, is_trimmed=False)


def test_an_untrimmed_clip_sounds_where_trimming_would_cut_it():
    settings = ClipSettings(sample_rate=8000)
    generator = np.random.default_rng(1)
    for _ in range(20):
        envelope = np.interp(np.arange(12000), [0, 3000, 5000, 9000, 12000], [0.001, 0.001, 0.3, 0.01, 0.001])
        recording = (envelope * generator.standard_normal(12000)).astype(np.float32)[:, None]
        clip, _ = clip_of(recording, 8000, settings)
        trimmed = prepare(recording, 8000, settings)
        begin, length = trimmed.start / 8000, trimmed.samples.shape[1] / 8000
        assert onset_of(recording[:, 0], 8000, is_trimmed=False) == pytest.approx(begin)
        assert sound_of(recording[:, 0], 8000, is_trimmed=False) == pytest.approx(length, abs=0.001)
        assert onset_of(clip[0], 8000) == np.flatnonzero(clip[0])[0] / 8000
