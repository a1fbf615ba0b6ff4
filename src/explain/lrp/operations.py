"""Watches the operations of a forward pass, and gives each its rule.

PyTorch's `TorchFunctionMode` sees each call of a function of tensors, wherever it stands: in a module of PyTorch, in
`forward` itself, or in somebody's own function. So rules belong to operations. It does not matter whether a module is
used twice, what it is called, or in which order modules are registered.

The other way is to export the network as a graph (`torch.export`). A graph can be read before it runs. But an export
takes seconds, holds for inputs of one shape, and fails where a network's way depends on its data. Watching costs
nothing, and every network that runs can be watched.
"""

import functools
import inspect
from collections.abc import Sequence
from types import FunctionType
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from auscult.explain.lrp.catalogue import FOR_COMPLEX, KEEPS_GATES, MOVES, MOVES_OF_HEADS, WHOLE, rule_for
from auscult.explain.lrp.composed import COMPOSED
from auscult.explain.lrp.composite import Composite
from auscult.explain.lrp.node import Layout, Node, note_of
from auscult.explain.lrp.propagation import Propagation, Step
from auscult.explain.lrp.watch import NoRule, Watch, depends, tensors_in
from auscult.mistake import Mistake

OVERRIDES = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")


class Operations(TorchFunctionMode, Watch):
    """A forward pass whose operations hand relevance back by their rules.

    Args:
        composite: says which kind of operation has which rule.
        apart: (2, B) zeros that require a gradient, see `Propagation`.
        known: the operations of a trial of the network; their names, places and layouts are taken over.
        audited: let each operation note its sums of relevance.
        names: of known operations whose outputs are kept.

    Attributes:
        nodes: the operations so far.
        wanted: the outputs that are kept, by name; of several outputs, the first.
    """

    def __init__(
        self, composite: Composite, apart: Tensor, known: list[Node] | None = None, audited: bool = False,
        names: Sequence[str] = (),
    ) -> None:  # fmt: skip
        super().__init__()
        self.composite, self.apart, self.known, self.audited = composite, apart, known or [], audited
        self.nodes: list[Node] = []
        self.met = 0  # so many of the known ones have come by
        self.names, self.wanted = set(names), dict[str, Tensor]()
        # what operations in place have made of tensors, by their identity, with the tensor itself, which so stays
        self.replaced: dict[int, tuple[Tensor, Tensor]] = {}
        self.stale: set[int] = set()  # tensors of which a view was changed
        self.own_rule = False  # a module with a rule of its own is running

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs a function of tensors, with its rule if what it gives depends on the network's input."""
        kwargs = kwargs or {}
        if self.own_rule:
            return func(*args, **kwargs)
        name = getattr(func, "__name__", str(func))
        name = func.__self__.__name__ if name == "__get__" else name
        if "axis" in kwargs:  # NumPy's word for it, which PyTorch takes, too
            kwargs = {**{key: value for key, value in kwargs.items() if key != "axis"}, "dim": kwargs["axis"]}
        if self.replaced:
            if name == "__setitem__":  # `x[:, 0] += y` puts what has become of a view back
                self.stale.discard(id(args[0]))
            args, kwargs = tree_map_only(Tensor, self.current, (args, kwargs))
        if not any(map(depends, tensors_in(args, kwargs))):
            return func(*args, **kwargs)
        plain = out_of_place(func, name)
        if not torch.is_grad_enabled():
            if plain is not None and depends(args[0]):
                raise NoRule(f"applies {name} in place, without gradients")
            return func(*args, **kwargs)
        if name not in WHOLE and (body := COMPOSED.get(name) or body_of(func)) is not None:  # what it calls has rules
            with self:
                return body(*args, **kwargs)
        if plain is not None:
            if plain is set_item:
                output = self.run(set_item, "set_item", args, kwargs)
            else:
                with self:
                    output = plain(*args, **kwargs)
            if output is not args[0]:  # as dropout in evaluation
                self.replace(args[0], output)
            return output
        return self.run(func, name, args, kwargs)

    def step(self, step: Step, *inputs: Tensor) -> Tensor:
        """See `Watch.step`."""
        output: Tensor = Propagation.apply(step, self.nodes[-1], self.apart, *inputs)
        return output

    def run(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        """Runs an operation with its rule.

        Raises:
            NoRule: it has none.
        """
        rule = rule_for(name, func)
        if rule is None and name not in MOVES:
            output = func(*args, **kwargs)
            if any(map(depends, tensors_in(output))):  # not sizes, comparisons and places
                raise NoRule(f"applies {name}")
            return output
        if name not in FOR_COMPLEX and any(depends(each) and each.is_complex() for each in tensors_in(args, kwargs)):
            raise NoRule(f"applies {name} to complex numbers")
        node = self.node(name)
        self.nodes.append(node)
        if self.audited and rule is not None:
            args, kwargs = audited_inputs(node, args, kwargs)
        output = func(*args, **kwargs) if rule is None else rule(self, *args, **kwargs)
        if self.audited and rule is not None:
            for each in filter(depends, tensors_in(output)):
                each.register_hook(node.note_output)
        describe(output, (args, kwargs), keeps_gates=rule is None or name in KEEPS_GATES)
        if name in MOVES_OF_HEADS:
            move_logits(output, func, args, kwargs)
        if node.name in self.names:
            self.wanted[node.name] = next(filter(depends, tensors_in(output)))
        return output

    def replace(self, tensor: Tensor, output: Tensor) -> None:
        """Notes what an operation in place has made of a tensor."""
        self.replaced[id(tensor)] = tensor, output
        if tensor._base is not None:
            self.replaced.setdefault(id(tensor._base), (tensor._base, tensor._base))
            self.stale.add(id(tensor._base))

    def current(self, tensor: Tensor) -> Tensor:
        """What operations in place have made of a tensor.

        Raises:
            NoRule: one of them has changed a view of it.
        """
        while id(tensor) in self.replaced:
            if id(tensor) in self.stale:
                raise NoRule("uses a tensor after a view of it was changed in place")
            after = self.replaced[id(tensor)][1]
            if after is tensor:
                break
            tensor = after
        return tensor

    def node(self, name: str) -> Node:
        """The operation that comes next."""
        # a loop over clips makes fewer of them than in the trial: the next one of this name is meant
        following = range(self.met, len(self.known))
        if (number := next((each for each in following if self.known[each].operation == name), None)) is not None:
            known, self.met = self.known[number], number + 1
            return Node(name, known.name, known.place, known.layout, self.audited)
        # what the trial has not met may lie in any way; without a trial, clips come first
        return Node(name, layout=None if self.known else Layout(0, whole=True), audited=self.audited)


def audited_inputs(node: Node, args: Any, kwargs: Any) -> Any:
    """The arguments of an operation, whose tensors tell its node what relevance they get from it, and nothing else."""
    views: dict[int, Tensor] = {}

    def view(tensor: Tensor) -> Tensor:
        if not depends(tensor):
            return tensor
        if id(tensor) not in views:
            own = tensor.view_as(tensor)
            own.__dict__["lrp_note"] = note_of(tensor)
            own.register_hook(node.note_inputs)
            views[id(tensor)] = own
        return views[id(tensor)]

    return tree_map_only(Tensor, view, (args, kwargs))


def describe(output: Any, args: Any, keeps_gates: bool) -> None:
    """Notes what is known of an operation's output from its inputs."""
    inputs = list(filter(depends, tensors_in(args)))
    layers = max((note_of(leaf).layers for leaf in inputs), default=0)
    for leaf in filter(depends, tensors_in(output)):
        if not any(leaf is input for input in inputs):
            note = note_of(leaf)
            note.layers = max(layers, note.layers)
            note.is_gate |= keeps_gates and bool(inputs) and all(note_of(input).is_gate for input in inputs)


def move_logits(output: Any, func: Any, args: Any, kwargs: Any) -> None:
    """Moves the logits of a softmax or sigmoid as its output is moved, so that relevance can start from them."""
    inputs = list(filter(depends, tensors_in(args, kwargs)))
    if len(inputs) != 1 or not isinstance(output, Tensor) or output is inputs[0]:
        return
    logits = note_of(inputs[0]).logits
    if logits is not None and logits.shape == inputs[0].shape:
        note_of(output).logits = func(
            *tree_map_only(Tensor, lambda each: logits if each is inputs[0] else each, args),
            **tree_map_only(Tensor, lambda each: logits if each is inputs[0] else each, kwargs),
        )


@functools.cache
def body_of(func: Any) -> Any:
    """A function that is written in Python, as one that does not ask whether it is overridden; None for others.

    So the parts of composed functions, such as `multi_head_attention_forward`, come by one after the other.
    """
    inner = inspect.unwrap(func)
    if not isinstance(inner, FunctionType):
        return None
    names = {**inner.__globals__, **dict.fromkeys(OVERRIDES, lambda *_: False)}
    body = FunctionType(inner.__code__, names, inner.__name__, inner.__defaults__, inner.__closure__)
    body.__kwdefaults__ = inner.__kwdefaults__
    return body


def out_of_place(func: Any, name: str) -> Any:
    """The function that gives a new tensor where this one changes its first; None if it changes none.

    Rules need the inputs that operations had.
    """
    if name == "__setitem__":
        return set_item
    if name.startswith("__i") and name.endswith("__") and name[3:-2] in OPERATORS:
        return OPERATORS[name[3:-2]]
    if not name.endswith("_") or name.startswith("_"):
        return None
    if name in ("zero_", "fill_"):
        return lambda tensor, value=0: torch.full_like(tensor.detach(), value)
    if name == "copy_":
        return lambda tensor, source, *_: source.to(tensor).expand_as(tensor)
    for room in (Tensor, torch, torch._C._nn):
        if callable(plain := getattr(room, name[:-1], None)):
            return plain
    return None


OPERATORS = {
    "add": torch.add, "sub": torch.sub, "mul": torch.mul, "truediv": torch.div, "pow": torch.pow, "div": torch.div,
}  # fmt: skip


def set_item(tensor: Tensor, place: Any, values: Any) -> Tensor:
    """What `tensor[place] = values` makes of a tensor; the rule of this name does it with relevance."""
    output = tensor.clone()
    output[place] = values
    return output


def logits_of(outputs: Any, operations: Operations) -> Tensor:
    """What a network gives, if it is logits (B, classes) that depend on its input.

    Raises:
        Mistake: it is something else.
    """
    if not isinstance(outputs, Tensor) or outputs.dim() != 2:
        shape = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise Mistake(f"the network gives {shape}; let it give its logits alone, a tensor (B, classes).")
    outputs = operations.current(outputs)
    if not outputs.requires_grad:
        raise Mistake(
            "the network's logits have no gradient, as if its forward ran under torch.no_grad(); let it run without, or"
            " choose an attribution that needs none: occlusion or rise."
        )
    return outputs
