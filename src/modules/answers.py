"""What the outputs of a network mean: one class of several, tags that hold or do not, or a number.

Each kind says how outputs are trained, measured and read. A batch of outputs is (B, C), with a logit for each class or
tag; for a number it is (B, 1).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, Metric, PearsonCorrCoef
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassF1Score,
    MulticlassRecall,
    MultilabelAUROC,
    MultilabelAveragePrecision,
    MultilabelF1Score,
)

LEAST_SPREAD = 1e-6  # of a number that is the same for all clips


class Answers(nn.Module, ABC):
    """How the outputs of a network are trained, measured and read.

    Args:
        names: of the outputs, in their order.

    Attributes:
        kind: its name in `task.kind`.
        measured: metrics of validation and test by name, and whether higher is better; the first chooses the best
            checkpoint, unless the options say otherwise.
        trained: those of them that are also measured in training.
    """

    kind: ClassVar[str]
    measured: ClassVar[dict[str, bool]]
    trained: ClassVar[Sequence[str]]

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = list(names)

    def prepare(self, labels: Tensor, is_balanced: bool) -> None:
        """Learns from the labels of all training clips, (N, ...), what the loss needs to know.

        Args:
            is_balanced: whether rare classes or tags weigh as much as common ones.
        """

    @abstractmethod
    def metric(self, name: str) -> Metric:
        """A metric of `measured`, which takes `read(outputs)` and labels."""

    @abstractmethod
    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of outputs (B, C), a scalar, as it is measured."""

    def training_loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of outputs (B, C), a scalar, as it is trained."""
        return self.loss(outputs, labels)

    @abstractmethod
    def read(self, outputs: Tensor) -> Tensor:
        """Probabilities (B, C) of outputs (B, C), or numbers (B, 1)."""

    def whole(self, network: nn.Module) -> nn.Module:
        """The network whose outputs are in the unit of the answer."""
        return network


class ClassAnswers(Answers):
    """One class of several holds; outputs are logits.

    Args:
        names: of the classes.
        label_smoothing: share of the target spread over all classes, in training only.
    """

    kind = "classes"
    measured: ClassVar[dict[str, bool]] = {"accuracy": True, "balanced_accuracy": True, "f1": True}
    trained = ("accuracy",)
    weight: Tensor | None

    def __init__(self, names: Sequence[str], label_smoothing: float = 0.0) -> None:
        super().__init__(names)
        self.label_smoothing = label_smoothing
        self.register_buffer("weight", None, persistent=False)

    def prepare(self, labels: Tensor, is_balanced: bool) -> None:
        """See `Answers.prepare`: a class weighs the mean number of clips of a class over its own."""
        if is_balanced:
            counts = torch.bincount(labels, minlength=len(self.names)).float()
            self.weight = (counts.sum() / (counts > 0).sum() / counts.clamp(min=1)).to(labels.device)

    def metric(self, name: str) -> Metric:
        """See `Answers.metric`."""
        count = len(self.names)
        if name == "accuracy":
            return MulticlassAccuracy(count, average="micro")
        return BalancedAccuracy(count) if name == "balanced_accuracy" else MulticlassF1Score(count, average="macro")

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Cross entropy with labels (B,) int64."""
        return nn.functional.cross_entropy(outputs, labels)

    def training_loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Weighted and smoothed cross entropy with labels (B,) int64, or shares of classes (B, C)."""
        return nn.functional.cross_entropy(outputs, labels, self.weight, label_smoothing=self.label_smoothing)

    def read(self, outputs: Tensor) -> Tensor:
        """The softmax."""
        return outputs.softmax(1)


class TagAnswers(Answers):
    """Any number of tags hold; outputs are the logits of each, by itself."""

    kind = "tags"
    measured: ClassVar[dict[str, bool]] = {"map": True, "f1": True, "auc": True}
    trained = ("f1",)
    weight: Tensor | None

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(names)
        self.register_buffer("weight", None, persistent=False)

    def prepare(self, labels: Tensor, is_balanced: bool) -> None:
        """See `Answers.prepare`: the clips that have a tag weigh as much as those that do not."""
        if is_balanced:
            present = labels.sum(0)
            self.weight = (len(labels) - present) / present.clamp(min=1)

    def metric(self, name: str) -> Metric:
        """See `Answers.metric`; means over the tags that some clips have and, for the area, some have not."""
        kinds: dict[str, Any] = {"map": MultilabelAveragePrecision, "f1": MultilabelF1Score, "auc": MultilabelAUROC}
        return MeanOverTags(kinds[name](len(self.names), average="none"), len(self.names), needs_both=name == "auc")

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Binary cross entropy with labels (B, C) of 0 and 1, the mean over tags."""
        return nn.functional.binary_cross_entropy_with_logits(outputs, labels)

    def training_loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Weighted binary cross entropy with labels (B, C) from 0 to 1."""
        return nn.functional.binary_cross_entropy_with_logits(outputs, labels, pos_weight=self.weight)

    def read(self, outputs: Tensor) -> Tensor:
        """The sigmoid of each."""
        return outputs.sigmoid()


class NumberAnswers(Answers):
    """A number; the network gives it in units of the spread of training labels, counted from their mean.

    Attributes:
        mean, spread: of the training labels, (1,); part of the checkpoint.
    """

    kind = "number"
    measured: ClassVar[dict[str, bool]] = {"mae": False, "correlation": True}
    trained = ("mae",)
    mean: Tensor
    spread: Tensor

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(names)
        self.register_buffer("mean", torch.zeros(1))
        self.register_buffer("spread", torch.ones(1))

    def prepare(self, labels: Tensor, is_balanced: bool) -> None:
        """See `Answers.prepare`."""
        self.mean.copy_(labels.mean())
        self.spread.copy_(labels.std(correction=0).clamp(min=LEAST_SPREAD))

    def metric(self, name: str) -> Metric:
        """See `Answers.metric`: the mean absolute error, or Pearson's correlation."""
        return MeanAbsoluteError() if name == "mae" else PearsonCorrCoef()

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """The mean square error over labels (B,), in squares of the spread."""
        return nn.functional.mse_loss(outputs[:, 0], (labels - self.mean) / self.spread)

    def read(self, outputs: Tensor) -> Tensor:
        """Numbers (B, 1) in their own unit."""
        return outputs * self.spread + self.mean

    def whole(self, network: nn.Module) -> nn.Module:
        """See `Answers.whole`."""
        return InUnits(network, self.mean, self.spread)


class InUnits(nn.Module):
    """A network whose outputs are numbers in their own unit.

    Args:
        network: gives them (B, 1) in units of the spread, counted from the mean.
        mean, spread: (1,).
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, network: nn.Module, mean: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)

    def forward(self, input: Tensor) -> Tensor:
        """Numbers (B, 1)."""
        return self.network(input) * self.spread + self.mean


class BalancedAccuracy(MulticlassRecall):
    """The mean recall of the classes that have clips, as scikit-learn's `balanced_accuracy_score`."""

    def __init__(self, classes: int) -> None:
        super().__init__(classes, average="none")

    def compute(self) -> Tensor:
        """The mean, a scalar."""
        support: Any = self.tp + self.fn  # type: ignore[operator]
        return super().compute()[support > 0].mean()


class MeanOverTags(Metric):
    """The mean of a metric over the tags that it is defined for; 0 if there are none.

    Args:
        metric: of each tag, (C,).
        tags: C.
        needs_both: whether a tag needs clips without it, too.
    """

    present: Tensor
    clips: Tensor

    def __init__(self, metric: Any, tags: int, needs_both: bool) -> None:
        super().__init__()
        self.metric, self.needs_both = metric, needs_both
        self.add_state("present", torch.zeros(tags), dist_reduce_fx="sum")
        self.add_state("clips", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, read: Tensor, labels: Tensor) -> None:
        """Takes probabilities (B, C) and labels (B, C) of 0 and 1."""
        self.metric.update(read, labels.int())
        self.present += labels.sum(0)
        self.clips += len(labels)

    def compute(self) -> Tensor:
        """The mean, a scalar."""
        each: Tensor = self.metric.compute()
        is_known = (self.present > 0) & ((self.present < self.clips) | (not self.needs_both))
        return each[is_known].mean() if is_known.any() else each.new_zeros(())

    def reset(self) -> None:
        """Forgets what it has taken."""
        super().reset()
        self.metric.reset()


ANSWERS: dict[str, type[Answers]] = {each.kind: each for each in (ClassAnswers, TagAnswers, NumberAnswers)}
