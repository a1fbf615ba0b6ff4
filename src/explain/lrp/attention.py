"""Rules of attention: AttnLRP (Achtibat et al., arXiv 2402.05602) and CP-LRP (Ali et al., arXiv 2202.07304)."""

import math
from typing import Any

import torch
from torch import Tensor

from auscult.explain.lrp.elementwise import add, multiply
from auscult.explain.lrp.layers import product
from auscult.explain.lrp.node import note_of
from auscult.explain.lrp.pools import fill
from auscult.explain.lrp.propagation import Pass, Proportional, Step, finite
from auscult.explain.lrp.watch import Watch, depends


class SoftmaxTaylor(Step):
    """`R_i = x_i * (R_i - s_i * sum_j R_j)`, with the softmax s: Taylor's first order (AttnLRP, proposition 3.1).

    It does not conserve: what the softmax would give for equal inputs stays behind.

    Args:
        dimension: of the softmax.
    """

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension

    def forward(self, *inputs: Tensor) -> Tensor:
        """See `Step.forward`."""
        return inputs[0].softmax(self.dimension)

    def shares(self, relevance: Tensor, output: Tensor, *inputs: Tensor) -> Any:
        """See `Step.shares`."""
        share = inputs[0] * (relevance - output * relevance.sum(self.dimension, keepdim=True))
        return [share if share.sum().isfinite() else finite(share)], None, None


def softmax(watch: Watch, input: Tensor, dim: int = -1, *args: Any, **kwargs: Any) -> Tensor:
    """AttnLRP: see `SoftmaxTaylor`. Otherwise the identity rule; but products with it let the other factor take all."""
    if watch.composite.attention == "taylor":
        output = watch.step(SoftmaxTaylor(dim), input)
    else:
        output = watch.step(Pass(lambda input: input.softmax(dim)), input)
    note = note_of(output)
    note.is_gate, note.logits = watch.composite.attention == "given", input  # AttnLRP: weights and values share
    return output


def log_softmax(watch: Watch, input: Tensor, dim: int = -1, *args: Any, **kwargs: Any) -> Tensor:
    """The logits less a number, which is as good as a constant and keeps its share: relevance is that of the logits."""
    normaliser = -input.detach().logsumexp(dim, keepdim=True)
    return add(watch, input, normaliser)


def attention(
    watch: Watch, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """`softmax(query @ key.T * scale + mask) @ value`, by the rules of its parts."""
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    mask, hidden = hidden_rows(mask_of(query, key, None if attn_mask is None else attn_mask.detach(), is_causal))
    if enable_gqa:
        times = query.shape[-3] // key.shape[-3]
        key, value = key.repeat_interleave(times, -3), value.repeat_interleave(times, -3)
    is_given = watch.composite.attention == "given" or not (depends(query) or depends(key))
    if is_given and depends(value):
        weights = (query.detach() @ key.detach().transpose(-1, -2) * scale + mask).softmax(-1)
        weights = weights if hidden is None else weights.masked_fill(hidden, 0)
        return watch.step(Proportional(lambda value: weights @ value), value)
    keys = key.transpose(-1, -2)
    if depends(attn_mask):  # as by positions relative to each other
        scores = biased(watch, multiply(watch, product(watch, query, keys), scale), attn_mask)
    else:
        scores = watch.step(Pass(lambda scores: scores * scale + mask), product(watch, query, keys))
    weights = softmax(watch, scores)
    return product(watch, weights if hidden is None else fill(watch, weights, hidden, 0), value)


def hidden_rows(mask: Any) -> tuple[Any, Tensor | None]:
    """A mask without rows that hide all, and these rows: PyTorch gives zeros there."""
    if not isinstance(mask, Tensor) or not (rows := mask.isneginf().all(-1, keepdim=True)).any():
        return mask, None
    return mask.masked_fill(rows, 0), rows


def biased(watch: Watch, scores: Tensor, bias: Any) -> Tensor:
    """Scores and a computed bias, which share; minus infinity in the bias stays, as a constant mask."""
    hidden = bias.detach().isneginf()
    shared = add(watch, scores, bias.masked_fill(hidden, 0))
    return watch.step(Pass(lambda shared: shared.masked_fill(hidden, -torch.inf)), shared)


def mask_of(query: Tensor, key: Tensor, mask: Tensor | None, is_causal: bool) -> Tensor | float:
    """What is added to the scores: minus infinity where attention must not look."""
    if is_causal:
        mask = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool, device=query.device).tril()
    if mask is None:
        return 0.0
    if mask.dtype == torch.bool:
        return torch.zeros(mask.shape, dtype=query.dtype, device=query.device).masked_fill(~mask, -torch.inf)
    return mask
