from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auscult.study.plan import Condition, Plan, StudyClip, Trial, first_pair

CONDITIONS = [
    Condition("visual", "lrp_epsilon_plus"),
    Condition("audible", "lrp_epsilon_plus"),
    Condition("audible", "random"),
    Condition("none", ""),
]
CLASSES = ["yes", "no"]


def clips_of(right: int, wrong: int, checkpoint: str = "one.ckpt") -> list[StudyClip]:
    """Right and wrong clips by turns, as a study has them."""
    kinds = sorted([*((n, "yes") for n in range(right)), *((n, "no") for n in range(wrong))])
    return [StudyClip(f"{n}-{prediction}.wav", "yes", prediction, checkpoint, {}) for n, prediction in kinds]


def trials(
    participant: int, right: int = 12, wrong: int = 8, training: int = 4, attention: int = 2, turn: int | None = None
) -> list[Trial]:
    clips = clips_of(training, 0) + clips_of(right, wrong)
    plan = Plan(clips, CONDITIONS, CLASSES, training, attention, seed=0)
    return plan.trials(participant, participant % len(CONDITIONS) if turn is None else turn)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 500), st.integers(1, 30), st.integers(0, 30), st.integers(0, 4), st.integers(0, 5))
def test_every_clip_comes_once_after_the_training(participant, right, wrong, training, attention):
    own = trials(participant, right, wrong, training, attention)
    assert [trial.number for trial in own] == list(range(len(own)))
    blocks = [trial.block for trial in own]
    assert blocks[:training] == ["training"] * training and "training" not in blocks[training:]
    assert sorted(trial.clip for trial in own if trial.block == "main") == list(
        range(training, training + right + wrong)
    )
    checks = [trial for trial in own if trial.block == "attention"]
    assert len(checks) == min(attention, right + wrong)
    assert all((trial.wanted in CLASSES) == (trial.block == "attention") for trial in own)
    assert trials(participant, right, wrong, training, attention) == own


@pytest.mark.parametrize(("right", "wrong"), [(12, 8), (10, 10), (7, 3), (18, 2), (5, 0)])
def test_conditions_are_counterbalanced(right, wrong):
    """In as many turns as conditions, each clip comes once under each. A turn has each equally often in each kind."""
    met: Counter[tuple[int, str]] = Counter()
    is_right = [clip.is_right for clip in clips_of(4, 0) + clips_of(right, wrong)]
    for turn in range(len(CONDITIONS)):
        main = [trial for trial in trials(7, right, wrong, turn=turn) if trial.block == "main"]
        met.update((trial.clip, trial.condition.name) for trial in main)
        for kinds in ((True,), (False,), (True, False)):
            counts = Counter(trial.condition.name for trial in main if is_right[trial.clip] in kinds)
            each = [counts[condition.name] for condition in CONDITIONS]
            assert max(each) - min(each) <= 1
    assert set(met.values()) == {1} and len(met) == (right + wrong) * len(CONDITIONS)


def test_conditions_are_counterbalanced_within_each_network():
    clips = [clip for pair in zip(clips_of(6, 6, "one"), clips_of(6, 6, "two"), strict=True) for clip in pair]
    for turn in range(4):
        main = Plan(clips, CONDITIONS, CLASSES, 0, 0, seed=0).trials(3, turn)
        for network in ("one", "two"):
            counts = Counter(trial.condition.name for trial in main if clips[trial.clip].checkpoint == network)
            assert set(counts.values()) == {3}


def test_orders_are_the_participants_own():
    orders = {tuple(trial.clip for trial in trials(participant) if trial.block == "main") for participant in range(20)}
    assert len(orders) == 20
    first = Counter(trials(participant, training=0)[0].condition.name for participant in range(400))
    assert min(first.values()) > 60  # no condition is always first


def test_practice_does_not_depend_on_the_turn():
    for participant in range(8):
        practice = [trials(participant, turn=turn)[:4] for turn in range(4)]
        assert practice[0] == practice[1] == practice[2] == practice[3]


def test_attention_checks_ask_for_what_nobody_would_name():
    clips = [StudyClip("0.wav", "one", "two", "", {}), *clips_of(3, 0), StudyClip("4.wav", "one", "two", "", {})]
    for participant in range(30):
        own = Plan(clips, CONDITIONS, ["one", "two", "three", "yes", "no"], 1, 2, seed=0).trials(participant, 0)
        checks = [trial for trial in own if trial.block == "attention"]
        assert len(checks) == 2 and {trial.wanted for trial in checks} <= {"three", "yes", "no"}
    for trial in trials(0):  # of two classes, and the network right: the other one
        assert trial.wanted in (None, "no")


def test_names_tell_conditions_apart():
    assert [condition.name for condition in CONDITIONS] == [
        "visual/lrp_epsilon_plus", "audible/lrp_epsilon_plus", "audible/random", "none"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (["visual/a", "audible/b", "visual/b", "audible/a"], [["audible/a", "visual/a"]]),
        (["none", "visual/a", "audible/b", "visual/b"], [["audible/b", "visual/b"]]),
        (["both/a", "none", "visual/a"], [["both/a", "none"]]),
        (["both/a"], []),
    ],
)
def test_a_study_is_for_what_is_heard_against_what_is_seen(conditions, expected):
    assert first_pair(conditions) == expected
