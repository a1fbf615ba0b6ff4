import logging
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auscult.datamodules.audiomnist import PUBLISHED_FOLDS
from auscult.datamodules.clips import Clip
from auscult.datamodules.folds import speaker_groups, split
from auscult.mistake import Mistake, NoSuchFold


def corpus(speakers: dict[str, str], digits: str = "0123456789", takes: int = 2) -> list[Clip]:
    """Clips of speakers (name -> sex), each of whom says every digit."""
    return [
        Clip(f"{digit}_{speaker}_{take}.wav", speaker, {"digit": digit, "sex": sex} if sex else {"digit": digit})
        for speaker, sex in speakers.items()
        for digit in digits
        for take in range(takes)
    ]


def audiomnist() -> list[Clip]:
    return corpus({f"{number:02}": "male" for number in range(1, 61)}, takes=1)


def speakers_of(clips: list[Clip], part: np.ndarray) -> set[str]:
    return {clips[i].speaker for i in part}


# Read from the tables of the published folds, not from the rule: test, validation, train.
A = "28 56 07 19 35 01 06 16 23 34 46 53"
B = "36 57 09 24 37 02 08 17 29 39 48 54"
C = "43 58 14 25 38 03 10 20 30 40 49 55"
D = "12 47 59 15 27 41 04 11 21 31 44 50"
E = "26 52 60 18 32 42 05 13 22 33 45 51"
P, Q, R, S = "36 47 56 02 44 50", "26 12 57 25 37 45", "43 28 52 48 53 41", "58 59 60 07 23 38"
TABLES = [
    *(("digit", fold, *row) for fold, row in enumerate(
        [(E, D, A + " " + B + " " + C), (A, E, B + " " + C + " " + D), (B, A, C + " " + D + " " + E),
         (C, B, D + " " + E + " " + A), (D, C, E + " " + A + " " + B)])),
    *(("sex", fold, *row) for fold, row in enumerate(
        [(S, R, P + " " + Q), (P, S, Q + " " + R), (Q, P, R + " " + S), (R, Q, S + " " + P)])),
]  # fmt: skip


@pytest.mark.parametrize(("task", "fold", "test", "validation", "train"), TABLES)
def test_published_folds_are_those_of_the_tables(task: str, fold: int, test: str, validation: str, train: str) -> None:
    clips = [Clip(c.path, c.speaker, {task: c.labels["digit"]}) for c in audiomnist()]
    parts = split(clips, task, fold, published=PUBLISHED_FOLDS[task])
    assert speakers_of(clips, parts.test) == set(test.split())
    assert speakers_of(clips, parts.validation) == set(validation.split())
    assert speakers_of(clips, parts.train) == set(train.split())


@st.composite
def corpora(draw: st.DrawFn) -> list[Clip]:
    """Few or many speakers, balanced or not, some clips without the label, some speakers without a sex."""
    count, seed = draw(st.integers(3, 40)), draw(st.integers(0, 2**32 - 1))
    classes = draw(st.integers(2, 4))
    one_class_per_speaker = draw(st.booleans())
    rng = random.Random(seed)
    clips = []
    for speaker in range(count):
        sex = rng.choice([{}, {"sex": "male"}, {"sex": "female"}])
        own = str(rng.randrange(classes))
        for number in range(rng.randint(1, 12)):
            value = own if one_class_per_speaker else str(rng.randrange(classes))
            label = {} if rng.random() < 0.1 else {"digit": value}
            clips.append(Clip(f"{speaker}/{number}.wav", f"speaker {speaker}", {**label, **sex}))
    rng.shuffle(clips)
    return clips


@settings(max_examples=25, deadline=None)
@given(clips=corpora(), folds=st.integers(3, 8), balance=st.booleans(), seed=st.integers(0, 3))
def test_speakers_never_meet_and_every_clip_is_tested_once(
    clips: list[Clip], folds: int, balance: bool, seed: int
) -> None:
    options = {"folds": folds, "balance": balance, "seed": seed}
    try:
        groups = speaker_groups(clips, "digit", **options)
    except Mistake:
        by_class = {c.labels["digit"]: set() for c in clips if "digit" in c.labels}
        for clip in clips:
            if "digit" in clip.labels:
                by_class[clip.labels["digit"]].add(clip.speaker)
        assert balance or len(by_class) < 2 or min(map(len, by_class.values())) < 3
        return
    everyone = [speaker for group in groups for speaker in group]
    assert len(everyone) == len(set(everyone))
    assert 3 <= len(groups) <= folds and all(groups)
    labelled = {clip.speaker for clip in clips if "digit" in clip.labels}
    assert set(everyone) <= labelled
    if not balance:
        assert set(everyone) == labelled

    shuffled = random.Random(seed).sample(clips, len(clips))
    assert speaker_groups(shuffled, "digit", **options) == groups

    pool = {i for i, clip in enumerate(clips) if clip.speaker in everyone and "digit" in clip.labels}
    tested: Counter[int] = Counter()
    for fold in range(len(groups)):
        try:
            parts = split(clips, "digit", fold, **options)
        except Mistake:
            tested.update(i for i in pool if clips[i].speaker in groups[fold])
            continue
        parts_of_speakers = [speakers_of(clips, part) for part in (parts.train, parts.validation, parts.test)]
        assert sum(map(len, parts_of_speakers)) == len(set().union(*parts_of_speakers))
        assert sorted(np.concatenate([parts.train, parts.validation, parts.test])) == sorted(pool)
        assert {clips[i].labels["digit"] for i in parts.train} == {clips[i].labels["digit"] for i in pool}
        assert len(parts.validation) and len(parts.test)
        tested.update(parts.test.tolist())
    assert tested == Counter(pool)


def test_generated_folds_spread_classes_and_sexes() -> None:
    clips = corpus({f"m{i:02}": "male" for i in range(30)} | {f"f{i:02}": "female" for i in range(10)})
    for fold in range(5):
        test = [clips[i] for i in split(clips, "digit", fold).test]
        assert Counter(clip.labels["digit"] for clip in test) == dict.fromkeys("0123456789", 16)
        assert Counter(clip.labels["sex"] for clip in test) == {"male": 120, "female": 40}


def test_balanced_pool_has_as_many_speakers_of_each_class() -> None:
    clips = corpus({f"m{i:02}": "male" for i in range(30)} | {f"f{i:02}": "female" for i in range(10)} | {"x": ""})
    groups = speaker_groups(clips, "sex", folds=4, balance=True)
    assert Counter(speaker[0] for group in groups for speaker in group) == {"m": 10, "f": 10}
    for group in groups:
        assert abs(sum(1 if speaker[0] == "m" else -1 for speaker in group)) <= 1
    other_seed = speaker_groups(clips, "sex", folds=4, balance=True, seed=1)
    assert {s for group in groups for s in group} != {s for group in other_seed for s in group}


def test_as_many_folds_as_speakers(caplog: pytest.LogCaptureFixture) -> None:
    clips = corpus(dict.fromkeys("abcd", ""))
    assert sorted(speaker_groups(clips, "digit", folds=5)) == [["a"], ["b"], ["c"], ["d"]]
    assert "4 folds instead of 5" in caplog.text
    with pytest.raises(NoSuchFold, match=r"fold=4 does not exist: there are folds 0 to 3"):
        split(clips, "digit", 4, folds=5)


def test_clips_without_the_label_are_in_no_part() -> None:
    clips = [*corpus(dict.fromkeys("abcd", "")), Clip("other.wav", "a", {"sex": "male"})]
    parts = split(clips, "digit", 0)
    assert len(clips) - 1 not in np.concatenate([parts.train, parts.validation, parts.test])


@pytest.mark.parametrize("fold", [-1, 5, 9])
def test_a_fold_out_of_range(fold: int) -> None:
    with pytest.raises(NoSuchFold, match=rf"fold={fold} does not exist: there are folds 0 to 4"):
        split(audiomnist(), "digit", fold, published=PUBLISHED_FOLDS["digit"])


def test_the_group_after_may_validate(caplog: pytest.LogCaptureFixture) -> None:
    published = [["a"], ["b", "c"], ["d"], ["e"]]
    clips = corpus(dict.fromkeys("abcde", ""))
    options = {"published": published, "validates": 1, "first_fold": 1}
    for fold, test, validation, train in ((0, "a", "bc", "de"), (2, "d", "e", "abc"), (3, "e", "a", "bcd")):
        with caplog.at_level(logging.INFO):
            parts = split(clips, "digit", fold, **options)
        assert [speakers_of(clips, part) for part in (parts.test, parts.validation, parts.train)] == [
            set(test), set(validation), set(train),
        ]  # fmt: skip
    assert [record.message for record in caplog.records] == [
        "fold=0 tests on the published fold 1, validates on 2",
        "fold=2 tests on the published fold 3, validates on 4",
        "fold=3 tests on the published fold 4, validates on 1",
    ]
    with pytest.raises(NoSuchFold, match=r"fold=4 does not exist: .* 0 to 3, which are the published 1 to 4"):
        split(clips, "digit", 4, **options)


def test_published_folds_of_which_nothing_is_there(caplog: pytest.LogCaptureFixture) -> None:
    options = {"published": [["a"], ["b"], ["c"], ["d"]], "validates": 1, "first_fold": 1}
    clips = corpus(dict.fromkeys("abd", ""))
    split(clips, "digit", 0, **options)
    assert "data.root has no clips of the published fold 3: training does without it." in caplog.text
    for fold in (1, 2):
        with pytest.raises(Mistake, match=rf"for fold={fold}: it tests on the published fold {fold + 1} and validates"):
            split(clips, "digit", fold, **options)
    with pytest.raises(Mistake, match=r"none of the published folds' .*: data=folder reads recordings in any other"):
        split(corpus(dict.fromkeys("xyz", "")), "digit", 0, **options)


def test_messages_have_the_corpuss_word_for_speakers(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Mistake, match=r"too few sources for folds: .* comes from 2 of them, and 3 .*; add sources or"):
        split(corpus(dict.fromkeys("ab", "")), "digit", 0, unit="source")
    split(corpus(dict.fromkeys("abcd", "")), "digit", 0, unit="source")
    assert caplog.text.count("4 folds instead of 5: digit '0' has 4 sources") == 1


def test_too_few_speakers_or_classes() -> None:
    for speakers in ("a", "ab"):
        with pytest.raises(Mistake, match=rf"digit '0' comes from {len(speakers)} of them, and 3 are needed"):
            split(corpus(dict.fromkeys(speakers, "")), "digit", 0)
    with pytest.raises(Mistake, match="only the class 'male'"):
        split(corpus(dict.fromkeys("abcdef", "male")), "sex", 0, balance=True)
    with pytest.raises(Mistake, match="sex 'female' comes from 2"):
        split(corpus(dict.fromkeys("abcdef", "male") | dict.fromkeys("xy", "female")), "sex", 0, balance=True)
    some = dict.fromkeys("abc", "female") | {"x": "male"}  # of the few men, not of the women that balance leaves
    with pytest.raises(Mistake, match="sex 'male' comes from 1 of them"):
        split(corpus(some), "sex", 0, balance=True)
    with pytest.raises(Mistake, match="no class"):
        split([], "digit", 0)
    with pytest.raises(Mistake, match=r"task\.folds=2"):
        split(audiomnist(), "digit", 0, folds=2)


def test_published_folds_without_their_recordings() -> None:
    some = [clip for clip in audiomnist() if clip.speaker in E.split() + D.split()]
    with pytest.raises(Mistake, match=r"too few clips are left for fold=0: training has no clips"):
        split(some, "digit", 0, published=PUBLISHED_FOLDS["digit"])
    no_nines = [c for c in audiomnist() if c.labels["digit"] != "9" or c.speaker in E.split()]
    with pytest.raises(Mistake, match="training has no clips of digit 9"):
        split(no_nines, "digit", 0, published=PUBLISHED_FOLDS["digit"])


def test_a_part_without_a_class_is_told(caplog: pytest.LogCaptureFixture) -> None:
    clips = [c for c in audiomnist() if c.labels["digit"] != "9" or c.speaker not in E.split()]
    with caplog.at_level(logging.WARNING):
        split(clips, "digit", 0, published=PUBLISHED_FOLDS["digit"])
    assert "test has no clips of digit 9" in caplog.text
