"""Rules of operations on each value by itself: activations, sums, products, quotients."""

from typing import Any

import torch
from torch import Tensor

from auscult.explain.lrp import spectral
from auscult.explain.lrp.node import note_of
from auscult.explain.lrp.propagation import Pass, Proportional, Sum
from auscult.explain.lrp.watch import NoRule, Watch, depends

# functions that change nothing of what makes a gate or a head of a network
KEEPS_HEADS = {"clamp", "clamp_max", "clamp_min", "clip", "nan_to_num"}
BOUNDED = {"relu6", "hardtanh", "tanh", "erf"}  # that gates are written with


def activation(watch: Watch, function: Any, input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """The identity rule: relevance of a value is that of what the function makes of it (Bach et al., 2015)."""
    if any(map(depends, (*args, *kwargs.values()))):
        raise NoRule(f"applies {function.__name__} with computed options")
    if input.is_complex():
        return spectral.magnitude(watch, input)
    output = watch.step(Pass(lambda input: function(input, *args, **kwargs)), input)
    note, before = note_of(output), note_of(input)
    if function.__name__ in KEEPS_HEADS:
        note.is_gate, note.logits = before.is_gate, before.logits
    note.is_bounded = function.__name__ in BOUNDED
    return output


def inverse(watch: Watch, function: Any, input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """As `activation`; and a product with the output is a division: the numerator takes all, see `divide`."""
    output = activation(watch, function, input, *args, **kwargs)
    note_of(output).is_gate = True
    return output


def log_sigmoid(watch: Watch, function: Any, input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """As `activation`; at the end of a network, relevance starts from the logits, as behind a sigmoid."""
    output = activation(watch, function, input, *args, **kwargs)
    note_of(output).logits = input
    return output


def logarithm(watch: Watch, function: Any, input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """As `activation`; but of probabilities, it is their logits plus a number that is as good as a constant.

    `log(softmax(x)) = x - logsumexp(x)`, and `logit(sigmoid(x)) = x`: relevance is that of the logits x.
    """
    logits = note_of(input).logits
    if logits is None or logits.shape != input.shape:
        return activation(watch, function, input, *args, **kwargs)
    return add(watch, logits, function(input.detach(), *args, **kwargs) - logits.detach())


def gate(watch: Watch, function: Any, input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """As `activation`; and a product with the output lets the other factor take all."""
    output = activation(watch, function, input, *args, **kwargs)
    note = note_of(output)
    note.is_gate, note.logits = True, input
    return output


def gated_linear_unit(watch: Watch, input: Tensor, dim: int = -1) -> Tensor:
    """`a * sigmoid(b)` of both halves: signal takes all."""
    gates = input.detach().chunk(2, dim)[1].sigmoid()
    return watch.step(Pass(lambda signal: signal * gates), input.chunk(2, dim)[0])


def power(watch: Watch, input: Any, exponent: Any) -> Tensor:
    """The identity rule, of a power or of an exponential."""
    if depends(exponent):
        if depends(input):
            raise NoRule("applies pow with a computed exponent")
        return watch.step(Pass(lambda exponent: input**exponent), exponent)
    output = watch.step(Pass(lambda input: input**exponent), input)
    note_of(output).is_gate = not isinstance(exponent, Tensor) and exponent < 0  # a division, see `inverse`
    return output


def add(watch: Watch, one: Any, other: Any, *, alpha: float = 1, **_: Any) -> Tensor:
    """Each summand gets its share (Binder et al., 2016, for residuals).

    `R_i = x_i * R / (x_1 + x_2)`, see `Proportional`. A constant summand keeps its share, as a bias does.
    """
    other = other if alpha == 1 else multiply(watch, other, alpha)
    if depends(one) and depends(other):
        return watch.step(Sum(), one, other)
    summand, constant = (one, other) if depends(one) else (other, one)
    dtype = torch.result_type(summand, constant)
    constant = torch.as_tensor(constant, dtype=dtype, device=summand.device).detach()
    shape = torch.broadcast_shapes(summand.shape, constant.shape)
    output = watch.step(Proportional(lambda summand: summand.to(dtype).expand(shape), constant=constant), summand)
    note, before = note_of(output), note_of(summand)
    note.is_gate = before.is_gate
    note.is_bounded = before.is_bounded and bool((constant == 1).all())  # 1 + tanh(x), 1 + erf(x)
    return output


def subtract(watch: Watch, one: Any, other: Any, *, alpha: float = 1, **_: Any) -> Tensor:
    """As `add`, with the sign of the second summand turned."""
    return add(watch, one, multiply(watch, other, -alpha))


def subtract_reversed(watch: Watch, one: Any, other: Any, *, alpha: float = 1, **_: Any) -> Tensor:
    """As `subtract`, the other way round."""
    return subtract(watch, other, one, alpha=alpha)


def multiply(watch: Watch, one: Any, other: Any, **_: Any) -> Tensor:
    """Signal takes all (Arras et al., 2017): a gate, such as the output of a sigmoid, gets nothing of the product.

    Two factors of which neither or each is a gate share equally (Achtibat et al., arXiv 2402.05602, equation 15). A
    constant factor gets nothing. Beside a signal, what gates are written with is one, too: `x * relu6(x + 3) / 6`,
    `x * (1 + erf(x / sqrt(2))) / 2`.
    """
    both = depends(one) and depends(other)
    if not depends(one) and not depends(other):
        return one * other
    if both and gating(one) == gating(other):
        if one.is_complex() or other.is_complex():
            raise NoRule("multiplies computed complex numbers")
        return watch.step(Pass(torch.square), one) if one is other else watch.step(Shared(torch.mul), one, other)
    takes_one = depends(one) and not (both and gating(one) > gating(other))
    signal, factor = (one, other) if takes_one else (other, one)
    factor = factor.detach() if isinstance(factor, Tensor) else factor
    output = scaled(watch, lambda signal: signal * factor, signal, factor)
    note, before = note_of(output), note_of(signal)
    note.is_gate, note.is_bounded = before.is_gate, before.is_bounded and not both
    return output


def gating(tensor: Tensor) -> int:
    """How sure it is that a tensor is a gate and no signal: 0, 1 or 2."""
    note = note_of(tensor)
    return 2 if note.is_gate else int(note.is_bounded)


def scaled(watch: Watch, function: Any, signal: Tensor, factor: Any) -> Tensor:
    """The identity rule of a signal that a constant scales. A complex one turns it, too: see `spectral.transform`."""
    if isinstance(factor, complex) or (isinstance(factor, Tensor) and factor.is_complex()):
        return spectral.transform(watch, function, signal)
    return spectral.scaled(watch, function, signal) if signal.is_complex() else watch.step(Pass(function), signal)


def divide(watch: Watch, one: Any, other: Any, *, rounding_mode: Any = None) -> Tensor:
    """The numerator takes all: a computed denominator scales it (Achtibat et al., proposition 3.4)."""
    if rounding_mode is not None:
        raise NoRule(f"applies div with rounding_mode={rounding_mode}")
    if depends(one):
        divisor = other.detach() if isinstance(other, Tensor) else other
        output = scaled(watch, lambda one: one / divisor, one, divisor)
        note, before = note_of(output), note_of(one)
        note.is_gate, note.is_bounded = before.is_gate, before.is_bounded
        return output
    output = watch.step(Pass(lambda other: one / other), other)
    note_of(output).is_gate = True
    return output


class Shared(Pass):
    """Two factors get one half of the product's relevance each."""

    def shares(self, relevance: Tensor, output: Tensor, *inputs: Tensor) -> Any:
        """See `Step.shares`."""
        return [(relevance / len(inputs)).sum_to_size(input.shape) for input in inputs], None, None
