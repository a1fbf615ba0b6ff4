"""Any data set of Hugging Face's `datasets` that has recordings and labels, from the hub or from a folder."""

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from auscult.datamodules.audio.audio_file import UNREADABLE, BadRecording
from auscult.datamodules.clips import Clip, Corpus, samples_of, stamp_of
from auscult.datamodules.folder import clip_of
from auscult.datamodules.hub_columns import audio_column, files_of, rows_of, speaker_column
from auscult.datamodules.hub_splits import caches, splits_of
from auscult.datamodules.published_split import with_parts, without_part
from auscult.program.paths import HUB

if TYPE_CHECKING:
    from datasets import Dataset

log = logging.getLogger(__name__)

# what the parts of a published split are called; the first that is there counts
NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}


class HuggingFace(Corpus):
    """Each row of a data set is a clip, with the path `<split>/<row>`.

    Columns of classes give the names of these, columns of texts and numbers what they hold. If there is one column of
    classes, and none that is called "label", it is the label "label", too.

    Args:
        root: a folder, or a name of the hub with `hf:` before it; see `splits_of`.
        config: one of the data set's configurations.
        audio: the column of the recordings; None: the only one.
        speaker: the column of the speakers; None: the one with such a name, see `SPEAKER_COLUMNS`.
        published_split: splits that are called train, validation and test are such; false: folds of speakers.
    """

    def __init__(
        self,
        root: str,
        config: str | None = None,
        audio: str | None = None,
        speaker: str | None = None,
        published_split: bool = True,
    ) -> None:
        self.name, self.config, self.audio, self.speaker = str(root), config, audio, speaker
        if not self.name.startswith(HUB):
            self.root = Path(root).expanduser()
        self.is_published = published_split
        self._part_of: dict[str, str] | None = None
        self._speaker: str | None = None  # the column of the speakers
        self._sounds: dict[str, Dataset] = {}  # split -> the column of the recordings
        self._fingerprints: dict[str, str] = {}  # split -> what changes with its content
        self._files: dict[str, str] = {}  # path of a clip -> its file, if the data set holds no bytes of it

    def where_labels_are_named(self, label: str) -> str:
        """See `Corpus.where_labels_are_named`."""
        return "say task=label task.label=speaker" if label == self._speaker else ""

    def clips(self) -> list[Clip]:
        """See `Corpus.clips`; in the order of the rows. Also raises a Mistake if the data set cannot be opened."""
        splits = splits_of(self.name, self.config)
        parts = _parts(list(splits)) if self.is_published else None
        if parts is not None:
            splits = {name: splits[name] for name in parts}
        features = next(iter(splits.values())).features
        audio = audio_column(features, self.audio)
        self._speaker = speaker_column(features, self.speaker)
        clips = []
        for name, split in splits.items():
            self._keep(name, split, audio)
            clips += [clip_of(f"{name}/{i}", row) for i, row in enumerate(rows_of(split, self._speaker))]
        self._warn_of_unnamed(clips)
        self._part_of = None if parts is None else {clip.path: parts[_split_of(clip)] for clip in clips}
        return with_parts(clips, self._part_of or {})

    def published_split(self) -> Mapping[str, str] | None:
        """See `Corpus.published_split`."""
        return self._part_of

    def undivided(self, speaker: str) -> str:
        """See `Corpus.undivided`."""
        return without_part(speaker)

    def read(self, clip: Clip) -> tuple[np.ndarray, int]:
        """See `Corpus.read`."""
        if clip.path in self._files:
            return samples_of(self._file(clip))
        split, _, row = clip.path.rpartition("/")
        (held,) = self._sounds[split][int(row)].values()
        if not held or not held["bytes"]:
            raise BadRecording("empty: no bytes")
        ending = re.search(r"\.\w{1,8}$", held["path"] or "")
        with TemporaryDirectory() as folder:
            path = Path(folder) / f"recording{ending[0] if ending else ''}"
            path.write_bytes(held["bytes"])
            return samples_of(path)

    def stamp(self, clip: Clip) -> str:
        """See `Corpus.stamp`."""
        if clip.path not in self._files:
            return self._fingerprints[_split_of(clip)]
        return stamp_of(self._files[clip.path])

    def identity(self) -> dict[str, object]:
        """See `Corpus.identity`."""
        place = self.name if self.name.startswith(HUB) else str(self.root.resolve())
        return {"corpus": type(self).__qualname__, "root": place, "config": self.config, "audio": self.audio}

    def _keep(self, name: str, split: "Dataset", audio: str) -> None:
        """Keeps what `read` and `stamp` need of a split."""
        from datasets import Audio

        self._fingerprints[name] = split._fingerprint
        self._sounds[name] = split.select_columns([audio]).cast_column(audio, Audio(decode=False))
        base = "" if self.name.startswith(HUB) else os.path.abspath(self.root)
        for row, file in enumerate(files_of(split, audio)):
            if file is not None:
                self._files[f"{name}/{row}"] = os.path.normpath(os.path.join(base, file))

    def _file(self, clip: Clip) -> Path:
        """The file of a recording. Raises BadRecording if it lies elsewhere: no data set decides what is read."""
        file = self._files[clip.path]
        homes = caches() if self.name.startswith(HUB) else [os.path.abspath(self.root), *caches()]
        if not any(file.startswith(home + os.sep) for home in homes):
            raise BadRecording(f"{UNREADABLE}: {file} is no file of the data set")
        return Path(file)

    def _warn_of_unnamed(self, clips: list[Clip]) -> None:
        alone = sum(clip.speaker == clip.path for clip in clips)
        if alone:
            log.warning(
                "%d of %d recordings name no speaker (data.speaker=… says in which column they do) and count as one"
                " speaker each: voices may be in several splits.", alone, len(clips),
            )  # fmt: skip


def _split_of(clip: Clip) -> str:
    return clip.path.rpartition("/")[0]


def _parts(names: list[str]) -> dict[str, str] | None:
    """Name of each split that has a part -> "train", "validation" or "test"; None if nothing is held out."""
    found = {part: next((name for name in options if name in names), None) for part, options in NAMES.items()}
    if found["test"] is None and found["validation"] is not None:
        log.info("there is no split called test: the split %s tests.", found["validation"])
        found = {**found, "test": found["validation"], "validation": None}
    parts = {name: part for part, name in found.items() if name is not None}
    if not {"train", "test"} <= set(parts.values()):
        return None
    if others := [name for name in names if name not in parts]:
        log.warning("the splits %s neither train nor validate nor test, and are left out.", ", ".join(others))
    return {name: parts[name] for name in names if name in parts}
