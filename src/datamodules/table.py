"""Tables of comma-separated values, as people and their spreadsheets write them."""

import csv
import errno
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

from src.mistake import Mistake

LARGEST = 2**28  # bytes: a million rows have about half as many


def read_table(path: Path, name: str) -> tuple[list[str], list[dict[str, str]]]:
    """The columns and rows of a CSV file in UTF-8, with or without a byte order mark, its lines ended in any way.

    Args:
        name: of the table, for the message.

    Returns:
        The columns' names, and column -> cell of each row; without the spaces around them. Empty lines are no rows.

    Raises:
        Mistake: no such file, not UTF-8, or rows that do not have a cell for each column.
    """
    try:
        require_table(path)
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True, strict=True)
            columns, rows = list(reader.fieldnames or []), list(reader)
    except OSError as error:
        raise Mistake(f"{name} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Mistake(f"{name} is not a CSV table in UTF-8: byte {error.start} is none of a letter's") from None
    except csv.Error as error:
        raise Mistake(f"{name} is not a CSV table in UTF-8: {error}") from error
    for number, row in enumerate(rows, 1):
        if None in row or None in row.values():  # how DictReader shows too many and too few cells
            raise Mistake(f"{name} is not a CSV table: row {number} does not have {len(columns)} cells")
    return [c.strip() for c in columns], [{c.strip(): cell.strip() for c, cell in row.items()} for row in rows]


def require_table(path: Path) -> None:
    """Raises an OSError unless there is a file that has an end, and could be a table: pipes are waited for for ever."""
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    if status.st_size > LARGEST:
        raise OSError(errno.EFBIG, f"of {status.st_size / 2**20:.0f} MB, which is more than any table has")


def names_of(columns: Sequence[str]) -> str:
    """The columns of a table, for a message; nothing of a file that may be anything but a table."""
    if not columns:
        return "nothing"
    plain = [re.fullmatch(r"\w[\w .()-]{0,39}", column) for column in columns]
    if len(columns) < 2 or not all(plain):
        return "no names of columns in its first line"
    return ", ".join(columns[:20]) + (f" and {len(columns) - 20} more" if len(columns) > 20 else "")


def shortened(cell: str) -> str:
    """A table's cell, for a message."""
    return cell if len(cell) <= 80 else cell[:79] + "…"
