"""Recordings that are there twice, under whatever names: as after a second download, or in a folder that was copied."""

from collections import defaultdict

import numpy as np

from src.datamodules.cache import Cache
from src.datamodules.folds import Split


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


def _key(cache: Cache, clip: int) -> tuple[int, int]:
    return int(cache.lengths[clip]), int(cache.checksums[clip])


def _original(cache: Cache, clip: int, candidates: list[int]) -> int | None:
    return next((other for other in candidates if np.array_equal(cache.samples(clip), cache.samples(other))), None)
