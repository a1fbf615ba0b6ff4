"""The index of a cache, one entry per recording, and its list of skipped recordings."""

import csv
import json
import logging
import stat
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

log = logging.getLogger(__name__)

SAMPLES, INDEX, SKIPPED = "samples.int16", "index.jsonl", "skipped.csv"


class Entry(NamedTuple):
    """A line of the index."""

    path: str
    stamp: str  # the recording's `Corpus.stamp` when it was read
    length: int  # words of 16 bits of all channels, two for a float32 sample; 0 for a bad recording
    start: int  # see `Prepared`
    cut: bool
    reason: str  # why a recording was skipped; empty for a kept one
    checksum: int  # CRC-32 of the samples' bytes


def read_entries(home: Path) -> list[Entry] | None:
    """Reads the index of a finished cache; None if there is no cache, or if the index does not fit the samples."""
    try:
        entries = [parsed(line) for line in (home / INDEX).read_bytes().splitlines(True)]
        samples = (home / SAMPLES).stat()
        whole = stat.S_ISREG(samples.st_mode) and samples.st_size == 2 * sum(entry.length for entry in entries)
    except (OSError, ValueError):
        if not home.exists():
            return None
        whole = False
    if not whole:
        log.warning("the cache in %s is damaged and is built again.", home)
        return None
    return entries


def checksum(samples: np.ndarray) -> int:
    """CRC-32 of a clip's samples (C, L) int16, as the index holds it."""
    return zlib.crc32(np.ascontiguousarray(samples, "<i2").data)


def write_skipped(path: Path, skipped: list[tuple[str, str]]) -> None:
    """Writes the table of skipped recordings.

    Args:
        skipped: path and reason of each.

    Raises:
        OSError: the table cannot be written.
    """
    with open(path, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        csv.writer(file).writerows([("path", "reason"), *skipped])


def line_of(entry: Entry) -> bytes:
    """The line of an entry, with the line's own checksum."""
    text = json.dumps(entry).encode()
    return b"%s, %d]\n" % (text[:-1], zlib.crc32(text))


def parsed(line: bytes) -> Entry:
    """The entry of a line. Raises a ValueError if the line is not as it was written."""
    text, _, check = line.rpartition(b", ")
    text += b"]"
    if check != b"%d]\n" % zlib.crc32(text):
        raise ValueError("a damaged line")
    fields = json.loads(text)
    if [type(field) for field in fields] != list(Entry.__annotations__.values()):
        raise ValueError("a line of another version")
    return Entry(*fields)


def ends_of(entries: list[Entry]) -> np.ndarray:
    """(N,) int64, where each entry's samples end in the file."""
    return np.cumsum([entry.length for entry in entries], dtype=np.int64)
