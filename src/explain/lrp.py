"""Layer-wise relevance propagation: the logit, handed back layer by layer to what it was made of.

Bach et al., PLoS ONE 10(7), 2015; Montavon et al., "Layer-Wise Relevance Propagation: An Overview", 2019. The rules are
zennit's; here is which layer takes which, and the check that a network is one for which they are right.
"""

from typing import Any, ClassVar
from weakref import WeakSet

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from zennit import rules
from zennit.composites import SpecialFirstLayerMapComposite, layer_map_base
from zennit.core import BasicHook, stabilize
from zennit.layer import Sum
from zennit.types import Activation, AvgPool, Convolution, Linear

from src.explain.attribution import check_option, explaining
from src.mistake import Mistake

ROUNDING = 1e-3  # by which an input may exceed its bounds

# name: rule of the first layer, where it has one of its own; rule of convolutions. Dense layers take epsilon.
COMPOSITES: dict[str, tuple[str | None, str]] = {
    "epsilon": (None, "epsilon"),
    "epsilon_plus": (None, "plus"),
    "epsilon_plus_flat": ("flat", "plus"),
    "alpha2_beta1": (None, "alpha2_beta1"),
    "alpha2_beta1_flat": ("flat", "alpha2_beta1"),
    "box": ("box", "plus"),
}

# Where there is no rule, relevance follows the gradient. That is right for operations that only move values, and for
# maxima, where the winner takes all.
ROUTES = {
    "_reshape_alias", "_to_copy", "_unsafe_view", "alias", "cat", "clone", "constant_pad_nd", "detach", "expand",
    "flip", "gather", "im2col", "index", "index_select", "permute", "pixel_shuffle", "pixel_unshuffle", "repeat",
    "roll", "select", "slice", "split", "split_with_sizes", "squeeze", "stack", "t", "transpose", "unbind", "unfold",
    "unsqueeze", "view", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "replication_pad1d",
    "replication_pad2d", "replication_pad3d", "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d",
    "adaptive_max_pool2d", "adaptive_max_pool3d", "amax", "max", "max_pool2d_with_indices", "max_pool3d_with_indices",
}  # fmt: skip
WAYS_OUT = [
    ({"relu", "clamp", "gelu", "silu", "sigmoid", "tanh"}, "make it a module of its own, such as nn.ReLU"),
    ({"convolution", "addmm", "mm", "bmm"}, "leave it to a module such as nn.Conv1d or nn.Linear as it is"),
    ({"add", "sum"}, "stack what is added and let the module zennit.layer.Sum do it"),
    ({"mean", "avg_pool2d"}, "leave it to a module such as nn.AdaptiveAvgPool1d"),
    ({"native_batch_norm", "cudnn_batch_norm"}, "fold it into the layer before with torch.nn.utils.fusion"),
    ({"softmax", "log_softmax"}, "let the network end in logits"),
]
OTHERWISE = "do without it, or leave it to the front end"


class LRP:
    """Relevance (B, ...) of the input by one rule per kind of layer, starting from the target's logit.

    A layer's bias takes part in its output, but is no input that relevance could be handed to, so relevance seeps away
    at biases and the sum no longer is the logit. With `zero_bias`, every rule leaves them out: what the rest of the
    layer contributed shares all of the relevance, and the sum stays the logit, as `conservation_error` tells. Flat and
    z^B, the rules of first layers, are free of biases anyway. Alpha2-beta1 conserves only where an output has both
    positive and negative contributions, which three weights of a first layer on waveforms often do not give it.

    Args:
        composite: one of `COMPOSITES`.
        zero_bias: leave biases out.
        epsilon: added to the outputs of the layers under the epsilon rule, with their sign, before relevance is
            divided by them; it absorbs the relevance of outputs that are smaller.
        low: z^B's lowest possible value of the input. None: each clip's own lowest value, or the negative of its peak
            where it has both signs, as waveforms do.
        high: z^B's highest possible value, likewise.

    Raises:
        Mistake: an option is wrong, or, when called, the network is one whose relevance would be.
    """

    def __init__(
        self,
        composite: str = "epsilon_plus",
        zero_bias: bool = True,
        epsilon: float = 1e-6,
        low: float | None = None,
        high: float | None = None,
    ) -> None:
        if composite not in COMPOSITES:
            raise Mistake(f"attribution.composite={composite} is unknown; choose one of {', '.join(COMPOSITES)}.")
        check_option("epsilon", epsilon, float, low=1e-12)
        check_option("low", low, float, nullable=True)
        check_option("high", high, float, nullable=True)
        self.low, self.high = low, high
        self.known: WeakSet[nn.Module] = WeakSet()  # networks that were found to be right

        zero_params = ["bias"] if zero_bias else None
        rule: dict[str | None, BasicHook] = {
            "epsilon": rules.Epsilon(epsilon, zero_params=zero_params),
            "plus": ZPlus(zero_params=zero_params),
            "alpha2_beta1": Alpha2Beta1(2, 1, zero_params=zero_params),
            "flat": rules.Flat(zero_params=zero_params),
            "box": z_box(low, high, zero_params),
        }
        first, convolution = COMPOSITES[composite]
        self.composite = SpecialFirstLayerMapComposite(
            layer_map=[*layer_map_base(), (Convolution, rule[convolution]), (nn.Linear, rule["epsilon"])],
            first_map=[(Linear, rule[first])] if first else [],
        )

    def __call__(self, network: nn.Module, input: Tensor, target: Tensor) -> Tensor:
        with explaining(network, input, target) as (input, target):
            if network not in self.known:
                self._check(network, input[:1])
                self.known.add(network)
            self._check_bounds(input)
            try:
                self.composite.register(network)
                logits = network(input.requires_grad_())  # (B, classes)
                start = logits.detach() * nn.functional.one_hot(target, logits.shape[1])
                return torch.autograd.grad(logits, input, start)[0]
            finally:
                self.composite.remove()

    def _check(self, network: nn.Module, input: Tensor) -> None:
        check = ForwardCheck(network)
        check.watch(input)
        registered = [module for module in network.modules() if isinstance(module, Linear)]
        first = [module for module in check.used if isinstance(module, Linear)]
        if self.composite.first_map and registered[:1] != first[:1]:
            flaw = "is registered first but does not run first, and would be taken for the first layer"
            raise check.mistake(registered[0], flaw, "register layers in the order of the forward pass")

    def _check_bounds(self, input: Tensor) -> None:
        if self.low is not None and (lowest := input.amin().item()) < self.low - ROUNDING:
            raise Mistake(f"attribution.low={self.low} is above the input's lowest value, {lowest:g}; lower it.")
        if self.high is not None and (highest := input.amax().item()) > self.high + ROUNDING:
            raise Mistake(f"attribution.high={self.high} is below the input's highest value, {highest:g}; raise it.")


class ForwardCheck(TorchDispatchMode):
    """Watches a forward pass and stops at the first thing for which relevance would silently be wrong.

    That is an operation that has no rule: one outside the modules that have, and not among `ROUTES`. It also is what
    rules misunderstand: a module's second use, and a weight that is computed from others.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.names = {module: name for name, module in network.named_modules()}
        self.running: list[nn.Module] = []  # the innermost last
        self.used: list[nn.Module] = []  # modules that have a rule, in the order of their use

    def watch(self, input: Tensor) -> None:
        """Runs the network on the input (1, ...).

        Raises:
            Mistake: the first flaw, the module it is in, and the way out.
        """
        hooks = []
        for module in self.network.modules():
            hooks += [module.register_forward_pre_hook(self._enter)]
            hooks += [module.register_forward_hook(self._leave, prepend=True)]
        try:
            # only what depends on the input requires a gradient then
            frozen = {name: parameter.detach() for name, parameter in self.network.named_parameters()}
            with self:
                functional_call(self.network, frozen, input.requires_grad_().clone())
        finally:
            for hook in hooks:
                hook.remove()

    def mistake(self, module: nn.Module, flaw: str, way_out: str) -> Mistake:
        place = ".".join(filter(None, ["network", self.names[module]]))
        return Mistake(
            f"LRP would be wrong: {place} ({type(module).__name__}) {flaw}; {way_out}, or choose"
            " attribution=integrated_gradients."
        )

    def _enter(self, module: nn.Module, _: Any) -> None:
        self.running.append(module)
        if not has_rule(module):
            return
        if module in self.used:
            raise self.mistake(module, "runs more than once in a forward pass", "make each use a module of its own")
        if isinstance(module, Linear) and "weight" not in dict(module.named_parameters(recurse=False)):
            way_out = "make it plain, as torch.nn.utils.parametrize.remove_parametrizations does"
            raise self.mistake(module, "computes its weight from others", way_out)
        self.used.append(module)

    def _leave(self, *_: Any) -> None:
        self.running.pop()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        operation = func.overloadpacket.__name__
        if operation not in ROUTES and not has_rule(self.running[-1]):
            tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
            if any(tensor.requires_grad for tensor in tensors):
                way_out = next((way for known, way in WAYS_OUT if operation.strip("_") in known), OTHERWISE)
                raise self.mistake(self.running[-1], f"applies {operation}, which no rule is tied to", way_out)
        return func(*args, **(kwargs or {}))


def has_rule(module: nn.Module) -> bool:
    """Whether zennit's composites have a rule for a module that is right: not if a subclass changed what it does."""
    ruled = isinstance(module, Linear | Activation | AvgPool | Sum) and not isinstance(module, nn.MultiheadAttention)
    return ruled and module.forward.__module__.startswith(("torch.nn.modules.", "zennit."))


class NonNegative(BasicHook):
    """Leaves out the terms of negative inputs where there are none, as behind a ReLU: same relevance, half the work."""

    terms: ClassVar[dict[int, int]]  # which of zennit's terms are those of positive inputs: their share of relevance

    def backward(self, module: nn.Module, grad_input: Any, grad_output: Any) -> Any:
        input = self.stored_tensors["input"][0].detach()
        if (input < 0).any():
            return super().backward(module, grad_input, grad_output)
        relevance = torch.zeros_like(input)
        for index, share in self.terms.items():
            leaf = input.detach().requires_grad_()
            with self.param_modifiers[index](module), torch.enable_grad():
                output = module.forward(leaf)
            relevance += share * (input * torch.autograd.grad(output, leaf, grad_output[0] / stabilize(output))[0])
        return (relevance,)


class ZPlus(NonNegative, rules.ZPlus):
    terms: ClassVar = {0: 1}


class Alpha2Beta1(NonNegative, rules.AlphaBeta):
    terms: ClassVar = {0: 2, 2: -1}


def z_box(low: float | None, high: float | None, zero_params: list[str] | None) -> BasicHook:
    """The z^B rule between bounds, or each clip's own where they are None."""
    rule = rules.ZBox(low, high, zero_params=zero_params)
    if low is None:
        rule.input_modifiers[1] = lowest
    if high is None:
        rule.input_modifiers[2] = lambda input: -lowest(-input)
    return rule


def lowest(input: Tensor) -> Tensor:
    """Lowest value of each clip, spread over its values (B, ...); minus its peak where it has both signs."""
    inner = tuple(range(1, input.dim()))
    low, high = input.amin(inner, keepdim=True), input.amax(inner, keepdim=True)  # (B, 1, ...)
    return torch.where((low < 0) & (high > 0), torch.minimum(low, -high), low).expand_as(input)


def conservation_error(relevance: Tensor, logit: Tensor) -> Tensor:
    """How far relevance (B, ...) is from adding up to the logits (B,), as a share of them: (B,).

    Logits nearer to 0 than the rounding of 1 count as that.
    """
    total = relevance.flatten(1).sum(1)
    return (total - logit).abs() / logit.abs().clamp(min=torch.finfo(logit.dtype).eps)
