"""Parts of a network by name: which stay as they are, and which learn at a rate of their own."""

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from torch import nn

from auscult.mistake import Mistake
from auscult.plain_data import shown

MOST_NEAR = 3  # names in a message


def is_within(name: str, part: str) -> bool:
    """Whether a parameter or module of this name is a part of the network, or lies in it."""
    return name == part or name.startswith(f"{part}.")


def check_parts(network: nn.Module, parts: Iterable[str], option: str) -> None:
    """Checks that a network has parameters in each of these parts.

    Args:
        parts: names as in `named_modules()` or `named_parameters()`.
        option: the option that named them, for the message.

    Raises:
        Mistake: it has none in one of them.
    """
    names = [name for name, _ in network.named_parameters()]
    for part in parts:
        if not any(is_within(name, part) for name in names):
            near = ", ".join(map(shown, near_names(part, names)))
            raise Mistake(f"{option}: the network has no part {shown(part)} that learns; choose of {near}.")


def near_names(part: str, parameters: Iterable[str]) -> list[str]:
    """The parts of a network whose names are nearest to one that it has not; else its outermost parts."""
    holders = {".".join(name.split(".")[:end]) for name in parameters for end in range(1, name.count(".") + 2)}
    ending = sorted((name for name in holders if name.endswith(f".{part}")), key=len)
    near = ending or get_close_matches(part, sorted(holders), MOST_NEAR)
    return near[:MOST_NEAR] or sorted(name for name in holders if "." not in name)


def freeze(network: nn.Module, parts: Collection[str]) -> None:
    """Keeps the weights of parts of a network from learning.

    Raises:
        Mistake: the network has no such part.
    """
    check_parts(network, parts, "model.freeze")
    for name, parameter in network.named_parameters():
        if any(is_within(name, part) for part in parts):
            parameter.requires_grad_(False)


def evaluate(network: nn.Module, parts: Collection[str]) -> None:
    """Turns off dropout, and keeps the statistics of BatchNorm, in parts of a network."""
    for name, module in network.named_modules():
        if any(is_within(name, part) for part in parts):
            module.eval()


def groups_of(module: nn.Module, network: nn.Module, factors: Mapping[str, float]) -> list[dict[str, Any]]:
    """The parameters of a module, or those that learn by the factors of their learning rates, a factor of 1 first.

    Args:
        module: holds the network.
        factors: of the network's parts; of two parts that lie in each other, the inner one's counts.

    Raises:
        Mistake: the network has no such part.
    """
    check_parts(network, factors, "optimizer.parts")
    own: dict[int, float] = {}
    for part in sorted(factors, key=len):
        own |= {id(weight): factors[part] for name, weight in network.named_parameters() if is_within(name, part)}
    weights = [weight for weight in module.parameters() if weight.requires_grad or not factors]
    each = [1.0, *sorted({factor for factor in own.values() if factor != 1.0})]
    groups = [{"params": [w for w in weights if own.get(id(w), 1.0) == factor], "factor": factor} for factor in each]
    return [group for group in groups if group["params"]]
