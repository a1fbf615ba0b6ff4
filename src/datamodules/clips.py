"""A clip is one recording and what is known of it; a corpus says where its clips are."""

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
MISSING = "missing"  # the stamp of a recording that is not there, or a pipe, a device or a folder


@dataclass(frozen=True)
class Clip:
    """One recording, named but not read."""

    path: str  # relative to the corpus's root, with forward slashes; unique in the corpus
    speaker: str  # or whatever else must not be in two splits: see `Corpus.unit`
    labels: Mapping[str, str] = field(default_factory=dict)  # column -> class name, as far as known

    def __post_init__(self) -> None:
        """Composes letters and accents (NFC): what looks the same is the same class, and the same speaker."""
        labels = {composed(column): composed(name) for column, name in self.labels.items()}
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "speaker", composed(self.speaker))


class Corpus(ABC):
    """Where clips are and what is known of them. A new corpus is a subclass and a YAML in `conf/data`.

    Attributes:
        unit: what `Clip.speaker` is called here, such as "speaker", or "source" for the recording a clip is cut from.
        validates: which fold validates, counted from the one that is tested: -1 the one before, 1 the one after, 0 the
            one that is tested, where a publication has no other.
        first_fold: what the publication calls the first of its folds; `fold` itself counts from 0.
    """

    root: Path
    unit: str = "speaker"
    validates: int = -1
    first_fold: int = 0

    def where_labels_are_named(self, label: str) -> str:
        """How this corpus could be told one more label, for a message; empty where it cannot."""
        return ""

    def where_classes_are_left_out(self, label: str, names: list[str]) -> str:
        """How this corpus could do without some classes of a label, for a message; empty where it cannot."""
        return ""

    @abstractmethod
    def clips(self) -> list[Clip]:
        """All clips, in an order that depends on the corpus alone.

        Raises:
            Mistake: `data.root` (or another option of the corpus) does not lead to any clips.
        """

    def published_folds(self, task: str) -> list[list[str]] | None:
        """Speakers (see `unit`) of each published test fold of a task, or None where folds are to be generated."""
        return None

    def undivided(self, speaker: str) -> str:
        """What must not be on two sides: a speaker, or, where published folds divide a recording, the whole of it."""
        return speaker

    def read(self, clip: Clip) -> tuple[np.ndarray, int]:
        """Samples of one recording, float32 in [-1, 1], (frames, channels), and its rate in hertz."""
        samples, rate = read_whole(self.root / clip.path)
        return (samples / np.float32(32768) if samples.dtype == np.int16 else samples), rate

    def stamp(self, clip: Clip) -> str:
        """Changes whenever the recording does; `MISSING` where there is none."""
        try:
            status = os.stat(os.path.join(self.root, clip.path))  # half the time of a Path, over 30 000 clips
        except OSError:
            return MISSING
        if not stat.S_ISREG(status.st_mode):
            return MISSING
        return f"{status.st_size}-{status.st_mtime_ns}"

    def identity(self) -> dict[str, object]:
        """What tells this corpus from any other; a cache is keyed by it."""
        return {"corpus": type(self).__qualname__, "root": str(self.root.resolve())}
