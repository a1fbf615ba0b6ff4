"""Sentences on perturbation curves and interventions, as far as their intervals allow."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from auscult.explain.intervention.interventions import SHAMS

ENDS = ("low", "high")
# beyond these, relevance is worth little: how often its magnitudes are the logit, and shares of the logit
CANCELLING, MISSING, MOSTLY = 100, 0.05, 0.9
AREA, GAP = "perturbation/area/", "_minus_relevance"
OPPOSITE = "least relevant"  # the reverse order of relevance, not a rival of it
BY = {"random": "at random", OPPOSITE: "with the least relevant first"}  # other orders are named "by …"

RIVALS = {
    "random": "where they go at random",
    "least_relevant": "where the least relevant go first",
    "amplitude": "where the loudest go first",
}
NO_INTERVAL = ", of too few {unit}s for an interval"
HOW_TO_READ = (
    "The further accuracy falls as features are removed, the better their order finds what the network uses."
    " Brackets hold 95 % intervals over {unit}s."
)


def curve_findings(
    curves: pd.DataFrame,
    features: str,
    areas: Mapping[str, float] | None = None,
    fractions: Sequence[float] = (0.01, 0.05),
    unit: str = "speaker",
    scale: str = "on a logarithmic scale",
) -> list[str]:
    """Says what the perturbation curves show for relevance, what against it, and what they leave open.

    Args:
        curves: the table of `auscult.explain.measures.perturbation.summarise`.
        features: the removed features, such as "sounding samples".
        areas: metrics that include those of `perturbation.areas`; None: areas are not mentioned.
        fractions: the fractions to mention, chosen before any curve was seen. If none of them was measured, the
            middle measured fraction is mentioned.
        unit: unit of the intervals, such as "speaker".
        scale: the scale of fractions over which areas are averaged.
    """
    measured = sorted(fraction for fraction in curves["fraction"].unique() if fraction > 0)
    stated = [fraction for fraction in fractions if fraction in measured] or measured[len(measured) // 2 :][:1]
    findings = [at_fraction(curves, fraction, features, unit) for fraction in stated]
    if comparisons := of_areas(areas or {}, unit):
        findings.append(f"Averaged over the fractions removed, {scale}, relevance does {comparisons}.")
    return [HOW_TO_READ.format(unit=unit), *findings] if findings else []


def at_fraction(curves: pd.DataFrame, fraction: float, features: str, unit: str) -> str:
    """States the accuracies at one fraction, and compares relevance with the other orders."""
    rows: list[Any] = list(curves[curves["fraction"] == fraction].itertuples(index=False))
    values, comparisons = [], []
    for row in rows:
        order = BY.get(row.order, f"by {row.order}")
        values.append(f"{percent(row.accuracy)}{interval(row.low, row.high)} {order}")
        if row.order not in ("relevance", OPPOSITE):
            comparisons.append(compared(row.order, row.gap, row.gap_low, row.gap_high, unit))
    intact = curves.loc[curves["fraction"] == 0, "accuracy"].head(1)
    before = "".join(f"; with none removed, {percent(accuracy)}" for accuracy in intact)
    text = f"With {100 * fraction:g} % of the {features} removed, accuracy is {', '.join(values)}{before}."
    return f"{text} Here relevance does {'; '.join(comparisons)}." if comparisons else text


def compared(control: str, gap: float, low: float, high: float, unit: str) -> str:
    """Compares relevance with a control.

    Args:
        control: name of the control.
        gap: accuracy of the control minus that of relevance, a share.
        low, high: interval of the gap; NaN if there is none.
        unit: unit of the interval.
    """
    points = round(100 * gap, 1)
    low, high = sorted(math.copysign(1, gap) * end for end in (low, high))  # with the sign of the stated points
    remark = interval(low, high) + (", which includes zero" if low <= 0 else "")
    remark = remark or NO_INTERVAL.format(unit=unit)
    if points == 0:
        return f"neither better nor worse than {control}: 0.0 points{remark}"
    return f"{'better' if points > 0 else 'worse'} than {control} by {abs(points):.1f} points{remark}"


def of_areas(metrics: Mapping[str, float], unit: str) -> str:
    """Compares relevance with the other orders, averaged over the fractions removed; empty if none was measured."""
    said = []
    for name in sorted(metrics, key=lambda name: "random" not in name):  # first the order that knows nothing
        control = name.removeprefix(AREA).removesuffix(GAP).replace("_", " ")
        if name.startswith(AREA) and name.endswith(GAP) and control != OPPOSITE:
            low, high = (metrics.get(f"{name}_{end}", math.nan) for end in ENDS)
            said.append(compared(control, metrics[name], low, high, unit))
    return "; ".join(said)


def cautions(metrics: Mapping[str, float], kind: str = "classes") -> list[str]:
    """Says what makes relevance worth little, a sentence each; empty if nothing does.

    Args:
        metrics: of the run.
        kind: what the network gives; a number lies around the mean of those that it has learnt, which is a constant.
    """
    said = []
    if (amplification := metrics.get("soundness/amplification", 0)) > CANCELLING:
        said.append(
            f"Careful: parts of the relevance cancel, as its magnitudes sum to {amplification:.3g} times the logit:"
            " what is seen is mostly noise. Choose another attribution, or a larger attribution.epsilon."
        )
    if (missing := metrics.get("conservation_error/median", 0)) > MISSING:
        whole = "number" if kind == "number" else "logit"
        said.append(f"Careful: {100 * missing:.3g} % of the {whole} is missing in the median; audit=true says where.")
    if (share := metrics.get("biases/median", 0)) > MOSTLY and kind != "number":
        said.append(
            f"Careful: relevance of the network's constants is {share:.2g} times the logit in the median: much of the"
            " answer is there whatever is heard."
        )
    return said


def removal_verdict(metrics: Mapping[str, float], features: str, unit: str = "speaker") -> str:
    """Says in a sentence whether removal confirms relevance; empty if the random order was not measured.

    It does if accuracy falls further than in random order, and further than in the reverse order, the least relevant
    first. The reverse keeps together what relevance puts together, and says whether its ends are the right way round.

    Args:
        metrics: metrics that include those of `perturbation.areas`.
        features: what is removed, such as "samples".
        unit: unit of the intervals, such as "speaker".
    """
    random = f"{AREA}random{GAP}"
    if random not in metrics:
        return ""
    ends = {
        name: tuple(metrics.get(f"{AREA}{name}{GAP}_{end}", math.nan) for end in ENDS)
        for name in RIVALS
        if f"{AREA}{name}{GAP}" in metrics
    }
    own = [ends[name] for name in ("random", "least_relevant") if name in ends]
    if any(math.isnan(low) for low, _ in own):
        return f"The {unit}s are too few, or too much alike, to say whether removal confirms the order of relevance."
    verb = "confirms" if all(low > 0 for low, _ in own) else "does not confirm"
    if any(high < 0 for _, high in own):
        verb = "contradicts"
    doubt = ""
    if verb == "confirms" and not ends.get("amplitude", (1.0, 1.0))[0] > 0:
        doubt = ", but does not show it to be better than that of loudness"
    beside = [fall(RIVALS[name], metrics[f"{AREA}{name}{GAP}"], *own) for name, own in ends.items()]
    return (
        f"Removal {verb} the order of relevance{doubt}. Where the most relevant {features} go first, mean accuracy"
        f" {'; it '.join(beside)}."
    )


def fall_verdict(metrics: Mapping[str, float], features: str, unit: str = "speaker") -> str:
    """Says in a sentence whether a number or a tag's probability falls further by relevance than at random.

    Args: as for `removal_verdict`, with the metrics of `fall.areas`.
    """
    further = "perturbation/fall_area/relevance_minus_random"
    if further not in metrics:
        return ""
    low, high = (metrics.get(f"{further}_{end}", math.nan) for end in ENDS)
    if math.isnan(low):
        return f"The {unit}s are too few, or too much alike, to say whether removal confirms the order of relevance."
    verb = "confirms" if low > 0 else "contradicts" if high < 0 else "does not confirm"
    return (
        f"Removal {verb} the order of relevance. Where the most relevant {features} go first, the answer falls by"
        f" {metrics[further]:.3g} more than where they go at random [{low:.3g}, {high:.3g}]."
    )


def fall(others: str, gap: float, low: float, high: float) -> str:
    """Says whether accuracy falls further than in another order; the numbers are those of `compared`."""
    if low > 0:
        return f"falls further than {others}, by {100 * gap:.1f} points{interval(low, high)}"
    if high < 0:
        return f"falls less far than {others}, by {-100 * gap:.1f} points{interval(-high, -low)}"
    if math.isnan(low):
        return f"cannot be compared with {others}"
    points = f"{100 * gap:.1f}".replace("-", "−")
    return f"is not shown to fall further than {others} (by {points} points{interval(low, high)})"


def percent(share: float) -> str:
    """A share in percent: `95.0 %`."""
    return f"{100 * share:.1f} %"


def interval(low: float, high: float) -> str:
    """An interval of shares in percent, in brackets; empty if there is none."""
    return "" if math.isnan(low) else f" [{100 * low:.1f}, {100 * high:.1f}]".replace("-", "−")


def intervention_findings(
    metrics: Mapping[str, float],
    label: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    classes: Sequence[str],
    unit: str = "speaker",
    spares: bool = False,
) -> list[str]:
    """States the effect of an intervention, over all clips and for each class.

    Args:
        metrics: the metrics of `effect.compare`.
        label, before, after: (N,) classes, and predictions before and after the change.
        classes: C names.
        unit: unit of the intervals, such as "speaker".
        spares: see `Intervention.spares`.
    """
    values = {}
    for name in ("accuracy_before", "accuracy_after", "flipped"):
        key = f"intervention/{name}"
        values[name] = percent(metrics[key]) + interval(*(metrics.get(f"{key}_{end}", math.nan) for end in ENDS))
    per_class = [
        f"{name} {percent((before[own] == number).mean())} to {percent((after[own] == number).mean())}"
        for number, name in enumerate(classes)
        if (own := label == number).any()
    ]
    return [
        f"The intervention takes accuracy from {values['accuracy_before']} to {values['accuracy_after']}; it changes"
        f" {values['flipped']} of the predictions. By class: {'; '.join(per_class)}.",
        *beside_shams(metrics, unit, spares),
    ]


def beside_shams(metrics: Mapping[str, float], unit: str, spares: bool) -> list[str]:
    """Compares an intervention with its shams, and states the conclusion."""
    shams = {name: f"intervention/{name}/minus_intervention" for name in SHAMS}
    shams = {name: key for name, key in shams.items() if key in metrics}
    if not shams:
        return ["It has no control, so that this neither supports nor contradicts the hypothesis."]
    said, not_beyond, further = [], [], "less far" if spares else "further"
    for name, key in shams.items():
        after = f"intervention/{name}/accuracy_after"
        accuracy = percent(metrics[after]) + interval(*(metrics.get(f"{after}_{end}", math.nan) for end in ENDS))
        low, high = (metrics.get(f"{key}_{end}", math.nan) for end in ENDS)
        gap = metrics[key]
        if spares:
            gap, low, high = -gap, -high, -low
        by = interval(low, high) or NO_INTERVAL.format(unit=unit)
        points = f"{100 * gap:.1f}".replace("-", "−")
        said.append(f"{SHAMS[name]}, {accuracy}: the intervention goes {further} by {points} points{by}")
        if not low > 0:
            not_beyond.append(SHAMS[name])
    conclusion = (
        f"It is not shown to go {further} than {' and '.join(not_beyond)}: this does not support the hypothesis"
        if not_beyond
        else f"It goes {further} than all of its controls, which supports the hypothesis"
    )
    return [f"After its controls, accuracy is: {'; '.join(said)}. {conclusion}."]
