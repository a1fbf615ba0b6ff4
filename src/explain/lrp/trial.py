"""A trial of a network: its operations, where clips lie in their outputs, and whether relevance would be right."""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from auscult.explain.lrp.composite import Composite
from auscult.explain.lrp.node import Layout, Node, note_of
from auscult.explain.lrp.operations import Operations, logits_of
from auscult.explain.lrp.propagation import Propagation
from auscult.explain.lrp.watch import NoRule, depends
from auscult.mistake import Mistake

PATTERN = (0, 1, 0, 1, 1)  # two different clips; hardly anything else in a tensor repeats in this way
CLIPS = len(PATTERN)
CLOSE = 1e-4  # two outputs are equal, if they differ by this much of the largest value
OWN_FUNCTION: Any = torch.autograd.function.BackwardCFunction
HIDDEN = (os.path.dirname(torch.__file__), str(Path(__file__).parent))  # sources that are not the user's
MOVED = {"alias", "clone", "detach", "view", "_to_copy", "copy_"}  # seen below functions, and harmless
OTHERWISE = "let the front end do it, give its module a method `relevance_of_input(input, relevance)`"


@dataclass(frozen=True)
class Flaw:
    """What would make relevance wrong: an operation, and the module and the line of source code that it is in."""

    what: str
    module: str
    place: str

    def __str__(self) -> str:
        return f"{self.module} {self.what}" + (f" ({self.place})" if self.place else "")


class Trial(Operations):
    """Runs a network once, and collects what its operations are, and all that has no rule.

    Args:
        network: the network, in evaluation mode, its weights frozen.
        composite: see `Operations`.
        input: (B, ...).
        as_given: run it on this input, and not on more clips than one network may take. Then it is less sure where
            clips lie in its tensors.
    """

    def __init__(self, network: nn.Module, composite: Composite, input: Tensor, as_given: bool = False) -> None:
        super().__init__(composite, input.new_zeros(2, len(input) if as_given else CLIPS).requires_grad_())
        self.network = network
        self.paths = {module: name for name, module in network.named_modules()}
        self.running: list[nn.Module] = []  # the innermost last
        self.flaws: list[Flaw] = []
        self.count: Counter[str] = Counter()
        self.ruled = False  # an operation with a rule is running
        self.as_given = as_given
        if as_given:
            self.input = input.detach().clone()
            return
        one, last = input[:1], input[-1:]
        noise = torch.randn(one.shape, generator=torch.Generator().manual_seed(0)).to(one)
        other = last if not torch.equal(one, last) else one
        clips = one, other + 0.05 * noise * (1 + one.abs().amax())  # silence, too, becomes two different clips
        self.input = torch.cat([clips[number] for number in PATTERN])

    def check(self) -> list[Node]:
        """The operations of the network.

        Raises:
            Mistake: something has no rule, or the network gives other outputs while its operations are watched.
        """
        backend = torch.backends.mha
        fast = backend.get_fastpath_enabled()
        try:
            backend.set_fastpath_enabled(False)  # it gives other outputs for what a mask hides
            with torch.no_grad():
                expected = self.network(self.input.clone())
        finally:
            backend.set_fastpath_enabled(fast)
        self.nodes.clear()  # modules with rules of their own have run, too
        leaf = self.input.clone().requires_grad_()
        note_of(leaf)  # it is the input: see `depends`
        output = None
        with self._flaws_of_watching():
            with self._watched_modules(), Below(self), self:
                output = self.network(leaf)
            output = output if self.flaws else logits_of(output, self)
            if isinstance(output, Tensor):
                torch.autograd.grad(output, leaf, output.detach(), retain_graph=True, allow_unused=True)
        for name in sorted(functions_of(output)) if isinstance(output, Tensor) else ():
            self.flaws.append(Flaw(f"uses {name}, an autograd function that no rule can see into", self._module(), ""))
        if self.flaws:
            flaws = "; ".join(dict.fromkeys(map(str, self.flaws)))
            raise Mistake(f"LRP would be wrong: {flaws}; {OTHERWISE}, or choose attribution=integrated_gradients.")
        error = (output - expected).abs().max() / expected.abs().max().clamp(min=1e-30)
        if not error <= CLOSE:
            raise Mistake(
                f"LRP would be wrong: the network's outputs differ by {error:.2g} of their size from one pass to the"
                " next; let it draw nothing by chance in evaluation, and change no tensor through a view of it, or"
                " choose attribution=integrated_gradients."
            )
        return self.nodes

    @contextmanager
    def _flaws_of_watching(self) -> Iterator[None]:
        """Notes what fails in a pass that is watched, though it did not fail before."""
        try:
            yield
        except NoRule as flaw:
            self.flaws.append(Flaw(str(flaw), self._module(), ""))
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            what = str(error).partition("\n")[0]
            self.flaws.append(Flaw(f"fails while its operations are watched: {what}", self._module(), ""))

    def run(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        """See `Operations.run`. What has no rule is noted, and runs without."""
        number = len(self.nodes)
        self.ruled = True
        try:
            output = super().run(func, name, args, kwargs)
        except NoRule as flaw:
            self.flaws.append(Flaw(str(flaw), self._module(), place()))
            output = func(*args, **kwargs)
        finally:
            self.ruled = False
        if len(self.nodes) > number:
            self._describe(self.nodes[number], output)
        return output

    def unseen(self, name: str) -> None:
        """Notes an operation that no function of PyTorch's interface has called."""
        self.flaws.append(Flaw(f"applies {name} where its rule cannot see it", self._module(), place()))

    def _describe(self, node: Node, output: Any) -> None:
        module = self.paths.get(self.running[-1], "") if self.running else ""
        name = f"{module}.{node.operation}".lstrip(".")
        self.count[name] += 1
        node.name = name if self.count[name] == 1 else f"{name}#{self.count[name]}"
        node.place = place()
        first = next((leaf for leaf in tree_leaves(output) if depends(leaf)), None)
        if self.as_given:
            node.layout = Layout(0, whole=True)
        else:
            node.layout = None if first is None else layout_of(first.detach())

    def _module(self) -> str:
        module = self.running[-1] if self.running else self.network
        name = ".".join(filter(None, ["network", self.paths.get(module, "")]))
        return f"{name} ({type(module).__name__})"

    def _enter(self, module: nn.Module, _: Any) -> None:
        self.running.append(module)

    def _leave(self, *_: Any) -> None:
        self.running.pop()

    @contextmanager
    def _watched_modules(self) -> Iterator[None]:
        hooks = []
        for module in self.network.modules():
            hooks.append(module.register_forward_pre_hook(self._enter))
            hooks.append(module.register_forward_hook(self._leave, prepend=True))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


class Below(TorchDispatchMode):
    """Sees the kernels that run, and so those that no rule saw, as those of a function in TorchScript.

    Args:
        trial: is told of them.
    """

    def __init__(self, trial: Trial) -> None:
        super().__init__()
        self.trial = trial

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs a kernel."""
        output = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        is_known = self.trial.ruled or self.trial.own_rule or name in MOVED or not torch.is_grad_enabled()
        if not is_known and any(depends(leaf) for leaf in tree_leaves((args, kwargs))):
            self.trial.unseen(name)
        return output


def functions_of(output: Tensor) -> set[str]:
    """The names of somebody's own autograd functions on the ways from an output back to the input."""
    names: set[str] = set()
    known: set[Any] = set()
    waiting: list[Any] = [output.grad_fn]
    while waiting:
        function = waiting.pop()
        if function is None or function in known:
            continue
        known.add(function)
        waiting.extend(before for before, _ in function.next_functions)
        if isinstance(function, OWN_FUNCTION) and not isinstance(function, Propagation._backward_cls):  # type: ignore[attr-defined]
            names.add(str(function.name()).removesuffix("Backward"))
    return names


def layout_of(output: Tensor) -> Layout | None:
    """Where clips lie in an output for clips as in `PATTERN`; None if no dimension can hold them."""
    sizes = [dimension for dimension, size in enumerate(output.shape) if size % CLIPS == 0]
    if not output.numel():
        return None
    scale = CLOSE * output.abs().max()
    for dimension in sizes:
        rows = output.movedim(dimension, 0)
        for whole in (True, False):
            clips = rows.unflatten(0, (CLIPS, -1) if whole else (-1, CLIPS))
            parts = clips.unbind(0 if whole else 1)
            first, second = parts[0], parts[1]
            alike = all(
                (part - (first, second)[number]).abs().max() <= scale
                for part, number in zip(parts, PATTERN, strict=True)
            )
            if alike and (first - second).abs().max() > scale:
                return Layout(dimension, whole)
    return Layout(sizes[0], whole=True) if sizes else None


def place() -> str:
    """The line of the user's source code that is running: file and number; none for PyTorch's own modules."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith((*HIDDEN, "<")):
        frame = frame.f_back
    return "" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"
