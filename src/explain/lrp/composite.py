"""A composite: which kind of operation has which rule."""

from dataclasses import dataclass

from auscult.explain.lrp.layer import Layer
from auscult.explain.lrp.rules import Rule


@dataclass(frozen=True)
class Composite:
    """The rules of a network's layers, and what gates and attention do.

    Attributes:
        convolution: rule of convolutions.
        dense: rule of dense layers, and of a batch normalisation that stands alone.
        first: rule of the first layers, those without a layer between them and the input; None: as all others.
        attention: `given` (CP-LRP: the weights of attention are constants) or `taylor` (AttnLRP).
        epsilon, uses_bias: of recurrent layers, see `Epsilon`.
    """

    convolution: Rule
    dense: Rule
    first: Rule | None = None
    attention: str = "given"
    epsilon: float = 1e-6
    uses_bias: bool = True

    def rule_of(self, layer: Layer, layers: int) -> Rule:
        """The rule of a layer.

        Args:
            layer: the layer.
            layers: how many layers lie between the network's input and it, at most.
        """
        if self.first is not None and layers == 0 and layer.kind != "affine":
            return self.first
        return self.convolution if layer.kind == "convolution" else self.dense
