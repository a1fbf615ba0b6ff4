from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from auscult.intervals import DIFFERENCE, POSITIVE, SHARE, SpeakerIntervals

SIMULATIONS = 2000


def clips_of(speakers: int, generator: np.random.Generator) -> np.ndarray:
    """How many clips each speaker has: from a few to a hundred."""
    return np.clip(np.exp(generator.normal(3, 0.6, speakers)).round().astype(int), 4, 100)


def simulated(kind: str, clips: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, float]:
    """A value per clip in each simulation, (N, SIMULATIONS), of speakers drawn anew each time; and the true mean."""
    if kind == "normal":
        own = np.repeat(generator.standard_normal((len(clips), SIMULATIONS)), clips, axis=0)
        return own + 2 * generator.standard_normal(own.shape), 0.0
    if kind == "ratio":  # most are near 1, few are many times as large
        own = np.repeat(np.exp(0.4 * generator.standard_normal((len(clips), SIMULATIONS))), clips, axis=0)
        return own * np.exp(0.3 * generator.standard_normal(own.shape)), float(np.exp((0.4**2 + 0.3**2) / 2))
    mean, spread = {
        "accuracy 0.9": (0.9, 0.08),
        "accuracy 0.97": (0.97, 0.03),
        "probability 0.9": (0.9, 0.08),
        "uneven": (0.97, 0.06),
    }[kind]
    size = mean * (1 - mean) / spread**2 - 1
    own = generator.beta(mean * size, (1 - mean) * size, (len(clips), SIMULATIONS))
    own = np.repeat(own, clips, axis=0)
    return (own if kind.startswith("probability") else generator.random(own.shape) < own), mean


@pytest.mark.slow
@pytest.mark.parametrize("speakers", [5, 8, 11, 20, 30])
@pytest.mark.parametrize("kind", ["normal", "accuracy 0.9", "accuracy 0.97", "probability 0.9", "uneven", "ratio"])
def test_intervals_cover_what_they_claim(kind: str, speakers: int) -> None:
    """92 to 97 % of them hold the truth; more where few speakers are mostly at an end, less where many are uneven."""
    generator = np.random.default_rng(speakers)
    covered = []
    for _ in range(3):  # other numbers of clips
        clips = clips_of(speakers, generator)
        values, truth = simulated(kind, clips, generator)
        intervals = SpeakerIntervals(np.repeat(np.arange(speakers).astype(str), clips).tolist())
        low, high = intervals.of_mean(values, {"normal": None, "ratio": POSITIVE}.get(kind, SHARE))
        said = ~np.isnan(low)
        assert said.mean() > 0.99
        covered.append(np.mean((low <= truth) & (truth <= high), where=said))
    few = {"accuracy 0.9": 5, "accuracy 0.97": 11, "uneven": 11}.get(kind, 0)
    least = 0.88 if kind == "uneven" else 0.92
    assert least <= np.mean(covered) <= (0.995 if speakers <= few else 0.97), covered


def test_without_bounds_and_with_equal_clips_it_is_students():
    values = np.random.default_rng(0).standard_normal(60) + np.repeat(np.arange(6), 10)
    speakers = np.repeat(list("abcdef"), 10).tolist()
    expected = stats.ttest_1samp(values.reshape(6, 10).mean(1), 0)
    found = SpeakerIntervals(speakers)
    np.testing.assert_allclose(found.of_mean(values, None), expected.confidence_interval())
    assert found.p_values(values) == pytest.approx(expected.pvalue)


def test_unequal_clips_count_as_they_are_and_speakers_are_left_out_one_by_one():
    names, values = ["a"] * 5 + ["b"] * 2 + ["c"] * 3, np.array([1, 1, 0, 1, 1, 0, 0, 1, 1, 0.0])
    means = [values[[name != left for name in names]].mean() for left in "abc"]
    error = np.sqrt(2 / 3 * np.square(means - np.mean(means)).sum())
    freedom = 1 / (0.5**2 + 0.2**2 + 0.3**2) - 1
    logit, reach = np.log(0.6 / 0.4), stats.t.ppf(0.975, freedom) * error / (0.6 * 0.4)
    expected = [1 / (1 + np.exp(-logit - sign * reach)) for sign in (-1, 1)]
    np.testing.assert_allclose(SpeakerIntervals(names).of_mean(values), expected)


def test_bounds_move_the_interval_with_them():
    """A difference of shares, from -1 to 1, is a share of that range."""
    names, values = [f"s{number % 5}" for number in range(40)], np.random.default_rng(1).random(40)
    intervals = SpeakerIntervals(names)
    of_shares, of_differences = intervals.of_mean(values), intervals.of_mean(2 * values - 1, DIFFERENCE)
    np.testing.assert_allclose(of_differences, [2 * end - 1 for end in of_shares])
    np.testing.assert_allclose(intervals.of_mean(1 - values), [1 - end for end in of_shares[::-1]])


def test_all_right_is_not_certain():
    """Of eight speakers all are right: Wilson's bound for 8 of 8, by Student's quantile."""
    low, high = SpeakerIntervals([str(number % 8) for number in range(80)]).of_mean(np.ones(80))
    quantile = stats.t.ppf(0.975, 7)
    assert (low, high) == (pytest.approx(8 / (8 + quantile**2)), 1)
    low, high = SpeakerIntervals([str(number % 8) for number in range(80)]).of_mean(np.zeros(80))
    assert (low, high) == (0, pytest.approx(quantile**2 / (8 + quantile**2)))


def test_a_speakers_clips_are_no_independent_evidence():
    names, values = [f"s{number % 7}" for number in range(30)], np.random.default_rng(2).random(30)
    once, ten_times = SpeakerIntervals(names).of_mean(values), SpeakerIntervals(names * 10).of_mean(np.tile(values, 10))
    np.testing.assert_allclose(once, ten_times)


def test_columns_are_as_one_by_one():
    names, values = [f"s{number % 7}" for number in range(30)], np.random.default_rng(3).random((30, 2, 3))
    low, high = SpeakerIntervals(names).of_mean(values)
    assert low.shape == high.shape == (2, 3)
    np.testing.assert_allclose((low[1, 2], high[1, 2]), SpeakerIntervals(names).of_mean(values[:, 1, 2]))


@pytest.mark.parametrize("speakers", [["me"] * 6, ["me"] * 99 + ["you"]])
def test_too_few_speakers_give_no_interval(speakers):
    """One, or one and hardly another."""
    values = np.random.default_rng(4).random(len(speakers))
    intervals = SpeakerIntervals(speakers)
    assert np.isnan(intervals.of_mean(values)).all() and np.isnan(intervals.p_values(values))
    assert intervals.described("accuracy", values) == {"accuracy": pytest.approx(values.mean())}


def test_a_metric_comes_with_its_interval():
    names, values = [f"s{number % 7}" for number in range(30)], np.random.default_rng(5).random(30)
    said = SpeakerIntervals(names).described("accuracy", values)
    assert list(said) == ["accuracy", "accuracy_low", "accuracy_high"]
    assert said["accuracy_low"] < said["accuracy"] < said["accuracy_high"]


def test_where_all_speakers_agree_the_sign_test_stands_in():
    """By hand: the chance that four speakers are all on one side is 2 / 2^4, whether their clips differ or not."""
    intervals = SpeakerIntervals(list("aabbccdd"))
    alike, by_luck, none = np.full(8, 0.3), np.tile([0.0, 1.0], 4), np.tile([-1.0, 1.0], 4)
    assert intervals.p_values(np.stack([alike, by_luck, none], 1)) == pytest.approx([0.125, 0.125, 1.0])


def test_ratios_have_intervals_above_zero():
    speakers, values = list("abcd"), np.array([0.2, 0.5, 30.0, 1.0])
    low, high = SpeakerIntervals(speakers).of_mean(values, POSITIVE)
    assert 0 < low < values.mean() < high and low * high == pytest.approx(values.mean() ** 2)
    assert SpeakerIntervals(speakers).of_mean(np.zeros(4), POSITIVE) == (pytest.approx(0), pytest.approx(0))


def scored(speakers: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Speaker, label and score of clips whose speakers differ in how loud they score each label."""
    speaker = np.repeat(np.arange(speakers), clips_of(speakers, generator))
    label = (generator.random(len(speaker)) < 0.3).astype(int)
    shift = 0.7 * generator.standard_normal((2, speakers))
    return speaker, label, 1.2 * label + shift[label, speaker] + generator.standard_normal(len(speaker))


STATISTICS = {
    "balanced accuracy": lambda label, score: metrics.balanced_accuracy_score(label, score > 0.6),
    "area under the curve": metrics.roc_auc_score,
    "average precision": metrics.average_precision_score,
    "f1": lambda label, score: metrics.f1_score(label, score > 0.6),
    "correlation": lambda label, score: np.corrcoef(label, score)[0, 1],
}


def of_clips(of: Any, label: np.ndarray, score: np.ndarray, clips: np.ndarray) -> float:
    return of(label[clips], score[clips])


@pytest.mark.slow
@pytest.mark.parametrize("speakers", [5, 8, 15, 30])
def test_intervals_of_statistics_cover_what_they_claim(speakers: int) -> None:
    generator = np.random.default_rng(speakers)
    _, label, score = scored(5000, generator)
    truth = {name: of(label, score) for name, of in STATISTICS.items()}
    covered: dict[str, list[bool]] = {name: [] for name in STATISTICS}
    for _ in range(300):
        speaker, label, score = scored(speakers, generator)
        intervals = SpeakerIntervals(speaker.astype(str).tolist())
        for name, of in STATISTICS.items():
            bounds = DIFFERENCE if name == "correlation" else SHARE
            asked = partial(of_clips, of, label, score)
            _, low, high = intervals.of_statistic(asked, bounds)
            covered[name].append(low <= truth[name] <= high)
    for name, held in covered.items():
        assert 0.9 <= np.mean(held) <= 0.99, (name, np.mean(held))  # 300 draws of 0.95: 0.92 to 0.975


@pytest.mark.parametrize("bounds", [SHARE, POSITIVE, DIFFERENCE, None])
def test_a_mean_as_a_statistic_has_the_same_interval(bounds):
    names, values = [f"s{number % 7}" for number in range(33)], np.random.default_rng(6).random(33)
    intervals = SpeakerIntervals(names)
    mean, low, high = intervals.of_statistic(lambda clips: values[clips].mean(), bounds)
    np.testing.assert_allclose((mean, low, high), (values.mean(), *intervals.of_mean(values, bounds)))


def test_many_speakers_are_left_out_in_groups():
    generator = np.random.default_rng(7)
    own = generator.beta(8, 2, 400)
    values = (generator.random(4000) < np.repeat(own, 10)).astype(float)
    intervals = SpeakerIntervals(np.repeat(np.arange(400).astype(str), 10).tolist())
    asked = []

    def mean(clips):
        asked.append(len(clips))
        return values[clips].mean()

    _, low, high = intervals.of_statistic(mean)
    assert len(asked) == 51
    exact = intervals.of_mean(values)
    assert high - low == pytest.approx(exact[1] - exact[0], rel=0.35)


def test_what_is_not_known_without_a_speaker_has_no_interval():
    names, labels = ["a"] * 4 + ["b"] * 4 + ["c"] * 4, np.repeat([1.0, 0.0, 0.0], 4)
    score = np.random.default_rng(8).random(12)

    def of(clips):
        known = np.ptp(labels[clips]) > 0
        return metrics.roc_auc_score(labels[clips], score[clips]) if known else np.nan

    said = SpeakerIntervals(names).described_statistic("auc", of)
    assert said == {"auc": pytest.approx(metrics.roc_auc_score(labels, score))}
    assert SpeakerIntervals(["me"] * 12).described_statistic("auc", of).keys() == {"auc"}
