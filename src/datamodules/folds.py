"""Which speakers train, validate and test: never the same ones.

Fold f tests on group f of speakers, validates on the group before it (modulo the number of groups) and trains on the
rest, as in the published folds of AudioMNIST; or it validates on the group after it, or on the one that it tests on,
where the corpus says so. Where clips are cut from longer recordings, those are what is called speakers here.
"""

import logging
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from auscult.datamodules.clips import OTHERS, Clip
from auscult.mistake import Mistake, NoSuchFold, TooFewSpeakers

log = logging.getLogger(__name__)

LEAST_SPEAKERS = 3  # of a class: one each to train, validate and test
ATTEMPTS = 10  # at groups that all hold every class


class Split(NamedTuple):
    """Positions in the list of clips, ascending, (N,) int64 each."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split(
    clips: Sequence[Clip],
    label: str,
    fold: int,
    folds: int = 5,
    published: Sequence[Sequence[str]] | None = None,
    balance: bool = False,
    seed: int = 0,
    unit: str = "speaker",
    validates: int = -1,
    first_fold: int = 0,
    undivided: Callable[[str], str] = str,
) -> Split:
    """One fold of the clips that carry `label`. The arguments are `speaker_groups`' own, `fold` from 0, and `Corpus`'s.

    Published folds are tested as they are. Where a recording is in the one that is tested and in others, its clips in
    those take no part; likewise those in training folds of a recording that validates.

    Raises:
        NoSuchFold: `fold` is not one of the groups.
        Mistake: too few speakers (see `speaker_groups`), or too few clips left for the fold.
    """
    with unsaid():  # first: to make the groups takes a while
        pool = _pool(clips, label, balance, seed)
        last = (_possible_folds(pool, label, folds, unit) if published is None else len(published)) - 1
    if not 0 <= fold <= last:
        known_as = f", which are the published {first_fold} to {first_fold + last}" if first_fold else ""
        raise NoSuchFold(f"fold={fold} does not exist: there are folds 0 to {last}{known_as}.")
    groups = speaker_groups(clips, label, folds, published, balance, seed, unit)
    validation_fold = (fold + validates) % len(groups)
    group_of = {speaker: number for number, group in enumerate(groups) for speaker in group}
    group = np.array([group_of.get(clip.speaker, -1) if label in clip.labels else -1 for clip in clips])
    if published is not None:
        _check_published(group, len(groups), fold, validation_fold, first_fold)
    test, validation = group == fold, group == validation_fold
    train = (group >= 0) & ~test & ~validation
    whole = np.array([undivided(clip.speaker) for clip in clips])
    kept = ~np.isin(whole, whole[test])
    if validation_fold != fold:
        validation = validation & kept
    train = train & kept & ~np.isin(whole, whole[validation])
    if len(out := np.flatnonzero((group >= 0) & ~test & ~validation & ~train)):
        names = ", ".join(sorted(set(whole[out])))
        log.info(
            "fold=%d leaves out %d clips of training or validation folds: the %ss %s, of which they are, lie in the"
            " tested or validating fold, too", fold, len(out), unit, names,
        )  # fmt: skip
    result = Split(*(np.flatnonzero(part) for part in (train, validation, test)))
    _check(result, clips, label, fold)
    return result


def split_of(clips: Sequence[Clip], label: str, speakers: Mapping[str, Sequence[str]]) -> Split:
    """The clips that carry `label`, of the given speakers: {"train": ..., "validation": ..., "test": ...}."""
    parts = [set(speakers[name]) for name in ("train", "validation", "test")]
    positions = [[i for i, clip in enumerate(clips) if label in clip.labels and clip.speaker in part] for part in parts]
    return Split(*(np.array(part, np.int64) for part in positions))


def speaker_groups(
    clips: Sequence[Clip],
    label: str,
    folds: int = 5,
    published: Sequence[Sequence[str]] | None = None,
    balance: bool = False,
    seed: int = 0,
    unit: str = "speaker",
) -> list[list[str]]:
    """The test speakers of each fold: published ones, or groups alike in their labels and sexes.

    Args:
        clips: in any order; those without `label` do not count.
        folds: how many groups to make; fewer are made where a class has fewer speakers.
        published: test speakers of each fold, taken as they are (`folds`, `balance` and `seed` do not matter).
        balance: take equally many speakers of each class, the others staying out of all folds.
        seed: of the choice of speakers and of the groups.
        unit: what speakers are called in messages, see `Corpus.unit`.

    Raises:
        Mistake: a class with fewer than three speakers (TooFewSpeakers), fewer than two classes, or fewer than three
            folds.
    """
    if published is not None:
        return [sorted(group) for group in published]
    pool = _pool(clips, label, balance, seed)
    if balance:
        _say_what_balance_leaves_out(clips, pool, label, unit)
    count = _possible_folds(pool, label, folds, unit)
    every_class = count * len({clip.labels[label] for clip in pool})
    best, best_coverage = [[""]], -1
    for attempt in range(ATTEMPTS):
        groups = _stratified_groups(pool, label, count, seed + attempt)
        coverage = _coverage(groups, pool, label)
        if coverage > best_coverage:
            best, best_coverage = groups, coverage
        if coverage == every_class:
            break
    return best


def _pool(clips: Sequence[Clip], label: str, balance: bool, seed: int) -> list[Clip]:
    """The clips that folds are made of, in an order of their own."""
    pool = sorted((c for c in clips if label in c.labels), key=lambda clip: (clip.speaker, clip.path))
    if not balance:
        return pool
    chosen = _balanced_speakers(pool, label, seed)
    return [clip for clip in pool if clip.speaker in chosen]


def _say_what_balance_leaves_out(clips: Sequence[Clip], pool: list[Clip], label: str, unit: str) -> None:
    kept = {clip.speaker for clip in pool}
    out = [clip for clip in clips if label in clip.labels and clip.speaker not in kept]
    if out:
        log.warning(
            "%d clips of %d %ss take no part, so that each %s has as many %ss (task.balance=false takes them in)",
            len(out), len({clip.speaker for clip in out}), unit, label, unit,
        )  # fmt: skip


def _balanced_speakers(pool: list[Clip], label: str, seed: int) -> set[str]:
    labels_of: dict[str, Counter[str]] = defaultdict(Counter)
    for clip in pool:
        labels_of[clip.speaker][clip.labels[label]] += 1
    speakers_of: dict[str, list[str]] = defaultdict(list)
    for speaker in sorted(labels_of):
        speakers_of[labels_of[speaker].most_common(1)[0][0]].append(speaker)
    fewest = min(map(len, speakers_of.values()), default=0)
    random = np.random.default_rng(seed)
    return {s for name in sorted(speakers_of) for s in random.permutation(speakers_of[name])[:fewest]}


def _possible_folds(pool: list[Clip], label: str, folds: int, unit: str) -> int:
    speakers_of: dict[str, set[str]] = defaultdict(set)
    for clip in pool:
        speakers_of[clip.labels[label]].add(clip.speaker)
    if folds < LEAST_SPEAKERS:
        raise Mistake(f"task.folds={folds} must be 3 or more: one each to train, validate and test.")
    if len(speakers_of) < 2:
        classes = f"only the class '{next(iter(speakers_of))}'" if speakers_of else "no class"
        raise Mistake(f"the recordings under data.root show {classes} of the label '{label}': choose another task.")
    rarest = min(sorted(speakers_of), key=lambda name: len(speakers_of[name]))
    fewest = len(speakers_of[rarest])
    if fewest < LEAST_SPEAKERS:
        raise TooFewSpeakers(
            f"the recordings under data.root have too few {unit}s for folds: {label} '{rarest}' comes from {fewest}"
            f" of them, and 3 are needed (one each to train, validate and test); add {unit}s or choose another task.",
            sorted(name for name, speakers in speakers_of.items() if len(speakers) < LEAST_SPEAKERS),
        )
    if fewest < folds:
        log.warning("%d folds instead of %d: %s '%s' has %d %ss", fewest, folds, label, rarest, fewest, unit)
    return min(folds, fewest)


def _stratified_groups(pool: list[Clip], label: str, count: int, seed: int) -> list[list[str]]:
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold  # only now: it takes a second

    speakers = np.array([clip.speaker for clip in pool])
    strata = [f"{clip.labels[label]} {clip.labels.get('sex', '')}" for clip in pool]
    if max(Counter(strata).values()) < count:  # StratifiedGroupKFold would refuse
        folds = GroupKFold(count, shuffle=True, random_state=seed).split(pool, strata, speakers)
    else:
        folds = StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(pool, strata, speakers)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")  # such strata are spread all the same
        return [sorted(set(speakers[test].tolist())) for _, test in folds]


def _coverage(groups: list[list[str]], pool: list[Clip], label: str) -> int:
    """How many pairs of a group and a class there are clips of."""
    group_of = {speaker: number for number, group in enumerate(groups) for speaker in group}
    return len({(group_of[clip.speaker], clip.labels[label]) for clip in pool})


def _check_published(group: np.ndarray, count: int, fold: int, validation_fold: int, first_fold: int) -> None:
    test, validation = fold + first_fold, validation_fold + first_fold
    if first_fold:  # two ways to count are easily mixed up
        log.info("fold=%d tests on the published fold %d, validates on %d", fold, test, validation)
    missing = [number + first_fold for number in range(count) if not (group == number).any()]
    if len(missing) == count:
        raise Mistake(f"none of the published folds' recordings is under data.root, but others are: {OTHERS}.")
    named = f"fold{'s' if len(missing) > 1 else ''} {', '.join(map(str, missing))}"
    if test in missing or validation in missing:
        raise Mistake(
            f"too few clips are left for fold={fold}: it tests on the published fold {test} and validates on "
            f"{validation}, and under data.root is nothing of the published {named}; fetch the rest of the corpus, or "
            "choose another fold."
        )
    if missing:
        log.warning("nothing of the published %s is under data.root: training goes without", named)


def _check(result: Split, clips: Sequence[Clip], label: str, fold: int) -> None:
    parts = {"training": result.train, "validation": result.validation, "test": result.test}
    classes = {name: {clips[i].labels[label] for i in part} for name, part in parts.items()}
    everything = set().union(*classes.values())
    for name, part in parts.items():
        missing = sorted(everything - classes[name])
        if len(part) == 0 or (name == "training" and missing):
            lack = "no clips" if len(part) == 0 else f"no clips of {label} {', '.join(missing)}"
            raise Mistake(
                f"too few clips are left for fold={fold}: {name} has {lack}; add recordings under data.root, or "
                "choose another fold or task."
            )
        if missing:
            log.warning("fold %d: %s has no clips of %s %s", fold, name, label, ", ".join(missing))


@contextmanager
def unsaid() -> Iterator[None]:
    """What a division has to say is left for the next one, of the clips that can be used."""
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before
