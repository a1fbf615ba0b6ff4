import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import softmax
from torch import Tensor, nn

from auscult.explain.measures.metrics import (
    entropy,
    gini,
    masked,
    mass_accuracy,
    pointing_game,
    rank_accuracy,
    similarity,
)

LOCALISATION = [rank_accuracy, mass_accuracy, pointing_game]
RELEVANCE = torch.tensor(
    [[[[-5, 2, -4, 3], [-3, 4, -2, 5], [-1, 6, 0, 7]]], [[[1, -5, 2, -4], [3, -3, 4, -2], [5, -1, 6, 0]]]]
).float()  # (2, 1, 3, 4)
MASK = torch.tensor(
    [[[[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0]]], [[[1, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]]]
).bool()  # (2, 1, 3, 4)
ZEROS = torch.zeros(1, 2)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def close(values: Tensor, expected: list[float], tolerance: float = 1e-6) -> None:
    np.testing.assert_allclose(values, expected, rtol=tolerance, atol=1e-7)


def test_numbers_are_those_of_quantus():
    """Of Quantus 0.6.0, for RELEVANCE and MASK: abs=True for the first two, else abs=False, and normalise=False."""
    close(entropy(RELEVANCE), [2.287172674400269, 2.2696438954189864])  # Complexity
    close(gini(RELEVANCE), [0.32142833809556476, 0.33796257314869393], 2e-6)  # Sparseness, which adds 1e-7 to each
    close(rank_accuracy(RELEVANCE, MASK), [0.5, 0])  # RelevanceRankAccuracy
    # RelevanceMassAccuracy, of RELEVANCE.clip(0): it would take negative relevance from both the mask's and the sum
    close(mass_accuracy(RELEVANCE, MASK), [0.37037043374478695, 0.1428573142855086], 4e-6)
    close(pointing_game(RELEVANCE, MASK), [0, 0])  # PointingGame
    around = MASK.clone()
    around[0, 0, 2, 3] = True
    close(pointing_game(RELEVANCE, around), [1, 0])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-9, 9), min_size=1, max_size=20).filter(any))
def test_complexity_follows_from_its_definition(values):
    relevance = torch.tensor([values], dtype=torch.float32)
    magnitude, n = np.abs(np.array(values, float)), len(values)
    assert entropy(relevance).item() == pytest.approx(stats.entropy(magnitude), abs=1e-5)
    difference = np.abs(magnitude[:, None] - magnitude).mean()  # half of it, over the mean, is the Gini index
    assert gini(relevance).item() == pytest.approx(difference / 2 / magnitude.mean(), abs=1e-5)
    assert -1e-6 <= entropy(relevance).item() <= math.log(n) + 1e-6
    assert -1e-6 <= gini(relevance).item() <= 1 - 1 / n + 1e-6


@pytest.mark.parametrize("n", [1, 5, 8000])
def test_complexity_of_the_simplest_and_the_most_complex_relevance(n):
    relevance = torch.stack([torch.full((n,), -0.3), torch.eye(n)[n // 2] * 7])
    close(entropy(relevance), [math.log(n), 0], 1e-5)
    np.testing.assert_allclose(gini(relevance), [0, 1 - 1 / n], atol=1e-5)


def test_no_relevance_is_neither_simple_nor_complex():
    relevance = torch.stack([torch.zeros(6), torch.ones(6)])
    assert entropy(relevance).isnan().tolist() == gini(relevance).isnan().tolist() == [True, False]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(-4, 4), st.booleans()), min_size=1, max_size=12), st.randoms())
def test_scale_and_order_of_the_features_do_not_matter(features, random):
    def of(features: list[tuple[int, bool]], scale: float) -> list[Tensor]:
        relevance = torch.tensor([[value for value, _ in features]]) * scale
        mask = torch.tensor([[inside for _, inside in features]])
        return [entropy(relevance), gini(relevance), *(metric(relevance, mask) for metric in LOCALISATION)]

    shuffled = random.sample(features, len(features))
    for given_, other in zip(of(features, 1.0), of(shuffled, 1e-6), strict=True):
        assert given_.shape == (1,)
        torch.testing.assert_close(given_, other, equal_nan=True)


def test_localisation_worked_out_by_hand():
    relevance = torch.tensor([[5.0, 4, 3, -2, -9], [5, 4, 3, -2, -9], [1, 1, 1, 1, 0]])
    mask = torch.tensor([[1, 0, 1, 0, 0], [0, 0, 0, 1, 1], [0, 1, 0, 0, 1]]).bool()
    close(
        rank_accuracy(relevance, mask), [1 / 2, 0, 1 / 4]
    )  # of four alike, one in the mask, and two places: half a hit
    close(mass_accuracy(relevance, mask), [8 / 12, 0, 1 / 4])
    close(pointing_game(relevance, mask), [1, 0, 1 / 4])


@pytest.mark.parametrize("metric", LOCALISATION)
def test_localisation_knows_all_and_nothing(metric):
    relevance, whole = draw(4, 1, 5, 6), torch.ones(4, 1, 5, 6, dtype=torch.bool)
    relevance[3] = -relevance[3].abs()
    assert metric(relevance, whole)[:3].tolist() == [1, 1, 1]
    assert metric(relevance, whole)[3].isnan()
    assert metric(relevance, ~whole).isnan().all()
    positive = relevance > 0
    assert metric(relevance, positive)[:3].tolist() == [1, 1, 1]
    assert metric(relevance, ~positive)[:3].tolist() == [0, 0, 0] or metric is rank_accuracy


@pytest.mark.parametrize("metric", LOCALISATION)
def test_random_relevance_is_in_place_as_often_as_the_mask_is_large(metric):
    mask = torch.arange(20) % 5 == 0
    found = metric(draw(4000, 20), mask.expand(4000, 20))
    assert found.mean() == pytest.approx(0.2, abs=0.025)


def answers_of(network: nn.Module, input: Tensor, relevance: Tensor, silence: Tensor) -> dict[str, Tensor]:
    with torch.no_grad():
        return masked(network, input, relevance, silence, network(input))


def linear(*weights: list[float]) -> nn.Linear:
    network = nn.Linear(len(weights[0]), len(weights), bias=False)
    network.weight = nn.Parameter(torch.tensor(weights))
    return network


def test_masked_answers_worked_out_by_hand():
    network = linear([1.0, 1.0, 1.0], [0.0, 0.0, 0.0])
    input = torch.tensor([[2.0, 1.0, -2.0], [2.0, 1.0, -2.0], [-2.0, -1.0, 2.0]])  # logits 1, 1, -1 against 0
    relevance = torch.tensor([[4.0, 2.0, -3.0], [-1.0, 0.0, 4.0], [8.0, 4.0, -8.0]])
    answers = answers_of(network, input, relevance, torch.zeros(1, 3))
    # m = (1, 1/2, 0), (0, 0, 1), (1, 1/2, 0); masked in, the logit is 2.5, -2, -2.5, and masked out -1.5, 3, 1.5
    p = 1 / (1 + math.exp(-1))
    o = [1 / (1 + math.exp(-logit)) for logit in (2.5, -2, 2.5)]
    left = [1 / (1 + math.exp(-logit)) for logit in (-1.5, 3, -1.5)]
    close(answers["increase"], [1, 0, 1])
    close(answers["drop"], [0, (p - o[1]) / p, 0])
    close(answers["gain"], [(o[0] - p) / (1 - p), 0, (o[2] - p) / (1 - p)])
    close(answers["faithfulness"], [p - each for each in left])
    close(answers["fidelity_in"], [1, 0, 1])


def test_masked_about_a_silence_that_is_not_zero():
    network = linear([1.0, 0.0], [0.0, 1.0])
    answers = answers_of(
        network, torch.tensor([[-10.0, -30.0]]), torch.tensor([[1.0, 0.0]]), torch.tensor([[-80.0, -80.0]])
    )
    close(answers["faithfulness"], [1])  # logits -10 and -30; masked out -80 and -30
    close(answers["gain"], [1 - math.exp(20 - 70)])  # masked in, -10 and -80
    assert answers["increase"].tolist() == [1]  # although in float32 both probabilities are 1
    assert answers["drop"].tolist() == [0]


def test_masked_where_probabilities_round_to_one():
    answers = answers_of(
        linear([1.0, 1.0], [0.0, 0.0]), torch.tensor([[41.0, -1.0]]), torch.tensor([[1.0, -1.0]]), ZEROS
    )
    close(answers["gain"], [1 - math.exp(-1)], 1e-5)  # logits 40 and 41


def test_relevance_that_is_nowhere_positive_keeps_nothing():
    network, input = linear([1.0, 2.0], [0.0, 0.0]), torch.tensor([[1.0, 1.0]])
    answers = answers_of(network, input, torch.tensor([[-1.0, 0.0]]), ZEROS)
    p = 1 / (1 + math.exp(-3))
    assert answers["faithfulness"].tolist() == answers["gain"].tolist() == answers["increase"].tolist() == [0]
    close(answers["drop"], [(p - 0.5) / p])


class OfSpectrum(nn.Module):
    """A linear network of the signals (B, 16) whose Fourier coefficients (B, 9) it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = draw(16, 3, seed=5)

    def forward(self, coefficients: Tensor) -> Tensor:
        return torch.fft.irfft(coefficients, 16) @ self.weight


def test_masked_of_complex_inputs():
    network, input = OfSpectrum(), torch.fft.rfft(draw(4, 16))
    relevance = draw(4, 9, seed=2)
    answers = answers_of(network, input, relevance, torch.zeros(1, 9))
    kept = relevance.clip(0).double().numpy()
    kept /= kept.max(1, keepdims=True)
    probabilities = []
    for of in (np.ones_like(kept), kept, 1 - kept):
        signal = np.fft.irfft(input.numpy() * of, 16)
        probabilities.append(softmax(signal @ network.weight.numpy(), axis=1))
    chosen = probabilities[0].argmax(1)
    p, o, left = (each[np.arange(4), chosen] for each in probabilities)
    expected = {"increase": p < o, "drop": np.maximum(p - o, 0) / p, "gain": np.maximum(o - p, 0) / (1 - p)}
    expected |= {"faithfulness": p - left, "fidelity_in": probabilities[1].argmax(1) == chosen}
    assert list(answers) == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(answers[name], values, rtol=1e-4, atol=1e-6, err_msg=name)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=2, max_size=15))
def test_similarity_is_spearmans(pairs):
    one, other = (torch.tensor([values], dtype=torch.float32) for values in zip(*pairs, strict=True))
    found = similarity(one.view(1, 1, -1), other.view(1, 1, -1))
    constant = len(set(one[0].tolist())) == 1 or len(set(other[0].tolist())) == 1
    expected = 0.0 if constant else stats.spearmanr(one[0], other[0]).statistic
    assert found.item() == pytest.approx(expected, abs=1e-6)


def test_similarity_is_each_clips_own_and_knows_no_scale():
    one, other = draw(3, 1, 40), draw(3, 1, 40, seed=1)
    both = similarity(one, other)
    assert both.shape == (3,)
    for clip in range(3):
        torch.testing.assert_close(similarity(one[clip : clip + 1], other[clip : clip + 1]), both[clip : clip + 1])
    torch.testing.assert_close(similarity(one, 1e-9 * other.exp()), both)
    close(similarity(one, one), [1, 1, 1])
    close(similarity(one, -one), [-1, -1, -1])
