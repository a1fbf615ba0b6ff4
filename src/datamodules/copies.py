"""Recordings that a corpus holds twice, under any names, as after a second download or a copy of a folder."""

import logging
import os
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from auscult.datamodules.cache import Cache
from auscult.datamodules.clips import Clip
from auscult.datamodules.folds import Split

log = logging.getLogger(__name__)


def without_copies(split: Split, cache: Cache) -> tuple[Split, list[tuple[str, str]]]:
    """Removes copies of validation and test clips from training, and copies of test clips from validation.

    Clips with the same samples are copies. Test clips are never removed, so that results on published ones stay
    comparable.

    Returns:
        The split without copies; for each clip that was removed, its path and the path of the clip that it copies.
    """
    left_out: list[tuple[str, str]] = []
    seen: dict[tuple[int, int], list[int]] = defaultdict(list)  # length and checksum -> clips
    parts = {}
    for name in ("test", "validation", "train"):
        part = getattr(split, name)
        if name == "validation" and np.array_equal(part, split.test):  # the same clips validate and test
            parts[name] = part
            continue
        originals = [_original(cache, clip, seen[_key(cache, clip)]) for clip in part]
        for clip, original in zip(part, originals, strict=True):
            if original is not None:
                left_out.append((cache.clips[clip].path, cache.clips[original].path))
        kept = np.array([original is None for original in originals], bool)
        parts[name] = part[kept]
        for clip in part[kept]:
            seen[_key(cache, clip)].append(clip)
    return Split(**parts), left_out


def differently_labelled(copies: list[tuple[str, str]], clips: Sequence[Clip], label: str) -> str:
    """Says for a message how many copies have another label than their original; empty if none has.

    Args:
        copies: for each copy, its path and the path of its original.
    """
    labels = {clip.path: clip.labels.get(label, "") for clip in clips}
    different = [pair for pair in copies if labels[pair[0]] != labels[pair[1]]]
    if not different:
        return ""
    pair = " of ".join(f"{path} ('{labels[path]}')" for path in different[0])
    return f" ({len(different)} of them have another {label} than what they copy, such as {pair}: mend the wrong ones)"


def warn_of_two_formats(split: Split, clips: Sequence[Clip]) -> None:
    """Warns of clips in different parts of the split whose paths differ only in the ending.

    They may be one recording in two formats, whose samples are not quite the same.
    """
    part_of: dict[int, str] = {clip: name for name in Split._fields for clip in getattr(split, name)}
    first: dict[str, int] = {}
    pairs = []
    for clip in sorted(part_of, key=lambda clip: clips[clip].path):
        other = first.setdefault(os.path.splitext(clips[clip].path)[0], clip)
        if part_of[other] != part_of[clip]:
            pairs.append((clips[other].path, clips[clip].path))
    if pairs:
        log.warning(
            "%d recordings differ only in the ending from one in another part of the split, such as %s and %s: if these"
            " are one recording in two formats, keep one format: let data.pattern end in \\%s$, or move the others"
            " elsewhere.", len(pairs), *pairs[0], os.path.splitext(pairs[0][0])[1],
        )  # fmt: skip


def _key(cache: Cache, clip: int) -> tuple[int, int]:
    return int(cache.lengths[clip]), int(cache.checksums[clip])


def _original(cache: Cache, clip: int, candidates: list[int]) -> int | None:
    return next((other for other in candidates if np.array_equal(cache.samples(clip), cache.samples(other))), None)
