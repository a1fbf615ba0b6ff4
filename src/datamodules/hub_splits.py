"""Opens data sets of Hugging Face's `datasets`, from the hub or from a folder. No code that one brings along is run."""

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auscult.machine.hub import is_reachable
from auscult.mistake import Mistake
from auscult.plain_data import shown
from auscult.program.paths import HUB

if TYPE_CHECKING:
    from datasets import Dataset

INSTALL = 'python -m pip install "datasets>=5,<6"'
SAVED = ("dataset_dict.json", "state.json")  # of a folder that `save_to_disk` wrote


def splits_of(place: str, config: str | None) -> dict[str, "Dataset"]:
    """The splits of a data set by their names, in its order. What the hub has is downloaded once.

    Args:
        place: a folder; or a name of the hub, with `hf:` before it.
        config: one of its configurations; None: the only one, or the default.

    Raises:
        Mistake: `datasets` is not installed; the hub cannot be reached; there is no such data set or configuration.
    """
    name, is_hub = place.removeprefix(HUB), place.startswith(HUB)
    _check_place(name, is_hub)
    try:
        import datasets
    except ImportError as error:
        raise Mistake(f"data=hf needs the library datasets: {INSTALL} installs it.") from error
    datasets.utils.logging.set_verbosity_error()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it warns of data sets without a card
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    if is_hub and not datasets.config.HF_HUB_OFFLINE and not is_reachable():
        datasets.config.HF_HUB_OFFLINE = True  # what was downloaded before is still there
    is_saved = not is_hub and any(Path(name, file).is_file() for file in SAVED)
    try:
        with _without_torchcodec():
            opened = datasets.load_from_disk(name) if is_saved else datasets.load_dataset(name, config)
    except Exception as error:  # the library and the hub raise many kinds
        raise Mistake(_sentence(name, is_hub, config, error)) from error
    if is_saved and config is not None:
        raise Mistake(
            f"data.config={shown(config)} is of no use to {shown(name)}, which save_to_disk wrote; leave it out."
        )
    return dict(opened) if isinstance(opened, datasets.DatasetDict) else {str(opened.split or "train"): opened}


def caches() -> list[str]:
    """Where `datasets` keeps what it loads."""
    from datasets import config
    from huggingface_hub import constants

    return [os.path.abspath(path) for path in (config.HF_DATASETS_CACHE, constants.HF_HUB_CACHE)]


@contextmanager
def _without_torchcodec() -> Iterator[None]:
    """Lets `datasets` list recordings without torchcodec, which it wants to import even where nothing is encoded."""
    from datasets import Audio

    encode = Audio.encode_example

    def listed(feature: Audio, value: Any) -> dict[str, Any]:
        if isinstance(value, str | bytes):
            return {"bytes": None, "path": value} if isinstance(value, str) else {"bytes": value, "path": None}
        if not isinstance(value, dict) or "array" in value:
            return encode(feature, value)  # type: ignore[no-any-return]
        return {"bytes": value.get("bytes"), "path": value.get("path")}

    Audio.encode_example = listed
    try:
        yield
    finally:
        Audio.encode_example = encode


def _check_place(name: str, is_hub: bool) -> None:
    """Raises a Mistake if a place is neither a folder nor looks like a name of the hub."""
    if os.path.isfile(name):
        raise Mistake(f"data.name={shown(name)} is a file; name the folder that holds it.")
    if is_hub and (name.startswith((".", "/", "~")) or name.count("/") > 1):
        is_hub = False
    if not is_hub and not os.path.isdir(name):
        raise Mistake(f"data.name={shown(name)}: there is no such folder; name one, or a data set of the hub.")


def _sentence(name: str, is_hub: bool, config: str | None, error: Exception) -> str:
    """Says why a data set cannot be opened."""
    cause = error.__cause__ if type(error).__name__ == "DatasetGenerationError" and error.__cause__ else error
    why = f"{type(cause).__name__}: {shown(' '.join(str(cause).split()), 200)}"
    said = f"data.name={shown(name)}"
    if match := re.search(r"(?:available configs|Available): (\[.*?\])", str(error)):
        return (
            f"{said} has {'no configuration ' + shown(config) if config else 'several configurations'}: say"
            f" data.config=… with one of {shown(match[1], 300)}."
        )
    kinds = {kind.__name__ for each in (error, error.__cause__) if each for kind in type(each).__mro__}
    if "scripts are no longer supported" in str(error):
        return f"{said} is read by a script of its own, and no code of a data set is run; name a copy of it in Parquet."
    if not is_hub:
        return (
            f"{said} cannot be opened ({why}); the folder has to hold Parquet files, recordings"
            " with a metadata.csv, or what save_to_disk wrote."
        )
    if "DatasetNotFoundError" in kinds or "HFValidationError" in kinds:
        return f"{said}: the hub has no such data set, or wants you to log in ({why}); mind its spelling."
    return (
        f"{said} is no folder here, and the hub cannot be reached or lacks it; copy the data set to this machine, and"
        f" say data.name=FOLDER ({why})."
    )
