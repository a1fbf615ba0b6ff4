"""Lists the recordings below a folder."""

import logging
import os
from collections import Counter
from pathlib import Path

import soundfile

from auscult.datamodules.audio import ffmpeg
from auscult.mistake import Mistake

log = logging.getLogger(__name__)

# without RAW, whose files have no header; with common endings that differ from libsndfile's names of the formats
ENDINGS = {f".{name.lower()}" for name in soundfile.available_formats()} - {".raw"} | {
    ".aif", ".aifc", ".mp2", ".mp3", ".oga", ".opus", ".snd", ".sph", ".wave",
}  # fmt: skip
ENDINGS |= ffmpeg.ENDINGS  # also without FFmpeg: such recordings are then reported as unreadable


def audio_files(root: Path, option: str = "data.root") -> list[str]:
    """Paths of the recordings under `root`, sorted, with forward slashes.

    Raises:
        Mistake: there are no recordings, or a folder cannot be read; the message names `option`.
    """
    if not root.exists():
        raise Mistake(f"{option}={root} does not exist: point it to the folder of your recordings.")
    if not root.is_dir():
        raise Mistake(f"{option}={root} is not a folder: point it to the folder of your recordings.")
    unreadable: list[OSError] = []
    recordings = []
    others: Counter[str] = Counter()
    walked: set[str] = set()  # a link may lead to a folder above itself
    for folder, below, names in os.walk(root, onerror=unreadable.append, followlinks=True):
        if os.path.realpath(folder) in walked:
            below.clear()
            continue
        walked.add(os.path.realpath(folder))
        below[:] = sorted(name for name in below if not name.startswith("."))
        relative = Path(folder).relative_to(root)
        for name in names:
            ending = os.path.splitext(name)[1].lower()
            if name.startswith("."):
                continue
            if ending in ENDINGS:
                recordings.append((relative / name).as_posix())
            else:
                others[ending or "no ending"] += 1
    if unreadable:
        raise Mistake(
            f"{unreadable[0].filename} under {option}={root} cannot be read ({unreadable[0].strerror}): check its "
            "permissions."
        )
    if not recordings:
        rest = f"{others.total()} other files: {', '.join(others)}" if others else "no files"
        raise Mistake(f"{option}={root} holds no recordings, such as .wav, .flac, .mp3 or .m4a (it has {rest[:200]}).")
    if others:
        named = ", ".join(f"{count} {ending}" for ending, count in others.most_common(5))
        log.info("files that are no recordings are ignored (%s).", named)
    return sorted(recordings)
