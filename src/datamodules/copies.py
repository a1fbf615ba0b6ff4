"""Recordings that are there twice, under whatever names: as after a second download, or in a folder that was copied."""

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
    """Leaves out of training what is also validated or tested, and out of validation what is also tested.

    Clips with the same samples are copies. The test clips stay as they are: published ones must remain comparable.

    Returns:
        The split without them; path of each clip that was left out, and of the one that it copies.
    """
    left_out: list[tuple[str, str]] = []
    seen: dict[tuple[int, int], list[int]] = defaultdict(list)  # length and checksum -> clips
    parts = {}
    for name in ("test", "validation", "train"):
        part = getattr(split, name)
        if name == "validation" and np.array_equal(part, split.test):  # one part for both
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
    """Of how many copies the label is another than that of what they copy, for a message; empty where of none.

    Args:
        copies: path of each, and of the clip that it copies.
    """
    labels = {clip.path: clip.labels.get(label, "") for clip in clips}
    different = [pair for pair in copies if labels[pair[0]] != labels[pair[1]]]
    if not different:
        return ""
    pair = " of ".join(f"{path} ('{labels[path]}')" for path in different[0])
    return f" ({len(different)} of them have another {label} than what they copy, such as {pair}: mend the wrong ones)"


def warn_of_two_formats(split: Split, clips: Sequence[Clip]) -> None:
    """Says how many clips have the name of another one, but for the ending, on another side of the split.

    In two formats, a recording's samples are not quite the same.
    """
    side: dict[int, str] = {clip: name for name in Split._fields for clip in getattr(split, name)}
    first: dict[str, int] = {}
    pairs = []
    for clip in sorted(side, key=lambda clip: clips[clip].path):
        other = first.setdefault(os.path.splitext(clips[clip].path)[0], clip)
        if side[other] != side[clip]:
            pairs.append((clips[other].path, clips[clip].path))
    if pairs:
        log.warning(
            "%d recordings have the name of another, but for the ending, on another side of the split, such as %s and"
            " %s: if these are one recording in two formats, take one format only, by a data.pattern that ends in"
            " \\%s$, or by moving the others elsewhere", len(pairs), *pairs[0], os.path.splitext(pairs[0][0])[1],
        )  # fmt: skip


def _key(cache: Cache, clip: int) -> tuple[int, int]:
    return int(cache.lengths[clip]), int(cache.checksums[clip])


def _original(cache: Cache, clip: int, candidates: list[int]) -> int | None:
    return next((other for other in candidates if np.array_equal(cache.samples(clip), cache.samples(other))), None)
