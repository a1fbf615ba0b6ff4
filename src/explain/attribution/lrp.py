"""Layer-wise relevance propagation: the logit is handed back, layer by layer, to the input values that caused it.

Bach et al., PLoS ONE 10(7), 2015; Montavon et al., "Layer-Wise Relevance Propagation: An Overview", 2019. The rules
belong to the operations of a network, whatever modules they are in: see `auscult.explain.lrp`.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from auscult.explain.attribution.base import Attribution, explaining
from auscult.explain.attribution.options import COMPOSITES, check_composite, check_option
from auscult.explain.lrp.composite import Composite
from auscult.explain.lrp.node import Node
from auscult.explain.lrp.relevance import Propagated, frozen, operations_of, propagate
from auscult.explain.lrp.rules import STABILISER, AlphaBeta, Box, Epsilon, Flat, Rule
from auscult.mistake import Mistake
from auscult.plain_data import shown

LOST_BY_SOFTMAX = "AttnLRP's relevance does not sum to the logit: a softmax keeps what it has of equal inputs"
SOFTMAX = ("softmax", "scaled_dot_product_attention")  # operations in which AttnLRP loses relevance
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
            by them. It absorbs the relevance of outputs that are smaller. Z-plus and alpha-beta have zennit's 1e-6, or
            this if it is smaller.
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
        # networks that passed the trial, with inputs of these shapes
        self.known: WeakKeyDictionary[nn.Module, dict[tuple[int, ...], list[Node]]] = WeakKeyDictionary()
        self.biases: Tensor | None = None
        self.unshared: Tensor | None = None

        least = min(epsilon, STABILISER)
        rules: dict[str | None, Rule] = {
            "epsilon": Epsilon(epsilon, not zero_bias),
            "plus": AlphaBeta(1, 0, not zero_bias, least),
            "alpha2_beta1": AlphaBeta(2, 1, not zero_bias, least),
            "flat": Flat(),
            "box": Box(low, high),
        }
        first, convolution, attention = COMPOSITES[composite]
        self.has_softmax: bool | None = None  # of any of the networks so far; None: there was none
        self.composite = Composite(
            rules[convolution], rules["epsilon"], rules.get(first), attention, epsilon, uses_bias=not zero_bias
        )

    @property
    def conserves(self) -> bool:  # type: ignore[override]
        """See `Attribution`. AttnLRP does, if the network has no softmax."""
        return self.composite.attention != "taylor" or self.has_softmax is False

    @property
    def loses_relevance(self) -> str:  # type: ignore[override]
        """See `Attribution`."""
        return "" if self.conserves else LOST_BY_SOFTMAX

    def __call__(self, network: nn.Module, input: Tensor, target: Tensor) -> Tensor:
        found = self._propagate(network, input, target)
        self.biases, self.unshared = found.biases, found.unshared
        return found.input

    def audit(self, network: nn.Module, input: Tensor, target: Tensor) -> list[Node]:
        """What becomes of relevance in each operation of a network, in the order of the forward pass: `Node.sums`.

        The sums are empty for operations that only move values, and for layers with a batch norm behind them.

        Args, Raises: as of a call.
        """
        nodes = self._propagate(network, input, target, audited=True).nodes
        for node in nodes:
            if not node.is_reached:
                node.sums.clear()
        return nodes

    def between(self, network: nn.Module, input: Tensor, target: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """Relevance of what is between the input and the logits: of the outputs of operations, by name.

        Args:
            network, input, target: as of a call.
            names: of operations, as `audit` has them: the module and PyTorch's name, `layers.relu3.relu`. A layer and
                the batch norm behind it are one operation, with the name of the batch norm.

        Raises:
            Mistake: as of a call; or there is no such operation, or its output has no relevance of its own.
        """
        if isinstance(names, str):
            raise Mistake(f"names={shown(names)} is to be a list of operations, [{shown(names)!r}].")
        found = self._propagate(network, input, target, names=names)
        known = [node.name for node in found.nodes]
        between = {}
        for name in names:
            if name not in known:
                close = get_close_matches(str(name), known, 5, 0.3) or known[:5]
                raise Mistake(f"{shown(name)} is no operation of the network; choose one of {', '.join(close)}, ….")
            relevance = found.between[name]
            if relevance is None:
                raise Mistake(
                    f"{name} has no relevance of its own; name what follows it, such as the batch norm behind a layer."
                )
            between[name] = relevance
        return between

    def _propagate(self, network: nn.Module, input: Tensor, target: Tensor, **asked: Any) -> Propagated:
        with explaining(network, input, target) as (input, target), frozen(network):
            trials, shape = self.known.setdefault(network, {}), tuple(input.shape[1:])
            if shape not in trials:
                trials[shape] = operations_of(network, input, self.composite)
            self._check_bounds(input)
            self.has_softmax = bool(self.has_softmax) or any(node.operation in SOFTMAX for node in trials[shape])
            return propagate(network, input, target, self.composite, trials[shape], **asked)

    def _check_bounds(self, input: Tensor) -> None:
        if self.low is not None and (lowest := input.amin().item()) < self.low - ROUNDING:
            raise Mistake(f"attribution.low={self.low} is above the input's lowest value, {lowest:g}; lower it.")
        if self.high is not None and (highest := input.amax().item()) > self.high + ROUNDING:
            raise Mistake(f"attribution.high={self.high} is below the input's highest value, {highest:g}; raise it.")
