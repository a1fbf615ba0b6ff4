"""Streams clips through front end, network, attribution and perturbation into a relevance file."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader

from src.datamodules.datamodule import Batch, ClipDataset, loader
from src.explain.attribution import Attribution
from src.explain.domain import Domain
from src.explain.fill import Fill
from src.explain.interventions import Intervention
from src.explain.measures import Measures
from src.explain.perturbation import Outcome, perturb, scores_of
from src.explain.relevance_file import RelevanceFile
from src.explain.source import Source
from src.modules.classifier import Classifier

Found = TypeVar("Found")


@dataclass(frozen=True)
class Perturbation:
    """How inputs are perturbed.

    Args:
        fractions: of their features that are removed.
        seeds: of the random orders.
        fill: what stands where they were.
    """

    fractions: Sequence[float]
    seeds: Sequence[int]
    fill: Fill

    @property
    def orders(self) -> tuple[str, ...]:
        return ("relevance", "least relevant", "amplitude", *("random" for _ in self.seeds))

    def __call__(self, network: nn.Module, input: Tensor, label: Tensor, relevance: Tensor, clip: Tensor) -> Outcome:
        """What B clips are taken for, in every order.

        Args:
            network: in evaluation mode.
            input, relevance: (B, ...).
            label, clip: (B,) class and number of each.
        """
        scores = scores_of(input, relevance, self.fill.silence, clip, self.seeds)
        return perturb(network, input, label, scores, self.fractions, self.fill)


@dataclass(frozen=True)
class Question:
    """What is asked of every clip.

    Args:
        attribution: gives the relevance.
        domain: what it is of.
        target: class whose logit is explained; "predicted" and "true" differ from clip to clip.
        measures: what is measured of the relevance; None: nothing.
        perturbation: tests the relevance; None where labels are not known.
        intervention: changes the clips; None: none does.
    """

    attribution: Attribution
    domain: Domain
    target: int | str
    measures: Measures | None = None
    perturbation: Perturbation | None = None
    intervention: Intervention | None = None


class Explainer(LightningModule):
    """`trainer.predict` answers the question for the clips that are not done yet, and fills the file's rows.

    Args:
        classifier: the trained one, in evaluation mode.
        source: the clips.
        question: what is asked of them.
        path: the file, made by `lay_out`.
        batch_size: clips per step, over all processes.
    """

    def __init__(self, classifier: Classifier, source: Source, question: Question, path: Path, batch_size: int) -> None:
        super().__init__()
        self.classifier, self.source, self.question, self.batch_size = classifier, source, question, batch_size
        self.asked = question.domain.classifier  # a module of this one, for Lightning to move
        self.file = RelevanceFile(path)
        self.row_of = {int(clip): row for row, clip in enumerate(source.dataset.clips)}

    def predict_dataloader(self) -> DataLoader[Batch]:
        left = np.flatnonzero(~self.file.done)
        share = left[self.trainer.global_rank :: self.trainer.world_size]
        return loader(self.source.dataset, max(1, self.batch_size // self.trainer.world_size), share.tolist())

    def predict_step(self, batch: Batch) -> None:
        waveform, label = batch["waveform"], batch["label"]  # (B, 1, T), (B,)
        input = self.asked.front_end(waveform)  # (B, ...)
        logits, forward = timed(lambda: self.asked.network(input).float())  # (B, C)
        target = targets(self.question.target, logits, label)  # (B,)
        (relevance, apart), seconds = timed(
            lambda: self.question.domain.relevance(self.question.attribution, waveform, input, target)
        )
        values = {"relevance": relevance, "apart": apart, "prediction": logits}
        values |= {"target": target, "logit": logits.gather(1, target[:, None])[:, 0]}
        rows = np.array([self.row_of[clip] for clip in batch["clip"].tolist()])
        if self.question.measures is not None:
            silence = self.asked.front_end(torch.zeros_like(waveform[:1]))
            values |= self.question.measures(input, relevance, silence, rows)
            values["cost/passes"] = torch.full((len(rows),), seconds / forward)
            values["cost/milliseconds"] = torch.full((len(rows),), 1000 * seconds / len(rows))
        if self.question.perturbation is not None:
            outcome = self.question.perturbation(self.asked.network, input, label, relevance, batch["clip"])
            values["perturbation/correct"] = torch.from_numpy(outcome.correct)
            values["perturbation/probability"] = torch.from_numpy(outcome.probability)
        if self.question.intervention is not None:
            changed = self.question.intervention(self.classifier, waveform, label)
            values["intervention"] = self.classifier.network(changed).float()
        self.file.fill(rows, {name: value.cpu().numpy() for name, value in values.items()})

    def on_predict_end(self) -> None:
        self.file.close()


def timed(ask: Callable[[], Found]) -> tuple[Found, float]:
    """What is found, and how many seconds it takes."""
    wait = torch.cuda.synchronize if torch.cuda.is_initialized() else lambda: None
    wait()
    started = time.perf_counter()
    found = ask()
    wait()
    return found, time.perf_counter() - started


def targets(target: int | str, logits: Tensor, label: Tensor) -> Tensor:
    """The class to explain of each clip, (B,) int64, given logits (B, C) and labels (B,)."""
    if target == "predicted":
        return logits.argmax(1)
    return label if target == "true" else torch.full_like(label, int(target))


def silence_of(classifier: Classifier, samples: int) -> Tensor:
    """What the front end makes of digital silence, (1, ...)."""
    with torch.no_grad():
        return classifier.front_end(torch.zeros(1, 1, samples, device=classifier.device))


def inputs_of(classifier: Classifier, dataset: ClipDataset, batch_size: int) -> Iterator[Tensor]:
    """The network's inputs of all clips, in batches (B, ...)."""
    for batch in loader(dataset, batch_size, range(len(dataset))):
        with torch.no_grad():
            yield classifier.front_end(batch["waveform"].to(classifier.device))


def lay_out(path: Path, source: Source, question: Question, attributes: dict[str, str]) -> None:
    """Makes the relevance file of an `Explainer`, with all rows still to be filled.

    Raises:
        OSError: no room.
    """
    classifier = question.domain.classifier
    shape = tuple(silence_of(classifier, source.dataset.length).shape[1:])
    logits = np.dtype((np.float32, len(classifier.classes)))
    columns: dict[str, np.dtype[Any]] = {"relevance": np.dtype((np.float32, shape)), "prediction": logits}
    columns |= {"target": np.dtype(np.int64), "logit": np.dtype(np.float32), "apart": np.dtype(np.float32)}
    if question.perturbation is not None:
        curves = (len(question.perturbation.orders), len(question.perturbation.fractions))
        columns["perturbation/correct"] = np.dtype((np.uint8, curves))
        columns["perturbation/probability"] = np.dtype((np.float32, curves))
    if question.measures is not None:
        columns |= {name: np.dtype(np.float32) for name in question.measures.names}
    if question.intervention is not None:
        columns["intervention"] = logits
    known = {
        "label": source.labels,
        "path": [clip.path for clip in source.clips],
        "speaker": [clip.speaker for clip in source.clips],
    }
    RelevanceFile.create(path, columns, known, {**attributes, "classes": classifier.classes})
