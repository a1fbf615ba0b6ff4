"""The parts that a checkpoint's configuration names: what each can be, and how it is built.

A network, its front end, a corpus, an optimizer and its schedule are named by `_target_`, with options beside it. A
checkpoint may name only a class of the right kind, from this program, from PyTorch, or from a package that the user
named on the command line (`allow=my_package`). The options are data. `train.py` builds nothing else either: a network
that could not be opened later is refused before it is trained.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from auscult.former_names import current_name
from auscult.mistake import Mistake
from auscult.plain_data import shown

HOUSE = Path(__file__).parent
HOMES = ("modules", "datamodules")  # rooms whose modules are parts of a classifier


class Kind(NamedTuple):
    """What a part can be.

    Args:
        base: the name of its base class; a name, as PyTorch takes seconds to import and a corpus does not need it.
        homes: modules that its class can come from, beside those in `HOMES`.
    """

    base: str
    homes: tuple[str, ...] = ()


KINDS = {
    "data": Kind("auscult.datamodules.clips.Corpus"),
    "model.network": Kind("torch.nn.Module"),
    "model.front_end": Kind("torch.nn.Module", ("torch.nn", "torchaudio.transforms")),
    "optimizer": Kind("torch.optim.Optimizer", ("torch.optim",)),
    "optimizer.schedule": Kind("torch.optim.lr_scheduler.LRScheduler", ("torch.optim.lr_scheduler",)),
}


def build_part(
    option: str, node: dict[str, Any], allow: Sequence[str] = (), arguments: Sequence[Any] = (), **more: Any
) -> Any:
    """Builds one part: its class, called with the node's options as they are.

    Args:
        option: the part's name, a key of `KINDS`.
        node: the `_target_` and its options, plain data.
        allow: packages of the user's own.
        arguments: positional arguments that the configuration cannot know.
        more: keyword arguments that the configuration cannot know.

    Raises:
        Mistake: the node names no class of this kind or holds parts of its own, or the class does not know an option.
    """
    named = class_of(option, node, allow)
    options = {name: value for name, value in node.items() if name != "_target_"}
    try:
        return named(*arguments, **options, **more)
    except TypeError as error:
        if "argument" in str(error):
            raise Mistake(f"{option}: {shown(error, 300)}.") from error
        raise


def class_of(option: str, node: Any, allow: Sequence[str] = ()) -> type:
    """The class that a part names. Imports no module but one that it may name.

    Raises:
        Mistake: see `build_part`.
    """
    find_own_packages(allow)
    kind = KINDS[option]
    if not isinstance(node, dict) or not isinstance(node.get("_target_"), str):
        raise Mistake(f"{option} has no _target_, which names the class to build; its YAML needs one.")
    target = current_name(node["_target_"])
    if holds_parts({name: value for name, value in node.items() if name != "_target_"}):
        raise Mistake(
            f"{option} holds parts of its own (_target_ and the like), which no checkpoint can bring along; let"
            f" {shown(target)} build them, from plain options."
        )
    module = target.rpartition(".")[0]
    if not is_home(module, kind, allow):
        package = shown(target.partition(".")[0])
        if not module and kind.homes:
            raise Mistake(
                f"{option}._target_={package} is a name only; say its module, too: {kind.homes[-1]}.{package}."
            )
        homes = ", ".join((*(f"auscult.{room}" for room in HOMES), *kind.homes))
        way_out = "put it there" if package == "auscult" else f"if the package is yours, say allow={package}"
        raise Mistake(
            f"{option}._target_={shown(target)} is no class that a checkpoint may name: it is in none of {homes};"
            f" {way_out}."
        )
    try:
        named = _named(target)
    except (ImportError, AttributeError) as error:
        raise Mistake(f"{option}._target_={shown(target)} cannot be imported ({shown(error)}).") from error
    base = _named(kind.base)
    if not (isinstance(named, type) and issubclass(named, base)):
        raise Mistake(f"{option}._target_={shown(target)} is no {base.__name__}; name a subclass of it.")
    return named


def _named(target: str) -> Any:
    module, _, name = target.rpartition(".")
    return getattr(import_module(module), name)


def is_home(module: str, kind: Kind, allow: Sequence[str]) -> bool:
    """Whether a part of this kind may come from a module. The import of another module could run anything."""
    names = module.split(".")
    if not all(name.isidentifier() for name in names):
        return False
    if names[0] == "auscult":
        return names[1:2] in [[room] for room in HOMES] and HOUSE.joinpath(*names[1:]).with_suffix(".py").is_file()
    return module in kind.homes or is_allowed(module, allow)


def is_allowed(module: str, allow: Sequence[str]) -> bool:
    """Whether a module belongs to a package that the user named."""
    return any(module == package or module.startswith(f"{package}.") for package in allow)


def holds_parts(value: Any) -> bool:
    """Whether a value of the configuration holds what Hydra would build."""
    if isinstance(value, dict):
        return any(str(name).startswith("_") or holds_parts(each) for name, each in value.items())
    return isinstance(value, list) and any(holds_parts(each) for each in value)


def find_own_packages(allow: Sequence[str]) -> None:
    """Lets `allow` name a package in the working folder, too."""
    if allow and "" not in sys.path:
        sys.path.append("")
