"""Excerpts of longer recordings with published folds, as corpora of environmental sounds have them."""

import os
import re
from abc import abstractmethod
from collections import defaultdict
from itertools import compress
from operator import not_
from pathlib import Path
from typing import NamedTuple

from auscult.datamodules.audio.listing import ENDINGS
from auscult.datamodules.clips import OTHERS, Clip, Corpus
from auscult.datamodules.folder import warn_of_left_out
from auscult.datamodules.labels.table import names_of, read_table, shortened
from auscult.mistake import Mistake

SOURCE = "source"  # the label that names the source under `random_split`


class Excerpt(NamedTuple):
    """A row of the table."""

    path: str  # relative to the root; the ending of the file may differ, as in a converted copy
    source: str  # the recording that it is cut from
    fold: int  # as published, from 1
    label: str


class Excerpts(Corpus):
    """Excerpts that a table under `root` lists, each with its class, its published fold and its source.

    Excerpts of one source sound alike, so the source is their `Clip.speaker`. A few sources lie in two published folds.
    They become one `Clip.speaker` for each fold, such as "180937 (fold 9)". The class is the label "class". Rows whose
    file does not exist are clips, too; the cache skips and lists them.

    Args:
        root: the folder that holds the table and the recordings.
        random_split: make folds of random clips, balanced over the classes, as some publications do. Each clip is its
            own `Clip.speaker`, its source is the label "source", and the test fold also validates. Clips of one source
            are then in training and in test, so that accuracies say little about other sources.

    Attributes:
        name: the corpus, for messages.
        home: where users find a copy, for messages.
        table: path of the table under `root`.
        columns: the table's columns with the file name, the source, the fold and the class.
        folds: the number of published folds.
    """

    unit = "source"
    validates = 1
    first_fold = 1

    name: str
    home: str
    table: str
    columns: tuple[str, str, str, str]
    folds: int

    def __init__(self, root: str | Path, random_split: bool = False) -> None:
        self.root, self.random_split = Path(root).expanduser(), random_split
        if random_split:
            self.unit, self.validates = "clip", 0

    @abstractmethod
    def folder(self, fold: int) -> str:
        """The folder of a published fold's recordings, relative to `root`."""

    def includes(self, row: dict[str, str]) -> bool:
        """Whether the corpus includes a row of the table, column -> cell."""
        return True

    def clips(self) -> list[Clip]:
        """See `Corpus.clips`; sorted by path. Also raises a Mistake if the table has another format."""
        excerpts, unwanted = self._excerpts()
        files = self._files()
        existing, by_stem = set(files), {_stem(path): path for path in reversed(files)}
        named = {_stem(excerpt.path) for excerpt in [*excerpts, *unwanted]}
        unnamed = [path for path in files if _stem(path) not in named]
        warn_of_left_out(unnamed, len(files), f"under data.root are not named in {self.table}")
        paths = [e.path if e.path in existing else by_stem.get(_stem(e.path), e.path) for e in excerpts]
        speakers = _speakers(excerpts)
        parts = zip(paths, speakers, excerpts, strict=True)
        clips = (
            Clip(path, path, {"class": e.label, SOURCE: e.source})
            if self.random_split
            else Clip(path, speaker, {"class": e.label})
            for path, speaker, e in parts
        )
        return sorted(clips, key=lambda clip: clip.path)

    def published_folds(self, task: str) -> list[list[str]] | None:
        """Sources of each published fold, the same for every task; an empty list if the table has no row of a fold."""
        if self.random_split:
            return None
        excerpts, _ = self._excerpts()
        pairs = {(e.fold, speaker) for e, speaker in zip(excerpts, _speakers(excerpts), strict=True)}
        return [sorted(speaker for own, speaker in pairs if own == fold) for fold in range(1, self.folds + 1)]

    def undivided(self, speaker: str) -> str:
        """See `Corpus.undivided`."""
        if self.random_split:
            return speaker
        return re.sub(r" \(fold \d+\)$", "", speaker)

    def _excerpts(self) -> tuple[list[Excerpt], list[Excerpt]]:
        """Reads the table: the excerpts that the corpus includes, and the others."""
        if not os.path.isfile(self.root / self.table):
            raise Mistake(
                f"there is no readable {self.table} under data.root={self.root}: point data.root to {self.home}; "
                f"{OTHERS}."
            )
        name = f"{self.table} under data.root={self.root}"
        columns, rows = read_table(self.root / self.table, name)
        if lacking := [column for column in self.columns if column not in columns]:
            there = names_of(columns) if columns else "an empty line"
            raise Mistake(f"{name} has no column '{lacking[0]}', only {there}: fetch it again.")
        excerpts = [self._excerpt(row, f"row {number} of {name}") for number, row in enumerate(rows, 1)]
        wanted = [self.includes(row) for row in rows]
        if not any(wanted):
            raise Mistake(f"{name} names no recordings of {self.name}: fetch it again.")
        _check(excerpts, name)
        return list(compress(excerpts, wanted)), list(compress(excerpts, map(not_, wanted)))

    def _excerpt(self, row: dict[str, str], name: str) -> Excerpt:
        if empty := [column for column in self.columns if not row[column]]:
            raise Mistake(f"{name} has no {empty[0]}: mend the row, or fetch the table again.")
        file, source, fold, label = (row[column] for column in self.columns)
        if not fold.isdecimal() or not 1 <= int(fold) <= self.folds:
            raise Mistake(
                f"{name} has the {self.columns[2]} '{shortened(fold)}', which is not a whole number from 1 to "
                f"{self.folds}: mend the row, or fetch the table again."
            )
        return Excerpt(f"{self.folder(int(fold))}/{file}", source, int(fold), label)

    def _files(self) -> list[str]:
        """Paths of all recordings, sorted, relative to `root`."""
        folders = sorted({self.folder(fold) for fold in range(1, self.folds + 1)})
        files = []
        for folder in folders:
            try:
                names = os.listdir(self.root / folder)
            except FileNotFoundError:
                continue  # the user has kept only some of the folds
            except OSError as error:
                raise Mistake(f"data.root={self.root} cannot be read: {folder}: {error.strerror}.") from error
            recordings = [n for n in names if not n.startswith(".") and os.path.splitext(n)[1].lower() in ENDINGS]
            files += [f"{folder}/{name}" for name in recordings]
        if not files:
            raise Mistake(
                f"there are no recordings in {folders[0]} under data.root={self.root}: point data.root to {self.home}; "
                f"{OTHERS}."
            )
        return sorted(files)


def _stem(path: str) -> str:
    return os.path.splitext(path)[0]


def _speakers(excerpts: list[Excerpt]) -> list[str]:
    """The `Clip.speaker` of each excerpt."""
    folds = defaultdict(set)
    for excerpt in excerpts:
        folds[excerpt.source].add(excerpt.fold)
    return [e.source if len(folds[e.source]) == 1 else f"{e.source} (fold {e.fold})" for e in excerpts]


def _check(excerpts: list[Excerpt], name: str) -> None:
    stems: set[str] = set()
    for excerpt in excerpts:
        if _stem(excerpt.path) in stems:
            raise Mistake(
                f"{name} names {shortened(excerpt.path)} more than once: keep one of its rows, or fetch the table"
                " again."
            )
        stems.add(_stem(excerpt.path))
