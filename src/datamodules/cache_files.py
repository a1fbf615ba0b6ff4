"""Builds the files of a cache.

A cache is a folder of three files:

    samples.int16   all kept clips, one after the other, 16 bit little-endian, or float32 if they are untouched; channel
                    after channel
    index.jsonl     one line per clip of the corpus, in the corpus's order: an `Entry`, and the line's checksum
    skipped.csv     path and reason of each bad recording

It is built beside its final place, in a folder that ends in `.building`. A clip's samples are written before its line,
so that after a killed build each line has its samples. The next build continues from there.
"""

import logging
import os
import shutil
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np

from auscult.datamodules.audio.audio_file import TRIED_AGAIN, UNREADABLE, BadRecording
from auscult.datamodules.cache_entries import (
    INDEX,
    SAMPLES,
    SKIPPED,
    Entry,
    checksum,
    ends_of,
    line_of,
    parsed,
    write_skipped,
)
from auscult.datamodules.clips import Clip, Corpus
from auscult.datamodules.recording import ClipSettings, load
from auscult.mistake import Mistake
from auscult.progress import tracked

log = logging.getLogger(__name__)

LEAST_LEFT = 0.01  # share of a recording's energy: a clip with less hardly holds what was recorded
MOST_SAMPLES_AT_ONCE = 2e7  # of all clips that are prepared at one time; each sample takes some 40 bytes meanwhile


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
        stamps: see `Corpus.stamp`; one for each clip.
        replaced: the index of the present cache in `home`; unchanged clips are copied from this cache.
    """
    building = home.with_name(home.name + ".building")
    try:
        building.mkdir(exist_ok=True)
        entries = _resume(building, clips, stamps)
    except (IsADirectoryError, NotADirectoryError, FileExistsError):  # something else than a killed build is there
        _remove(building)
        building.mkdir()
        entries = _resume(building, clips, stamps)
    memory, ends = map_samples(home, replaced), ends_of(replaced)
    kept = {e.path: (e, memory[end - e.length : end]) for e, end in zip(replaced, ends, strict=True)}

    stopped = Event()
    lost: list[str] = []  # paths of recordings that have lost nearly all energy

    def prepare(clip: Clip, stamp: str) -> tuple[Entry, np.ndarray]:
        if clip.path in kept:
            entry, samples = kept[clip.path]
            is_current = entry.stamp == stamp and not entry.reason.startswith(TRIED_AGAIN)
            if is_current and checksum(samples) == entry.checksum:
                return entry, samples
        return _prepare(corpus, clip, stamp, settings, stopped, lost)

    left = list(zip(clips, stamps, strict=True))[len(entries) :]
    entries += _append(building, _in_order(prepare, left, stopped, workers_for(settings)), len(left))
    write_skipped(building / SKIPPED, [(entry.path, entry.reason) for entry in entries if entry.reason])
    _swap(building, home)
    _warn_of_lost(lost, len(entries), settings)
    return entries


def _warn_of_lost(lost: list[str], count: int, settings: ClipSettings) -> None:
    if lost:
        highest = settings.sample_rate / 2
        log.warning(
            "%d of %d recordings have less than %g %% of their energy left, such as %s: clips keep %g to %g Hz; to keep"
            " more, change data.clip.sample_rate=%d or data.clip.highpass_hz=%s", len(lost), count, 100 * LEAST_LEFT,
            min(lost), settings.highpass_hz or 0, highest, settings.sample_rate, settings.highpass_hz or "null",
        )  # fmt: skip


def _append(building: Path, results: Iterator[tuple[Entry, np.ndarray]], count: int) -> list[Entry]:
    entries = []
    shown = tracked(results, "preparing recordings", count)
    with open(building / SAMPLES, "ab") as samples, open(building / INDEX, "ab") as index:
        for entry, clip_samples in shown:
            samples.write(clip_samples.astype("<i2").tobytes())
            samples.flush()  # before the clip's line: see the top of this file
            index.write(line_of(entry))
            index.flush()
            entries.append(entry)
        os.fsync(samples.fileno())
        os.fsync(index.fileno())
    return entries


def _prepare(
    corpus: Corpus, clip: Clip, stamp: str, settings: ClipSettings, stopped: Event, lost: list[str]
) -> tuple[Entry, np.ndarray]:
    try:
        prepared = load(corpus, clip, settings, stopped)
    except BadRecording as bad:
        return Entry(clip.path, stamp, 0, 0, False, str(bad), 0), np.empty(0, np.int16)
    except MemoryError as error:  # no fault of the recording: blocks are small
        raise Mistake(
            f"there is no memory left to prepare {clip.path}: end other programs, then start again."
        ) from error
    except Mistake:
        raise
    except Exception as error:  # a single recording must not end the build, whatever a corpus or a decoder raises
        log.debug("%s", clip.path, exc_info=True)
        reason = f"{UNREADABLE}: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return Entry(clip.path, stamp, 0, 0, False, reason, 0), np.empty(0, np.int16)
    if prepared.left < LEAST_LEFT:
        lost.append(clip.path)
    samples = prepared.samples if prepared.samples.dtype == np.int16 else prepared.samples.astype("<f4").view("<i2")
    return Entry(clip.path, stamp, samples.size, prepared.start, prepared.cut, "", checksum(samples)), samples


def workers_for(settings: ClipSettings) -> int:
    """How many recordings are prepared at once: one per core, or fewer if long clips would take too much memory."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, int(MOST_SAMPLES_AT_ONCE / (settings.channels * settings.seconds * settings.sample_rate))))


def _in_order(
    prepare: Callable[[Clip, str], tuple[Entry, np.ndarray]],
    left: list[tuple[Clip, str]],
    stopped: Event,
    workers: int,
) -> Iterator[tuple[Entry, np.ndarray]]:
    # Threads are enough: soundfile, soxr and scipy release the interpreter's lock. Processes would have to pickle the
    # corpus and to import everything again.
    waiting: deque[Future[tuple[Entry, np.ndarray]]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for clip, stamp in left:
            waiting.append(pool.submit(prepare, clip, stamp))
            if len(waiting) > (8 * workers if workers > 1 else 1):  # bounds the memory that finished clips take
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:  # after an interrupt, long recordings are not prepared to their end
        stopped.set()
        pool.shutdown(cancel_futures=True)


def _resume(building: Path, clips: Sequence[Clip], stamps: list[str]) -> list[Entry]:
    """Reads what a killed build has finished of the same recordings, and cuts off anything behind that."""
    for name in (SAMPLES, INDEX, SKIPPED):
        if (building / name).is_dir():
            raise IsADirectoryError(building / name)
    (building / SAMPLES).touch()
    (building / INDEX).touch()
    entries: list[Entry] = []
    sample_bytes = index_bytes = 0
    with open(building / SAMPLES, "rb") as samples:
        for line, clip, stamp in zip((building / INDEX).read_bytes().splitlines(True), clips, stamps, strict=False):
            try:
                entry = parsed(line)
            except ValueError:
                break
            if (entry.path, entry.stamp) != (clip.path, stamp):
                break
            if zlib.crc32(samples.read(2 * entry.length)) != entry.checksum:  # also if the samples end too early
                break
            entries.append(entry)
            sample_bytes, index_bytes = sample_bytes + 2 * entry.length, index_bytes + len(line)
    os.truncate(building / SAMPLES, sample_bytes)
    os.truncate(building / INDEX, index_bytes)
    if entries:
        log.info("continuing an unfinished cache: %d of %d recordings are done.", len(entries), len(clips))
    return entries


def _swap(building: Path, home: Path) -> None:
    replaced = home.with_name(home.name + ".replaced")
    _remove(replaced)
    if home.exists():
        home.rename(replaced)
    building.rename(home)
    _remove(replaced)  # a process that has it open can still read it


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def map_samples(home: Path, entries: list[Entry]) -> np.ndarray:
    """Maps the samples of a cache into memory, (sum of lengths,) int16."""
    if not any(entry.length for entry in entries):  # an empty file cannot be mapped
        return np.empty(0, np.int16)
    return np.asarray(np.memmap(home / SAMPLES, dtype="<i2", mode="r"))
