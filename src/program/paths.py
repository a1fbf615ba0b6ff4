"""The file or folder that an option names. Imports nothing heavy, so that a missing one is named at once."""

import filecmp
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from auscult.mistake import Mistake
from auscult.plain_data import shown

CHECKPOINTS = (b"PK\x03\x04", b"\x80")  # PyTorch's formats of today and before
RECORDINGS = (b"RIFF", b"fLaC", b"OggS", b"ID3", b"FORM", b"\xff\xfb", b"\x00\x00\x00\x20ftyp")
DOWNLOADS = ("download", "url")  # options of a corpus that no checkpoint decides
PLACES = ("root", "csv", "speakers")  # of recordings and tables, among a corpus's options
HUB = "hf:"  # how the name of a network or data set of Hugging Face begins
MOST_COMPARED = 2**31  # bytes
EXAMPLE = Path(__file__).parents[1] / "checkpoint/example.ckpt"  # comes along, see docs/example.py
BEST, LAST = "best.ckpt", "last.ckpt"


def absolute(option: str, value: Any) -> str:
    """An absolute path, which holds in any working folder. The value may be a number, as a folder can be called 2026.

    The name of a data set on the hub stays as it is.

    Raises:
        Mistake: the value is no path.
    """
    if isinstance(value, bool | list | dict) or "\0" in str(value):
        several = ""
        if isinstance(value, list) and option in ("checkpoint", "input"):
            several = "; name one, or several after -m, with commas and without brackets"
        if isinstance(value, list) and option in ("data.csv", "data.speakers"):
            several = "; name one table, which holds the rows of all"
        raise Mistake(f"{option}={shown(value)} is no path{several}.")
    if option == "data.root" and str(value).startswith(HUB):
        place = place_of_hub(str(value).removeprefix(HUB))
        return place if os.path.isabs(place) else HUB + place
    try:
        return str(Path(str(value)).expanduser().absolute())
    except RuntimeError as error:
        raise Mistake(f"{option}={shown(value)} begins with the home folder of nobody on this machine.") from error


def place_of_hub(place: str) -> str:
    """The absolute path of a folder of Hugging Face; the name of anything else, which the hub may have."""
    folder = Path(os.path.expanduser(place))
    return str(folder.absolute()) if folder.is_dir() else place


def make_absolute(node: dict[str, Any], names: Iterable[str], within: str = "") -> None:
    """Makes the paths of a node absolute, if they are set.

    Args:
        within: the node's own name, and a dot.
    """
    for name in names:
        if node[name] not in (None, ""):
            node[name] = absolute(f"{within}{name}", node[name])
        elif name == "cache_dir":
            raise Mistake(f"{within}{name} has no value; say {within}{name}=… to set it.")


def checkpoint_at(option: str, value: Any, name: str = BEST) -> str:
    """The checkpoint that an option names: a file, or that of a run folder.

    Args:
        name: of the file in a run folder, "best.ckpt" or "last.ckpt".

    Returns:
        Its absolute path.

    Raises:
        Mistake: there is no such file.
    """
    if value in (None, ""):
        raise Mistake(f"{option} has no value; set it with {option}=…/checkpoints/{name}, of a run folder.")
    path = Path(absolute(option, value))
    try:
        if path.is_file():
            check_start(option, path, name)
            return str(path)
        if not path.is_dir():
            beside = path.with_name(name)
            if path.name != name and beside.is_file():
                raise Mistake(f"{option}={value} is not there, but {name} beside it is; say {option}={beside}.")
            where = "" if Path(str(value)).is_absolute() else f" in {Path.cwd()}"
            raise Mistake(f"{option}={value} is not a file{where}; name the checkpoints/{name} of a run folder.")
        for place in (path / "checkpoints" / name, path / name):
            if place.is_file():
                return str(place)
        newest = max(
            (file for depth in ("*", "*/*", "*/*/*") for file in path.glob(f"{depth}/checkpoints/{name}")),
            key=lambda file: file.stat().st_mtime,
            default=None,
        )
    except OSError as error:
        raise Mistake(f"{option}={value} cannot be read ({error.strerror}); check its path and permissions.") from error
    if newest:
        raise Mistake(f"{option}={value} is no run folder, but holds some; the newest checkpoint is {newest}.")
    if option == "ckpt_path" and (path / ".hydra").is_dir():
        raise Mistake(f"{option}={value} saved nothing yet; repeat its command with hydra.run.dir={path} instead.")
    raise Mistake(f"{option}={value} is a folder without checkpoints/{name}; name a run folder, or its checkpoint.")


def check_start(option: str, path: Path, name: str = BEST) -> None:
    """Raises a Mistake if the first bytes of a file show that it is no checkpoint.

    Args:
        name: of the wanted file in a run folder.
    """
    with open(path, "rb") as file:
        start = file.read(64)
    if start.startswith(CHECKPOINTS):
        return  # its content is checked when it is opened
    what = "is empty; copy it again"
    if start.startswith(b"version https://git-lfs"):
        what = "is a pointer of Git LFS; say git lfs pull in its repository to fetch the file"
    elif start.startswith(RECORDINGS):
        what = f"is a recording; name a run folder or its {name}, and say input={path.name} to explain it"
    elif start:
        what = f"is no checkpoint; name a run folder or its {name}"
    raise Mistake(f"{option}={path} {what}.")


def other_checkpoint(option: str, value: Any, first: str) -> str:
    """The checkpoint that an option names beside another one, `first`.

    Raises:
        Mistake: there is no such file, or it is the same as the first.
    """
    path = checkpoint_at(option, value)
    with suppress(OSError):  # the opening reports it
        size = os.path.getsize(path)
        is_same = size < MOST_COMPARED and filecmp.cmp(path, first, shallow=False)  # larger files may be sparse
        if is_same or os.path.samefile(path, first):
            raise Mistake(f"{option}={value} is the same as checkpoint; name that of another training.")
    return path


def run_folder_of(ckpt_path: str | None, otherwise: str | None) -> str | None:
    """The run folder that holds a checkpoint to go on with, or `otherwise` where there is none."""
    with suppress(Mistake):  # the opening reports it
        path = Path(checkpoint_at("ckpt_path", ckpt_path, LAST)) if ckpt_path else None
        if path and path.parent.name == "checkpoints":
            return str(path.parent.parent)
    return otherwise


def checkpoint_to_go_on_with(value: str) -> str:
    """The checkpoint that `ckpt_path` names: a file, or the last.ckpt of a run folder.

    Raises:
        Mistake: there is no such file, as when the run is complete.
    """
    path = Path(absolute("ckpt_path", value))
    folder = path.parent.parent if path.name in (LAST, BEST) else path
    if not (folder / "checkpoints" / LAST).exists() and (folder / "metrics.json").exists():
        raise Mistake(
            f"ckpt_path={value} has nothing to go on with: the run in {folder} is complete; to train for longer, start"
            f" another run with more trainer.max_epochs; python explain.py checkpoint={folder} explains it."
        )
    return checkpoint_at("ckpt_path", value, LAST)
