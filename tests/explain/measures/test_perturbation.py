import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from auscult.explain.measures.fill import Silence
from auscult.explain.measures.fractions import checked_fractions
from auscult.explain.measures.perturbation import (
    Outcome,
    areas,
    counts_of,
    mean_height,
    perturb,
    ranks,
    scores_of,
    summarise,
    write_curves,
)
from auscult.intervals import DIFFERENCE, SpeakerIntervals
from auscult.mistake import Mistake


class Counted(nn.Linear):
    """A linear network of flat inputs that counts its passes."""

    def __init__(self, features: int, classes: int, seed: int = 0) -> None:
        super().__init__(features, classes)
        generator = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(classes, features, generator=generator))
        self.sizes: list[int] = []

    def forward(self, input: Tensor) -> Tensor:
        self.sizes.append(len(input))
        return super().forward(input.flatten(1))


def silence(*shape: int, value: float = 0.0) -> Silence:
    return Silence(torch.full((1, *shape), value), list)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_curves_of_a_network_worked_out_by_hand():
    network = nn.Linear(4, 2, bias=False)
    network.weight = nn.Parameter(torch.tensor([[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 0.0]]))
    input = torch.tensor([[1.0, 1.0, 1.0, -1.0]])  # logits 1 + 2 + 3 - 4 = 2 and 0
    scores = {"relevance": input * network.weight[:1].detach(), "amplitude": input.abs()}
    outcome = perturb(network, input, torch.tensor([0]), scores, torch.tensor([[0, 1, 2, 3, 4]]), silence(4))
    # by relevance 3, 2, 1, -4; by amplitude all are alike, so in their own order 1, 2, 3, -4
    logits = {"relevance": [2, -1, -3, -4, 0], "amplitude": [2, 1, -1, -4, 0]}
    assert outcome.orders == ("relevance", "amplitude")
    for row, order in enumerate(outcome.orders):
        expected = [1 / (1 + math.exp(-logit)) for logit in logits[order]]
        np.testing.assert_allclose(outcome.probability[0, row], expected, rtol=1e-6)
        assert outcome.correct[0, row].tolist() == [logit >= 0 for logit in logits[order]]  # of equals, the first


def test_curves_are_those_of_removing_features_one_by_one():
    network, input, label = Counted(60, 3), draw(5, 1, 6, 10), torch.tensor([0, 1, 2, 0, 1])
    relevance = draw(5, 1, 6, 10, seed=1).round(decimals=1)  # with ties
    fill = silence(1, 6, 10, value=-0.7)
    scores = scores_of(input, relevance, fill.silence, torch.arange(5), seeds=(0, 1))
    fractions = [0, 0.01, 0.1, 0.5, 0.9]
    outcome = perturb(network, input, label, scores, counts_of(input, fill.silence, fractions), fill)
    assert outcome.orders == ("relevance", "least relevant", "amplitude", "random", "random")
    assert outcome.correct.shape == outcome.probability.shape == (5, 5, 5)
    assert outcome.correct.dtype == bool and outcome.probability.dtype == np.float32

    weight, bias = network.weight.detach().double().numpy(), network.bias.detach().double().numpy()
    flat = [*(scores[name] for name in ("relevance", "least relevant", "amplitude")), *scores["random"]]
    for clip in range(5):
        for row, of_order in enumerate(flat):
            values = of_order[clip].flatten().tolist()
            order = sorted(range(60), key=lambda feature, values=values: (-values[feature], feature))
            for column, count in enumerate([0, 1, 6, 30, 54]):
                x = input[clip].flatten().double().numpy().copy()
                x[order[:count]] = -0.7
                logits = weight @ x + bias
                probabilities = np.exp(logits) / np.exp(logits).sum()
                assert outcome.probability[clip, row, column] == pytest.approx(probabilities[label[clip]], rel=1e-4)
                assert outcome.correct[clip, row, column] == (logits.argmax() == label[clip])


def test_intact_inputs_pass_once_and_all_passes_are_of_the_batch():
    network, input = Counted(1000, 2), draw(3, 1000)
    scores = scores_of(input, draw(3, 1000, seed=1), torch.zeros(1, 1000), torch.arange(3))
    perturb(
        network, input, torch.zeros(3, dtype=torch.int64), scores, torch.tensor([[0, 0, 1, 500]] * 3), silence(1000)
    )
    assert network.sizes == [3] * (1 + 6 * 2)


def test_equal_orders_give_equal_curves_and_fraction_one_leaves_nothing():
    network, input = Counted(50, 3), draw(4, 50)
    label = torch.tensor([0, 1, 2, 2])
    relevance = draw(4, 50, seed=1)
    scores = {"relevance": relevance, "amplitude": 3 * relevance + 1, "random": [-relevance]}
    fill = silence(50, value=0.3)
    outcome = perturb(network, input, label, scores, torch.tensor([[10, 30, 50]] * 4), fill)
    assert np.array_equal(outcome.probability[:, 0], outcome.probability[:, 1])
    assert not np.array_equal(outcome.probability[:, 0, :2], outcome.probability[:, 2, :2])
    emptied = network(torch.full((4, 50), 0.3)).softmax(1).gather(1, label[:, None]).detach()
    np.testing.assert_allclose(outcome.probability[..., 2], emptied.expand(4, 3), rtol=1e-6)


def test_the_input_and_the_network_stay_as_they_were():
    network, input = Counted(50, 3).eval(), draw(4, 50)
    before = input.clone()
    perturb(
        network,
        input,
        torch.zeros(4, dtype=torch.int64),
        {"relevance": input},
        torch.tensor([[0, 25]] * 4),
        silence(50),
    )
    assert torch.equal(input, before)
    assert not network.training and network.weight.grad is None


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=30))
def test_ranks_are_places_in_a_stable_descending_sort(values):
    places = ranks(torch.tensor([values, values[::-1]], dtype=torch.float32))
    for row, of_clip in zip(places.tolist(), (values, values[::-1]), strict=True):
        assert row == np.argsort(np.argsort(-np.array(of_clip), kind="stable"), kind="stable").tolist()


def test_random_order_takes_what_is_not_silent_first():
    input = torch.full((2, 1, 100), -80.0)
    input[:, :, 20:50] = draw(2, 1, 30)
    first, second = scores_of(input, input, torch.full((1, 1, 100), -80.0), torch.arange(2), seeds=(0, 1))["random"]
    for scores in (first, second):
        assert (ranks(scores)[:, 0, 20:50] < 30).all()
        assert not torch.equal(ranks(scores)[0], ranks(scores)[1])
    assert not torch.equal(first, second)


def test_every_audible_feature_is_as_likely_to_go_first():
    input = torch.ones(1, 10)
    first = [
        ranks(scores_of(input, input, torch.zeros(1, 10), torch.tensor([clip]), seeds=(0,))["random"][0]).argmin()
        for clip in range(2000)
    ]
    counts = np.bincount(first, minlength=10)
    assert counts.min() > 140 and counts.max() < 260  # 200 expected, with a standard deviation of 13


def test_random_order_hangs_on_the_clip_and_not_on_its_batch():
    input, clips = draw(4, 30), torch.tensor([7, 3, 9, 3])
    together = scores_of(input, input, torch.zeros(1, 30), clips)["random"][0]
    alone = [
        scores_of(input[i : i + 1], input[i : i + 1], torch.zeros(1, 30), clips[i : i + 1])["random"][0]
        for i in range(4)
    ]
    assert torch.equal(together, torch.cat(alone))
    assert torch.equal(together[1], together[3])


def test_amplitude_is_the_distance_from_silence():
    input = torch.tensor([[-80.0, 0.0, -40.0]])
    scores = scores_of(input, input, torch.full((1, 3), -80.0), torch.tensor([0]))
    assert scores["amplitude"].tolist() == [[0, 80, 40]]


def invented(clips: int = 40, seed: int = 0) -> tuple[Outcome, SpeakerIntervals, list[str]]:
    generator = np.random.default_rng(seed)
    orders = ("relevance", "least relevant", "random", "random", "random")
    outcome = Outcome(
        orders,
        generator.random((clips, 5, 4)) < np.linspace(0.9, 0.2, 4),
        generator.random((clips, 5, 4)).astype(np.float32),
    )
    speakers = [f"{number % 7}" for number in range(clips)]
    return outcome, SpeakerIntervals(speakers), speakers


GRID = [0.0, 0.01, 0.1, 0.5]


def test_summary_has_a_row_per_order_and_fraction_with_intervals():
    outcome, intervals, _ = invented()
    table = summarise(outcome, GRID, intervals)
    assert table["order"].tolist() == [name for name in ("relevance", "least relevant", "random") for _ in GRID]
    assert table["fraction"].tolist() == GRID * 3
    row = table[(table["order"] == "random") & (table["fraction"] == 0.1)].iloc[0]
    assert row["accuracy"] == pytest.approx(outcome.correct[:, 2:, 2].mean())
    assert row["probability"] == pytest.approx(outcome.probability[:, 2:, 2].mean())

    gap = outcome.correct[:, 2:, 2].mean(1) - outcome.correct[:, 0, 2]
    assert row["gap"] == pytest.approx(gap.mean())
    np.testing.assert_allclose(row[["gap_low", "gap_high"]].astype(float), intervals.of_mean(gap, DIFFERENCE))
    for name, values in (("", outcome.correct), ("probability_", outcome.probability)):
        low, high = intervals.of_mean(values[:, 2:, 2].mean(1))
        np.testing.assert_allclose(row[[f"{name}low", f"{name}high"]].astype(float), [low, high])


def test_areas_are_those_under_the_curves():
    outcome, intervals, _ = invented()
    table, metrics = summarise(outcome, GRID, intervals), areas(outcome, GRID, intervals)
    under = {}
    for order in ("relevance", "least relevant", "random"):
        height = table[table["order"] == order]["accuracy"].to_numpy()
        # from 1 to 10 % is a decade, from there to 50 % seven tenths of one
        pieces = [height[1] + height[2], math.log10(5) * (height[2] + height[3])]
        under[order] = sum(pieces) / 2 / math.log10(50)
        assert metrics[f"perturbation/area/{order.replace(' ', '_')}"] == pytest.approx(under[order])
    difference = under["least relevant"] - under["relevance"]
    assert metrics["perturbation/area/least_relevant_minus_relevance"] == pytest.approx(difference)
    probability = table[table["order"] == "random"]["probability"]
    expected = np.trapezoid(probability[1:], np.log(GRID[1:])) / np.log(50)
    assert metrics["perturbation/probability_area/random"] == pytest.approx(expected)
    assert metrics["perturbation/area/random_low"] < under["random"] < metrics["perturbation/area/random_high"]
    assert not any(name.endswith("relevance_minus_relevance") for name in metrics)


def test_area_between_is_paired():
    outcome, intervals, _ = invented()
    better = outcome.correct.copy()
    better[:, 2:] = better[:, :1]  # the random order comes out as relevance does, clip by clip
    metrics = areas(Outcome(outcome.orders, better, outcome.probability), GRID, intervals)
    assert metrics["perturbation/area/relevance_low"] < metrics["perturbation/area/relevance_high"]
    assert [metrics[f"perturbation/area/random_minus_relevance{end}"] for end in ("", "_low", "_high")] == [0, 0, 0]


def test_one_fraction_has_a_curve_but_no_area():
    outcome, intervals, _ = invented()
    single = Outcome(outcome.orders, outcome.correct[..., :1], outcome.probability[..., :1])
    assert len(summarise(single, [0.01], intervals)) == 3
    assert areas(single, [0.01], intervals) == {}


def test_the_papers_area_is_linear_and_ours_logarithmic():
    """What happens beyond a tenth decides the linear area, and less than half of the logarithmic."""
    fractions = [0, 0.001, 0.01, 0.1, 0.5]
    early, late = np.array([[1, 0, 0, 0, 1.0]]), np.array([[1, 1, 1, 1, 0.0]])
    assert mean_height(early, fractions, "paper") > 0.4 > mean_height(early, fractions)
    assert mean_height(late, fractions, "paper") < 0.61 < 0.85 < mean_height(late, fractions)
    straight = 1 - np.log10(np.array([fractions[1:]])) / -3  # falls by a third with each decade
    assert mean_height(np.insert(straight, 0, 9.0, axis=1), fractions)[0] == pytest.approx(
        (straight[0, 0] + straight[0, -1]) / 2
    )
    assert mean_height(np.array([[1, 0.4]]), [0, 0.1]) == 0.4, "one place has its height"


def test_silence_goes_last_in_every_order_and_no_fraction_counts_it():
    """Of a clip that is silent by half; by the paper's definition silence goes before what speaks against the class."""
    input, relevance = torch.tensor([[0, 0, 0, 0, 5.0, 1, 2, 4]]), torch.tensor([[0, 9, 0, 0, 3, -1, -2, 1.0]])
    own, paper = (
        scores_of(input, relevance, torch.zeros(1, 8), torch.tensor([0]), (0,), definition)
        for definition in ("sounding", "paper")
    )
    for order in ("relevance", "least relevant", "amplitude"):
        assert ranks(own[order])[0, :4].tolist() == [4, 5, 6, 7], order
    assert ranks(own["random"][0])[0, :4].tolist() == ranks(paper["random"][0])[0, :4].tolist() == [4, 5, 6, 7]
    assert ranks(own["relevance"])[0, 4:].tolist() == [0, 2, 3, 1]
    assert ranks(own["least relevant"])[0, 4:].tolist() == [3, 1, 0, 2]
    assert ranks(paper["relevance"])[0].tolist() == [3, 0, 4, 5, 1, 6, 7, 2]
    assert counts_of(input, torch.zeros(1, 8), [0, 0.25, 0.5, 1]).tolist() == [[0, 1, 2, 4]]
    assert counts_of(input, torch.zeros(1, 8), [0, 0.25, 0.5, 1], "paper").tolist() == [[0, 2, 4, 8]]


def test_random_relevance_is_the_random_order():
    """An attribution that is random has the curve of random removal, but for its draw: half of each clip is silent."""
    network, input, label = Counted(400, 2), draw(300, 400), torch.zeros(300, dtype=torch.int64)
    input[:, ::2] = 0
    scores = scores_of(input, draw(300, 400, seed=1), torch.zeros(1, 400), torch.arange(300), (0, 1))
    outcome = perturb(network, input, label, scores, counts_of(input, torch.zeros(1, 400), [0.1, 0.5, 1]), silence(400))
    curves = outcome.over_seeds(outcome.probability)
    np.testing.assert_allclose(curves["relevance"].mean(0), curves["random"].mean(0), atol=0.03)


def test_one_speaker_has_a_curve_and_areas_but_no_intervals():
    outcome, _, _ = invented()
    intervals = SpeakerIntervals(["me"] * 40)
    assert summarise(outcome, GRID, intervals)["low"].isna().all()
    metrics = areas(outcome, GRID, intervals)
    assert "perturbation/area/relevance" in metrics and "perturbation/area/relevance_low" not in metrics


def test_batches_join_to_the_whole():
    network, input, label = Counted(50, 3), draw(6, 50), torch.tensor([0, 1, 2, 0, 1, 2])
    clips, relevance = torch.arange(6), draw(6, 50, seed=1)
    fill = silence(50)

    def part(of: slice) -> Outcome:
        scores = scores_of(input[of], relevance[of], fill.silence, clips[of])
        return perturb(network, input[of], label[of], scores, counts_of(input[of], fill.silence, GRID), fill)

    whole, parts = part(slice(None)), [part(slice(0, 4)), part(slice(4, 6))]
    assert all(each.orders == whole.orders for each in parts)
    assert np.array_equal(np.concatenate([each.correct for each in parts]), whole.correct)
    probability = np.concatenate([each.probability for each in parts])
    np.testing.assert_allclose(probability, whole.probability, rtol=1e-5)


@pytest.mark.parametrize(
    "fractions", [[0, 1.1], [-0.1, 0.5], ["a"], "0.1", 0.1, None, [], [0, float("nan")], [0, True], [[0.1]], {0.1: 0.2}]
)
def test_fractions_that_are_none_are_refused(fractions):
    with pytest.raises(Mistake, match=r"perturbation\.fractions=.* is not a list of numbers from 0 to 1"):
        checked_fractions(fractions)


@pytest.mark.parametrize("fractions", [[0.1, 0.05], [0, 0.1, 0.1]])
def test_fractions_out_of_order_are_refused(fractions):
    with pytest.raises(Mistake, match=r"perturbation\.fractions=.* does not ascend"):
        checked_fractions(fractions)


def test_ordinary_fractions_pass():
    assert checked_fractions([0, 0.001, 0.5]) == [0, 0.001, 0.5]
    assert checked_fractions((0.25, 1)) == [0.25, 1]


def test_curves_file_reads_back(tmp_path):
    outcome, intervals, _ = invented()
    table = summarise(outcome, GRID, intervals)
    write_curves(tmp_path / "curves.csv", table)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "curves.csv"), table, rtol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == ["curves.csv"]
