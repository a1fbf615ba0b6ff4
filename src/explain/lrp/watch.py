"""What the rule of an operation may ask of the pass that it is part of."""

from abc import ABC, abstractmethod
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


def depends(leaf: Any) -> bool:
    """Whether something is a tensor that depends on the network's input; weights are frozen."""
    return isinstance(leaf, Tensor) and leaf.requires_grad
