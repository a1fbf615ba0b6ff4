"""A trial of a network: its operations, where clips lie in their outputs, and whether relevance would be right."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from auscult.explain.lrp.composite import Composite
from auscult.explain.lrp.layouts import CLIPS, CLOSE, PATTERN, layout_as_given, layout_of
from auscult.explain.lrp.node import Node, note_of
from auscult.explain.lrp.operations import Operations, logits_of
from auscult.explain.lrp.propagation import Propagation
from auscult.explain.lrp.steady import check_outputs, difference, place
from auscult.explain.lrp.watch import NoRule, depends
from auscult.mistake import Mistake

MIXED = 1e-3  # and clips are mixed, if outputs alone and in a batch differ by more than this
OWN_FUNCTION: Any = torch.autograd.function.BackwardCFunction
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
        noise = noise if input.amin() < 0 else noise.abs()  # a network may take the logarithm of its input
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
            expected = check_outputs(self.network, self.input)
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
        if not (error := difference(output, expected)) <= CLOSE:
            raise Mistake(
                f"LRP would be wrong: the network's outputs differ by {error:.2g} of their size while its operations"
                " are watched, as if a tensor were changed through a view of it; give what is changed a new name, or"
                " choose attribution=integrated_gradients."
            )
        if not self.as_given and self._mixes_clips(expected):
            for node in self.nodes:
                node.layout = None
        return self.nodes

    def _mixes_clips(self, expected: Tensor) -> bool:
        """Whether the network gives something else for a clip alone: then no constant belongs to one clip."""
        try:
            with torch.no_grad():
                alone = self.network(self.input[:1].clone())
        except Exception:  # it may take batches of one size only
            return False
        return alone.shape != expected[:1].shape or difference(alone, expected[:1]) > MIXED

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
        if first is not None:
            node.layout = layout_as_given(first, len(self.input)) if self.as_given else layout_of(first.detach())

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
