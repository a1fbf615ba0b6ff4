"""Layer-wise relevance propagation: the logit, handed back layer by layer to what it was made of.

Bach et al., PLoS ONE 10(7), 2015; Montavon et al., "Layer-Wise Relevance Propagation: An Overview", 2019. The rules are
zennit's, those that take most of the time rewritten in `rules.py`; here is which layer takes which.
"""

from weakref import WeakSet

import torch
from torch import Tensor, nn
from zennit import rules
from zennit.composites import SpecialFirstLayerMapComposite, layer_map_base
from zennit.core import BasicHook
from zennit.types import Activation, Convolution, Linear

from auscult.explain.attribution.base import Attribution, check_option, explaining
from auscult.explain.attribution.lrp_check import ForwardCheck
from auscult.explain.attribution.lrp_rules import AlphaBeta, Epsilon, Merge, Pass, Rule
from auscult.mistake import Mistake
from auscult.modules.colours import Colours
from auscult.plain_data import shown

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


class LRP(Attribution):
    """Relevance (B, ...) of the input by one rule per kind of layer, starting from the target's logit.

    A layer's bias takes part in its output, so it has a share of the output's relevance, as one more input that is
    always 1 would have (Montavon et al., section 10.2). It is no value of the input, though: its share goes no further,
    and what all biases get of a clip is kept apart, in `biases`. With that, relevance adds up to the logit, but for
    what epsilon absorbs and for outputs that have no contributions to hand their relevance to.

    `zero_bias` is for all rules at once, as zennit's `zero_params` is; flat and z^B, the rules of first layers, are
    free of biases anyway. It has two sides:

    False, as in Bach et al. (equations 58 and 60) and by default in lrp_toolbox, zennit and iNNvestigate: a bias is
    part of the denominator, under alpha-beta and z-plus only of that of its own sign. The epsilon rule then gives
    the exact contributions wherever the network is affine, as AudioNet's dense layers are; in a network of ReLUs and
    maxima it is gradient times input as epsilon goes to 0 (Ancona et al., arXiv 1711.06104). Relevance of the input
    alone misses the logit by the share of the biases.

    True, as in iNNvestigate's rules that ignore the bias and in the z-plus of deep Taylor decomposition (Montavon et
    al., Pattern Recognition 65, 2017): inputs get the share of the biases, too, in proportion to theirs, and relevance
    of the input alone adds up to the logit. But it is not what they contributed: where contributions nearly cancel
    without the bias, the quotients of the epsilon rule have no bounds, and may have the other sign.

    Alpha2-beta1 conserves only where an output has both positive and negative contributions, which three weights of a
    first layer on waveforms often do not give it. What biases make of digital silence is relevant, but silence itself
    can hold no relevance under rules that hand it out in proportion to the input: the biases keep it, or it is lost if
    they are left out. Flat puts it on the silence, where it is not heard.

    Args:
        composite: one of `COMPOSITES`.
        zero_bias: leave biases out of all rules.
        epsilon: added to the outputs of the layers under the epsilon rule, with their sign, before relevance is
            divided by them; it absorbs the relevance of outputs that are smaller.
        low: z^B's lowest possible value of the input. None: each clip's own lowest value, or the negative of its peak
            where it has both signs, as waveforms do.
        high: z^B's highest possible value, likewise.

    Attributes:
        biases: (B,) relevance that the network's biases got of each clip when it was last called, in the unit of the
            logit. NaN where a layer's rows are not the clips.

    Raises:
        Mistake: an option is wrong, or, when called, the network is one whose relevance would be.
    """

    def __init__(
        self,
        composite: str = "epsilon_plus",
        zero_bias: bool = False,
        epsilon: float = 1e-6,
        low: float | None = None,
        high: float | None = None,
    ) -> None:
        if composite not in COMPOSITES:
            raise Mistake(f"attribution.composite={composite} is unknown; choose one of {', '.join(COMPOSITES)}.")
        if not isinstance(zero_bias, bool):
            raise Mistake(f"attribution.zero_bias={shown(zero_bias)} is neither true nor false.")
        check_option("epsilon", epsilon, float, low=1e-12)
        check_option("low", low, float, nullable=True)
        check_option("high", high, float, nullable=True)
        self.low, self.high = low, high
        self.known: WeakSet[nn.Module] = WeakSet()  # networks that were found to be right
        self.biases: Tensor | None = None

        zero_params = ["bias"] if zero_bias else None
        self.rules: dict[str | None, Rule] = {
            "epsilon": Epsilon(epsilon, zero_params),
            "plus": AlphaBeta(1, 0, zero_params),
            "alpha2_beta1": AlphaBeta(2, 1, zero_params),
        }
        own: dict[str | None, BasicHook] = {"flat": rules.Flat(), "box": z_box(low, high)}
        first, convolution = COMPOSITES[composite]
        self.composite = SpecialFirstLayerMapComposite(
            layer_map=[
                (Activation, Pass()),
                (Colours, Merge()),
                *layer_map_base(),
                (Convolution, self.rules[convolution]),
                (nn.Linear, self.rules["epsilon"]),
            ],
            first_map=[(Linear, own[first])] if first else [],
        )

    def __call__(self, network: nn.Module, input: Tensor, target: Tensor) -> Tensor:
        with explaining(network, input, target) as (input, target):
            if network not in self.known:
                self._check(network, input[:1])
                self.known.add(network)
            self._check_bounds(input)
            biases = input.new_zeros(len(input)).requires_grad_()
            for rule in self.rules.values():
                rule.biases = biases
            try:
                self.composite.register(network)
                logits = network(input.requires_grad_())  # (B, classes)
                start = logits.detach() * nn.functional.one_hot(target, logits.shape[1])
                relevance, self.biases = torch.autograd.grad(logits, [input, biases], start, materialize_grads=True)
                return relevance
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


def z_box(low: float | None, high: float | None) -> BasicHook:
    """The z^B rule between bounds, or each clip's own where they are None. Biases would cancel: they are left out."""
    rule = rules.ZBox(low, high, zero_params=["bias"])
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


def conservation_error(relevance: Tensor, logit: Tensor, biases: Tensor | float = 0.0) -> Tensor:
    """How far relevance (B, ...) and biases' (B,) are from adding up to the logits (B,), as a share of them: (B,).

    Logits nearer to 0 than the rounding of 1 count as that.
    """
    total = relevance.flatten(1).sum(1) + biases
    return (total - logit).abs() / logit.abs().clamp(min=torch.finfo(logit.dtype).eps)
