"""What the rule of an operation may ask of the pass that it is part of."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from auscult.explain.lrp.composite import Composite
from auscult.explain.lrp.propagation import Step


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

    Weights are frozen. Other leaves of autograd's graph are none of ours: only the input has a note.
    """
    if not isinstance(leaf, Tensor) or not leaf.requires_grad:
        return False
    return leaf.grad_fn is not None or "lrp_note" in leaf.__dict__
