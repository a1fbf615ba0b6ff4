"""The card of a checkpoint: its run's configuration, the names of its classes, and the speakers of each split.

A card from a file is data. It is copied into plain containers and checked here, before anything is built from it. The
command line and `conf/` decide where to download from, log to and run on: what a card says of that is ignored. The
place of its recordings is believed only if this machine has read them there before.
"""

from collections.abc import Collection, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from auscult.checkpoint.look import check_places_of
from auscult.datamodules.cache import has_prepared
from auscult.datamodules.confound import Confound
from auscult.datamodules.division import corpus_options
from auscult.datamodules.recording import ClipSettings
from auscult.former_names import with_current_names
from auscult.mistake import Mistake
from auscult.modules.augmentation import Augmentation
from auscult.modules.classifier import optimizer_options
from auscult.parts import build_part, class_of
from auscult.plain_data import NotPlain, plain_data, shown
from auscult.program.config import check_values
from auscult.program.paths import DOWNLOADS, PLACES

SPLITS = ("train", "validation", "test")
LONGEST_NAME = 1000  # characters of a class or a speaker; a recording without a speaker has its path instead


def checked_card(card: Any, allow: Sequence[str] = ()) -> dict[str, Any]:
    """A checked copy of a card, without the places to download from.

    Args:
        card: as a checkpoint holds it, or will hold it.
        allow: packages of the user's own that its parts may come from.

    Raises:
        Mistake: it holds more than data, lacks what every card has, or names what no checkpoint may.
    """
    try:
        copy = plain_data(card)
        config = with_current_names(dict(copy["config"]))
        check_names(copy)
        if "${" in repr(config) or "'???'" in repr(config):  # those of train.py are resolved, and lack no value
            raise Mistake("its configuration is unresolved, as train.py never writes it.")
        check_config(config, allow)
    except NotPlain as error:
        raise Mistake(f"its card is no plain data: {error}.") from error
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Mistake(f"its card is not as train.py writes it ({type(error).__name__}: {shown(error)}).") from error
    for name in DOWNLOADS:
        config["data"].pop(name, None)
    return {"config": {**config, "allow": list(allow)}, "classes": copy["classes"], "speakers": copy["speakers"]}


def check_names(card: dict[str, Any]) -> None:
    """Raises a Mistake unless classes and speakers are lists of names."""
    lists = {"classes": card["classes"], **{f"speakers of {split}": card["speakers"][split] for split in SPLITS}}
    for what, names in lists.items():
        if not isinstance(names, list) or not all(
            isinstance(name, str) and len(name) <= LONGEST_NAME for name in names
        ):
            raise Mistake(f"the {what} on its card are no list of names.")
    if not card["classes"] or len(set(card["classes"])) < len(card["classes"]):
        raise Mistake("the classes on its card are none, or not all different.")


def check_config(config: dict[str, Any], allow: Sequence[str]) -> None:
    """Checks a configuration in plain containers: its values, and that each part is of a class that may be built.

    Raises:
        Mistake: the first value or part that is wrong.
    """
    check_values(config)
    if wrong := [name for name in PLACES if not isinstance(config["data"].get(name, ""), str | None)]:
        raise Mistake(f"data.{wrong[0]} is no path.")
    ClipSettings(**config["data"]["clip"])
    Confound.from_config(config)
    Augmentation(**config["augmentation"])
    for option, node in (
        ("data", corpus_options(config)),
        ("model.network", config["model"]["network"]),
        ("model.front_end", config["model"]["front_end"]),
        ("optimizer", optimizer_options(config)),
        ("optimizer.schedule", config["optimizer"]["schedule"]),
    ):
        class_of(option, node, allow)


def trained_config(card: dict[str, Any], data: dict[str, Any], path: str, reads_corpus: bool = True) -> dict[str, Any]:
    """A checkpoint's configuration, with its classes and with where its recordings lie now.

    Args:
        card: of an opened checkpoint.
        data: the command line's `{root, csv, speakers, cache_dir, batch_size}`; null where it does not say.
        path: of the checkpoint, for the message.
        reads_corpus: whether its recordings will be read; if not, the places in `data` are ignored.

    Raises:
        Mistake: a place is of no use to the corpus, or only the card says where its recordings lie.
    """
    config: dict[str, Any] = card["config"]
    own = config["data"]
    given = {name: data[name] for name in PLACES if data.get(name)} if reads_corpus else {}
    check_places_of(own, given)
    if "csv" in given and own.get("pattern"):
        raise Mistake(
            "data.csv is of no use to this checkpoint, whose labels come from its data.pattern; leave it out, or add"
            " input=… for the recordings that it labels."
        )
    places = {**moved(own, given), **given}
    kept = {"cache_dir": data["cache_dir"], "batch_size": data["batch_size"]}
    task = {**config["task"], "classes": card["classes"]}
    config = {**config, "data": {**own, **places, **kept}, "task": task}
    if reads_corpus:
        check_places(config, given, path, "; or say input=… to explain recordings of your own")
    return config


def moved(data: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The paths of tables that lay in a corpus's folder, now in the folder that the command line names."""
    places = {}
    before = data.get("root") or ""
    for name in PLACES[1:]:
        if data.get(name) and "root" in given and name not in given:
            within = Path(data[name])
            if within.is_relative_to(before):
                within = within.relative_to(before)
            if not (within.is_absolute() or str(within).startswith("~") or ".." in within.parts):
                places[name] = str(Path(given["root"]) / within)
    return places


def check_places(config: dict[str, Any], given: Collection[str], path: str, way_out: str = "", said: str = "") -> None:
    """Raises a Mistake if only a card says what is read, and this machine has never read it.

    Args:
        config: the checkpoint's, with the places that the command line names.
        given: names of the places that the command line names.
        path: of the checkpoint.
        way_out: what else can be done, for the message.
        said: what the command line has to say before the places, for the message.
    """
    data = config["data"]
    named = [name for name in PLACES if data.get(name) and name not in given]
    # a table in the corpus's folder is as trusted as the recordings beside it
    inside = [name for name in named if name != "root" and is_inside(data[name], data.get("root"))]
    if "root" in given:
        unknown = [name for name in named if name not in inside]
    else:
        try:
            corpus = build_part("data", corpus_options(config), config["allow"])
            is_known = not named or has_prepared(corpus, ClipSettings(**data["clip"]), data["cache_dir"])
        except (ValueError, TypeError, OSError, AttributeError, RuntimeError) as error:
            raise Mistake(f"the checkpoint {path} describes no corpus that there can be ({shown(error)}).") from error
        # `has_prepared` knows nothing of the table of speakers
        unknown = [name for name in named if not is_known or (name == "speakers" and name not in inside)]
    if unknown:
        options = " ".join(quote(f"data.{name}={shown(data[name], 200)}") for name in unknown)
        if "root" in given:
            raise Mistake(
                f"the checkpoint {path} names a table outside of data.root, and no file decides what is read: beside"
                f" data.root, say {said}{options}{way_out}."
            )
        raise Mistake(
            f"the checkpoint {path} says that its recordings lie where this machine has read none before, and no file"
            f" decides what is read: if they do lie there, say so with {said}{options}{way_out}."
        )


def is_inside(table: str, root: str | None) -> bool:
    """Whether a table lies in a corpus's folder: a relative one is, unless the working folder has it."""
    path = Path(table)
    if ".." in path.parts or root is None or table.startswith("~"):
        return False
    return path.is_relative_to(root) if path.is_absolute() else not path.exists()
