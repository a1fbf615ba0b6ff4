"""Weights of a network in a file of their own: a state dict, read as data."""

import logging
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from auscult.mistake import Mistake
from auscult.plain_data import counted, shown

log = logging.getLogger(__name__)

# where a training's checkpoint has the state dict, the most usual first
HOLDERS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights", "params", "ema")
MOST_NAMED = 4  # weights in a message
COUNTERS = "num_batches_tracked"  # of BatchNorm; not used in evaluation


def load_weights(network: nn.Module, path: Path) -> None:
    """Gives a network the weights of a file. What is left over is logged.

    Names may have a prefix that the network's own lack, such as those of Lightning (`model.`), `DataParallel`
    (`module.`) and `torch.compile` (`_orig_mod.`), or lack one.

    Args:
        path: `.safetensors`; or a file of `torch.save`, which is opened with weights only: nothing that it holds runs.

    Raises:
        Mistake: the file cannot be read, holds no weights, or lacks some of the network's.
    """
    held = read_weights(path, f"weights={path}")
    renamed = with_names_of(network, held)
    own = network.state_dict()
    wrong = [name for name, value in renamed.items() if name in own and own[name].shape != value.shape]
    if wrong:
        shapes = ", ".join(
            f"{name} is {tuple(renamed[name].shape)} in the file and {tuple(own[name].shape)} in the network"
            for name in wrong[:2]
        )
        raise Mistake(
            f"weights={path} are of another network: {counted(len(wrong), 'tensor')} of other shapes ({shapes}); name"
            " the class that they were trained with, or its arguments, such as 'network_options={num_classes: 4}'."
        )
    if not set(renamed) & set(own):
        raise Mistake(
            f"weights={path} are of another network: none of its names ({named(held)}) is one of the network's"
            f" ({named(own)}); name the class that they were trained with."
        )
    try:
        missing, left_over = network.load_state_dict(renamed, strict=False)
    except Exception as error:  # modules may load in ways of their own
        raise Mistake(f"weights={path} cannot be loaded ({shown(' '.join(str(error).split()), 160)}).") from error
    if missing := [name for name in missing if not name.endswith(COUNTERS)]:
        raise Mistake(
            f"weights={path} lack {len(missing)} of the network's {len(own)} tensors ({named(missing)}), which would be"
            " random; name the weights of the whole network."
        )
    if left_over:
        log.warning("weights=%s: %s left over, as the network has none of their names (%s).",
                    path, "one tensor is" if len(left_over) == 1 else f"{len(left_over)} tensors are",
                    named(left_over))  # fmt: skip


def start_from(network: nn.Module, path: Path) -> None:
    """Gives a network the weights of a file to train from, as far as they fit. What starts anew is logged.

    Args:
        path: see `load_weights`; also a checkpoint of `train.py`.

    Raises:
        Mistake: the file cannot be read, holds no weights, or none that fit.
    """
    own, option = network.state_dict(), f"model.weights={path}"
    renamed = with_names_of(network, read_weights(path, option))
    fitting = {name: value for name, value in renamed.items() if name in own and own[name].shape == value.shape}
    if not any(value.dim() > 1 for value in fitting.values()):  # a bias may fit by chance
        raise Mistake(
            f"{option} are of another network: none of its weights ({named(renamed)}) has the name and shape of one of"
            f" the network's ({named(own)}); name the network that they were trained with."
        )
    try:
        network.load_state_dict(fitting, strict=False)
    except Exception as error:  # modules may load in ways of their own
        raise Mistake(f"{option} cannot be loaded ({shown(' '.join(str(error).split()), 160)}).") from error
    other = [name for name in own if name in renamed and name not in fitting]
    missing = [name for name in own if name not in renamed and not name.endswith(COUNTERS)]
    say_what_starts_anew(option, len(own), other, missing)


def say_what_starts_anew(option: str, total: int, other: Collection[str], missing: Collection[str]) -> None:
    """Logs which of a network's tensors keep the values that they were drawn with.

    Args:
        option: names where the weights come from.
        total: how many tensors the network has.
        other: names of those that have another shape there.
        missing: names of those that are not there.
    """
    for names, why in ((other, "have another shape"), (missing, "are not there")):
        if names:
            log.warning("%s: %d of %d tensors %s and start anew: %s.", option, len(names), total, why, named(names))


def read_weights(path: Path, option: str) -> dict[str, Tensor]:
    """The tensors of a file, on the CPU, by their names.

    Args:
        option: names the file, for the message.

    Raises:
        Mistake: the file cannot be read, or holds something else.
    """
    try:
        content: Any = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except OSError as error:
        raise Mistake(f"{option} cannot be read ({error.strerror or error}); check its permissions.") from error
    except SafetensorError as error:
        raise Mistake(f"{option} is no whole file of safetensors ({shown(error, 120)}); copy it again.") from error
    except Exception as error:  # damaged files make PyTorch raise any error
        if "weights_only" in str(error) or "Unsupported" in str(error):
            raise Mistake(
                f"{option} holds objects beside tensors, and no file may bring code: save network.state_dict() by"
                " safetensors.torch.save_file, where you trust it."
            ) from error
        raise Mistake(f"{option} cannot be read (truncated, damaged or no state dict); copy it again.") from error
    return tensors_in(content, option)


def tensors_in(content: Any, option: str) -> dict[str, Tensor]:
    """The state dict in what a file holds: itself, or under one of the usual names."""
    for name in (None, *HOLDERS):
        held = content if name is None else content.get(name) if isinstance(content, dict) else None
        if isinstance(held, dict) and held:
            tensors = {str(key): value for key, value in held.items() if isinstance(value, Tensor)}
            if len(tensors) > len(held) / 2:
                return tensors
    keys = f" ({', '.join(map(shown, list(content)[:6]))})" if isinstance(content, dict) else ""
    raise Mistake(f"{option} hold a {type(content).__name__}{keys} and no state dict; save network.state_dict().")


def with_names_of(network: nn.Module, held: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under the network's own names: without a prefix, or with one, so that as many as possible fit."""
    own = {name: value.shape for name, value in network.state_dict().items()}

    def fitting(names: dict[str, str]) -> tuple[int, int]:
        fit = [name for old, name in names.items() if name in own]
        return sum(held[old].shape == own[name] for old, name in names.items() if name in own), len(fit)

    candidates = [{name: name for name in held}]
    for prefix in prefixes_of(held):
        candidates.append({name: name.removeprefix(prefix) for name in held if name.startswith(prefix)})
    candidates += [{name: prefix + name for name in held} for prefix in prefixes_of(own)]
    best = max(candidates, key=fitting)  # the first of equals: as few changes as possible
    kept = {new: held[old] for old, new in best.items()}
    return kept | {old: value for old, value in held.items() if old not in best and old not in kept}


def prefixes_of(names: Iterable[str]) -> list[str]:
    """The beginnings of names up to a dot, the commonest first: `model.`, `model.net.`."""
    counts: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        counts.update(".".join(parts[:end]) + "." for end in range(1, min(4, len(parts))))
    return [prefix for prefix, _ in counts.most_common(12)]


def named(names: Iterable[str]) -> str:
    """The first few names, for a message."""
    words = list(names)
    return ", ".join(map(shown, words[:MOST_NAMED])) + (", …" if len(words) > MOST_NAMED else "")
