"""Parts of a network that stay as they are, or learn at a rate of their own."""

import pytest
import torch
from torch import nn

from auscult.mistake import Mistake
from auscult.modules.augmentation import Augmentation
from auscult.modules.classifier import Classifier

ADAMW = {"_target_": "torch.optim.AdamW", "lr": 0.01, "weight_decay": 0.5}
SCHEDULES = {
    "one cycle": {"_target_": "torch.optim.lr_scheduler.OneCycleLR", "max_lr": 0.01, "total_steps": None},
    "steps": {"_target_": "torch.optim.lr_scheduler.StepLR", "step_size": 5, "gamma": 0.5},
    "constant": {"_target_": "torch.optim.lr_scheduler.ConstantLR", "factor": 1.0},
}


def small() -> nn.Module:
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Conv1d(1, 4, 5), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.AdaptiveAvgPool1d(1))
    return named(encoder=encoder, flat=nn.Flatten(), head=nn.Linear(4, 3))


def named(**modules: nn.Module) -> nn.Module:
    network = nn.Sequential()
    for name, module in modules.items():
        network.add_module(name, module)
    return network


def classifier(schedule="steps", **options) -> Classifier:
    return Classifier(nn.Identity(), small(), Augmentation(), ["a", "b", "c"], ADAMW, SCHEDULES[schedule], **options)


def stepped(own: Classifier, steps: int = 12) -> list[list[float]]:
    """Trains on noise; the learning rates of the groups in each step."""
    optimizer, schedule = own.optimization(steps)
    rates = []
    for seed in range(steps):
        clips = torch.randn(6, 1, 40, generator=torch.Generator().manual_seed(seed))
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.zero_grad()
        nn.functional.cross_entropy(own(clips), torch.arange(6) % 3).backward()
        optimizer.step()
        schedule.step()
    return rates


def test_frozen_weights_and_statistics_are_bit_for_bit_the_same():
    own = classifier(frozen=["encoder"])
    before = {name: value.clone() for name, value in own.network.state_dict().items()}
    own.eval()
    own.train()  # as around a validation
    assert own.network.head.training and not own.network.encoder[2].training
    stepped(own)
    for name, value in own.network.state_dict().items():
        assert torch.equal(value, before[name]) == name.startswith("encoder"), name
    other = classifier()
    stepped(other)
    assert not torch.equal(other.network.encoder[1].running_mean, before["encoder.1.running_mean"])


def test_one_parameter_is_frozen_and_whole_names_count():
    own = classifier(frozen=["encoder.0.weight"])
    assert [name for name, weight in own.network.named_parameters() if not weight.requires_grad] == ["encoder.0.weight"]
    with pytest.raises(Mistake, match=r"model\.freeze: the network has no part enc that learns; choose of encoder"):
        classifier(frozen=["enc"])
    with pytest.raises(Mistake, match=r"has no part 1\.weight that learns; choose of encoder\.1\.weight"):
        classifier(frozen=["1.weight"])


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_part_learns_at_its_factor_of_the_others_rate_in_every_step(schedule):
    alone = [rates[0] for rates in stepped(classifier(schedule), 16)]
    own = classifier(schedule, factors={"encoder": 0.1, "encoder.1": 0.01})
    groups = own.optimization(16)[0].param_groups
    names = {id(weight): name for name, weight in own.network.named_parameters()}
    assert [[names[id(weight)] for weight in group["params"]] for group in groups] == [
        ["head.weight", "head.bias"], ["encoder.1.weight", "encoder.1.bias"], ["encoder.0.weight", "encoder.0.bias"]
    ]  # fmt: skip
    for (rest, normed, encoded), rate in zip(stepped(own, 16), alone, strict=True):
        assert rest == rate and encoded == pytest.approx(0.1 * rate) and normed == pytest.approx(0.01 * rate)


def test_unknown_parts_of_the_optimizer_are_refused():
    with pytest.raises(Mistake, match=r"optimizer\.parts: the network has no part heads that learns; choose of head"):
        classifier(factors={"heads": 0.1}).optimization(4)
