import numpy as np

from src.explain.bootstrap import SpeakerBootstrap


def clips(speakers: int = 12, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Speakers with 1 to 9 clips each, and a value per clip that hangs on the speaker."""
    generator = np.random.default_rng(seed)
    names = np.repeat([f"speaker {n}" for n in range(speakers)], generator.integers(1, 10, speakers))
    generator.shuffle(names)
    ability = {name: generator.random() for name in np.unique(names)}
    return list(names), np.array([ability[name] + 0.1 * generator.standard_normal() for name in names])


def test_interval_is_that_of_resampling_speakers_one_by_one():
    names, values = clips()
    generator = np.random.default_rng(1)
    of_speaker = {name: values[np.array(names) == name] for name in set(names)}
    means = []
    for _ in range(20_000):
        drawn = generator.choice(sorted(of_speaker), len(of_speaker))
        means.append(np.concatenate([of_speaker[name] for name in drawn]).mean())
    bootstrap = SpeakerBootstrap(names, resamples=20_000)
    expected = np.percentile(means, [2.5, 97.5])
    np.testing.assert_allclose(bootstrap.interval(bootstrap.means(values)), expected, atol=0.02 * np.ptp(expected))


def test_columns_are_resampled_together():
    names, values = clips()
    bootstrap = SpeakerBootstrap(names)
    both = bootstrap.means(np.stack([values, values**2, values + 3], axis=1))  # (R, 3)
    np.testing.assert_allclose(both[:, 0], bootstrap.means(values))
    np.testing.assert_allclose(both[:, 2] - both[:, 0], 3)
    assert both.shape == (1000, 3)


def test_a_speakers_clips_are_no_independent_evidence():
    names, values = clips()
    once = SpeakerBootstrap(names)
    ten_times = SpeakerBootstrap(names * 10)
    np.testing.assert_allclose(
        once.interval(once.means(values)), ten_times.interval(ten_times.means(np.tile(values, 10)))
    )


def test_seed_decides_the_draws():
    names, values = clips()
    first, second, third = (SpeakerBootstrap(names, seed=seed).means(values) for seed in (0, 0, 1))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, third)


def test_one_speaker_gives_no_interval():
    bootstrap = SpeakerBootstrap(["me"] * 5)
    assert np.isnan(bootstrap.interval(bootstrap.means(np.arange(5)))).all()
    assert bootstrap.described("accuracy", 0.5, bootstrap.means(np.arange(5))) == {"accuracy": 0.5}


def test_a_metric_comes_with_its_interval():
    names, values = clips()
    bootstrap = SpeakerBootstrap(names)
    metrics = bootstrap.described("accuracy", values.mean(), bootstrap.means(values))
    assert list(metrics) == ["accuracy", "accuracy_low", "accuracy_high"]
    assert metrics["accuracy"] == values.mean()
    assert metrics["accuracy_low"] < metrics["accuracy"] < metrics["accuracy_high"]
