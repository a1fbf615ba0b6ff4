"""Numbers that compare attributions, a value per clip: is relevance concise, is it in place, does the network need it?

    complexity      `entropy`, `gini`: on how few features does the relevance lie?
    localisation    `rank_accuracy`, `mass_accuracy`, `pointing_game`, `chance`: does it lie where it
                    is known to belong?
    faithfulness    `masked`: does the network still know the class by what is relevant alone, and not by the rest?
    stability       `similarity`: is it the same as other relevance?

Relevance is real, (B, ...), also that of complex inputs. A clip's values do not depend on its batch.
"""

from typing import Self

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor, nn

from auscult.explain.measures.intervals import DIFFERENCE
from auscult.explain.measures.measure import Better, Clips, Measure, Measurement, Run, Topic
from auscult.modules.model import Model

COMPLEXITY = Topic("complexity", "on how few features does relevance lie?", 7)
FAITHFULNESS = Topic(
    "faithfulness", "does the network still know the class by the relevant part alone, and not by the rest?", 2
)


def entropy(relevance: Tensor) -> Tensor:
    """Entropy of the relevance's magnitudes, (B,) in nats of (B, ...); lower is more concise.

    -sum_i p_i ln p_i, where p_i = |R_i| / sum_j |R_j| (Bhatt et al., arXiv 2005.00631): from 0, where one of n features
    has it all, to ln n, where all have the same. NaN where there is no relevance.
    """
    return torch.special.entr(shares(relevance)).sum(1)


def gini(relevance: Tensor) -> Tensor:
    """Gini index of the relevance's magnitudes, (B,) of (B, ...); higher is more concise.

    sum_i (2 i - n - 1) p_i / n, where p_1 <= ... <= p_n are as in `entropy` (Hurley and Rickard, arXiv 0811.4706, of
    relevance: Chalasani et al., arXiv 1810.06583): from 0, where all of n features have the same, to 1 - 1 / n, where
    one has it all. NaN where there is no relevance.
    """
    share = shares(relevance).sort(1).values  # (B, n)
    n = share.shape[1]
    place = torch.arange(1, n + 1, dtype=share.dtype, device=share.device)
    return ((2 * place - n - 1) * share).sum(1) / n


class Complexity(Measurement):
    """Of any relevance."""

    measures = (
        Measure(COMPLEXITY, "entropy", "of the features' shares of the relevance", Better.LOWER, None, "nats"),
        Measure(COMPLEXITY, "gini", "the Gini index of these shares", Better.HIGHER),
    )

    def __call__(self, clips: Clips) -> dict[str, Tensor]:
        relevance = clips.explained.relevance
        return dict(zip(self.names, (entropy(relevance), gini(relevance)), strict=True))


def shares(relevance: Tensor) -> Tensor:
    """Magnitude of each feature's relevance as a share of the clip's, (B, n) of (B, ...)."""
    magnitude = relevance.flatten(1).abs()
    return magnitude / magnitude.sum(1, keepdim=True)


def rank_accuracy(relevance: Tensor, mask: Tensor) -> Tensor:
    """Share of the K most relevant features that lie in the mask, (B,); higher is better.

    K is the size of the mask (Arras et al., arXiv 2003.07258). Features that share the K-th place count as much as they
    would on average in random order. By chance it is the mask's share of the features.

    Args:
        relevance: (B, ...).
        mask: (B, ...) bool, where relevance is known to belong.

    Returns:
        NaN where the mask is empty or no relevance is positive.
    """
    flat, inside = relevance.flatten(1), mask.flatten(1)  # (B, n)
    size = inside.sum(1, keepdim=True)
    least = flat.sort(1, descending=True).values.gather(1, (size - 1).clamp(min=0))  # (B, 1) at place K
    above, tied = flat > least, flat == least
    places = size - above.sum(1, keepdim=True)  # for which the tied compete
    hits = (above & inside).sum(1) + places[:, 0] * (tied & inside).sum(1) / tied.sum(1)
    return _where_defined(hits / size[:, 0], flat, inside)


def mass_accuracy(relevance: Tensor, mask: Tensor) -> Tensor:
    """Share of the positive relevance that lies in the mask, (B,); higher is better.

    sum_(i in mask) R_i^+ / sum_i R_i^+ (Arras et al., arXiv 2003.07258, whose relevance is nowhere negative). By chance
    it is the mask's share of the features.

    Args, Returns: as for `rank_accuracy`.
    """
    flat, inside = relevance.flatten(1), mask.flatten(1)  # (B, n)
    positive = flat.clamp(min=0)
    return _where_defined((positive * inside).sum(1) / positive.sum(1), flat, inside)


def pointing_game(relevance: Tensor, mask: Tensor) -> Tensor:
    """Whether the most relevant feature lies in the mask, (B,) of 0 and 1; higher is better.

    After Zhang et al., arXiv 1608.00507, without their tolerance about the mask. Of features that are most relevant
    alike, the share that lies in the mask. By chance it is the mask's share of the features.

    Args, Returns: as for `rank_accuracy`.
    """
    flat, inside = relevance.flatten(1), mask.flatten(1)  # (B, n)
    highest = flat == flat.amax(1, keepdim=True)
    return _where_defined((highest & inside).sum(1) / highest.sum(1), flat, inside)


def chance(relevance: Tensor, mask: Tensor) -> Tensor:
    """The mask's share of the features, (B,): what relevance that lies anywhere would have of each of the others.

    Args, Returns: as for `rank_accuracy`.
    """
    flat, inside = relevance.flatten(1), mask.flatten(1)  # (B, n)
    return _where_defined(inside.float().mean(1), flat, inside)


def _where_defined(value: Tensor, relevance: Tensor, mask: Tensor) -> Tensor:
    """Values (B,), NaN where the mask (B, n) is empty or no relevance (B, n) is positive."""
    return value.masked_fill(~(mask.any(1) & (relevance > 0).any(1)), torch.nan)


@torch.inference_mode()
def masked(network: nn.Module, input: Tensor, relevance: Tensor, silence: Tensor, logits: Tensor) -> dict[str, Tensor]:
    """What the network makes of the relevant part alone, and of all but it: five measures, (B,) each.

    The mask m = R^+ / max R^+ keeps m of each value's distance from silence; where no relevance is positive, it keeps
    nothing. Let c be the class the network chooses for the intact input, and p, o and o' the probabilities for the
    intact input, the masked-in one, m x + (1 - m) silence, and the masked-out one, (1 - m) x + m silence.

        increase        AI, 1 if p_c < o_c, else 0      higher is better (Chattopadhay et al., arXiv 1710.11063)
        drop            AD, (p_c - o_c)^+ / p_c         lower is better (the same)
        gain            AG, (o_c - p_c)^+ / (1 - p_c)   higher is better (Zhang et al., arXiv 2301.07002)
        faithfulness    FF, p_c - o'_c                  higher is better (Parekh et al., arXiv 2202.11479)
        fidelity_in     Fid-In, 1 if argmax o = c       higher is better (Paissan et al., arXiv 2403.13086)

    All are as in SpeechBrain, but shares of 1, not percent, and they hold where p_c rounds to 1.

    Args:
        network: in evaluation mode.
        input: (B, ...), real or complex.
        relevance: (B, ...) of it, for the logit of c.
        silence: (1, ...) or (B, ...), what stands where nothing is kept.
        logits: (B, C) of the intact input.
    """
    weight = relevance.clamp(min=0)
    highest = weight.amax(tuple(range(1, weight.dim())), keepdim=True)  # (B, 1, ...)
    weight = weight / highest.where(highest > 0, torch.ones_like(highest))
    silence = silence.to(input)

    intact = logits.log_softmax(1)  # (B, C)
    inside = network(weight * input + (1 - weight) * silence).float().log_softmax(1)
    outside = network((1 - weight) * input + weight * silence).float().log_softmax(1)
    chosen = intact.argmax(1, keepdim=True)  # (B, 1)
    p, o, left = (logs.gather(1, chosen)[:, 0] for logs in (intact, inside, outside))
    # by the doubt 1 - p rather than by p, which in float32 is 1 from a logit of 17 above the others
    doubt, doubt_inside = (logs.scatter(1, chosen, -torch.inf).logsumexp(1) for logs in (intact, inside))
    return {
        "increase": (doubt_inside < doubt).float(),
        "drop": (1 - (o - p).exp()).clamp(min=0),
        "gain": (1 - (doubt_inside - doubt).exp()).clamp(min=0),
        "faithfulness": p.exp() - left.exp(),
        "fidelity_in": (inside.argmax(1) == chosen[:, 0]).float(),
    }


class Faithfulness(Measurement):
    """What `masked` asks, of relevance for the predicted class.

    Args:
        model: whose input relevance is of.
        silence: (1, ...) of its inputs.
    """

    measures = (
        Measure(FAITHFULNESS, "increase", "the share of clips whose class the relevant part alone makes more"
                " probable (AI)", Better.HIGHER),
        Measure(FAITHFULNESS, "drop", "the share of the class's probability that goes with the rest (AD)",
                Better.LOWER),
        Measure(FAITHFULNESS, "gain", "the share of the doubt that the relevant part alone removes (AG)",
                Better.HIGHER),
        Measure(FAITHFULNESS, "faithfulness", "the probability that the class loses without the relevant part (FF)",
                Better.HIGHER, DIFFERENCE),
        Measure(FAITHFULNESS, "fidelity_in", "the share of clips that the relevant part alone leaves with their class"
                " (Fid-In)", Better.HIGHER),
    )  # fmt: skip

    def __init__(self, model: Model, silence: Tensor) -> None:
        self.model, self.silence = model, silence

    @classmethod
    def of(cls, run: Run) -> Self | None:
        model = run.domain.model
        return cls(model, model.silence(run.source.dataset.length)) if run.target == "predicted" else None

    def __call__(self, clips: Clips) -> dict[str, Tensor]:
        explained = clips.explained
        values = masked(self.model.network, explained.input, explained.relevance, self.silence, explained.logits)
        return {measure.column: values[measure.name] for measure in self.measures}


def similarity(one: Tensor, other: Tensor) -> Tensor:
    """Spearman's rank correlation of each clip's relevance with other relevance of it, (B,) of (B, ...) and (B, ...).

    From -1, where what was the most relevant is the least, over 0, where they have nothing in common, to 1, where their
    order is the same; equal features share their ranks. 0 where all features of either are alike.
    """
    ranked = [rankdata(each.flatten(1).cpu().numpy(), axis=1) for each in (one, other)]  # (B, n)
    first, second = (rank - rank.mean(1, keepdims=True) for rank in ranked)
    size = np.sqrt((first**2).sum(1) * (second**2).sum(1))
    correlation = np.divide((first * second).sum(1), size, out=np.zeros(len(size)), where=size > 0)
    return torch.from_numpy(correlation.astype(np.float32)).to(one.device)
