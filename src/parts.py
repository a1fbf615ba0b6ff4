"""The parts that a checkpoint's configuration names: what each can be, and how it is built.

A network, its front end, a corpus, an optimizer and its schedule are named by `_target_`, with options beside it. A
checkpoint may name only a class of the right kind, from this program, from PyTorch, or from a package that the user
named on the command line (`allow=my_package`). The options are data. `train.py` builds nothing else either: a network
that could not be opened later is refused before it is trained.
"""

import re
import sys
import traceback
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from inspect import signature
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
    check_options(option, named, options, more)
    try:
        return named(*arguments, **options, **more)
    except TypeError as error:
        if "argument" in str(error):
            raise Mistake(f"{option}: {shown(error, 300)}.") from error
        raise_of_own(error, option, named, {**options, **more}, allow)
        raise
    except Mistake:
        raise
    except Exception as error:
        raise_of_own(error, option, named, {**options, **more}, allow)
        raise


def raise_of_own(error: Exception, option: str, named: type, options: dict[str, Any], allow: Sequence[str]) -> None:
    """Raises a Mistake that says where a class fails, if it is the user's own."""
    if is_allowed(named.__module__, allow):
        given = ", ".join(f"{name}={shown(value, 60)}" for name, value in options.items())
        raise Mistake(
            f"{option}: {named.__name__}({given}) fails in {shown(place_of(error))} ({type(error).__name__}:"
            f" {shown(' '.join(str(error).split()), 160)}); mend it there."
        ) from error


def place_of(error: BaseException) -> str:
    """The file and line of the user's own code in which an error came up, for a message."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "site-packages" not in frame.filename and not is_ours(frame.filename)]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else "it"


def is_ours(path: str) -> bool:
    """Whether a source file is one of this program's."""
    return Path(path).resolve().is_relative_to(HOUSE.resolve())


def check_options(option: str, named: type, options: Collection[str], more: Collection[str] = ()) -> None:
    """Raises a Mistake if a class does not know an option of its part, or an argument that it is built with."""
    try:
        parameters = signature(named).parameters.values()
    except (TypeError, ValueError):  # of classes that are not written in Python
        return
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    names = [parameter.name for parameter in parameters]
    if lacking := [name for name in more if name not in names]:
        raise Mistake(f"{option}: {named.__name__} has to take the argument {lacking[0]}, with which it is built.")
    if unknown := [name for name in options if name not in names]:
        near = get_close_matches(unknown[0], names, n=1)
        raise Mistake(
            f"{option}.{shown(unknown[0])} is no option of {named.__name__}"
            f"{f' (did you mean {near[0]}?)' if near else ''}; leave it out, or take it away with"
            f" '~{option}.{shown(unknown[0])}' if a YAML brings it."
        )


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
    check_home(option, target, allow)
    try:
        named = _named(target)
    except (ImportError, AttributeError) as error:
        raise Mistake(
            f"{option}._target_={shown(target)} cannot be imported ({shown(error)}){_way_to_import(target, error)}."
        ) from error
    base = _named(kind.base)
    if not (isinstance(named, type) and issubclass(named, base)):
        what = "no class" if not isinstance(named, type) else f"no {base.__name__}"
        raise Mistake(f"{option}._target_={shown(target)} is {what}; name a subclass of {kind.base}.")
    return named


def _way_to_import(target: str, error: Exception) -> str:
    """How a class could be imported that is not: by its right name, or from where its module lies."""
    module, _, name = target.rpartition(".")
    if isinstance(error, ModuleNotFoundError):
        return "; start from the folder that holds it, or name that folder in PYTHONPATH"
    names = {each.lower(): each for each in dir(sys.modules.get(module))}
    near = get_close_matches(name.lower(), names, n=1)
    return f"; say {module}.{names[near[0]]}, if you mean that" if near else ""


def check_home(option: str, target: str, allow: Sequence[str]) -> None:
    """Raises a Mistake unless a part may come from the module that its name says. Imports nothing."""
    kind, module, package = KINDS[option], target.rpartition(".")[0], shown(target.partition(".")[0])
    if is_home(module, kind, allow):
        return
    if re.search(r"[/\\]|\.py$", target):
        raise Mistake(f"{option}._target_={shown(target)} is a path; say it as Python does: module.Class.")
    if not module and kind.homes:
        raise Mistake(f"{option}._target_={package} is a name only; say its module, too: {kind.homes[-1]}.{package}.")
    homes = ", ".join((*(f"auscult.{room}" for room in HOMES), *kind.homes))
    way_out = "put it there" if package == "auscult" else f"if the package is yours, say allow={package}"
    raise Mistake(
        f"{option}._target_={shown(target)} is no class that a checkpoint may name: it is in none of {homes};"
        f" {way_out}."
    )


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


def packages(config: dict[str, Any]) -> list[str]:
    """The packages that `allow` names, one or a list.

    Raises:
        Mistake: it names anything else, or a package that Python does not find.
    """
    value = config.get("allow") or []
    names = value if isinstance(value, list) else [value]
    for name in names:
        if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
            raise Mistake(f"allow={shown(value)} is neither a package nor a list of packages, such as [my_networks].")
    find_own_packages(names)
    for name in names:
        first = name.partition(".")[0]
        if find_spec(first) is None:
            raise Mistake(
                f"allow={shown(value)}: Python finds no package {first}; install it, or start the program in the folder"
                f" that holds {first}/ or {first}.py."
            )
    return names


def find_own_packages(allow: Sequence[str]) -> None:
    """Lets `allow` name a package in the working folder, too."""
    if allow and "" not in sys.path:
        sys.path.append("")
