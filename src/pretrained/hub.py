"""Where a model of Hugging Face lies, on the hub or in a folder, and why it cannot be opened."""

import os
from pathlib import Path
from typing import Any, NamedTuple

from auscult.machine.hub import is_reachable
from auscult.mistake import Mistake
from auscult.plain_data import shown


class Place(NamedTuple):
    """A model's name on the hub, or its folder.

    Args:
        option: what stands before the name on the command line: `network=hf:`, `model.name=`.
        name: as the user says it.
    """

    option: str
    name: str

    def __str__(self) -> str:
        """The option with its value, for messages."""
        return f"{self.option}{self.name}"

    @property
    def path(self) -> str:
        """The name, with the home folder where it begins with `~`."""
        return os.path.expanduser(self.name)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of this machine."""
        return os.path.isdir(self.path)

    @property
    def has_weights(self) -> bool:
        """Whether there are weights, as far as can be seen from here."""
        return not self.is_folder or any(next(Path(self.path).glob(f"*.{end}"), None) for end in ("safetensors", "bin"))


def check_folder(place: Place) -> None:
    """Raises a Mistake if a folder lacks a file that says how to build the network, or how to give it recordings."""
    if place.is_folder:
        for file, what in (("config.json", "how the network is built"), ("preprocessor_config.json", "its front end")):
            if not Path(place.path, file).is_file():
                raise Mistake(f"{place}: the folder has no {file}, which says {what}; save_pretrained writes it.")
    elif place.name.startswith((".", "/", "~")) or place.name.count("/") > 1:
        raise Mistake(f"{place}: there is no such folder; name one that save_pretrained wrote.")


def how_to_open(place: Place) -> dict[str, Any]:
    """Arguments of every `from_pretrained`: no code that a model brings along is run.

    Raises:
        Mistake: see `check_folder`.
    """
    check_folder(place)
    return {"trust_remote_code": False, "local_files_only": place.is_folder or not is_reachable()}


def sentence_of(place: Place, error: Exception) -> str:
    """Says why a model cannot be opened."""
    why = shown(" ".join(str(error).split()), 200)
    kinds = {
        kind.__name__ for each in (error, error.__cause__, error.__context__) if each for kind in type(each).__mro__
    }
    if place.is_folder:
        if "Unrecognized configuration class" in why or "Unrecognized model" in why:
            return f"{place} is no audio classifier; name one of AutoModelForAudioClassification's."
        return f"{place} cannot be opened ({type(error).__name__}: {why}); copy its files again."
    if kinds & {"RepositoryNotFoundError", "HFValidationError", "GatedRepoError"}:
        return f"{place}: the hub has no such model, or wants you to log in ({why}); mind its spelling."
    if "Unrecognized configuration class" in why or "Unrecognized model" in why:
        return f"{place} is no audio classifier; name one of AutoModelForAudioClassification's."
    return (
        f"{place} is no folder here, and the hub cannot be reached or lacks it; copy the model to this machine,"
        f" and say {place.option}FOLDER ({type(error).__name__}: {why})."
    )
