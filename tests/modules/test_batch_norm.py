import copy

import pytest
import torch
from torch import nn

from auscult.modules.batch_norm import first_steps
from tests.modules.test_classifier import CLASSES, SAMPLES, batches, classifier, trainer


def steps(count: int, seed: int = 0) -> list[torch.Tensor]:
    """Batches (B, 3) with a mean far from 0 and a variance far from 1."""
    draw = torch.Generator().manual_seed(seed)
    return [5 + 0.1 * torch.randn(16, 3, generator=draw) for _ in range(count)]


@pytest.mark.parametrize("count", [1, 4, 10])
def test_the_first_steps_count_alike(count):
    norm = nn.BatchNorm1d(3).train()
    first_steps(nn.Sequential(norm))
    for batch in steps(count):
        norm(batch)
    whole = torch.stack(steps(count))  # (steps, B, 3)
    torch.testing.assert_close(norm.running_mean, whole.mean((0, 1)))
    torch.testing.assert_close(norm.running_var, whole.var(1).mean(0))


def test_later_steps_count_as_usual():
    """From step 10 on, a momentum of 0.1 forgets as it would, from statistics that began well."""
    norm, usual = nn.BatchNorm1d(3).train(), nn.BatchNorm1d(3).train()
    first_steps(norm)
    for number, batch in enumerate(steps(30)):
        norm(batch)
        if number < 9:
            usual.load_state_dict(norm.state_dict())
        else:
            usual(batch)
    torch.testing.assert_close(norm.running_mean, usual.running_mean)
    assert norm.momentum == 0.1 and not norm._forward_pre_hooks


def test_a_resumed_training_is_that_of_an_uninterrupted_one():
    whole, part = nn.BatchNorm1d(3).train(), nn.BatchNorm1d(3).train()
    first_steps(whole)
    first_steps(part)
    for batch in steps(8)[:3]:
        whole(batch)
        part(batch)
    resumed = nn.BatchNorm1d(3).train()
    resumed.load_state_dict(part.state_dict())
    first_steps(resumed)
    for batch in steps(8)[3:]:
        whole(batch)
        resumed(batch)
    torch.testing.assert_close(resumed.running_var, whole.running_var, rtol=0, atol=0)


@pytest.mark.parametrize("counted", [True, False])
def test_statistics_of_another_training_are_kept(counted):
    """Also where old files of weights have no count of the steps."""
    norm = nn.BatchNorm1d(3).train()
    with torch.no_grad():
        norm.running_mean.fill_(2.0)
        norm.num_batches_tracked.fill_(5000 if counted else 0)
    usual = copy.deepcopy(norm)
    first_steps(norm)
    for batch in steps(3):
        norm(batch)
        usual(batch)
    torch.testing.assert_close(norm.running_mean, usual.running_mean, rtol=0, atol=0)


def test_evaluation_and_other_norms_are_left_alone():
    network = nn.Sequential(
        nn.BatchNorm1d(3, momentum=None), nn.BatchNorm1d(3, track_running_stats=False), nn.LayerNorm(3)
    )
    assert first_steps(network) == []
    norm = nn.BatchNorm1d(3).eval()
    [(begun, _)] = first_steps(norm)
    norm(steps(1)[0])
    assert norm.momentum == 0.1 and int(norm.num_batches_tracked) == 0
    begun.end(norm)
    assert not norm._forward_pre_hooks


def test_a_short_training_knows_its_own_statistics():
    """Their beginning would be most of them after three steps."""
    norm = nn.BatchNorm1d(SAMPLES)
    network = nn.Sequential(norm, nn.Linear(SAMPLES, len(CLASSES)))
    module = classifier(network=network, optimizer={"_target_": "torch.optim.SGD", "lr": 0.0})
    data = batches(32, 32, 32)
    trainer(max_epochs=1).fit(module, data)
    inputs = torch.cat([2 * batch["waveform"].flatten(1) for batch in data])
    torch.testing.assert_close(norm.running_var, inputs.var(0), rtol=0.1, atol=0.01)
    assert norm.momentum == 0.1 and not norm._forward_pre_hooks
