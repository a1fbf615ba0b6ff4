from typing import Any

import numpy as np
import pytest
import torch
from pytorch_lightning import Callback, Trainer, seed_everything
from torch import Tensor, nn
from torch.utils.data import DataLoader

from auscult.modules.answers import ClassAnswers
from auscult.modules.augmentation import Augmentation
from auscult.modules.classifier import Classifier, lay_channels_last
from auscult.program import config
from tests.program.test_config import composed

pytestmark = [pytest.mark.filterwarnings(f"ignore:.*{text}.*") for text in ("LeafSpec", "val_dataloader", "workers")]
SAMPLES, CLASSES = 64, ["a", "b", "c"]


class Doubled(nn.Module):
    def forward(self, waveform: Tensor) -> Tensor:
        return 2 * waveform.flatten(1)


class Small(nn.Module):
    def __init__(self, classes: int = len(CLASSES), dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(SAMPLES, 16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, classes))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layers(inputs)


def batches(*sizes: int) -> DataLoader[Any]:
    """Noise on top of a tone per class."""
    random = torch.Generator().manual_seed(0)
    made = []
    for size in sizes:
        label = torch.randint(len(CLASSES), (size,), generator=random)
        tone = torch.sin(torch.arange(SAMPLES) * (0.3 + 0.5 * label[:, None]))
        waveform = 0.3 * tone + 0.1 * torch.randn(size, SAMPLES, generator=random)
        clip = torch.arange(size) + 100 * len(made)
        made.append({"waveform": waveform[:, None], "label": label, "clip": clip})
    return DataLoader(made, batch_size=None)


def classifier(**arguments: Any) -> Classifier:
    given: dict[str, Any] = {
        "front_end": Doubled(),
        "network": Small(),
        "augmentation": Augmentation(),
        "classes": CLASSES,
        "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.1},
        "schedule": {"_target_": "torch.optim.lr_scheduler.ConstantLR"},
    }
    return Classifier(**given | arguments)


def trainer(**arguments: Any) -> Trainer:
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return Trainer(accelerator="cpu", num_sanity_val_steps=0, **quiet | arguments)


def cross_entropy(logits: Tensor, label: Tensor, smoothing: float = 0.0) -> np.ndarray:
    """Per clip, in float64, from the definition: the target is `smoothing` uniform, the rest on the label."""
    numbers = logits.double().detach().numpy()
    logs = numbers - np.log(np.exp(numbers).sum(1, keepdims=True))
    target = np.full(logs.shape, smoothing / logs.shape[1])
    target[np.arange(len(label)), label] += 1 - smoothing
    return -(target * logs).sum(1)


def test_logits_are_the_networks_of_the_front_ends_view():
    front_end, network = Doubled(), Small()
    built = classifier(front_end=front_end, network=network)
    waveform = torch.randn(5, 1, SAMPLES)
    assert built.front_end is front_end and built.network is network
    assert torch.equal(built(waveform), network(2 * waveform[:, 0]))


def test_labels_are_smoothed_in_training_only(monkeypatch):
    built = classifier(answers=ClassAnswers(CLASSES, label_smoothing=0.3))
    monkeypatch.setattr(built, "log_dict", lambda *_, **__: None)
    (batch,) = batches(8)
    logits = built(batch["waveform"])
    trained = built.training_step(batch)
    assert trained.item() == pytest.approx(cross_entropy(logits, batch["label"], smoothing=0.3).mean(), abs=1e-5)
    built.validation_step(batch)
    plain = cross_entropy(logits, batch["label"]).mean()
    assert built.metrics["val_metrics"]["loss"].compute().item() == pytest.approx(plain, abs=1e-5)


def test_metrics_are_means_over_clips():
    built = classifier()
    data = batches(8, 8, 3)  # the short batch must not count as much as the others
    ran = trainer()
    ran.test(built, data, verbose=False)
    every = {name: torch.cat([batch[name] for batch in data]) for name in ("waveform", "label", "clip")}
    logits = built(every["waveform"])
    assert ran.callback_metrics["test/loss"] == pytest.approx(cross_entropy(logits, every["label"]).mean(), abs=1e-5)
    right = (logits.argmax(1) == every["label"]).double().mean()
    assert 0 < right < 1 and ran.callback_metrics["test/accuracy"] == pytest.approx(right.item())

    clips, labels, probabilities = built.predictions()
    assert clips.tolist() == every["clip"].tolist() and labels.tolist() == every["label"].tolist()
    numbers = np.exp(logits.detach().numpy())
    np.testing.assert_allclose(probabilities, numbers / numbers.sum(1, keepdims=True), atol=1e-6)


class Recorder(Callback):
    """The learning rate of each step."""

    def __init__(self) -> None:
        self.rates: list[float] = []

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])


def configured(*overrides: str) -> dict[str, Any]:
    checked = config.check(composed(*overrides))
    checked["allow"] = [__name__]
    checked["model"]["front_end"] = {"_target_": f"{__name__}.Doubled"}
    checked["model"]["network"] = {"_target_": f"{__name__}.Small"}
    return checked


def run_as_configured(*overrides: str) -> tuple[Classifier, list[float]]:
    checked, recorder = configured(*overrides), Recorder()
    built = Classifier.from_config(checked, CLASSES)
    limits = {name: checked["trainer"][name] for name in ("max_epochs", "max_steps", "gradient_clip_val")}
    trainer(callbacks=[recorder], **limits).fit(built, batches(4, 4, 4, 4, 4))
    return built, recorder.rates


def test_adamw_goes_through_one_cycle():
    built, rates = run_as_configured("optimizer=adamw", "trainer.max_epochs=6", "optimizer.lr=0.02")
    own: Any = built.optimizers(use_pl_optimizer=False)
    assert type(own) is torch.optim.AdamW and own.param_groups[0]["weight_decay"] == 0.05
    other = torch.optim.AdamW(Small().parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(other, max_lr=0.02, pct_start=0.25, total_steps=6 * 5)
    expected = []
    for _ in range(30):
        expected.append(schedule.get_last_lr()[0])
        other.step()
        schedule.step()
    assert rates == pytest.approx(expected)
    assert max(rates) == pytest.approx(0.02, rel=0.01) and rates[-1] < 1e-5


def test_the_published_solver_halves_its_rate():
    given = ["optimizer=paper", "model=alexnet", "model.solver.halve_every=4", "model.solver.max_steps=14"]
    built, rates = run_as_configured(*given)
    own: Any = built.optimizers(use_pl_optimizer=False)
    assert type(own) is torch.optim.SGD and own.param_groups[0]["momentum"] == 0.9
    assert rates == pytest.approx([1e-3 * 0.5 ** (step // 4) for step in range(14)])


def trained(seed: int) -> dict[str, Tensor]:
    seed_everything(seed, verbose=False)
    built = classifier(network=Small(dropout=0.5), augmentation=Augmentation(speed=0.2, gain_db=6), seed=seed)
    trainer(max_epochs=3).fit(built, batches(8, 8))
    return built.network.state_dict()


def test_the_seed_decides_the_weights_to_the_last_bit():
    one, same, other = trained(1), trained(1), trained(2)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not any(torch.equal(one[name], other[name]) for name in one)


def test_it_learns():
    built, data = classifier(optimizer={"_target_": "torch.optim.AdamW", "lr": 0.02}), batches(16, 16)
    losses = []
    for epochs in (0, 15):
        ran = trainer(max_epochs=epochs)
        if epochs:
            ran.fit(built, data)
        ran.test(built, data, verbose=False)
        losses.append(float(ran.callback_metrics["test/loss"]))
    assert losses[1] < 0.2 * losses[0] and ran.callback_metrics["test/accuracy"] == 1


def test_the_order_of_weights_in_memory_changes_no_value() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv1d(1, 6, 3), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(6, 4, 3), nn.Flatten())
    waveform = torch.randn(2, 1, 20)
    before = network(waveform)

    lay_channels_last(network)

    assert network[3].weight.stride() == (18, 1, 6) and network[0](waveform).stride(1) == 1
    torch.testing.assert_close(network(waveform), before)
