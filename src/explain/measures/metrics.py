"""Measures that compare attributions, a value per clip.

    complexity      `entropy`, `gini`: on how few features does the relevance lie?
    localisation    `rank_accuracy`, `mass_accuracy`, `pointing_game`, `chance`: does relevance lie where it is known to
                    belong?
    faithfulness    `masked`: does the relevant part alone keep the class, and does the rest lose it?
    stability       `similarity`: how similar is relevance to other relevance?

Relevance is real, (B, ...), also for complex inputs. The values of a clip do not depend on its batch.
"""

from typing import Self

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor, nn

from auscult.explain.measures.measure import Better, Clips, Measure, Measurement, Run, Topic
from auscult.intervals import DIFFERENCE
from auscult.modules.model import Model

COMPLEXITY = Topic("complexity", "on how few features does relevance lie?", 7)
FAITHFULNESS = Topic(
    "faithfulness", "does the network know the class from the relevant part alone, and not from the rest?", 2
)


def entropy(relevance: Tensor) -> Tensor:
    """Entropy of the magnitudes of relevance (B, ...), (B,) in nats; lower is more concise.

    -sum_i p_i ln p_i, where p_i = |R_i| / sum_j |R_j| (Bhatt et al., arXiv 2005.00631). It is 0 if one feature has all
    relevance, and ln n if all n features have the same. NaN if there is no relevance.
    """
    return torch.special.entr(shares(relevance)).sum(1)


def gini(relevance: Tensor) -> Tensor:
    """Gini index of the magnitudes of relevance (B, ...), (B,); higher is more concise.

    sum_i (2 i - n - 1) p_i / n, where p_1 <= ... <= p_n are as in `entropy` (Hurley and Rickard, arXiv 0811.4706; for
    relevance: Chalasani et al., arXiv 1810.06583). It is 0 if all n features have the same, and 1 - 1 / n if one
    feature has all relevance. NaN if there is no relevance.
    """
    share = shares(relevance).sort(1).values  # (B, n)
    n = share.shape[1]
    place = torch.arange(1, n + 1, dtype=share.dtype, device=share.device)
    return ((2 * place - n - 1) * share).sum(1) / n


class Complexity(Measurement):
    """Measures how concise relevance is. It applies to any run."""

    measures = (
        Measure(
            COMPLEXITY,
            "entropy",
            "the entropy of the features' shares of relevance",
            Better.LOWER,
            None,
            "nats",
            title="Spread (entropy)",
        ),
        Measure(COMPLEXITY, "gini", "the Gini index of these shares", Better.HIGHER, title="Concentration (Gini)"),
    )

    def __call__(self, clips: Clips) -> dict[str, Tensor]:
        relevance = clips.explained.relevance
        return dict(zip(self.names, (entropy(relevance), gini(relevance)), strict=True))


def shares(relevance: Tensor) -> Tensor:
    """The magnitude of each feature's relevance (B, ...) as a share of the total of its clip, (B, n)."""
    magnitude = relevance.flatten(1).abs()
    return magnitude / magnitude.sum(1, keepdim=True)


def rank_accuracy(relevance: Tensor, mask: Tensor) -> Tensor:
    """Share of the K most relevant features that lie in the mask, (B,); higher is better.

    K is the size of the mask (Arras et al., arXiv 2003.07258). Features that share place K count as on average over
    random orders. Random relevance has the mask's share of the features.

    Args:
        relevance: (B, ...).
        mask: (B, ...) bool, where relevance is known to belong.

    Returns:
        (B,). NaN if the mask is empty or no relevance is positive.
    """
    flat, inside = relevance.flatten(1), mask.flatten(1)  # (B, n)
    size = inside.sum(1, keepdim=True)
    least = flat.sort(1, descending=True).values.gather(1, (size - 1).clamp(min=0))  # (B, 1), value at place K
    above, tied = flat > least, flat == least
    places = size - above.sum(1, keepdim=True)  # places for the tied features
    hits = (above & inside).sum(1) + places[:, 0] * (tied & inside).sum(1) / tied.sum(1)
    return _where_defined(hits / size[:, 0], flat, inside)


def mass_accuracy(relevance: Tensor, mask: Tensor) -> Tensor:
    """Share of the positive relevance that lies in the mask, (B,); higher is better.

    sum_(i in mask) R_i^+ / sum_i R_i^+ (Arras et al., arXiv 2003.07258, for relevance that is nowhere negative).
    Random relevance has the mask's share of the features.

    Args, Returns: as for `rank_accuracy`.
    """
    flat, inside = relevance.flatten(1), mask.flatten(1)  # (B, n)
    positive = flat.clamp(min=0)
    return _where_defined((positive * inside).sum(1) / positive.sum(1), flat, inside)


def pointing_game(relevance: Tensor, mask: Tensor) -> Tensor:
    """Whether the most relevant feature lies in the mask, (B,) of 0 and 1; higher is better.

    After Zhang et al., arXiv 1608.00507, without their tolerance around the mask. If several features are the most
    relevant, it is the share of these in the mask. Random relevance has the mask's share of the features.

    Args, Returns: as for `rank_accuracy`.
    """
    flat, inside = relevance.flatten(1), mask.flatten(1)  # (B, n)
    highest = flat == flat.amax(1, keepdim=True)
    return _where_defined((highest & inside).sum(1) / highest.sum(1), flat, inside)


def chance(relevance: Tensor, mask: Tensor) -> Tensor:
    """The mask's share of the features, (B,): what random relevance would have in the other three measures.

    Args, Returns: as for `rank_accuracy`.
    """
    flat, inside = relevance.flatten(1), mask.flatten(1)  # (B, n)
    return _where_defined(inside.float().mean(1), flat, inside)


def _where_defined(value: Tensor, relevance: Tensor, mask: Tensor) -> Tensor:
    """Sets values (B,) to NaN if the mask (B, n) is empty or no relevance (B, n) is positive."""
    return value.masked_fill(~(mask.any(1) & (relevance > 0).any(1)), torch.nan)


@torch.inference_mode()
def masked(network: nn.Module, input: Tensor, relevance: Tensor, silence: Tensor, logits: Tensor) -> dict[str, Tensor]:
    """Five measures of the network's outputs for the relevant part alone and for the rest, (B,) each.

    The mask m = R^+ / max R^+ keeps the share m of each value's distance from silence; without positive relevance it
    keeps nothing. Let c be the predicted class of the intact input. Let p, o and o' be the probabilities for the intact
    input, for the masked-in input m x + (1 - m) silence, and for the masked-out input (1 - m) x + m silence.

        increase        AI, 1 if p_c < o_c, else 0      higher is better (Chattopadhay et al., arXiv 1710.11063)
        drop            AD, (p_c - o_c)^+ / p_c         lower is better (the same)
        gain            AG, (o_c - p_c)^+ / (1 - p_c)   higher is better (Zhang et al., arXiv 2301.07002)
        faithfulness    FF, p_c - o'_c                  higher is better (Parekh et al., arXiv 2202.11479)
        fidelity_in     Fid-In, 1 if argmax o = c       higher is better (Paissan et al., arXiv 2403.13086)

    All are as in SpeechBrain, but as shares, not in percent, and they are correct also if p_c rounds to 1.

    Args:
        network: in evaluation mode.
        input: (B, ...), real or complex.
        relevance: (B, ...) of the input, for the logit of c.
        silence: (1, ...) or (B, ...), replaces what is not kept.
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
    # uses the doubt 1 - p: in float32, p is 1 if a logit is 17 above the others
    doubt, doubt_inside = (logs.scatter(1, chosen, -torch.inf).logsumexp(1) for logs in (intact, inside))
    return {
        "increase": (doubt_inside < doubt).float(),
        "drop": (1 - (o - p).exp()).clamp(min=0),
        "gain": (1 - (doubt_inside - doubt).exp()).clamp(min=0),
        "faithfulness": p.exp() - left.exp(),
        "fidelity_in": (inside.argmax(1) == chosen[:, 0]).float(),
    }


class Faithfulness(Measurement):
    """Takes the measures of `masked`. They apply to relevance for the predicted class.

    Args:
        model: the model that is explained.
        silence: (1, ...), the input of its network for digital silence.
    """

    measures = (
        Measure(FAITHFULNESS, "increase", "the share of clips whose class the relevant part alone makes more"
                " probable", Better.HIGHER, title="Clips made surer (AI)"),
        Measure(FAITHFULNESS, "drop", "the share of the class's probability that is lost without the rest",
                Better.LOWER, title="Certainty lost without the rest (AD)"),
        Measure(FAITHFULNESS, "gain", "the share of the doubt that the relevant part alone removes",
                Better.HIGHER, title="Doubt removed (AG)"),
        Measure(FAITHFULNESS, "faithfulness", "the probability that the class loses without the relevant part",
                Better.HIGHER, DIFFERENCE, title="Certainty lost without the relevant part (FF)"),
        Measure(FAITHFULNESS, "fidelity_in", "the share of clips that the relevant part alone leaves with their class",
                Better.HIGHER, title="Class kept by the relevant part (Fid-In)"),
    )  # fmt: skip

    def __init__(self, model: Model, silence: Tensor) -> None:
        self.model, self.silence = model, silence

    @classmethod
    def of(cls, run: Run) -> Self | None:
        """The measurement of a run; None if its target is not the predicted class, of classes."""
        model = run.domain.model
        applies = run.target == "predicted" and model.kind == "classes"
        return cls(model, model.silence(run.source.dataset.length)) if applies else None

    def __call__(self, clips: Clips) -> dict[str, Tensor]:
        explained = clips.explained
        values = masked(self.model.network, explained.input, explained.relevance, self.silence, explained.logits)
        return {measure.column: values[measure.name] for measure in self.measures}


def similarity(one: Tensor, other: Tensor) -> Tensor:
    """Spearman's rank correlation of two relevances (B, ...) of the same clips, (B,).

    1: the order of the features is the same. 0: the orders have nothing in common. -1: one order is the reverse of the
    other. Equal features share their ranks. 0 if all features of either relevance are equal.
    """
    ranked = [rankdata(each.flatten(1).cpu().numpy(), axis=1) for each in (one, other)]  # (B, n)
    first, second = (rank - rank.mean(1, keepdims=True) for rank in ranked)
    size = np.sqrt((first**2).sum(1) * (second**2).sum(1))
    correlation = np.divide((first * second).sum(1), size, out=np.zeros(len(size)), where=size > 0)
    return torch.from_numpy(correlation.astype(np.float32)).to(one.device)
