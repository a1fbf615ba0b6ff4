"""How long recordings are, as their headers say."""

from collections.abc import Iterator
from pathlib import Path

import soundfile

from auscult.datamodules.audio.listing import audio_files
from auscult.datamodules.audio.quiet import quiet


def longest(path: Path, most: float) -> float:
    """Seconds of the longest recording of a file or folder, at most `most`; `most` if no header says a length."""
    longest = 0.0
    for seconds in lengths(path):
        longest = max(longest, seconds)
        if longest >= most:
            return most
    return longest or most


def lengths(path: Path) -> Iterator[float]:
    """Seconds of each recording whose header says its length."""
    for name in audio_files(path, "input") if path.is_dir() else [""]:
        try:
            with quiet():
                about = soundfile.info(str(path / name))
        except (RuntimeError, OSError):  # a damaged one is reported when it is read
            continue
        if about.frames > 0 and about.samplerate > 0:
            yield about.frames / about.samplerate
