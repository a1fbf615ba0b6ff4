"""Hostile checkpoints, for the tests of all that opens them: an honest one with something of it replaced."""

import copy
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

KEY = "auscult"


def changed(honest: Path, to: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """A checkpoint whose content was changed, in place or by what is returned."""
    content = copy.deepcopy(torch.load(honest, weights_only=True))
    replaced = change(content)
    to.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content if replaced is None else replaced, to)
    return to


def with_card(honest: Path, to: Path, option: str, value: Any) -> Path:
    """A checkpoint whose card says something else of an option such as "config.data.clip.seconds"."""

    def change(content: dict[str, Any]) -> None:
        *within, last = option.split(".")
        node = content[KEY]
        for name in within:
            node = node[name]
        node[last] = value

    return changed(honest, to, change)


def with_pickle(honest: Path, to: Path, change: Callable[[bytes], bytes], compress: int = zipfile.ZIP_STORED) -> Path:
    """A checkpoint whose pickle was changed byte by byte, in an archive that is whole."""
    with zipfile.ZipFile(honest) as archive, zipfile.ZipFile(to, "w", compress) as written:
        for entry in archive.infolist():
            content = archive.read(entry.filename)
            written.writestr(entry.filename, change(content) if entry.filename.endswith("data.pkl") else content)
    return to
