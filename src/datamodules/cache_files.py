"""The files of a cache, and how they come about.

A cache is a folder of three files:

    samples.int16   all kept clips, one after the other, 16 bit little-endian
    index.jsonl     one line per clip of the corpus, in the corpus's order (see `Entry`)
    skipped.csv     path and reason of each bad recording

It is built beside its final place, in a folder that ends in `.building`. A clip's samples are written before
its line, so what a killed build leaves is as good as its lines, and the next build carries on from there.
"""

import csv
import json
import logging
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track

from src.datamodules.clips import Clip, Corpus
from src.datamodules.recording import UNREADABLE, BadRecording, ClipSettings, load

log = logging.getLogger(__name__)

SAMPLES, INDEX, SKIPPED = "samples.int16", "index.jsonl", "skipped.csv"


class Entry(NamedTuple):
    """A line of the index."""

    path: str
    stamp: str  # of the recording as it was when it was read
    length: int  # samples; 0 for a bad recording
    start: int  # see `Prepared`
    cut: bool
    reason: str  # why a recording was skipped; empty for a kept one


def read_entries(home: Path) -> list[Entry] | None:
    """The index of a finished cache, or None where there is none or it does not fit its samples."""
    try:
        with open(home / INDEX, encoding="utf-8") as lines:
            entries = [Entry(*json.loads(line)) for line in lines]
        whole = (home / SAMPLES).stat().st_size == 2 * sum(entry.length for entry in entries)
    except (FileNotFoundError, ValueError, TypeError):  # no file, not JSON, or not an entry
        if not home.exists():
            return None
        whole = False
    if not whole:
        log.warning("the cache in %s is damaged and is built again", home)
        return None
    return entries


def build(
    corpus: Corpus,
    clips: Sequence[Clip],
    stamps: list[str],
    settings: ClipSettings,
    home: Path,
    replaced: list[Entry],
) -> list[Entry]:
    """Makes a cache in `home`, and returns its index.

    Args:
        stamps: of the clips' recordings.
        replaced: index of the cache in `home` so far; clips that have not changed since are taken from it.
    """
    building = home.with_name(home.name + ".building")
    building.mkdir(exist_ok=True)
    entries = _resume(building, clips, stamps)
    memory, ends = map_samples(home, replaced), ends_of(replaced)
    kept = {e.path: (e, memory[end - e.length : end]) for e, end in zip(replaced, ends, strict=True)}

    def prepare(clip: Clip, stamp: str) -> tuple[Entry, np.ndarray]:
        known = kept.get(clip.path)
        usable = known and known[0].stamp == stamp and not known[0].reason.startswith(UNREADABLE)
        return known if known and usable else _prepare(corpus, clip, stamp, settings)

    left = list(zip(clips, stamps, strict=True))[len(entries) :]
    entries += _append(building, _in_order(prepare, left), len(left))
    write_skipped(building / SKIPPED, [(e.path, e.reason) for e in entries if e.reason])
    _swap(building, home)
    return entries


def write_skipped(path: Path, skipped: Sequence[tuple[str, str]]) -> None:
    """`skipped.csv`: path and reason of each bad recording."""
    with open(path, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        csv.writer(file).writerows([("path", "reason"), *skipped])


def _append(building: Path, results: Iterator[tuple[Entry, np.ndarray]], count: int) -> list[Entry]:
    entries = []
    console = Console(stderr=True)
    shown = track(results, "preparing recordings", count, console=console, disable=not console.is_terminal)
    with open(building / SAMPLES, "ab") as samples, open(building / INDEX, "ab") as index:
        for entry, clip_samples in shown:
            samples.write(clip_samples.astype("<i2").tobytes())
            samples.flush()  # before its line: see the top of this file
            index.write(json.dumps(entry).encode() + b"\n")
            index.flush()
            entries.append(entry)
        os.fsync(samples.fileno())
        os.fsync(index.fileno())
    return entries


def _prepare(corpus: Corpus, clip: Clip, stamp: str, settings: ClipSettings) -> tuple[Entry, np.ndarray]:
    try:
        prepared = load(corpus, clip, settings)
    except BadRecording as bad:
        return Entry(clip.path, stamp, 0, 0, False, str(bad)), np.empty(0, np.int16)
    return Entry(clip.path, stamp, len(prepared.samples), prepared.start, prepared.cut, ""), prepared.samples


def _in_order(
    prepare: Callable[[Clip, str], tuple[Entry, np.ndarray]], left: list[tuple[Clip, str]]
) -> Iterator[tuple[Entry, np.ndarray]]:
    # Threads rather than processes: soundfile, soxr and scipy release the interpreter's lock, no corpus has to
    # be pickled, and nothing is imported again.
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    waiting: deque[Future[tuple[Entry, np.ndarray]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for clip, stamp in left:
            waiting.append(pool.submit(prepare, clip, stamp))
            if len(waiting) > 8 * workers:  # bounds the memory that finished clips take
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _resume(building: Path, clips: Sequence[Clip], stamps: list[str]) -> list[Entry]:
    """What a killed build has finished of the same recordings; anything behind that is cut off."""
    (building / SAMPLES).touch()
    (building / INDEX).touch()
    room = (building / SAMPLES).stat().st_size
    entries: list[Entry] = []
    sample_bytes = index_bytes = 0
    for line, clip, stamp in zip((building / INDEX).read_bytes().splitlines(True), clips, stamps, strict=False):
        try:
            entry = Entry(*json.loads(line))
        except (ValueError, TypeError):
            break
        sample_bytes_after = sample_bytes + 2 * entry.length
        if not line.endswith(b"\n") or (entry.path, entry.stamp) != (clip.path, stamp) or sample_bytes_after > room:
            break
        entries.append(entry)
        sample_bytes, index_bytes = sample_bytes_after, index_bytes + len(line)
    os.truncate(building / SAMPLES, sample_bytes)
    os.truncate(building / INDEX, index_bytes)
    if entries:
        log.info("carrying on with an unfinished cache: %d of %d recordings are done", len(entries), len(clips))
    return entries


def _swap(building: Path, home: Path) -> None:
    replaced = home.with_name(home.name + ".replaced")
    shutil.rmtree(replaced, ignore_errors=True)
    if home.exists():
        home.rename(replaced)
    building.rename(home)
    shutil.rmtree(replaced, ignore_errors=True)  # whoever has it open keeps it until closed


def map_samples(home: Path, entries: list[Entry]) -> np.ndarray:
    if not any(entry.length for entry in entries):  # an empty file cannot be mapped
        return np.empty(0, np.int16)
    return np.asarray(np.memmap(home / SAMPLES, dtype="<i2", mode="r"))  # (sum of lengths,)


def ends_of(entries: list[Entry]) -> np.ndarray:
    return np.cumsum([entry.length for entry in entries], dtype=np.int64)
