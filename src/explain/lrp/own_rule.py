"""Modules that bring a rule of their own: a method `relevance_of_input(input, relevance) -> relevance`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from auscult.explain.lrp.operations import Operations
from auscult.explain.lrp.propagation import Propagation, Step
from auscult.explain.lrp.watch import NoRule
from auscult.mistake import Mistake


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
        kind = type(self.module).__name__
        try:
            share = rule(*inputs, relevance)
        except TypeError as error:
            raise Mistake(f"{kind}.relevance_of_input(input, relevance) cannot be called ({error}).") from error
        (input,) = inputs
        if not isinstance(share, Tensor) or share.shape != input.shape:
            gives = tuple(share.shape) if isinstance(share, Tensor) else type(share).__name__
            raise Mistake(
                f"{kind}.relevance_of_input gives {gives}; let it give relevance in the shape of its input,"
                f" {tuple(input.shape)}."
            )
        return [share], None, None


@contextmanager
def own_rules(network: nn.Module, operations: Operations) -> Iterator[None]:
    """Lets modules with `relevance_of_input` run as one operation each."""
    ruled = {name: module for name, module in network.named_modules() if hasattr(module, "relevance_of_input")}
    own = {module: module.__dict__["forward"] for module in ruled.values() if "forward" in module.__dict__}
    for name, module in ruled.items():
        module.forward = as_operation(name, module, module.forward, operations)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for module in ruled.values():
            del module.__dict__["forward"]
            if module in own:
                module.__dict__["forward"] = own[module]


def as_operation(name: str, module: nn.Module, forward: Callable[[Tensor], Tensor], operations: Operations) -> Any:
    """The forward pass of a module, with its own rule as the backward pass."""

    def run(*inputs: Tensor, **options: Any) -> Tensor:
        if len(inputs) != 1 or options:
            raise NoRule(f"gives {name}, which has a rule of its own, something else than one tensor")
        input = operations.current(inputs[0])
        node = operations.node("relevance_of_input")
        node.name = name
        operations.nodes.append(node)
        output: Tensor = Propagation.apply(OwnRule(module, forward, operations), node, operations.apart, input)
        return output

    return run
