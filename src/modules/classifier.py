"""The LightningModule of every network: front end, network, loss, metrics, optimizer."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torchmetrics import MeanMetric

from auscult.modules.answers import ANSWERS, Answers, ClassAnswers
from auscult.modules.augmentation import Augmentation
from auscult.modules.batch_norm import first_steps
from auscult.modules.frozen import evaluate, freeze, groups_of
from auscult.parts import build_part

Batch = dict[str, Tensor]
OPTIMIZER_OPTIONS = (
    "name", "published", "schedule", "batch_size", "max_epochs", "max_steps", "gradient_clip_val", "parts",
)  # fmt: skip
OF_GROUPS = ("max_lr", "base_lr")  # learning rates in a schedule's options, one for each group of parameters


def lay_channels_last(network: nn.Module) -> None:
    """Reorders the weights of convolutions in memory, and so all activations; values stay as they are.

    Pooling and bfloat16 convolutions are then vectorised over channels. Measured on a CPU, a training step of AudioNet
    takes 0.75 of the time in float32 and 0.57 in bfloat16, and a training step of AlexNet 0.8.
    """
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # 2-D only
    for layer in network.modules():
        if isinstance(layer, nn.Conv1d):
            weight = layer.weight.data  # (out, in, K)
            layer.weight.data = weight.unsqueeze(2).to(memory_format=torch.channels_last).squeeze(2)


def optimizer_options(config: dict[str, Any]) -> dict[str, Any]:
    """The optimizer's own options in `optimizer`: its class and the arguments of that."""
    return {name: value for name, value in config["optimizer"].items() if name not in OPTIMIZER_OPTIONS}


class Classifier(LightningModule):
    """`front_end(waveform (B, C, T)) -> input`, `network(input) -> outputs (B, classes)`.

    Args:
        front_end: makes the network's input from waveforms, on the device.
        network: makes outputs from the input; relevance belongs to this input.
        augmentation: changes training waveforms and inputs.
        classes: names of the outputs, in their order: classes, tags, or the name of a number.
        optimizer: `_target_` and arguments of an optimizer, as in `conf/optimizer`.
        schedule: `_target_` and arguments of a learning-rate schedule, which steps after each batch; if it has
            `total_steps`, its value is filled in.
        seed: decides, with the epoch, what dropout and augmentation draw.
        answers: what the outputs mean; None: one of the classes, by their logits.
        frozen: names of the network's parts that stay as they are.
        factors: of the learning rates of the network's parts; that of others is 1.

    Raises:
        Mistake: the network has no such part.
    """

    def __init__(
        self,
        front_end: nn.Module,
        network: nn.Module,
        augmentation: Augmentation,
        classes: list[str],
        optimizer: dict[str, Any],
        schedule: dict[str, Any],
        seed: int = 0,
        answers: Answers | None = None,
        frozen: Sequence[str] = (),
        factors: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.front_end, self.network, self.augmentation = front_end, network, augmentation
        lay_channels_last(network)
        self.frozen, self.factors = list(frozen), dict(factors or {})
        freeze(network, self.frozen)
        self.classes, self.optimizer, self.schedule, self.seed = classes, optimizer, schedule, seed
        self.answers = ClassAnswers(classes) if answers is None else answers
        self.metrics = nn.ModuleDict()
        for stage in ("train", "val", "test"):
            names = self.answers.trained if stage == "train" else self.answers.measured
            own = nn.ModuleDict({name: self.answers.metric(name) for name in names})
            self.metrics[f"{stage}_metrics"] = nn.ModuleDict({"loss": MeanMetric(), **own})
        self.outputs: list[tuple[Tensor, Tensor, Tensor]] = []
        self.train()

    @classmethod
    def from_config(cls, config: dict[str, Any], classes: list[str]) -> "Classifier":
        """Builds the classifier that a resolved configuration (plain containers) describes."""
        model, allow = config["model"], config.get("allow", ())
        kind = config["task"].get("kind", "classes")  # cards of early checkpoints have none
        smoothing = {"label_smoothing": config["label_smoothing"]} if kind == "classes" else {}
        return cls(
            front_end=build_part("model.front_end", model["front_end"], allow),
            network=build_part("model.network", model["network"], allow, classes=len(classes)),
            augmentation=Augmentation(**config["augmentation"]),
            classes=classes,
            optimizer=optimizer_options(config),
            schedule=config["optimizer"]["schedule"],
            seed=config["seed"],
            answers=ANSWERS[kind](classes, **smoothing),
            frozen=model.get("freeze") or (),
            factors=config["optimizer"].get("parts"),
        )

    def train(self, mode: bool = True) -> "Classifier":
        """Switches to training, all but the frozen parts, or to evaluation."""
        super().train(mode)
        evaluate(self.network, self.frozen)
        return self

    def forward(self, waveform: Tensor) -> Tensor:
        """Outputs (B, classes) float32 of waveforms (B, C, T)."""
        return self.network(self.front_end(waveform)).float()

    def on_train_start(self) -> None:
        """Keeps the beginning of BatchNorm's running statistics out of them, see `FirstSteps`."""
        self.first_steps = first_steps(self.network)

    def on_train_end(self) -> None:
        """Gives each BatchNorm its own momentum back."""
        for steps, norm in self.first_steps:
            steps.end(norm)

    def on_train_epoch_start(self) -> None:
        """Seeds torch by seed, epoch and process, so that a resumed run draws the same as an uninterrupted one."""
        state = np.random.SeedSequence((self.seed, self.current_epoch, self.global_rank)).generate_state(1)
        torch.manual_seed(int(state[0]))

    def training_step(self, batch: Batch) -> Tensor:
        """The loss of a batch, after augmentation."""
        waveform = self.augmentation(batch["waveform"])
        input = self.front_end(waveform)
        if self.augmentation.masks:
            input = self.augmentation.masked(input, silence=self.front_end(torch.zeros_like(waveform[:1])))
        input, target = self.augmentation.mixed(input, batch["label"], len(self.classes))
        outputs = self.network(input).float()
        loss = self.answers.training_loss(outputs, target)
        self._observe("train", outputs, batch["label"], loss)
        return loss

    def validation_step(self, batch: Batch) -> None:
        """Measures a batch."""
        self._measure("val", batch)

    def test_step(self, batch: Batch) -> None:
        """Measures a batch and keeps its probabilities or numbers, see `predictions`."""
        outputs = self._measure("test", batch)
        self.outputs.append((batch["clip"].cpu(), batch["label"].cpu(), self.answers.read(outputs).cpu()))

    def on_test_epoch_start(self) -> None:
        """Forgets the predictions of the last test."""
        self.outputs.clear()

    def predictions(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The predictions of the last test: clips (N,), labels (N, ...), probabilities or numbers (N, C), by clip.

        It gathers from all processes, so all of them must call it.
        """
        own = tuple(torch.cat(parts) for parts in zip(*self.outputs, strict=True))
        shares: list[Any] = [own]
        if torch.distributed.is_initialized():
            shares = [None] * torch.distributed.get_world_size()
            torch.distributed.all_gather_object(shares, own)
        clips, labels, probabilities = (torch.cat(parts).numpy() for parts in zip(*filter(None, shares), strict=True))
        order = clips.argsort()
        return clips[order], labels[order], probabilities[order]

    def configure_optimizers(self) -> Any:
        """The optimizer, and its schedule, which steps after each batch."""
        optimizer, scheduler = self.optimization(int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def optimization(self, steps: int) -> tuple[Any, Any]:
        """Builds the optimizer and its learning-rate schedule for a number of steps.

        Raises:
            Mistake: one of them does not take its options.
        """
        groups = groups_of(self, self.network, self.factors)
        optimizer = build_part("optimizer", self.optimizer, arguments=[groups])
        for group in optimizer.param_groups:
            group["lr"] *= group["factor"]
        arguments = dict(self.schedule)
        for name in OF_GROUPS:
            if isinstance(rate := arguments.get(name), int | float):
                arguments[name] = [rate * group["factor"] for group in optimizer.param_groups]
        if "total_steps" in arguments:
            arguments["total_steps"] = max(16, steps)  # OneCycleLR divides by zero if its warm-up is a single step
        return optimizer, build_part("optimizer.schedule", arguments, arguments=[optimizer])

    def _measure(self, stage: str, batch: Batch) -> Tensor:
        outputs = self(batch["waveform"])
        self._observe(stage, outputs, batch["label"], self.answers.loss(outputs, batch["label"]))
        return outputs

    def _observe(self, stage: str, outputs: Tensor, labels: Tensor, loss: Tensor) -> None:
        metrics: Any = self.metrics[f"{stage}_metrics"]
        read = self.answers.read(outputs.detach())
        read = read[:, 0] if labels.dim() == 1 and labels.is_floating_point() else read  # a number
        for name, metric in metrics.items():
            if name == "loss":
                metric.update(loss.detach(), weight=len(labels))
            else:
                metric.update(read, labels)
        shown = {f"{stage}/{name}": metric for name, metric in metrics.items()}
        self.log_dict(shown, on_step=False, on_epoch=True, prog_bar=stage != "test", batch_size=len(labels))
