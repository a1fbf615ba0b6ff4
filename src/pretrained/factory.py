"""Builds the network that the command line names: it is the user's own code."""

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from torch import nn

from auscult.mistake import Mistake
from auscult.parts import place_of
from auscult.plain_data import shown
from auscult.program.conf import nearest

COUNTS = ("classes", "num_classes", "n_classes", "num_labels", "n_labels")  # arguments that ask how many classes


def network_of(name: str, options: dict[str, Any] | None = None, classes: int | None = None) -> nn.Module:
    """Builds a network, in evaluation mode and on the CPU.

    Args:
        name: `package.module:callable` or `file.py:callable`. The callable is a class or a function that makes a
            `torch.nn.Module`; it may also be a module itself.
        options: arguments of the callable.
        classes: the number of classes, for a callable that has to be told.

    Raises:
        Mistake: there is no such callable, it fails, or it makes no module.
    """
    place, _, attribute = name.rpartition(":")
    with explained(name):
        module = module_in(place)
    made = getattr(module, attribute, None)
    if made is None:
        names = [each for each, value in vars(module).items() if callable(value) and not each.startswith("_")]
        raise Mistake(
            f"network={name}: {place} has no {attribute}; {nearest(attribute, names) if names else 'add it'}."
        )
    if not isinstance(made, nn.Module):
        if not callable(made):
            raise Mistake(f"network={name} is a {type(made).__name__}; name a class, a function or a module.")
        arguments = arguments_of(name, made, options or {}, classes)
        with explained(name):
            made = made(**arguments)
    elif options:
        raise Mistake(f"network_options: {name} is a module, and takes none; name its class.")
    if not isinstance(made, nn.Module):
        raise Mistake(f"network={name} makes a {type(made).__name__}; let it return a torch.nn.Module.")
    return made.cpu().float().eval()


def module_in(place: str) -> Any:
    """Imports a file, or a module of a package in the working folder or in the environment."""
    if not place.endswith(".py"):
        if (here := str(Path.cwd())) not in sys.path:
            sys.path.insert(0, here)
        return import_module(place)
    path = Path(place)
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))  # for modules that lie beside it
    spec = spec_from_file_location(f"own_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def arguments_of(name: str, made: Any, options: dict[str, Any], classes: int | None) -> dict[str, Any]:
    """The arguments of a callable: the options, and the number of classes if it has to be told.

    Raises:
        Mistake: it does not know an option, or needs another argument.
    """
    try:
        parameters = inspect.signature(made).parameters
    except (TypeError, ValueError):  # of callables that are not written in Python
        return options
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    if not takes_any and (unknown := [each for each in options if each not in parameters]):
        choose = nearest(unknown[0], list(parameters)) if parameters else "leave it out"
        raise Mistake(f"network_options.{unknown[0]}: {name} takes no such argument; {choose}.")
    needed = [
        each for each, parameter in parameters.items()
        if parameter.default is parameter.empty and each not in options
        and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]  # fmt: skip
    counts = {each: classes for each in needed if each in COUNTS and classes is not None}
    if lacking := [each for each in needed if each not in counts]:
        way_out = "name the classes by classes=…" if lacking[0] in COUNTS else "set it"
        raise Mistake(
            f"network={name} needs the argument {lacking[0]}; {way_out}, or say 'network_options={{{lacking[0]}: …}}'."
        )
    return {**options, **counts}


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Says in a sentence where the user's code fails.

    Raises:
        Mistake: it fails.
    """
    try:
        yield
    except Mistake:
        raise
    except ModuleNotFoundError as error:
        raise Mistake(
            f"network={name} cannot be imported: there is no module {shown(error.name)}; install it, or start in the"
            " folder that holds it."
        ) from error
    except SyntaxError as error:
        place = f"{error.filename}:{error.lineno}"
        raise Mistake(
            f"network={name} cannot be imported: {shown(error.msg)} in {shown(place)}; mend it there."
        ) from error
    except Exception as error:
        why = shown(" ".join(str(error).split()), 160)
        raise Mistake(
            f"network={name} fails in {place_of(error)} ({type(error).__name__}: {why}); mend it there."
        ) from error
