"""How relevant each value of a network's input is: what an attribution is, and how it is called.

A new attribution is a class that inherits from `Attribution`, and a YAML in `conf/attribution`. Any callable with the
same arguments serves, too.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from auscult.build import build_named
from auscult.mistake import Mistake

WHOLE = (  # types of class numbers
    torch.int64,
    torch.int32,
    torch.int16,
    torch.uint8,
)


class Attribution(ABC):
    """A method that says how much each value of the input contributes to the logit of a class.

    Attributes:
        asks_logits_only: the method only needs logits. It accepts complex inputs, too, and gives real relevance.
        is_slope: the values are not shares of the logit, but say how the logit changes with the input.
        conserves: the values, with what is kept apart, sum to the logit.
        loses_relevance: why it does not conserve, a sentence for people, if they may expect it to.
        compares_classes: the method takes a softmax over the network's outputs.
        starts_from_silence: a call needs the argument `silence`, (1, ...): the front end's output for digital silence.
        biases: after a call, the part of each logit, (B,), that the network's biases got instead of the input; None
            if the method does not separate it.
        unshared: likewise, the part that nothing could get, because nothing contributed where it was to be shared out.
    """

    asks_logits_only = False
    is_slope = False
    conserves = False
    compares_classes = False
    starts_from_silence = False
    loses_relevance = ""
    biases: Tensor | None = None
    unshared: Tensor | None = None

    @property
    def name(self) -> str:
        """The name of the method in messages."""
        return type(self).__name__

    @abstractmethod
    def __call__(self, network: nn.Module, input: Tensor, target: Tensor) -> Tensor:
        """Relevance (B, ...) of inputs (B, ...) for the logits of the classes target (B,) int64.

        Relevance is float32 (float64 if the input is), detached and on the device of the input. It does not depend on
        the other clips of the batch. The network keeps its modes, parameters and gradients.
        """


class OtherAttribution(Attribution):
    """Makes an attribution of any callable. The callable may have the attributes of `Attribution`.

    Args:
        method: `method(network, input, target) -> relevance`.
    """

    def __init__(self, method: Callable[..., Tensor]) -> None:
        self.method = method
        for name in ("asks_logits_only", "is_slope", "conserves", "starts_from_silence"):
            setattr(self, name, bool(getattr(method, name, False)))

    @property
    def name(self) -> str:
        """The name of the callable."""
        return getattr(self.method, "__name__", type(self.method).__name__)

    def __call__(self, network: nn.Module, input: Tensor, target: Tensor, **silence: Tensor) -> Tensor:
        relevance = self.method(network, input, target, **silence)
        self.biases, self.unshared = (getattr(self.method, name, None) for name in ("biases", "unshared"))
        return relevance


def as_attribution(method: Any) -> Attribution:
    """The method itself if it is an `Attribution`, otherwise an `OtherAttribution` of it.

    Raises:
        Mistake: it cannot be called.
    """
    if not callable(method):
        raise Mistake(
            f"attribution: {type(method).__name__} cannot be called as (network, input, target) -> relevance; make it a"
            " subclass of auscult.explain.attribution.base.Attribution."
        )
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
    """Calls an attribution and checks its relevance, (B, ...). Works under inference mode and `no_grad`, too.

    Args:
        attribution, network, input, target: see `Attribution`.
        silence: (1, ...), the front end's output for digital silence.

    Raises:
        Mistake: the relevance is not finite or does not have the shape of the input.
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
    """Switches to evaluation mode, full precision and gradients, also under training, autocast or inference mode.

    Yields copies of input and target, as autograd does not accept tensors that were made in inference mode. Each module
    gets its own mode back, also a module whose mode differs from that of the network.

    Raises:
        Mistake: the network's weights have half precision, or the target is no class for each clip.
    """
    if not isinstance(target, Tensor) or target.dtype not in WHOLE or target.shape != input.shape[:1]:
        what = f"{target.dtype} {tuple(target.shape)}" if isinstance(target, Tensor) else type(target).__name__
        raise Mistake(f"target is {what}; it has to be a class for each of {len(input)} clips, a tensor (B,) int64.")
    half = next((each.dtype for each in network.parameters() if each.dtype in (torch.float16, torch.bfloat16)), None)
    if half is not None:
        raise Mistake(f"the network's weights are {half}, too coarse for relevance; make them exact, network.float().")
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
    """Gradient (B, ...) of each clip's target logit with respect to its input (B, ...).

    Raises:
        Mistake: the logits have no gradient.
    """
    leaf = input.detach().requires_grad_()
    logit = target_logit(network, leaf, target).sum()
    if not logit.requires_grad:
        raise Mistake(
            "the network's logits have no gradient, as if its forward ran under torch.no_grad(); let it run without,"
            " or choose an attribution that needs none: occlusion or rise."
        )
    return torch.autograd.grad(logit, leaf)[0]


def baseline_of(baseline: float | None, silence: Tensor | None, input: Tensor) -> Tensor:
    """The baseline (1, ...): the given number everywhere; else silence; else, if silence is unknown, zeros."""
    if baseline is None and silence is not None:
        return silence.to(input)
    return torch.full_like(input[:1], 0.0 if baseline is None else baseline)
