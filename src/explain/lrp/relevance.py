"""Relevance of a network's input, and of what lies between it and the logits, from one backward pass."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from auscult.explain.lrp.composite import Composite
from auscult.explain.lrp.node import Node, note_of
from auscult.explain.lrp.operations import Operations, logits_of
from auscult.explain.lrp.own_rule import own_rules
from auscult.explain.lrp.trial import OTHERWISE, Trial
from auscult.explain.lrp.watch import NoRule
from auscult.mistake import Mistake


@dataclass(frozen=True)
class Propagated:
    """What becomes of the logits of B clips.

    Attributes:
        input: relevance of the input, (B, ...).
        biases: relevance of constants, (B,).
        unshared: relevance that nothing could get, (B,).
        between: relevance of the outputs of operations, by name; None: it has none of its own.
        nodes: all operations.
    """

    input: Tensor
    biases: Tensor
    unshared: Tensor
    between: dict[str, Tensor | None]
    nodes: list[Node]


def propagate(
    network: nn.Module, input: Tensor, target: Tensor, composite: Composite, known: list[Node], *,
    audited: bool = False, names: Sequence[str] = (),
) -> Propagated:  # fmt: skip
    """Hands the logits of the classes target (B,) back. The network is in evaluation mode, and its weights are frozen.

    Args:
        network, input, target: see `Attribution`; the input is a leaf that may be changed.
        composite: the rules.
        known: of `operations_of`.
        audited: note the sums of relevance in each operation.
        names: of operations whose outputs' relevance is asked for.

    Raises:
        Mistake: an operation that the trial did not meet has no rule.
    """
    collector = input.new_zeros(2, len(input)).requires_grad_()
    operations = Operations(composite, collector, known, audited, names)
    try:
        with own_rules(network, operations), operations:
            note_of(input.requires_grad_())  # it is the input: see `depends`
            outputs = logits_of(network(input), operations)  # (B, classes)
        logits = before_head(outputs)
        start = logits.detach() * nn.functional.one_hot(target, logits.shape[1])
        leaves = [input, collector, *operations.wanted.values()]
        found, apart, *between = torch.autograd.grad(logits, leaves, start, allow_unused=True)
    except NoRule as flaw:
        raise Mistake(
            f"LRP would be wrong: the network {flaw}; {OTHERWISE}, or choose attribution=integrated_gradients."
        ) from None
    found, apart = (
        torch.zeros_like(leaf) if each is None else each for leaf, each in zip(leaves[:2], (found, apart), strict=True)
    )
    head = (outputs - logits).detach().gather(1, target[:, None])[:, 0]  # what a softmax makes of a logit
    return Propagated(
        found, apart[0] + head, apart[1], dict(zip(operations.wanted, between, strict=True)), operations.nodes
    )


def operations_of(network: nn.Module, input: Tensor, composite: Composite) -> list[Node]:
    """The operations of a network, from a trial with some of the input.

    Raises:
        Mistake: relevance would be wrong for the network.
    """
    if any(isinstance(module, torch.jit.ScriptModule) for module in network.modules()):
        raise Mistake(
            "LRP cannot look into TorchScript: build the network from its Python class, or choose an attribution by"
            " gradients, such as integrated_gradients."
        )
    try:
        return tried(network, Trial(network, composite, input))
    except Mistake:
        raise
    except Exception:  # it may take batches of one size only
        return tried(network, Trial(network, composite, input, as_given=True))


def tried(network: nn.Module, trial: Trial) -> list[Node]:
    """The operations of a trial."""
    with own_rules(network, trial):
        return trial.check()


def before_head(outputs: Tensor) -> Tensor:
    """The logits (B, classes), if the outputs are a softmax or sigmoid of them; else the outputs.

    Relevance starts from them: a probability has no sign that says for or against the class.
    """
    logits = note_of(outputs).logits
    return outputs if logits is None or logits.shape != outputs.shape else logits


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Lets only what depends on the input require a gradient.

    Raises:
        Mistake: the weights were made in inference mode, which keeps gradients from going through.
    """
    if any(parameter.is_inference() for parameter in network.parameters()):
        raise Mistake(
            "the network was built in torch.inference_mode(), and has no gradients; build it outside of that."
        )
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
