from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.study.plan import Condition, Trial, trials_of

CONDITIONS = [
    Condition("visual", "lrp_epsilon_plus"),
    Condition("audible", "lrp_epsilon_plus"),
    Condition("audible", "random"),
    Condition("none", ""),
]
CLASSES = ["yes", "no"]


def plan(participant: int, right: int = 12, wrong: int = 8, training: int = 4, attention: int = 2) -> list[Trial]:
    is_right = [True] * training + [True] * right + [False] * wrong
    return trials_of(participant, is_right, CONDITIONS, CLASSES, training, attention, seed=0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 500), st.integers(1, 30), st.integers(0, 30), st.integers(0, 4), st.integers(0, 5))
def test_every_clip_comes_once_after_the_training(participant, right, wrong, training, attention):
    trials = plan(participant, right, wrong, training, attention)
    assert [trial.number for trial in trials] == list(range(len(trials)))
    blocks = [trial.block for trial in trials]
    assert blocks[:training] == ["training"] * training and "training" not in blocks[training:]
    assert sorted(trial.clip for trial in trials if trial.block == "main") == list(
        range(training, training + right + wrong)
    )
    checks = [trial for trial in trials if trial.block == "attention"]
    assert len(checks) == min(attention, right + wrong)
    assert all((trial.wanted in CLASSES) == (trial.block == "attention") for trial in trials)
    assert plan(participant, right, wrong, training, attention) == trials


@pytest.mark.parametrize("first", [0, 3, 8])
def test_conditions_are_counterbalanced(first):
    """Over as many participants as conditions, each clip once under each; alike within right and wrong ones, too."""
    met: Counter[tuple[int, str]] = Counter()
    for participant in range(first, first + len(CONDITIONS)):
        main = [trial for trial in plan(participant) if trial.block == "main"]
        met.update((trial.clip, trial.condition.name) for trial in main)
        for clips in (range(4, 16), range(16, 24)):
            counts = Counter(trial.condition.name for trial in main if trial.clip in clips)
            assert set(counts.values()) == {len(clips) // len(CONDITIONS)}
    assert set(met.values()) == {1} and len(met) == 20 * len(CONDITIONS)


def test_orders_are_the_participants_own():
    orders = {tuple(trial.clip for trial in plan(participant) if trial.block == "main") for participant in range(20)}
    assert len(orders) == 20
    first = Counter(plan(participant, training=0)[0].condition.name for participant in range(400))
    assert min(first.values()) > 60  # no condition is always first


def test_names_tell_conditions_apart():
    assert [condition.name for condition in CONDITIONS] == [
        "visual/lrp_epsilon_plus", "audible/lrp_epsilon_plus", "audible/random", "none"
    ]  # fmt: skip
