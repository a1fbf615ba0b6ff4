"""One question to a network: its probabilities are those of the whole, and relevance adds up."""

import pytest
import torch
from torch import nn

from auscult.explain.attribution.gradients import GradientXInput
from auscult.explain.attribution.lrp import LRP
from auscult.modules.narrowed import Groups, Likeness, OneNumber, OneTag


def network(outputs: int = 4) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, outputs)).double().eval()


def inputs(count: int = 6) -> torch.Tensor:
    return torch.randn(count, 1, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize(("one", "other"), [([0], [1]), ([0, 2], [1, 3]), ([3], [0, 1, 2])])
@pytest.mark.parametrize("is_contrast", [True, False])
def test_groups_have_the_networks_own_probability(one, other, is_contrast):
    whole, input = network(), inputs()
    shares = whole(input).softmax(1)
    expected = shares[:, one].sum(1) / shares[:, one + other].sum(1)
    given = Groups(whole, [one, other], is_contrast)(input)
    torch.testing.assert_close(given.softmax(1)[:, 0], expected)
    if not is_contrast:  # the softmax's normaliser is the only difference to the logarithm of the probability
        torch.testing.assert_close(given[:, 0], whole(input)[:, one].logsumexp(1))


def test_a_tag_has_its_own_probability():
    whole, input = network(), inputs()
    given = OneTag(whole, 2)(input)
    torch.testing.assert_close(given.softmax(1)[:, 1], whole(input)[:, 2].sigmoid())


@pytest.mark.parametrize("composite", ["epsilon", "epsilon_plus"])
@pytest.mark.parametrize(
    "narrow",
    [
        lambda whole: Groups(whole, [[0], [1]], True),
        lambda whole: Groups(whole, [[0, 2], [1, 3]], True),
        lambda whole: Groups(whole, [[0, 2], [1, 3]], False),
        lambda whole: OneTag(whole, 2),
        lambda whole: OneNumber(whole, 1),
    ],
)
def test_relevance_adds_up(narrow, composite):
    narrowed, input = narrow(network()), inputs()
    attribution = LRP(composite=composite)
    relevance = attribution(narrowed, input, torch.zeros(len(input), dtype=torch.int64))
    expected = narrowed(input)[:, 0].detach()
    total = relevance.flatten(1).sum(1) + attribution.biases + attribution.unshared
    torch.testing.assert_close(total, expected, atol=1e-4, rtol=1e-4)


def test_relevance_of_a_contrast_is_the_difference_of_that_of_its_classes():
    whole, input = network(), inputs()
    of = [GradientXInput()(whole, input, torch.full((len(input),), number)) for number in (0, 1)]
    given = GradientXInput()(Groups(whole, [[0], [1]], True), input, torch.zeros(len(input), dtype=torch.int64))
    torch.testing.assert_close(given, (of[0] - of[1]) / 2)


def test_a_clip_is_like_itself_and_opposite_embeddings_are_not():
    whole, input = network(8), inputs(2)
    likeness = Likeness(whole, whole(input[:1]).detach())
    first, second = likeness(input)[:, 0]
    assert first.item() == pytest.approx(1) and second < 1
    opposite = Likeness(whole, -whole(input[:1]).detach())
    assert opposite(input[:1]).item() == pytest.approx(-1)
