"""Damaged files of every format that libsndfile writes: each becomes a clip or a reason, in little time and memory."""

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

REASONS = ("empty", "not audio", "not finite", "silent", "too short", "truncated", "unreadable")
MOST_SECONDS, MOST_MEGABYTES = 20, 500  # of one file; of the process, its imports included
ROUNDS = 6  # of all mutations of all formats: some 5 000 files
HEADER = 120  # bytes, of most formats
LENGTHS = (0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**33, 2**63 - 1, 2**64 - 1)

LOAD_ALL = """
import json, sys, time
from pathlib import Path
from auscult.datamodules.clips import Clip, Corpus
from auscult.datamodules.recording import BadRecording, ClipSettings, load
from tests.datamodules.test_recording import most_megabytes

class Files(Corpus):
    root = Path(sys.argv[1])
    def clips(self):
        return []

results = open(sys.argv[2], "w", buffering=1)  # libsndfile itself prints of damaged SDS files
for path in sorted(Files.root.iterdir()):
    print(path.name, file=results)  # whatever ends the process, the file is known
    started = time.monotonic()
    try:
        result = len(load(Files(), Clip(path.name, ""), ClipSettings()).samples[0])
    except BadRecording as bad:
        result = str(bad)
    seconds, megabytes = time.monotonic() - started, most_megabytes()
    print(json.dumps([result, seconds, megabytes]), file=results)
"""


def whole_files() -> Iterator[tuple[str, bytes]]:
    """A name and the content of a recording in each format and subtype that can be written."""
    samples = 0.3 * np.random.default_rng(0).standard_normal(4000)
    for format_ in sorted(
        soundfile.available_formats().keys() - {"RAW", "SD2"}
    ):  # no header; half of it in another file
        for subtype in soundfile.available_subtypes(format_):
            file = io.BytesIO()
            try:
                soundfile.write(file, samples, 8000, format=format_, subtype=subtype)
            except soundfile.LibsndfileError:  # such as MP3 in WAV: it only reads them
                continue
            yield f"{format_}-{subtype}", file.getvalue()


def flipped(content: bytes, random: np.random.Generator, until: int) -> bytes:
    damaged = np.frombuffer(content, np.uint8).copy()
    for place in random.integers(0, min(until, len(content)), random.integers(1, 8)):
        damaged[place] ^= 1 << random.integers(8)
    return damaged.tobytes()


def with_length(content: bytes, random: np.random.Generator) -> bytes:
    """Some four or eight bytes of the header say something else, in one order of bytes or the other."""
    width, place = int(random.choice([4, 8])), int(random.integers(0, HEADER))
    number = int(random.choice(np.array(LENGTHS, object))) % 2 ** (8 * width)
    return content[:place] + number.to_bytes(width, str(random.choice(["little", "big"]))) + content[place + width :]  # type: ignore[arg-type]


def with_chunk(content: bytes, random: np.random.Generator) -> bytes:
    place, size = int(random.integers(4, HEADER)), int(random.choice(np.array(LENGTHS, object))) % 2**32
    return content[:place] + b"LIST" + size.to_bytes(4, "little") + random.bytes(16) + content[place:]


MUTATIONS: dict[str, Callable[[bytes, np.random.Generator], bytes]] = {
    "header": lambda content, random: flipped(content, random, HEADER),
    "samples": lambda content, random: flipped(content, random, len(content)),
    "cut": lambda content, random: content[: random.integers(1, len(content))],
    "length": with_length,
    "chunk": with_chunk,
    "doubled": lambda content, random: (
        content[: (place := int(random.integers(8, HEADER)))] + content[:place] + content
    ),
    "noise": lambda content, random: content[: random.integers(4, 48)] + random.bytes(4000),
}


def write_mutants(folder: Path, seed: int) -> int:
    random = np.random.default_rng(seed)
    count = 0
    for name, content in whole_files():
        ending = name.split("-")[0].lower()
        for mutation, mutate in MUTATIONS.items():
            (folder / f"{name}-{mutation}-{seed}.{ending}").write_bytes(mutate(content, random))
            count += 1
    return count


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's account of memory")
@pytest.mark.parametrize("seed", range(ROUNDS))
def test_damaged_files_become_clips_or_reasons(tmp_path: Path, seed: int) -> None:
    files, results = tmp_path / "files", tmp_path / "results"
    files.mkdir()
    count = write_mutants(files, seed)
    assert count > 400
    command = [sys.executable, "-c", LOAD_ALL, str(files), str(results)]
    done = subprocess.run(command, capture_output=True, timeout=500, check=False)
    lines = results.read_text().splitlines()
    assert done.returncode == 0, f"status {done.returncode} at {lines[-1]}: {done.stderr[-2000:].decode()}"
    assert len(lines) == 2 * count
    for name, line in zip(lines[::2], lines[1::2], strict=True):
        result, seconds, megabytes = json.loads(line)
        assert isinstance(result, int) or result.split(":")[0].split(" or ")[0] in REASONS, (name, result)
        assert seconds < MOST_SECONDS and megabytes < MOST_MEGABYTES, (name, line)
