"""Corpora that were published with one split into training, validation and test, which is fold 0."""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from auscult.datamodules.clips import Clip
from auscult.datamodules.folds import LEAST_SPEAKERS, Split, check_split, log, speaker_groups, unsaid
from auscult.mistake import NoSuchFold

OTHERWISE = "data.published_split=false makes folds of speakers instead"  # for messages


def published_split(
    clips: Sequence[Clip],
    label: str,
    fold: int,
    part_of: Mapping[str, str],
    task: Mapping[str, Any],
    undivided: Callable[[str], str] = str,
    unit: str = "speaker",
) -> Split:
    """Splits the clips that have `label` as they were published.

    If nothing was published for validation, some of the training speakers validate. A speaker who is in several parts
    stays in the most important one: test before validation before training. Clips of that speaker in the others are
    left out, unless a class would lose all its clips there.

    Args:
        fold: has to be 0.
        part_of: see `Corpus.published_split`.
        task: its `folds` and `fold_seed` decide which training speakers validate.
        undivided: see `Corpus.undivided`.
        unit: what speakers are called in messages, see `Corpus.unit`.

    Raises:
        NoSuchFold: `fold` is not 0.
        Mistake: a part has no clips, or training lacks a class.
    """
    if fold != 0:
        raise NoSuchFold(f"fold={fold} does not exist: fold=0 is the published split, and the only one; {OTHERWISE}.")
    part = np.array([part_of.get(clip.path, "") if label in clip.labels else "" for clip in clips], object)
    if "validation" not in part_of.values() and (part == "train").any():
        chosen = _validating([clip for clip, name in zip(clips, part, strict=True) if name == "train"], label, task)
        part[[name == "train" and clip.speaker in chosen for clip, name in zip(clips, part, strict=True)]] = (
            "validation"
        )
    result = _parted(Split(*(np.flatnonzero(part == name) for name in Split._fields)), clips, label, undivided, unit)
    check_split(result, clips, label, fold)
    return result


def with_parts(clips: list[Clip], part_of: Mapping[str, str]) -> list[Clip]:
    """Gives a speaker who is in several parts a name for each, such as "12 (test)", as checkpoints name speakers."""
    parts = defaultdict(set)
    for clip in clips:
        parts[clip.speaker].add(part_of.get(clip.path))
    several = {speaker for speaker, names in parts.items() if len(names - {None}) > 1}
    return [
        replace(clip, speaker=f"{clip.speaker} ({part_of[clip.path]})")
        if clip.speaker in several and clip.path in part_of
        else clip
        for clip in clips
    ]


def without_part(speaker: str) -> str:
    """The speaker of a name that `with_parts` gave."""
    return re.sub(r" \((train|validation|test)\)$", "", speaker)


def _validating(train: list[Clip], label: str, task: Mapping[str, Any]) -> set[str]:
    """The training speakers who validate; none of those who have a class of few speakers."""
    speakers_of = defaultdict(set)
    for clip in train:
        speakers_of[clip.labels[label]].add(clip.speaker)
    few = [speakers for speakers in speakers_of.values() if len(speakers) < LEAST_SPEAKERS]
    pool = [clip for clip in train if not any(clip.speaker in speakers for speakers in few)]
    if len({clip.labels[label] for clip in pool}) < 2:
        pool = train
    with unsaid():  # of how many folds there could be
        chosen = set(speaker_groups(pool, label, task["folds"], seed=task["fold_seed"])[0])
    log.info(
        "nothing is published for validation: %d of the %d published training clips validate.",
        sum(clip.speaker in chosen for clip in train), len(train),
    )  # fmt: skip
    return chosen


def _parted(split: Split, clips: Sequence[Clip], label: str, undivided: Callable[[str], str], unit: str) -> Split:
    """Leaves out clips whose speakers are in a more important part, too."""
    whole = np.array([undivided(clip.speaker) for clip in clips])
    tested = set(whole[split.test])
    validation = _others(split.validation, whole, tested)
    train = _others(split.train, whole, tested | set(whole[validation]))
    count = sum(map(len, split)) - len(train) - len(validation) - len(split.test)
    if count == 0:
        return split
    for before, after in ((split.train, train), (split.validation, validation)):
        if {clips[i].labels[label] for i in before} != {clips[i].labels[label] for i in after}:
            log.warning(
                "%d clips of training or validation have %ss who are tested or validate, too: they stay, as a class"
                " would lose all its clips, and accuracies say little about others; %s.", count, unit, OTHERWISE,
            )  # fmt: skip
            return split
    log.warning(
        "%d clips of training or validation are left out, as their %ss are tested or validate, too.", count, unit
    )
    return Split(train, validation, split.test)


def _others(members: np.ndarray, whole: np.ndarray, taken: set[str]) -> np.ndarray:
    return members[[speaker not in taken for speaker in whole[members]]] if len(members) else members
