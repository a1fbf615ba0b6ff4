"""How relevant each value of a network's input is: what an attribution is, and how one is asked.

A new attribution is a class that inherits from `Attribution`, and a YAML in `conf/attribution`. Anything else that can
be called as one serves, too.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from auscult.build import build_named
from auscult.mistake import Mistake
from auscult.program.numbers import check_number


class Attribution(ABC):
    """A method that says which values of the input the logit of a class rests on.

    Attributes:
        asks_logits_only: it takes complex inputs, too, and gives real relevance of them.
        is_slope: its values are not shares of the logit, but say how the logit changes.
        starts_from_silence: it takes what the front end makes of digital silence, (1, ...), as `silence`.
        biases: after a call, the part of each logit, (B,), that the network's biases got instead of the input; None
            where the method does not tell them apart.
    """

    asks_logits_only = False
    is_slope = False
    starts_from_silence = False
    biases: Tensor | None = None

    @property
    def name(self) -> str:
        """For messages."""
        return type(self).__name__

    @abstractmethod
    def __call__(self, network: nn.Module, input: Tensor, target: Tensor) -> Tensor:
        """Relevance (B, ...) of inputs (B, ...) for the logits of the classes target (B,) int64.

        It is float32 (float64 if the input is), detached and on the input's device, and does not depend on which
        clips share a batch. The network's modes, parameters and gradients are left as they are.
        """


class OtherAttribution(Attribution):
    """Any callable as an attribution, which may say the same of itself.

    Args:
        method: `method(network, input, target) -> relevance`.
    """

    def __init__(self, method: Callable[..., Tensor]) -> None:
        self.method = method
        for name in ("asks_logits_only", "is_slope", "starts_from_silence"):
            setattr(self, name, bool(getattr(method, name, False)))

    @property
    def name(self) -> str:
        return getattr(self.method, "__name__", type(self.method).__name__)

    def __call__(self, network: nn.Module, input: Tensor, target: Tensor, **silence: Tensor) -> Tensor:
        relevance = self.method(network, input, target, **silence)
        self.biases = getattr(self.method, "biases", None)
        return relevance


def as_attribution(method: Any) -> Attribution:
    """The method, whatever it inherits from."""
    return method if isinstance(method, Attribution) else OtherAttribution(method)


def attribution_of(node: dict[str, Any]) -> Attribution:
    """Builds a choice of `conf/attribution`.

    Raises:
        Mistake: see `build`.
    """
    return as_attribution(build_named(node, "attribution"))


def relevance_of(
    attribution: Attribution, network: nn.Module, input: Tensor, target: Tensor, silence: Tensor
) -> Tensor:
    """What an attribution says, (B, ...), whatever state its caller is in.

    Args:
        attribution, network, input, target: see `Attribution`.
        silence: (1, ...), what the front end makes of digital silence.

    Raises:
        Mistake: it is no relevance of the input.
    """
    options = {"silence": silence.to(input)} if attribution.starts_from_silence else {}
    with torch.inference_mode(False), torch.enable_grad():
        relevance = attribution(network, input.clone(), target.clone(), **options).detach()
    if relevance.shape != input.shape:
        raise Mistake(
            f"the attribution gives relevance of the shape {tuple(relevance.shape)} for inputs of the shape"
            f" {tuple(input.shape)}; choose one that gives each value of the input its own."
        )
    if not relevance.isfinite().all():
        raise Mistake("the relevance is not finite: choose another attribution, or a checkpoint with finite weights.")
    return relevance.to(torch.promote_types(relevance.dtype, torch.float32))


@contextmanager
def explaining(network: nn.Module, input: Tensor, target: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Evaluation mode, full precision and gradients, whatever the caller is in: training, autocast, inference mode.

    Yields copies of input and target, as autograd does not take tensors made in inference mode. Restores the mode of
    each module, also of those that differ from the network's.
    """
    modes = [(module, module.training) for module in network.modules()]
    try:
        network.eval()
        with torch.inference_mode(False), torch.enable_grad(), torch.autocast(input.device.type, enabled=False):
            precision = torch.promote_types(input.dtype, torch.float32)
            yield input.detach().to(precision, copy=True), target.clone()
    finally:
        for module, training in modes:
            module.training = training


def target_logit(network: nn.Module, input: Tensor, target: Tensor) -> Tensor:
    """Logits (B,) of the classes target (B,)."""
    return network(input).gather(1, target[:, None]).squeeze(1)


def input_gradient(network: nn.Module, input: Tensor, target: Tensor) -> Tensor:
    """Gradient (B, ...) of each clip's target logit with respect to its input (B, ...)."""
    leaf = input.detach().requires_grad_()
    return torch.autograd.grad(target_logit(network, leaf, target).sum(), leaf)[0]


def baseline_of(baseline: float | None, silence: Tensor | None, input: Tensor) -> Tensor:
    """(1, ...) a number everywhere, or silence where there is no number, or zeros where nobody knows of it."""
    if baseline is None and silence is not None:
        return silence.to(input)
    return torch.full_like(input[:1], 0.0 if baseline is None else baseline)


def check_option(option: str, value: Any, kind: type, low: float = -1e9, nullable: bool = False) -> None:
    """Raises a Mistake unless an option of an attribution is a number of its kind that is not too low."""
    check_number({"attribution": {option: value}}, f"attribution.{option}", kind, low, 1e9, nullable)
