"""Files that are there whole or not at all, whatever happens to the program or the machine."""

import os
import secrets
from pathlib import Path

UNFINISHED = ".{}.unfinished"  # hidden: nobody takes it for a recording


def write_whole(path: Path, content: bytes) -> None:
    """Writes to another name, and renames the file once the disk has all of it.

    Raises:
        OSError: it could not be written, such as to a full disk; what was there before is still there.
    """
    unfinished = path.with_name(UNFINISHED.format(secrets.token_hex(8)))
    try:
        with unfinished.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    settle(path.parent)


def settle(folder: Path) -> None:
    """Waits until the disk has the names of a folder's files, too."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def sweep(folder: Path) -> None:
    """Removes from a folder what a killed program left unfinished."""
    for path in folder.glob(UNFINISHED.format("*")):
        path.unlink()
