"""Any folder of recordings, with labels from their names or from a table."""

import logging
import os
import re
from functools import cache
from pathlib import Path
from posixpath import normpath
from shlex import quote

from auscult.datamodules.audio.listing import audio_files
from auscult.datamodules.clips import Clip, Corpus
from auscult.datamodules.labels.class_folders import (
    labels_of_folders,
    pattern_without,
    warn_of_folders,
    warn_of_part_columns,
)
from auscult.datamodules.labels.name_pattern import compiled, warn_of_endings
from auscult.datamodules.labels.speakers import SPEAKER_COLUMNS, check_speakers, labels_of_speakers
from auscult.datamodules.labels.table import composed, names_of, read_table, shortened
from auscult.datamodules.labels.table_paths import NO_PARTS, PATH_COLUMNS, column_among, part_columns, plain, way_to
from auscult.machine.limits import TooMuch, seconds_at_most
from auscult.mistake import Mistake
from auscult.plain_data import shown

log = logging.getLogger(__name__)

PATTERN_SECONDS, PATTERN_SECONDS_EACH = 5.0, 1e-4  # a pattern takes some microseconds for each path

SEXES = {
    **dict.fromkeys(("m", "male", "man", "men", "boy", "male_masculine"), "male"),
    **dict.fromkeys(("f", "female", "woman", "women", "girl", "w", "female_feminine"), "female"),
}


@cache
def _say_what_is_read(path: str, words: str) -> None:
    """Shows on a recording what a pattern reads, once: a benchmark opens a corpus for each attribution."""
    log.info("data.pattern reads %s as %s.", shortened(path), words or "nothing")


class Folder(Corpus):
    """Every audio file below a folder.

    Args:
        root: the folder.
        pattern: a regular expression that is searched in each file's path under `root` (forward slashes, composed
            accents). Its named groups are labels ("digit", "sex" or any other), and "speaker". Files that it does not
            match are left out.
        csv: a table instead, with a column "path" (under `root`; all `PATH_COLUMNS` are allowed), one column per label,
            and "speaker" if it is known. Empty cells are unknown values. Without pattern and table, the name of a
            recording's folder is its "label".
        speakers: labels of the speakers, see `labels_of_speakers`; labels of a recording itself take precedence.

    The path of a table is relative to the working directory, or else to `root`.

    Sexes become male and female: m, male, man, men, boy and f, female, woman, women, girl, w are understood, in
    capitals or not, also in a column "gender". A recording without a speaker counts as a speaker of its own.
    """

    option = "data.root"  # the option that names the folder, for messages

    def __init__(
        self,
        root: str | Path,
        pattern: str | None = None,
        csv: str | Path | None = None,
        speakers: str | Path | None = None,
    ) -> None:
        self.root = Path(root).expanduser()
        self.pattern = pattern
        self.csv = csv
        self.speakers = speakers
        self.columns: set[str] = set()  # of the table
        self.blank: set[str] = set()  # columns of the table that have an empty cell
        self.repeated: set[str] = set()  # names that several columns of the table share: these are no labels
        self._names_parts = False  # whether the table's rows are parts of recordings

    def where_labels_are_named(self, label: str) -> str:
        """See `Corpus.where_labels_are_named`."""
        if self.csv is not None:
            if label in self.repeated:
                return f"keep one of data.csv's columns {label}"
            if label in PATH_COLUMNS:
                return f"name another column: data.csv's {label} says where recordings lie, and is no label"
            if alike := sorted(name for name in self.columns - {label} if plain(name) == plain(label)):
                return f"say task=label task.label={alike[0]}"
            is_blank = label in self.blank
            return f"fill the column {label} of data.csv" if is_blank else f"give data.csv a column {label}"
        return f"give data.pattern a group (?P<{label}>…)" if label.isidentifier() else ""

    def where_classes_are_left_out(self, label: str, names: list[str]) -> str:
        """See `Corpus.where_classes_are_left_out`."""
        some = ", ".join(map(shortened, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        if self.csv is not None:
            return f"remove the rows of {label} {some} from data.csv"
        if self.pattern is not None or len(names) > 5:
            return f"let data.pattern match no recording of {label} {some}"
        return f"leave {'it' if len(names) == 1 else 'them'} out by {quote(f'data.pattern={pattern_without(names)}')}"

    def clips(self) -> list[Clip]:
        """See `Corpus.clips`; sorted by path."""
        if self.pattern is not None and self.csv is not None:
            raise Mistake("data.pattern and data.csv are both set: keep one of them.")
        files = audio_files(self.root, self.option)
        if self.csv is not None:
            rows = self._from_table(files)
        elif self.pattern is None:
            rows = self._from_folders(files)
        else:
            rows = self._from_names(files, compiled(str(self.pattern), has_labels=self.speakers is not None))
        if self.speakers is not None:
            rows = self._with_speakers(rows)
        alone = sum(not row.get("speaker") for row in rows.values())
        if alone:
            log.warning(
                "%d of %d recordings name no speaker (a column or group `speaker`) and count as one speaker each%s.",
                alone, len(rows), "" if self.option == "input" else ": folds may share voices",
            )  # fmt: skip
        return [clip_of(path, row) for path, row in sorted(rows.items())]

    def identity(self) -> dict[str, object]:
        """See `Corpus.identity`; the source of the labels is part of it, as it decides which recordings are used."""
        return {**super().identity(), "pattern": self.pattern, "csv": str(self.csv)}

    def _with_speakers(self, rows: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        """Adds the labels of the speakers: path -> label -> value."""
        people = labels_of_speakers(self._table_path(self.speakers), "data.speakers")
        named = {row["speaker"] for row in rows.values() if row.get("speaker")}
        check_speakers(people, named, f"data.speakers={self.speakers}")
        return {path: {**people.get(row.get("speaker", ""), {}), **row} for path, row in rows.items()}

    def _from_names(self, files: list[str], pattern: re.Pattern[str]) -> dict[str, dict[str, str]]:
        """Path -> label -> value, for the files that the pattern matches."""
        try:
            with seconds_at_most(PATTERN_SECONDS + PATTERN_SECONDS_EACH * len(files), "data.pattern"):
                matches = {path: match for path in files if (match := pattern.search(composed(path)))}
        except TooMuch:
            raise Mistake(
                f"data.pattern={shown(pattern.pattern, 200)} takes too long to search: repeat no part that repeats."
            ) from None
        if not matches:
            raise Mistake(
                f"data.pattern={pattern.pattern} matches none of the {len(files)} recordings under "
                f"{self.option}={self.root}, such as {files[0]}."
            )
        warn_of_left_out([path for path in files if path not in matches], len(files), "do not match data.pattern")
        rows = {path: {k: v for k, v in match.groupdict().items() if v} for path, match in matches.items()}
        example = min(rows)
        _say_what_is_read(example, ", ".join(f"{name} {shortened(value)}" for name, value in rows[example].items()))
        warn_of_endings(rows)
        warn_of_part_columns(pattern.groupindex, rows.values())
        return rows

    def _from_folders(self, files: list[str]) -> dict[str, dict[str, str]]:
        """Path -> label -> value, for the files that lie in the folder of a class."""
        rows = labels_of_folders(files)
        warn_of_left_out([path for path in files if path not in rows], len(files), "lie in no folder of a class")
        warn_of_folders(list(rows), self.root)
        return rows

    def _from_table(self, files: list[str]) -> dict[str, dict[str, str]]:
        """Path -> label -> value, for the files that the table names."""
        rows: dict[str, dict[str, str]] = {}
        repeated, pathless = [], 0
        path_of = {composed(path): path for path in sorted(files, key=lambda path: path == composed(path))}
        roots = [composed(f"{place(self.root)}/") for place in (os.path.abspath, os.path.realpath)]
        table = self._table_path(self.csv)
        for row in self._rows(table):
            if not row["path"]:
                pathless += any(row.values())
                continue  # spreadsheets write rows of empty cells
            self.blank |= {name for name, value in row.items() if not value}
            path = normpath(row.pop("path").replace("\\", "/"))
            path = next((path.removeprefix(root) for root in roots if path.startswith(root)), path)
            path = path_of.get(path, path)
            repeated += [path] if path in rows else []
            rows[path] = {name: value for name, value in row.items() if value}
        if repeated:
            way_out = f": {NO_PARTS}" if self._names_parts else "; keep one row of each"
            raise Mistake(
                f"data.csv={self.csv} names paths more than once, such as {shortened(repeated[0])}"
                f" ({len(repeated)} in all){way_out}."
            )
        if pathless:
            log.warning("%d rows of data.csv have labels and no path, and are left out.", pathless)
        existing = set(files) | {path for path in rows.keys() - set(files) if _lies_under(self.root, path)}
        missing = sorted(rows.keys() - existing)
        if len(missing) == len(rows):
            if not rows:
                raise Mistake(f"data.csv={self.csv} has no rows below its first line.")
            way_out = way_to(self.root, self.option, files, missing)
            if way_out.startswith(f"say {self.option}=") and table != Path(str(self.csv)).expanduser():
                way_out += f" data.csv={table}"  # it is no longer found by its path under the root
            raise Mistake(
                f"none of the {len(rows)} paths in data.csv={self.csv}, such as {shortened(missing[0])}, is a "
                f"recording under {self.option}={self.root}: {way_out}."
            )
        warn_of_left_out(missing, len(rows), "in data.csv are not there")
        warn_of_left_out([path for path in files if path not in rows], len(files), "are not in data.csv")
        return {path: labels for path, labels in rows.items() if path in existing}

    def _rows(self, path: Path) -> list[dict[str, str]]:
        """Reads the table's rows, column -> cell, without the columns that share a name."""
        columns, rows = read_table(path, f"data.csv={path}")
        named = column_among(columns, PATH_COLUMNS)
        parts = part_columns(columns)
        self._names_parts = bool(parts)
        if named is None and parts:
            raise Mistake(f"data.csv={path} has columns of beginnings and ends, and no column 'path': {NO_PARTS}.")
        if named is None or len(columns) < 2:
            raise Mistake(f"data.csv={path} needs a column 'path' and a column per label; it has {names_of(columns)}.")
        if parts:
            log.warning(
                "the columns %s of data.csv are not read, and each recording counts as a whole (%s).",
                " and ".join(parts),
                NO_PARTS,
            )
        speaker = column_among(columns, SPEAKER_COLUMNS)
        self.columns = set(columns)
        self.repeated = {name for name in columns if name and columns.count(name) > 1}
        warn_of_part_columns(columns, rows)
        for name in sorted(self.repeated & {named, speaker or named}):
            raise Mistake(f"data.csv={path} has several columns {name}: keep one of them.")
        if named != "path":
            log.info("the column %s of data.csv=%s is taken for the path.", named, path)
            rows = [{"path": row[named], **{name: cell for name, cell in row.items() if name != named}} for row in rows]
        if speaker not in (None, "speaker"):
            log.info("the column %s of data.csv=%s is taken for the speaker.", speaker, path)
            rows = [{**row, "speaker": row[speaker]} for row in rows]
        return [{name: cell for name, cell in row.items() if name not in self.repeated} for row in rows]

    def _table_path(self, name: str | Path | None) -> Path:
        path = Path(str(name)).expanduser()
        return path if path.exists() else self.root / path


def _lies_under(root: Path, path: str) -> bool:
    """Whether a file exists under `root`; the table may name recordings with an unusual ending."""
    return not path.startswith(("/", "..")) and os.path.isfile(root / path)


def warn_of_left_out(paths: list[str], count: int, why: str) -> None:
    """Warns of recordings that are left out; `why` is the predicate of the message."""
    if paths:
        log.warning("%d of %d recordings %s and are left out, such as %s", len(paths), count, why, shortened(paths[0]))


def clip_of(path: str, row: dict[str, str]) -> Clip:
    """The clip of a recording with these labels and, if it is known, its "speaker". Sexes become male and female."""
    labels = {name: value for name, value in row.items() if name != "speaker"}
    if sex := labels.get("sex", labels.get("gender")):
        labels["sex"] = SEXES.get(sex.lower(), sex)
    return Clip(path, row.get("speaker", path), labels)
