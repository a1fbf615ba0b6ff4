"""Tells which column of a table names recordings, and which folder its paths are relative to."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from auscult.datamodules.labels.table import shortened

# names of the column `path` in tables of Hugging Face, NeMo, UrbanSound8K and others, see `plain`
PATH_COLUMNS = ("path", "filename", "file_name", "file", "filepath", "file_path", "audio_filepath", "audio", "wav")
# columns in tables of parts of recordings, as Raven, Audacity and annotators of events write them
BEGINS = {
    "begin time (s)",
    "start time (s)",
    "start (s)",
    "begin",
    "start",
    "start_time",
    "begin_time",
    "onset",
    "tmin",
}
ENDS = {"end time (s)", "stop time (s)", "end (s)", "end", "stop", "end_time", "stop_time", "offset", "tmax"}
NO_PARTS = "parts of recordings are not read: cut them into files of their own first"


def column_among(columns: Sequence[str], names: Sequence[str]) -> str | None:
    """The column with one of these names: the first as it is, or else any that is so when `plain`; None if none is."""
    if names[0] in columns:
        return names[0]
    return next((column for name in names for column in columns if plain(column) == name), None)


def plain(column: str) -> str:
    """The name of a column in small letters, without blanks and hyphens: `file_name` for `File Name`."""
    return re.sub(r"[ _-]+", "_", column.casefold())


def part_columns(columns: Sequence[str]) -> list[str]:
    """The columns of a table that say where parts of recordings begin and end; empty if its rows are no parts.

    Args:
        columns: the table's first line; Audacity writes no names there.
    """
    begins, ends = ([column for column in columns if column.lower() in names] for names in (BEGINS, ENDS))
    if begins and ends:
        return [*begins, *ends]
    return list(columns[:2]) if len(columns) == 3 and all(map(_is_number, columns[:2])) else []


def _is_number(cell: str) -> bool:
    return cell.replace(".", "", 1).replace(",", "", 1).isdecimal()


def way_to(root: Path, option: str, files: Sequence[str], paths: Sequence[str]) -> str:
    """Tells for a message how to mend a table if none of its paths is a recording under `root`.

    Args:
        option: the option that names `root`.
        files: the recordings, relative to `root`.
        paths: the paths in the table.
    """
    stems = {os.path.splitext(path)[0]: path for path in files}
    if paths[0] in stems:
        return f"add their endings, as in {shortened(stems[paths[0]])}"
    wanted = set(paths)
    below = [(file[: -len(end) - 1], file) for file in files for end in _ends_of(file) if end in wanted]
    if below:
        [(folder, count), *_] = Counter(folder for folder, _ in below).most_common()
        if count == len(below):
            return f"say {option}={root / folder}"
        return f"make them relative to this folder, as in {shortened(below[0][1])}"
    existing = set(files)
    above = [(path[: -len(end) - 1], end) for path in paths for end in _ends_of(path) if end in existing]
    if above:
        folders = {folder for folder, _ in above}
        outer = _without_end(root, above[0][0])
        if len(folders) == 1 and outer:
            return f"say {option}={outer}"
        return f"make them relative to this folder, as in {shortened(above[0][1])}"
    return _other_endings(stems, paths) or "make them relative to this folder"


def _other_endings(stems: dict[str, str], paths: Sequence[str]) -> str:
    """The way out if the paths are recordings with another ending, or without their ending and folder; else empty."""
    if file := stems.get(os.path.splitext(paths[0])[0]):
        return f"their endings differ from those of the recordings, such as {shortened(file)}"
    name = os.path.basename(paths[0])
    alike = [file for stem, file in stems.items() if os.path.basename(stem) in (name, os.path.splitext(name)[0])]
    return f"add their folders and endings, as in {shortened(alike[0])}" if len(alike) == 1 else ""


def _ends_of(path: str) -> Iterator[str]:
    """Yields the path without its first folder, without its first two, …"""
    while "/" in path:
        path = path.partition("/")[2]
        yield path


def _without_end(root: Path, folder: str) -> Path | None:
    """The folder above `root` from which `root` has the relative path `folder`; None if there is none."""
    whole = Path(os.path.abspath(root))
    inner = Path(folder).parts
    if not inner or whole.parts[-len(inner) :] != inner or Path(folder).is_absolute():
        return None
    return whole.parents[len(inner) - 1]
