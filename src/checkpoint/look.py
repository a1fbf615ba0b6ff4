"""Looks at a checkpoint without PyTorch, which takes seconds to import, so that a wrong one is named at once."""

import pickle
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from auscult.checkpoint.file import Foreign, look_through
from auscult.mistake import Mistake
from auscult.plain_data import shown

KEY = "auscult"  # where the card is in a checkpoint


def card_of(path: str | Path, option: str) -> dict[str, Any]:
    """Reads the card of a checkpoint, as the file has it, unchecked (see `card`).

    Args:
        path: the file.
        option: the option that named it, for the message.

    Raises:
        Mistake: see `opening` and `card_in`.
    """
    return card_in(content_of(path, option), Path(path), option)


def content_of(path: str | Path, option: str) -> Any:
    """Reads what a checkpoint holds, unchecked, with an `Unread` in the place of each tensor; runs nothing of it.

    Raises:
        Mistake: see `opening`.
    """
    path = Path(path)
    with opening(path, option):
        look_through(path)
        with ZipFile(path) as archive:
            content = next(archive.read(name) for name in archive.namelist() if name.endswith("/data.pkl"))
        return WithoutTensors(BytesIO(content)).load()


@contextmanager
def opening(path: Path, option: str) -> Iterator[None]:
    """Says in a sentence why a checkpoint cannot be read.

    Raises:
        Mistake: no such file, not a whole checkpoint, or one that wants to run code.
    """
    if not path.is_file():
        raise Mistake(f"{option}={path} is not a file; name a checkpoints/last.ckpt or best.ckpt of a run folder.")
    in_run = path.parent.name == "checkpoints"  # elsewhere, what lies beside it may be anything
    others = [other for other in sorted(path.parent.glob("*.ckpt")) if in_run and other.name != path.name]
    way_out = f"copy it again, or use {others[0]}" if others else "copy it again, or train again"
    try:
        yield
    except Foreign as error:
        raise Mistake(
            f"{option}={path} is not safe to open: it holds {shown(error)}, where train.py writes plain values and"
            " tensors; use a checkpoint that train.py wrote."
        ) from error
    except OSError as error:
        raise Mistake(f"{option}={path} cannot be read ({error.strerror}); check its permissions.") from error
    except Exception as error:  # bytes that are no checkpoint make a reader raise any error
        raise Mistake(f"{option}={path} cannot be read (truncated, damaged or not a checkpoint); {way_out}.") from error


def card_in(checkpoint: Any, path: Path, option: str) -> dict[str, Any]:
    """The card in the content of a checkpoint. Raises a Mistake if there is none."""
    card = checkpoint.get(KEY) if isinstance(checkpoint, dict) else None
    if not isinstance(card, dict) or not {"config", "classes", "speakers"} <= card.keys():
        raise Mistake(f"{option}={path} was not written by train.py; use a checkpoint of a run folder.")
    return card


class WithoutTensors(pickle.Unpickler):
    """Reads plain containers. Every other object of a pickle becomes an `Unread`."""

    def find_class(self, module: str, name: str) -> Any:
        return OrderedDict if (module, name) == ("collections", "OrderedDict") else Unread

    def persistent_load(self, pid: Any) -> "Unread":
        return Unread()


class Unread:
    """Stands for a tensor, or for another object that is not made."""

    def __init__(self, *arguments: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def check_places_of(corpus: dict[str, Any], places: Iterable[str]) -> None:
    """Raises a Mistake if the corpus of a checkpoint, as its card has it, has no place of one of these names."""
    for name in places:
        if name not in corpus:
            raise Mistake(
                f"data.{name} is of no use to this checkpoint's corpus, {shown(corpus.get('name'))}; leave it out, or"
                " say input=… for recordings of your own."
            )
