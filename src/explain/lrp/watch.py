"""What the rule of an operation may ask of the pass that it is part of."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from auscult.explain.lrp.composite import Composite
from auscult.explain.lrp.propagation import Step

STEP = "PropagationBackward"  # autograd's name of a step


class NoRule(Exception):
    """An operation has no rule. The text says what it does: `applies cumprod`."""


class Watch(ABC):
    """A forward pass whose operations get rules.

    Attributes:
        composite: says which kind of operation has which rule.
    """

    composite: Composite

    @abstractmethod
    def step(self, step: Step, *inputs: Tensor) -> Tensor:
        """Runs a step of the operation that is running now, for inputs that depend on the network's."""


def tensors_in(*given: Any) -> Iterator[Tensor]:
    """Yields all tensors of a function's arguments or results, also those in lists, tuples and dictionaries."""
    for each in given:
        if isinstance(each, Tensor):
            yield each
        elif isinstance(each, list | tuple):
            yield from tensors_in(*each)
        elif isinstance(each, dict):
            yield from tensors_in(*each.values())


def depends(leaf: Any) -> bool:
    """Whether something is a tensor that depends on the network's input.

    Weights are frozen. Other leaves of autograd's graph are none of ours: only the input has a note. What a network
    has made of its weights before, and kept, has a graph, too, but none with the input or with a step of a rule.
    """
    if not isinstance(leaf, Tensor) or not leaf.requires_grad:
        return False
    return "lrp_note" in leaf.__dict__ or comes_from_input(leaf.grad_fn)


def comes_from_input(function: Any) -> bool:
    """Whether the network's input, or a step of a rule, is on the way back from a function of autograd's graph."""
    known: set[Any] = set()
    waiting = [function]
    while waiting:
        function = waiting.pop()
        if function is None or function in known:
            continue
        if function.name() == STEP or "lrp_note" in getattr(getattr(function, "variable", None), "__dict__", {}):
            return True
        known.add(function)
        waiting.extend(before for before, _ in function.next_functions)
    return False
