"""Rules of Fourier transforms, and of what is done with complex numbers.

A complex number has two relevances: that of its real part, and that of its imaginary part. In a tensor they are one
complex number again. So transforms are linear operations of real numbers, and the magnitude is a norm of two of them.
"""

from typing import Any

import torch
from torch import Tensor

from auscult.explain.lrp.propagation import Pass, Proportional, Step
from auscult.explain.lrp.watch import NoRule, Watch, depends


def transform(watch: Watch, function: Any, input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """A Fourier transform of real or complex numbers, or the inverse of one: see `Proportional`."""
    if not depends(input) or any(map(depends, (*args, *kwargs.values()))):
        raise NoRule(f"applies {function.__name__} with computed options")
    is_complex = function(input.detach(), *args, **kwargs).is_complex()

    def of_reals(values: Tensor) -> Tensor:
        return as_reals(function(like(input, values), *args, **kwargs))

    output = on_reals(watch, Proportional(of_reals), input)
    return torch.view_as_complex(output) if is_complex else output


def magnitude(watch: Watch, input: Tensor) -> Tensor:
    """`|z|`: each of both parts gets its share, `R_re = re^2 / |z|^2 * R`, see `Proportional`."""
    return on_reals(watch, Proportional(lambda values: torch.view_as_complex(values).abs()), input)


def scaled(watch: Watch, function: Any, input: Tensor) -> Tensor:
    """The identity rule of complex numbers that a real factor scales."""
    step = Pass(lambda values: torch.view_as_real(function(torch.view_as_complex(values))))
    return torch.view_as_complex(on_reals(watch, step, input))


def on_reals(watch: Watch, step: Step, input: Tensor) -> Tensor:
    """Runs a step on real numbers, or on both parts of complex ones."""
    return watch.step(step, as_reals(input))


def as_reals(tensor: Tensor) -> Tensor:
    """Both parts of complex numbers in a last dimension; real numbers as they are."""
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def like(tensor: Tensor, values: Tensor) -> Tensor:
    """The opposite of `as_reals`: complex numbers if the tensor has them."""
    return torch.view_as_complex(values) if tensor.is_complex() else values
