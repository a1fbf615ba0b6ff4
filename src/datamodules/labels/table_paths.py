"""Tells which column of a table names recordings, and which folder its paths are relative to."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from auscult.datamodules.labels.table import shortened

# names of the column `path`, in capitals or not, in tables of Hugging Face, NeMo, UrbanSound8K and others
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


def path_column(columns: Sequence[str]) -> str | None:
    """The column that names recordings: `path`, or the first other one of `PATH_COLUMNS`; None if there is none."""
    if "path" in columns:
        return "path"
    return next((column for name in PATH_COLUMNS for column in columns if column.lower() == name), None)


def names_parts(columns: Sequence[str]) -> bool:
    """Whether a table's rows are parts of recordings. `columns` is its first line; Audacity writes no names there."""
    names = {column.lower() for column in columns}
    return bool(names & BEGINS and names & ENDS) or (len(columns) == 3 and all(map(_is_number, columns[:2])))


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
    return "make them relative to this folder"


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
