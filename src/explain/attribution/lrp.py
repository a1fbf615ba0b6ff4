"""Layer-wise relevance propagation: the logit is handed back, layer by layer, to the input values that caused it.

Bach et al., PLoS ONE 10(7), 2015; Montavon et al., "Layer-Wise Relevance Propagation: An Overview", 2019. The rules
belong to the operations of a network, whatever modules they are in: see `auscult.explain.lrp`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from auscult.explain.attribution.base import Attribution, explaining
from auscult.explain.attribution.options import COMPOSITES, check_composite, check_option
from auscult.explain.lrp.composite import Composite
from auscult.explain.lrp.node import Node, note_of
from auscult.explain.lrp.operations import Operations
from auscult.explain.lrp.own_rule import own_rules
from auscult.explain.lrp.rules import AlphaBeta, Box, Epsilon, Flat, Rule
from auscult.explain.lrp.trial import OTHERWISE, Trial
from auscult.explain.lrp.watch import NoRule
from auscult.mistake import Mistake
from auscult.plain_data import shown

LOST_BY_SOFTMAX = "AttnLRP's relevance does not sum to the logit: a softmax keeps what it has of equal inputs"
ROUNDING = 1e-3  # an input may exceed its bounds by this much


class LRP(Attribution):
    """Relevance (B, ...) of the input by one rule per kind of layer, starting from the target's logit.

    A bias contributes to the output of its layer, like one more input that is always 1. So it gets a share of the
    output's relevance (Montavon et al., section 10.2). It is no value of the input, so its share goes no further: the
    relevance of all biases is kept apart, in `biases`. So is, in `unshared`, the relevance of outputs that nothing
    contributed to. Together they add up to the logit, but for what epsilon absorbs.

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
        biases: (B,) relevance of the network's constants in the last call, in the unit of the logit: of biases, of
            class tokens, of what a softmax makes of the logit. NaN if it is not known where clips lie in a tensor.
        unshared: (B,) relevance that nothing could get, because nothing contributed to an output, likewise.

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
        self.known: WeakKeyDictionary[nn.Module, list[Node]] = WeakKeyDictionary()  # networks that passed the trial
        self.biases: Tensor | None = None
        self.unshared: Tensor | None = None

        rules: dict[str | None, Rule] = {
            "epsilon": Epsilon(epsilon, not zero_bias),
            "plus": AlphaBeta(1, 0, not zero_bias),
            "alpha2_beta1": AlphaBeta(2, 1, not zero_bias),
            "flat": Flat(),
            "box": Box(low, high),
        }
        self.conserves = COMPOSITES[composite][2] != "taylor"
        self.loses_relevance = "" if self.conserves else LOST_BY_SOFTMAX
        first, convolution, attention = COMPOSITES[composite]
        self.composite = Composite(
            rules[convolution], rules["epsilon"], rules.get(first), attention, epsilon, uses_bias=not zero_bias
        )

    def __call__(self, network: nn.Module, input: Tensor, target: Tensor) -> Tensor:
        with explaining(network, input, target) as (input, target), frozen(network):
            if network not in self.known:
                self.known[network] = self._try(network, input)
            self._check_bounds(input)
            collector = input.new_zeros(2, len(input)).requires_grad_()
            operations = Operations(self.composite, collector, self.known[network])
            try:
                with own_rules(network, operations), operations:
                    outputs = network(input.requires_grad_())  # (B, classes)
                logits = before_head(outputs)
                start = logits.detach() * nn.functional.one_hot(target, logits.shape[1])
                relevance, apart = torch.autograd.grad(logits, [input, collector], start, materialize_grads=True)
            except NoRule as flaw:
                raise Mistake(
                    f"LRP would be wrong: the network {flaw}; {OTHERWISE}, or choose attribution=integrated_gradients."
                ) from None
            head = (outputs - logits).detach().gather(1, target[:, None])[:, 0]  # what a softmax makes of a logit
            self.biases, self.unshared = apart[0] + head, apart[1]
            return relevance

    def _try(self, network: nn.Module, input: Tensor) -> list[Node]:
        if any(isinstance(module, torch.jit.ScriptModule) for module in network.modules()):
            raise Mistake(
                "LRP cannot look into TorchScript: build the network from its Python class, or choose an attribution"
                " by gradients, such as integrated_gradients."
            )
        trial = Trial(network, self.composite, input)
        with own_rules(network, trial):
            return trial.check()

    def _check_bounds(self, input: Tensor) -> None:
        if self.low is not None and (lowest := input.amin().item()) < self.low - ROUNDING:
            raise Mistake(f"attribution.low={self.low} is above the input's lowest value, {lowest:g}; lower it.")
        if self.high is not None and (highest := input.amax().item()) > self.high + ROUNDING:
            raise Mistake(f"attribution.high={self.high} is below the input's highest value, {highest:g}; raise it.")


def before_head(outputs: Tensor) -> Tensor:
    """The logits (B, classes), if the outputs are a softmax or sigmoid of them; else the outputs.

    Relevance starts from them: a probability has no sign that says for or against the class.
    """
    logits = note_of(outputs).logits
    return outputs if logits is None or logits.shape != outputs.shape else logits


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Lets only what depends on the input require a gradient."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
