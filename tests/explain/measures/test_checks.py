"""Relevance is asked again of changed networks and clips: of which, is what these tests look at."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from auscult.explain.attribution.base import Attribution
from auscult.explain.attribution.controls import Amplitude, Random
from auscult.explain.attribution.gradients import Gradient, GradientXInput
from auscult.explain.domain.domains import Frequency, Input, TimeFrequency
from auscult.explain.domain.explain import explain
from auscult.explain.measures.checks import Checks, cascading, layers_of, noisy
from auscult.explain.measures.measure import Clips
from tests.explain.domain.test_domains import SAMPLES, classifier, clips

TARGET = torch.tensor([2, 0])
ROWS, CLIPS = np.arange(2), torch.tensor([4, 9])


class Located(Attribution):
    """The sound's own magnitude: it moves with the sound and takes no other notice."""

    asks_logits_only = True

    def __call__(self, network: nn.Module, input: Tensor, target: Tensor) -> Tensor:
        return input.abs()


class Fixed(Attribution):
    """What lies at the start, whatever is heard."""

    asks_logits_only = True

    def __call__(self, network: nn.Module, input: Tensor, target: Tensor) -> Tensor:
        return torch.arange(input[0].numel(), dtype=torch.float32).view(input[:1].shape).expand(input.shape).neg()


def check(attribution: Any, kind: str = "waveform", view: Any = Input, clips_checked: int = 2) -> dict[str, Tensor]:
    made, waveform = classifier(kind), clips()
    windows = {"window_seconds": 0.057, "hop_seconds": 0.014} if view is TimeFrequency else {}
    domain = view(made, SAMPLES, **windows)
    explained = explain(domain, attribution, waveform, TARGET)
    checks = Checks(made, domain, attribution, clips_checked, 2)
    found = checks(Clips(waveform, TARGET, CLIPS, ROWS, explained))
    assert [*found] == [*checks.columns] == [*checks.names, "cascade"] and checks.layers == found["cascade"].shape[
        1
    ] == 2
    return found


def test_layers_lose_what_they_learnt_from_the_last_to_the_first_and_get_it_back():
    network = nn.Sequential(nn.Linear(4, 5), nn.Sequential(nn.ReLU(), nn.Linear(5, 6)), nn.Linear(6, 2))
    before = [parameter.detach().clone() for parameter in network.parameters()]

    def changed() -> list[bool]:
        return [not torch.equal(old, new) for old, new in zip(before, network.parameters(), strict=True)]

    stages = []
    for _ in cascading(network):
        stages.append(changed())
        for old, new in zip(before, network.parameters(), strict=True):
            assert torch.equal(old.flatten().sort().values, new.flatten().sort().values)  # of the same values
    weights = [any(stage[2 * layer : 2 * layer + 2]) for stage in stages for layer in range(3)]
    assert weights == [False, False, True, False, True, True, True, True, True]
    assert not any(changed())
    stopped = cascading(network)
    next(stopped)
    stopped.close()  # as where an attribution fails meanwhile
    assert not any(changed()) and len(layers_of(network)) == 3


@pytest.mark.parametrize("attribution", [Amplitude(), Random(0), Located()])
def test_what_never_asks_the_network_never_changes(attribution):
    found = check(attribution)
    torch.testing.assert_close(found["cascade"], torch.ones(2, 2))
    torch.testing.assert_close(found["sanity/all_layers"], torch.ones(2))


def test_similarity_is_that_to_the_randomised_networks_gradient():
    made, waveform = classifier("waveform"), clips()
    found = check(Gradient())
    input = made.front_end(waveform)
    trained = Gradient()(made.network, input, TARGET)
    for stage in cascading(made.network):
        other = Gradient()(made.network, input, TARGET)
        for clip in range(2):
            expected = spearmanr(trained[clip, 0], other[clip, 0]).statistic
            assert found["cascade"][clip, stage].item() == pytest.approx(expected, abs=1e-5)
    assert torch.equal(found["cascade"][:, -1], found["sanity/all_layers"])
    assert found["sanity/all_layers"].abs().max() < 0.9


@pytest.mark.parametrize(
    ("kind", "view"),
    [("waveform", Input), ("spectrogram", Input), ("waveform", TimeFrequency), ("mel", Input), ("waveform", Frequency)],
)
def test_relevance_that_moves_with_the_sound_is_equivariant(kind, view):
    found = check(Located(), kind, view)
    assert (found["robustness/shift"] > 0.99).all()
    assert (found["robustness/gain"] > 0.99).all()
    assert (found["robustness/noise"] < 0.9999).any() and (found["robustness/noise"] > 0.5).all()


def test_relevance_that_stays_where_it_is_is_not():
    """In time; frequencies are the whole clip's, and are to stay."""
    assert (check(Fixed(), view=Frequency)["robustness/shift"] > 0.99).all()
    moving = check(RandomWalk())["robustness/shift"]
    assert (moving < 0.9).all()


class RandomWalk(Attribution):
    """Rough and always the same."""

    asks_logits_only = True

    def __call__(self, network: nn.Module, input: Tensor, target: Tensor) -> Tensor:
        return torch.randn(input.shape[1:], generator=torch.Generator().manual_seed(0)).expand(input.shape)


def test_only_some_clips_are_checked_evenly_over_all():
    made, waveform = classifier("waveform"), clips()
    domain = Input(made, SAMPLES)
    checks = Checks(made, domain, GradientXInput(), 3, 101)
    assert checks.rows.tolist() == [0, 50, 100]
    explained = explain(domain, GradientXInput(), waveform, TARGET)
    found = checks(Clips(waveform, TARGET, CLIPS, np.array([49, 50]), explained))
    for values in found.values():
        assert values[0].isnan().all() and not values[1].isnan().any()
    none = checks(Clips(waveform, TARGET, CLIPS, np.array([1, 2]), explained))
    assert all(values.isnan().all() for values in none.values())


def test_noise_is_faint_the_clips_own_and_not_in_digital_silence():
    waveform = clips()
    changed = noisy(waveform, CLIPS)
    assert torch.equal(changed[waveform == 0], waveform[waveform == 0])
    noise = (changed - waveform)[waveform != 0]
    ratio = 20 * torch.log10(noise.square().mean().sqrt() / waveform[waveform != 0].square().mean().sqrt())
    assert ratio.item() == pytest.approx(-30, abs=0.5)
    torch.testing.assert_close(noisy(waveform[1:], CLIPS[1:]), changed[1:])
    assert not torch.equal(noisy(waveform[1:], CLIPS[:1]), changed[1:])
