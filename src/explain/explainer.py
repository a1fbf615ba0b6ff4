"""Streams clips through front end, network, attribution and perturbation into a relevance file."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.utils.data import DataLoader

from src.datamodules.datamodule import Batch, loader
from src.explain.cost import peak_megabytes, timed
from src.explain.inputs import silence_of
from src.explain.measures import COST
from src.explain.question import Question, targets
from src.explain.relevance_file import RelevanceFile
from src.explain.source import Source
from src.modules.classifier import Classifier


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
        self.asked = question.domain.classifier  # modules of this one, for Lightning to move
        self.also_asked = question.control.domain.classifier if question.control is not None else None
        self.megabytes: float | None = None
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
        biases = getattr(self.question.attribution, "biases", None)  # of this call: measures and checks ask again
        values = {"relevance": relevance, "apart": apart, "prediction": logits}
        values["biases"] = torch.full_like(apart, torch.nan) if biases is None else biases
        values |= {"target": target, "logit": logits.gather(1, target[:, None])[:, 0]}
        rows = np.array([self.row_of[clip] for clip in batch["clip"].tolist()])
        if self.question.measures is not None:
            silence = self.asked.front_end(torch.zeros_like(waveform[:1]))
            values |= self.question.measures(input, relevance, silence, rows)
            cost = (seconds / forward, 1000 * seconds / len(rows), self._megabytes(waveform, input, target))
            values |= {name: torch.full((len(rows),), value) for name, value in zip(COST, cost, strict=True)}
        if self.question.perturbation is not None:
            outcome = self.question.perturbation(self.asked.network, input, label, relevance, batch["clip"])
            values["perturbation/correct"] = torch.from_numpy(outcome.correct)
            values["perturbation/probability"] = torch.from_numpy(outcome.probability)
            values |= self.question.perturbation.over_energy(self.asked.network, input, label, relevance)
        if self.question.checks is not None:
            values |= self.question.checks(waveform, relevance, target, rows, batch["clip"])
        if self.question.control is not None:
            values |= self.question.control(waveform, relevance, target, rows)
        if self.question.intervention is not None:
            changes = {"intervention": self.question.intervention} | {
                f"sham/{name}": sham for name, sham in self.question.intervention.shams().items()
            }
            for name, change in changes.items():
                values[name] = self.classifier.network(change(self.classifier, waveform, label)).float()
        self.file.fill(rows, {name: value.cpu().numpy() for name, value in values.items()})

    def _megabytes(self, waveform: Tensor, input: Tensor, target: Tensor) -> float:
        """What it takes to explain one clip by itself, measured once."""
        if self.megabytes is None:
            asked = (self.question.attribution, waveform[:1], input[:1], target[:1])
            self.megabytes = peak_megabytes(lambda: self.question.domain.relevance(*asked), waveform.device)
        return self.megabytes

    def on_predict_end(self) -> None:
        self.file.close()


def lay_out(path: Path, source: Source, question: Question, attributes: dict[str, str]) -> None:
    """Makes the relevance file of an `Explainer`, with all rows still to be filled.

    Raises:
        OSError: no room.
    """
    known = {
        "label": source.labels,
        "path": [clip.path for clip in source.clips],
        "speaker": [clip.speaker for clip in source.clips],
    }
    columns = columns_of(source, question)
    RelevanceFile.create(path, columns, known, {**attributes, "classes": question.domain.classifier.classes})


def columns_of(source: Source, question: Question) -> dict[str, np.dtype[Any]]:
    """What an `Explainer` fills: the type of a row of each column."""
    classifier = question.domain.classifier
    shape = tuple(silence_of(classifier, source.dataset.length).shape[1:])
    logits = np.dtype((np.float32, len(classifier.classes)))
    columns: dict[str, np.dtype[Any]] = {"relevance": np.dtype((np.float32, shape)), "prediction": logits}
    columns |= {"target": np.dtype(np.int64), "logit": np.dtype(np.float32)}
    columns |= {"apart": np.dtype(np.float32), "biases": np.dtype(np.float32)}
    if question.perturbation is not None:
        curves = (len(question.perturbation.orders), len(question.perturbation.fractions))
        columns["perturbation/correct"] = np.dtype((np.uint8, curves))
        columns["perturbation/probability"] = np.dtype((np.float32, curves))
        if question.perturbation.energies:
            shares = np.dtype((np.float32, (len(question.perturbation.energies),)))
            columns |= {"energy/deletion": shares, "energy/insertion": shares}
    columns |= {name: np.dtype(np.float32) for name in question.measured}
    if question.checks is not None:
        columns["cascade"] = np.dtype((np.float32, (question.checks.layers,)))
    if question.intervention is not None:
        columns |= {"intervention": logits, **{f"sham/{name}": logits for name in question.intervention.shams()}}
    return columns
