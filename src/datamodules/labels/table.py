"""Reads tables whose cells are separated by commas, semicolons, tabs or bars, as spreadsheets write them."""

import csv
import errno
import io
import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from auscult.mistake import Mistake
from auscult.program.paths import RECORDINGS

LONGEST_LINE, MOST_COLUMNS = 2**16, 1000  # of the first line, which names the columns
JSON = "it looks like JSON: write a first line with the names of columns, such as path,label, and a row per recording"
LARGEST = 2**28  # bytes; a million rows take about half of that


def read_table(path: Path, name: str) -> tuple[list[str], list[dict[str, str]]]:
    """Reads the columns and rows of a table in UTF-8, or UTF-16 with a byte order mark, with any line ends.

    The first line decides the separator of cells. If it is no tab, a cell in quotation marks may contain separators and
    line ends. If it is a tab, quotation marks count only around a whole cell, as transcripts contain single ones.

    Args:
        name: the name of the table, for messages.

    Returns:
        The columns' names, and column -> cell of each row; without the spaces around them, and composed (see
        `composed`). Empty lines are no rows.

    Raises:
        Mistake: the file does not exist, has another encoding, or has rows without a cell for each column.
    """
    try:
        require_table(path)
        with open(path, newline="", encoding=_encoding(path)) as file:
            start = file.read(LONGEST_LINE)
            if max(map(start.count, ",;\t|")) > MOST_COLUMNS and not re.search(r"[\r\n]", start):
                raise Mistake(f"{name} is not a CSV table: its first line has no end; {_way_out(path)}.")
            content = composed(start + file.read())
        columns, *rows = [row for row in _cells(content) if row] or [[]]
    except FileNotFoundError as error:
        raise Mistake(f"{name} does not exist: say its full path, or its path from the working directory.") from error
    except OSError as error:
        raise Mistake(f"{name} cannot be read: {error.strerror}.") from error
    except UnicodeError as error:
        where = f": byte {error.start} is no part of a letter" if isinstance(error, UnicodeDecodeError) else ""
        raise Mistake(f"{name} is not a CSV table in UTF-8{where}; {_way_out(path)}.") from None
    except csv.Error as error:
        raise Mistake(f"{name} is not a CSV table in UTF-8: {error}; {_way_out(path)}.") from error
    if columns and re.match(r"\{|\[\s*([{\[\"]|$)", columns[0]):
        raise Mistake(f"{name} is not a CSV table: {JSON}.")
    for number, row in enumerate(rows, 1):
        if len(row) != len(columns):
            raise Mistake(f"{name} is not a CSV table: row {number} does not have {len(columns)} cells.")
    return columns, [dict(zip(columns, row, strict=True)) for row in rows]


def _way_out(path: Path) -> str:
    """What a user can do about a file that is no table of text."""
    with suppress(OSError), open(path, "rb") as file:
        start = file.read(4)
        if start == b"PK\x03\x04" or start == b"\xd0\xcf\x11\xe0":
            return "save the spreadsheet's sheet as 'CSV UTF-8'"
        if start[:1] in (b"{", b"["):
            return JSON
    return "save it as 'CSV UTF-8', as spreadsheets call it"


def composed(text: str) -> str:
    """Joins each letter and its accents into one character (NFC), as people type them; macOS separates them."""
    return unicodedata.normalize("NFC", text)


def _encoding(path: Path) -> str:
    with open(path, "rb") as file:
        start = file.read(2)
    return "utf-16" if start in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def _cells(content: str) -> Iterable[list[str]]:
    """Yields the cells of each row, without the spaces around them."""
    first = re.match(r"[^\r\n]*", content)
    separator = max(",;\t|", key=first[0].count if first else "".count)  # the first one, if counts are equal
    if separator == "\t":
        lines = re.split(r"\r\n|\r|\n", content)
        for line in lines:
            yield [_unquoted(cell.strip()) for cell in line.split("\t")] if line else []
        return
    for row in csv.reader(io.StringIO(content, newline=""), delimiter=separator, skipinitialspace=True, strict=True):
        yield [cell.strip() for cell in row]


def _unquoted(cell: str) -> str:
    whole = len(cell) > 1 and cell[0] == cell[-1] == '"'
    return cell[1:-1].replace('""', '"').strip() if whole else cell


def require_table(path: Path) -> None:
    """Raises an OSError unless the path is a regular file that could be a table: a pipe would block for ever."""
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    with open(path, "rb") as file:
        if file.read(16).startswith(RECORDINGS):
            raise OSError(errno.EINVAL, "it is a recording; name a table of recordings")
    if status.st_size > LARGEST:
        raise OSError(errno.EFBIG, f"it has {status.st_size / 2**20:.0f} MB, which is too much for a table")


def names_of(columns: Sequence[str]) -> str:
    """The columns of a table, for a message; shows no content if the file may be no table."""
    if not columns:
        return "nothing"
    if len(columns) == 1 and len(columns[0].split()) > 1:
        return "cells between blanks only: divide them by commas, semicolons or tabs"
    plain = [re.fullmatch(r"\w[\w .()-]{0,39}", column) for column in columns]
    if len(columns) < 2 or not all(plain):
        return "no names of columns in its first line"
    return ", ".join(columns[:20]) + (f" and {len(columns) - 20} more" if len(columns) > 20 else "")


def shortened(cell: str) -> str:
    """A table's cell, for a message: at most 80 characters, without control characters."""
    line = "".join(letter if letter.isprintable() else "?" for letter in cell[:81])
    return line if len(line) <= 80 else line[:79] + "…"
