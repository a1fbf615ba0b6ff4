"""Layer-wise relevance propagation: the logit is handed back, layer by layer, to the input values that caused it.

Bach et al., PLoS ONE 10(7), 2015; Montavon et al., "Layer-Wise Relevance Propagation: An Overview", 2019. The rules are
zennit's. Those that take most of the time are rewritten in `lrp_rules.py`. This file says which layer has which rule.
"""

from weakref import WeakSet

import torch
from torch import Tensor, nn
from zennit import rules
from zennit.composites import SpecialFirstLayerMapComposite, layer_map_base
from zennit.core import BasicHook
from zennit.types import Activation, Convolution, Linear

from auscult.explain.attribution.base import Attribution, explaining
from auscult.explain.attribution.lrp_check import ForwardCheck
from auscult.explain.attribution.lrp_rules import AlphaBeta, Epsilon, Merge, Pass, Rule
from auscult.explain.attribution.options import COMPOSITES, check_composite, check_option
from auscult.mistake import Mistake
from auscult.modules.colours import Colours
from auscult.plain_data import shown

ROUNDING = 1e-3  # an input may exceed its bounds by this much


class LRP(Attribution):
    """Relevance (B, ...) of the input by one rule per kind of layer, starting from the target's logit.

    A bias contributes to the output of its layer, like one more input that is always 1. So it gets a share of the
    output's relevance (Montavon et al., section 10.2). It is no value of the input, so its share goes no further: the
    relevance of all biases is kept apart, in `biases`. Together, relevance and `biases` add up to the logit. Two parts
    are lost: what epsilon absorbs, and the relevance of outputs without contributions.

    `zero_bias` is for all rules, as zennit's `zero_params` is. The rules of first layers, flat and z^B, use no biases.

    False, as in Bach et al. (equations 58 and 60) and by default in lrp_toolbox, zennit and iNNvestigate: a bias is
    part of the denominator; under alpha-beta and z-plus, only of the denominator with its sign. The epsilon rule then
    gives the exact contributions wherever the network is affine, as AudioNet's dense layers are. In a network of ReLUs
    and maxima it becomes gradient times input as epsilon goes to 0 (Ancona et al., arXiv 1711.06104). Relevance of the
    input alone misses the logit by the share of the biases.

    True, as in iNNvestigate's rules that ignore the bias and in the z-plus of deep Taylor decomposition (Montavon et
    al., Pattern Recognition 65, 2017): inputs also get the share of the biases, in proportion to their own, and
    relevance of the input alone adds up to the logit. But it is not what the inputs contributed. If contributions
    nearly cancel without the bias, the quotients of the epsilon rule have no bounds, and may have the wrong sign.

    Alpha2-beta1 conserves only if an output has both positive and negative contributions. A first layer on waveforms
    with three weights often gives it only one of the two. Biases make digital silence relevant. But rules that share
    relevance in proportion to the input give none to silence: the biases keep it, or it is lost if they are left out.
    Flat gives it to the silence, where it is not heard.

    Args:
        composite: one of `COMPOSITES`.
        zero_bias: leave biases out of all rules.
        epsilon: under the epsilon rule, added to the outputs of a layer, with their sign, before relevance is divided
            by them. It absorbs the relevance of outputs that are smaller.
        low: lowest possible value of the input, for z^B. None: the lowest value of each clip, or the negative of its
            peak if it has both signs, as waveforms do.
        high: highest possible value of the input, for z^B. None: the same with the highest value.

    Attributes:
        biases: (B,) relevance of the network's biases in the last call, in the unit of the logit. NaN if the rows of a
            layer are not the clips.

    Raises:
        Mistake: an option is wrong; or, in a call, LRP would be wrong for the network.
    """

    def __init__(
        self,
        composite: str = "epsilon_plus",
        zero_bias: bool = False,
        epsilon: float = 1e-6,
        low: float | None = None,
        high: float | None = None,
    ) -> None:
        check_composite(composite)
        if not isinstance(zero_bias, bool):
            raise Mistake(f"attribution.zero_bias={shown(zero_bias)} is neither true nor false.")
        check_option("epsilon", epsilon)
        check_option("low", low)
        check_option("high", high)
        self.low, self.high = low, high
        self.known: WeakSet[nn.Module] = WeakSet()  # networks that passed the check
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
        if any(isinstance(module, torch.jit.ScriptModule) for module in network.modules()):
            raise Mistake(
                "LRP cannot look into TorchScript: build the network from its Python class, or choose an attribution"
                " by gradients, such as integrated_gradients."
            )
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
    """The z^B rule with these bounds; None: the bounds of each clip. Biases would cancel, so they are left out."""
    rule = rules.ZBox(low, high, zero_params=["bias"])
    if low is None:
        rule.input_modifiers[1] = lowest
    if high is None:
        rule.input_modifiers[2] = lambda input: -lowest(-input)
    return rule


def lowest(input: Tensor) -> Tensor:
    """The lowest value of each clip, or minus its peak if it has both signs, expanded to (B, ...)."""
    inner = tuple(range(1, input.dim()))
    low, high = input.amin(inner, keepdim=True), input.amax(inner, keepdim=True)  # (B, 1, ...)
    return torch.where((low < 0) & (high > 0), torch.minimum(low, -high), low).expand_as(input)
