"""Modules that bring a rule of their own: a method `relevance_of_input(input, relevance) -> relevance`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from auscult.explain.lrp.operations import Operations
from auscult.explain.lrp.propagation import Propagation, Step


class OwnRule(Step):
    """A module as one operation.

    Args:
        module: has `relevance_of_input`.
        forward: its forward pass, of one tensor.
        operations: does not look into it.
    """

    def __init__(self, module: nn.Module, forward: Callable[[Tensor], Tensor], operations: Operations) -> None:
        self.module, self.run, self.operations = module, forward, operations

    def forward(self, *inputs: Tensor) -> Tensor:
        """See `Step.forward`."""
        self.operations.own_rule = True
        try:
            return self.run(*inputs)
        finally:
            self.operations.own_rule = False

    def shares(self, relevance: Tensor, output: Tensor, *inputs: Tensor) -> Any:
        """See `Step.shares`."""
        rule: Any = self.module.relevance_of_input
        return [rule(*inputs, relevance)], None, None


@contextmanager
def own_rules(network: nn.Module, operations: Operations) -> Iterator[None]:
    """Lets modules with `relevance_of_input` run as one operation each."""
    ruled = [module for module in network.modules() if hasattr(module, "relevance_of_input")]
    for module in ruled:
        module.forward = as_operation(module, module.forward, operations)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for module in ruled:
            module.__dict__.pop("forward", None)


def as_operation(module: nn.Module, forward: Callable[[Tensor], Tensor], operations: Operations) -> Any:
    """The forward pass of a module, with its own rule as the backward pass."""

    def run(input: Tensor) -> Tensor:
        node = operations.node("relevance_of_input")
        operations.nodes.append(node)
        output: Tensor = Propagation.apply(OwnRule(module, forward, operations), node, operations.apart, input)
        return output

    return run
