import math
import re

import numpy as np
import pandas as pd
import pytest

from auscult.explain.intervention.effect import compare
from auscult.explain.intervention.interventions import KeepBand, RemoveBand
from auscult.explain.measures.perturbation import Outcome, areas, summarise
from auscult.explain.report.findings import cautions, curve_findings, intervention_findings, removal_verdict
from auscult.intervals import SpeakerIntervals


def curves(relevance: float, amplitude: float, margin: float, fraction: float = 0.01) -> pd.DataFrame:
    rows = [("relevance", 0, 0.92, 0), ("amplitude", 0, 0.92, 0), ("relevance", fraction, relevance, 0)]
    rows += [("amplitude", fraction, amplitude, amplitude - relevance)]
    table = pd.DataFrame(rows, columns=["order", "fraction", "accuracy", "gap"])
    ends = {"low": -margin, "high": margin}
    of_accuracy = {end: table["accuracy"] + way for end, way in ends.items()}
    return table.assign(**of_accuracy, **{f"gap_{end}": table["gap"] + way for end, way in ends.items()})


@pytest.mark.parametrize(
    ("relevance", "amplitude", "margin", "said"),
    [
        (0.70, 0.80, 0.04, "better than amplitude by 10.0 points [6.0, 14.0]"),
        (0.78, 0.80, 0.04, "better than amplitude by 2.0 points [−2.0, 6.0], which includes zero"),
        (0.80, 0.73, 0.03, "worse than amplitude by 7.0 points [4.0, 10.0]"),
        (0.80, 0.78, 0.04, "worse than amplitude by 2.0 points [−2.0, 6.0], which includes zero"),
        (0.70, 0.80, math.nan, "better than amplitude by 10.0 points, of too few speakers for an interval"),
        (0.80, 0.80, 0.03, "neither better nor worse than amplitude: 0.0 points [−3.0, 3.0], which includes zero"),
    ],
)
def test_findings_say_who_did_better_and_how_sure_that_is(relevance, amplitude, margin, said):
    gap, name = amplitude - relevance, "perturbation/area/amplitude_minus_relevance"
    areas = {name: gap, f"{name}_low": gap - margin, f"{name}_high": gap + margin}
    _, first, last = curve_findings(curves(relevance, amplitude, margin), "samples", areas)
    assert first.startswith(f"With 1 % of the samples removed, accuracy is {100 * relevance:.1f} %")
    assert first.endswith(f"with none removed, 92.0 %. Here relevance does {said}.")
    assert last == f"Averaged over the fractions removed, on a logarithmic scale, relevance does {said}."


def test_findings_of_a_perturbation_by_hand():
    orders = ("relevance", "least relevant", "amplitude", "random", "random")
    # four clips of two speakers at 0 and 1 %: by relevance all are lost, by amplitude two, at random one of eight
    after = np.array([[0, 1, 0, 1, 1], [0, 1, 1, 1, 1], [0, 1, 0, 1, 0], [0, 1, 1, 1, 1]], bool)
    correct = np.stack([np.ones_like(after), after], axis=2)  # (N, O, F)
    outcome = Outcome(orders, correct, correct.astype(np.float32))
    intervals = SpeakerIntervals(["ada", "ada", "bela", "bela"])
    table, between = (made(outcome, [0, 0.01], intervals) for made in (summarise, areas))
    found = curve_findings(table, "samples", between)
    assert found[1:] == [
        "With 1 % of the samples removed, accuracy is 0.0 % [0.0, 98.8] by relevance, 100.0 % [1.2, 100.0] with the"
        " least relevant first, 50.0 % by amplitude, 87.5 % [0.0, 100.0] at random; with none removed, 100.0 %. Here"
        " relevance does better than amplitude by 50.0 points, of too few speakers for an interval; better than random"
        " by 87.5 points [−100.0, 100.0], which includes zero.",
        "Averaged over the fractions removed, on a logarithmic scale, relevance does better than random by 87.5 points"
        " [−100.0, 100.0], which includes zero; better than amplitude by 50.0 points, of too few speakers for an"
        " interval.",
    ]
    elsewhere = curve_findings(table.replace({"fraction": {0.01: 0.2}}), "bins")
    assert elsewhere[1].startswith("With 20 % of the bins removed"), "the fraction that was measured"
    assert curve_findings(table[table["fraction"] == 0], "bins") == []


@pytest.mark.parametrize(
    ("beyond_artefact", "conclusion"),
    [
        (0.05, "It goes further than all of its controls, which supports the hypothesis."),
        (-0.02, "It is not shown to go further than the artefact alone: this does not support the hypothesis."),
    ],
)
def test_a_hypothesis_is_supported_by_what_goes_beyond_every_control(beyond_artefact, conclusion):
    metrics = {f"intervention/{name}": 0.9 for name in ("accuracy_before", "accuracy_after", "flipped")}
    metrics |= {f"{name}{end}": value for name, value in metrics.items() for end in ("_low", "_high")}
    for name, low in (("opposite", 0.3), ("artefact", beyond_artefact)):
        own = {"accuracy_after": 0.95, "minus_intervention": low + 0.1}
        own |= {"minus_intervention_low": low, "minus_intervention_high": low + 0.2}
        metrics |= {f"intervention/{name}/{key}": value for key, value in own.items()}
    label = np.array([0, 1])
    first, second = intervention_findings(metrics, label, label, label, ["male", "female"])
    assert first.startswith("The intervention takes accuracy from 90.0 % [90.0, 90.0] to 90.0 %")
    assert second.startswith(
        "After its controls, accuracy is: the opposite, 95.0 %: the intervention goes further by 40.0"
    )
    assert second.endswith(f". {conclusion}")
    alone = {name: value for name, value in metrics.items() if name.count("/") < 2}
    assert "has no control" in intervention_findings(alone, label, label, label, ["m", "f"])[1]


@pytest.mark.parametrize(
    ("kept", "elsewhere", "conclusion"),
    [
        (0.97, 0.5, "It goes less far than all of its controls, which supports the hypothesis."),
        (0.5, 0.97, "It is not shown to go less far than the opposite and the artefact alone: this does not support"),
    ],
)
def test_a_band_that_is_kept_should_harm_less(kept, elsewhere, conclusion):
    """A network that uses the band answers by it alone, and not by another one of the same width."""
    random, label = np.random.default_rng(0), np.zeros(200, int)
    answers = {name: (random.random(200) > share).astype(int) for name, share in (("kept", kept), ("else", elsewhere))}
    speakers = SpeakerIntervals([f"{row % 8}" for row in range(200)])
    shams = {"opposite": answers["else"], "artefact": answers["else"]}
    metrics = compare(label, label, answers["kept"], speakers, shams)
    _, said = intervention_findings(
        metrics, label, label, answers["kept"], ["male"], spares=KeepBand(8000, 200, 900).spares
    )
    assert conclusion in said and ("goes less far by −" in said) == (kept < elsewhere)
    assert not RemoveBand(8000, 200, 900).spares


def test_without_intervals_an_intervention_is_told_without_them():
    """As of clips of one speaker."""
    label, before, after = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]), np.array([1, 0, 1, 1])
    metrics = compare(label, before, after, SpeakerIntervals(["one"] * 4), {"opposite": before})
    assert "intervention/accuracy_after_low" not in metrics
    told, beside = intervention_findings(metrics, label, before, after, ["male", "female"])
    assert "takes accuracy from 100.0 % to 75.0 %; it changes 25.0 %" in told
    assert "goes further by 25.0 points" in beside and "this does not support the hypothesis" in beside


GOOD, SOME = (0.157, 0.042, 0.267), (0.2, 0.1, 0.3)


@pytest.mark.parametrize(
    ("random", "reverse", "amplitude", "says"),
    [
        (
            GOOD,
            SOME,
            SOME,
            r"^Removal confirms .* at random, by 15.7 points \[4.2, 26.7\]; it falls further than where",
        ),
        (GOOD, SOME, (0.018, -0.04, 0.07), r"the loudest go first \(by 1.8 points \[−4.0, 7.0\]\)\.$"),
        (
            (0.02, -0.03, 0.07),
            None,
            SOME,
            r"does not confirm .* \(by 2.0 points \[−3.0, 7.0\]\); it falls further than",
        ),
        ((-0.02, -0.07, 0.03), None, None, r"does not confirm .* random \(by −2.0 points \[−7.0, 3.0\]\)\.$"),
        ((-0.1, -0.15, -0.05), None, None, r"contradicts .* less far than .* random, by 10.0 points \[5.0, 15.0\]\.$"),
        (GOOD, (-0.003, -0.02, 0.02), None, r"does not confirm .* least relevant go first \(by −0.3 points"),
        (GOOD, (-0.1, -0.2, -0.05), None, "contradicts .*; it falls less far than where the least relevant go"),
        (
            (0.2, math.nan, math.nan),
            None,
            None,
            "^The speakers are too few, or too much alike, to say whether",
        ),
        (GOOD, SOME, (0.1, math.nan, math.nan), "^Removal confirms .*; it cannot be compared with where the loudest"),
        (None, None, SOME, "^$"),
    ],
)
def test_whether_removal_confirms(random, reverse, amplitude, says):
    metrics = {}
    for control, gap in (("random", random), ("least_relevant", reverse), ("amplitude", amplitude)):
        for end, value in zip(("", "_low", "_high"), gap or (), strict=False):
            if not math.isnan(value):
                metrics[f"perturbation/area/{control}_minus_relevance{end}"] = value
    assert re.search(says, removal_verdict(metrics, "samples"))


def test_what_makes_relevance_worth_little_is_said_first():
    assert cautions({"soundness/amplification": 3.0, "conservation_error/median": 0.01, "biases/median": 0.5}) == []
    said = cautions({"soundness/amplification": 2.6e7, "conservation_error/median": 0.275, "biases/median": 0.97})
    assert len(said) == 3
    assert (
        "2.6e+07 times the logit" in said[0]
        and "27.5 % of the logit" in said[1]
        and "constants is 0.97 times" in said[2]
    )
