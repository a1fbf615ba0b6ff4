"""A clip is one recording with its labels; a corpus lists its clips."""

import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from auscult.datamodules.audio.audio_file import read_whole
from auscult.datamodules.labels.table import composed

OTHERS = "data=folder reads recordings in any other layout"  # for messages
MISSING = "missing"  # the stamp of a path that does not exist or is no regular file


@dataclass(frozen=True)
class Clip:
    """One recording, named but not read."""

    path: str  # relative to the corpus's root, with forward slashes; unique in the corpus
    speaker: str  # or another group of clips that must not be in two splits: see `Corpus.unit`
    labels: Mapping[str, str] = field(default_factory=dict)  # column -> class name; unknown ones are left out

    def __post_init__(self) -> None:
        """Composes letters and accents (NFC), so that names that look the same are the same class or speaker."""
        labels = {composed(column): composed(name) for column, name in self.labels.items()}
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "speaker", composed(self.speaker))


@dataclass(frozen=True)
class Segment:
    """A part of a recording with a name, such as a phone or a word; `start` and `stop` are in seconds."""

    name: str
    start: float
    stop: float


class Corpus(ABC):
    """A list of clips, and how they are read. A new corpus is a subclass and a YAML in `conf/data`.

    Attributes:
        unit: what `Clip.speaker` is called here, such as "speaker", or "source" for the recording a clip is cut from.
        validates: which fold validates, counted from the test fold: -1 is the fold before it, 1 the fold after it, 0
            the test fold itself, for publications without a validation fold.
        first_fold: the publication's number of its first fold; `fold` itself counts from 0.
    """

    root: Path
    unit: str = "speaker"
    validates: int = -1
    first_fold: int = 0

    def where_labels_are_named(self, label: str) -> str:
        """How a user can give this corpus one more label, for a message; empty if there is no way."""
        return ""

    def where_classes_are_left_out(self, label: str, names: list[str]) -> str:
        """How a user can leave some classes of a label out, for a message; empty if there is no way."""
        return ""

    @abstractmethod
    def clips(self) -> list[Clip]:
        """All clips, in an order that depends only on the corpus.

        Raises:
            Mistake: `data.root` (or another option of the corpus) does not lead to any clips.
        """

    def published_folds(self, task: str) -> list[list[str]] | None:
        """Speakers (see `unit`) of each published test fold of a task; None if folds have to be generated."""
        return None

    def published_split(self) -> Mapping[str, str] | None:
        """Path of each clip -> "train", "validation" or "test", if that was published, and not folds; else None.

        Clips that it does not name are in no part.
        """
        return None

    def undivided(self, speaker: str) -> str:
        """What must not be in two splits: the speaker, or the whole recording if published folds divide it."""
        return speaker

    def read(self, clip: Clip) -> tuple[np.ndarray, int]:
        """Reads one recording: its samples (frames, channels), float32 in [-1, 1], and its rate in hertz."""
        return samples_of(self.root / clip.path)

    def segments(self, clip: Clip) -> list[Segment]:
        """What is said when in a recording, in order; empty where that is not known."""
        return []

    def stamp(self, clip: Clip) -> str:
        """A text that changes whenever the recording changes; `MISSING` if there is no recording."""
        return stamp_of(os.path.join(self.root, clip.path))  # half the time of a Path, over 30 000 clips

    def identity(self) -> dict[str, object]:
        """Distinguishes this corpus from all others; part of the key of a cache."""
        return {"corpus": type(self).__qualname__, "root": str(self.root.resolve())}


def samples_of(path: Path) -> tuple[np.ndarray, int]:
    """Reads a file: its samples (frames, channels), float32 in [-1, 1], and its rate in hertz."""
    samples, rate = read_whole(path)
    return (samples / np.float32(32768) if samples.dtype == np.int16 else samples), rate


def stamp_of(path: str) -> str:
    """A text that changes whenever a file changes; `MISSING` if there is no regular file."""
    try:
        status = os.stat(path)
    except OSError:
        return MISSING
    return f"{status.st_size}-{status.st_mtime_ns}" if stat.S_ISREG(status.st_mode) else MISSING
