"""Divides speakers into those that train, validate and test.

Fold f tests on group f of speakers, validates on the group before it (modulo the number of groups) and trains on the
rest, as in the published folds of AudioMNIST. A corpus may let the next group or the test group validate instead, see
`Corpus.validates`. If clips are cut from longer recordings, "speaker" means the recording here.
"""

import logging
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from auscult.datamodules.clips import OTHERS, Clip
from auscult.mistake import Mistake, NoSuchFold, TooFewSpeakers

log = logging.getLogger(__name__)

LEAST_SPEAKERS = 3  # per class: one each to train, validate and test
MOST_NAMED = 20  # classes, in a message
ATTEMPTS = 10  # to make groups that all have every class


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
    """Splits the clips that have `label`. `fold` counts from 0; for other arguments see `speaker_groups` and `Corpus`.

    Published test folds stay as they are. If a recording is in several folds, it stays only in the most important one:
    test before validation before training. Its clips in the others are left out.

    Raises:
        NoSuchFold: `fold` is not one of the groups.
        Mistake: too few speakers (see `speaker_groups`), or too few clips left for the fold.
    """
    with unsaid():  # checks the fold first, as making the groups takes a while
        last = (
            len(published) if published is not None else _possible_folds(clips, label, folds, balance, seed, unit)
        ) - 1
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
            "fold=%d leaves out %d clips of the %ss %s in training or validation folds: these are also in the tested or"
            " validating fold.", fold, len(out), unit, names,
        )  # fmt: skip
    result = Split(*(np.flatnonzero(part) for part in (train, validation, test)))
    check_split(result, clips, label, fold)
    return result


def split_of(clips: Sequence[Clip], label: str, speakers: Mapping[str, Sequence[str]]) -> Split:
    """Splits the clips that have `label` by speakers: {"train": ..., "validation": ..., "test": ...}."""
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
    """The test speakers of each fold: published ones, or groups with similar labels and sexes.

    Args:
        clips: in any order; clips without `label` do not count.
        folds: number of groups; there are fewer if a class has fewer speakers.
        published: test speakers of each fold, taken as they are (`folds`, `balance` and `seed` are ignored).
        balance: take equally many speakers of each class, and leave the others out of all folds.
        seed: decides the choice of speakers and the groups.
        unit: what speakers are called in messages, see `Corpus.unit`.

    Raises:
        Mistake: a class has fewer than three speakers (TooFewSpeakers), or there are fewer than two classes or three
            folds.
    """
    if published is not None:
        return [sorted(group) for group in published]
    count = _possible_folds(clips, label, folds, balance, seed, unit)
    pool = _pool(clips, label, balance, seed)
    if balance:
        _say_what_balance_leaves_out(clips, pool, label, unit)
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
    """The clips that folds are made of, sorted by speaker and path."""
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
            "%d clips of %d %ss are left out, so that each %s has equally many %ss (task.balance=false keeps them).",
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


def _possible_folds(clips: Sequence[Clip], label: str, folds: int, balance: bool, seed: int, unit: str) -> int:
    if folds < LEAST_SPEAKERS:
        raise Mistake(f"task.folds={folds} must be 3 or more: one each to train, validate and test.")
    rarest, fewest = _rarest(_pool(clips, label, False, seed), label, unit)  # first, as the others are balanced with it
    if balance:
        rarest, fewest = _rarest(_pool(clips, label, True, seed), label, unit)
    if fewest < folds:
        log.warning("%d folds instead of %d: %s '%s' has %d %ss.", fewest, folds, label, rarest, fewest, unit)
    return min(folds, fewest)


def require_two(classes: Collection[str], label: str) -> None:
    """Raises a Mistake if there are fewer than two classes."""
    if len(classes) < 2:
        only = f"only the class '{next(iter(classes))}'" if classes else "no class"
        raise Mistake(f"the recordings under data.root show {only} of the label '{label}': choose another task.")


def _rarest(pool: list[Clip], label: str, unit: str) -> tuple[str, int]:
    """The class of the fewest speakers, and their number. Raises a Mistake if they are too few, or of one class."""
    speakers_of: dict[str, set[str]] = defaultdict(set)
    for clip in pool:
        speakers_of[clip.labels[label]].add(clip.speaker)
    require_two(speakers_of, label)
    rarest = min(sorted(speakers_of), key=lambda name: len(speakers_of[name]))
    fewest = len(speakers_of[rarest])
    if fewest < LEAST_SPEAKERS:
        raise TooFewSpeakers(
            f"the recordings under data.root have too few {unit}s for folds: {label} '{rarest}' comes from {fewest}"
            f" of them, and 3 are needed (one each to train, validate and test); add {unit}s or choose another task.",
            sorted(name for name, speakers in speakers_of.items() if len(speakers) < LEAST_SPEAKERS),
        )
    return rarest, fewest


def _stratified_groups(pool: list[Clip], label: str, count: int, seed: int) -> list[list[str]]:
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold  # only now: it takes a second

    speakers = np.array([clip.speaker for clip in pool])
    strata = [f"{clip.labels[label]} {clip.labels.get('sex', '')}" for clip in pool]
    if max(Counter(strata).values()) < count:  # StratifiedGroupKFold would refuse
        folds = GroupKFold(count, shuffle=True, random_state=seed).split(pool, strata, speakers)
    else:
        folds = StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(pool, strata, speakers)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")  # such strata are spread, too
        return [sorted(set(speakers[test].tolist())) for _, test in folds]


def _coverage(groups: list[list[str]], pool: list[Clip], label: str) -> int:
    """The number of pairs of a group and a class that have clips."""
    group_of = {speaker: number for number, group in enumerate(groups) for speaker in group}
    return len({(group_of[clip.speaker], clip.labels[label]) for clip in pool})


def _check_published(group: np.ndarray, count: int, fold: int, validation_fold: int, first_fold: int) -> None:
    test, validation = fold + first_fold, validation_fold + first_fold
    if first_fold:  # the two ways to count are easily mixed up
        log.info("fold=%d tests on the published fold %d, validates on %d", fold, test, validation)
    missing = [number + first_fold for number in range(count) if not (group == number).any()]
    if len(missing) == count:
        raise Mistake(f"none of the published folds' recordings is under data.root, but others are: {OTHERS}.")
    named = f"fold{'s' if len(missing) > 1 else ''} {', '.join(map(str, missing))}"
    if test in missing or validation in missing:
        raise Mistake(
            f"too few clips are left for fold={fold}: it tests on the published fold {test} and validates on "
            f"{validation}, and data.root has no clips of the published {named}; fetch the rest of the corpus, or "
            "choose another fold."
        )
    if missing:
        them = "them" if len(missing) > 1 else "it"
        log.warning("data.root has no clips of the published %s: training does without %s.", named, them)


def check_split(result: Split, clips: Sequence[Clip], label: str, fold: int) -> None:
    """Raises a Mistake if a part of a split has no clips, or if training lacks a class; warns if others lack one."""
    parts = {"training": result.train, "validation": result.validation, "test": result.test}
    classes = {name: {clips[i].labels[label] for i in part} for name, part in parts.items()}
    everything = set().union(*classes.values())
    for name, part in parts.items():
        missing = sorted(everything - classes[name])
        if len(part) == 0 or (name == "training" and missing):
            lack = "no clips" if len(part) == 0 else f"no clips of {label} {_listed(missing)}"
            raise Mistake(
                f"too few clips are left for fold={fold}: {name} has {lack}; add recordings under data.root, or "
                "choose another fold or task."
            )
        if missing:
            log.warning("fold %d: %s has no clips of %s %s.", fold, name, label, _listed(missing))


def _listed(names: list[str]) -> str:
    return ", ".join(names[:MOST_NAMED]) + (f" and {len(names) - MOST_NAMED} more" if names[MOST_NAMED:] else "")


@contextmanager
def unsaid() -> Iterator[None]:
    """Silences what a division logs; the next division, with the clips that can be used, logs it."""
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before
