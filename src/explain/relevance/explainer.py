"""Explains and measures clips batch by batch, and writes the results into a relevance file."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.nn import ModuleList
from torch.utils.data import DataLoader

from auscult.datamodules.dataset import Batch, loader
from auscult.datamodules.source import Source
from auscult.explain.domain.explain import Explained, explain
from auscult.explain.intervention.interventions import Change, Intervention
from auscult.explain.measures.measure import Clips
from auscult.explain.relevance.file import RelevanceFile
from auscult.explain.relevance.question import Question
from auscult.modules.model import Model


class Explainer(LightningModule):
    """`trainer.predict` explains the clips that are not done yet, and fills their rows in the file.

    Args:
        model: the trained model, in evaluation mode.
        source: the clips.
        question: how the clips are explained and measured.
        path: path of the file, made by `lay_out`.
        batch_size: clips per step, over all processes.
    """

    def __init__(self, model: Model, source: Source, question: Question, path: Path, batch_size: int) -> None:
        super().__init__()
        self.source, self.question, self.batch_size = source, question, batch_size
        self.model, self.own = model, question.domain.model  # as attributes, so that Lightning moves them to the device
        self.others = ModuleList(other for measurement in question.measurements for other in measurement.models)
        self.file = RelevanceFile(path)
        self.row_of = {int(clip): row for row, clip in enumerate(source.dataset.clips)}

    def predict_dataloader(self) -> DataLoader[Batch]:
        """The clips of this process that are not done yet."""
        left = np.flatnonzero(~self.file.done)
        share = left[self.trainer.global_rank :: self.trainer.world_size]
        return loader(self.source.dataset, max(1, self.batch_size // self.trainer.world_size), share.tolist())

    def predict_step(self, batch: Batch) -> None:
        """Explains, measures and changes a batch of clips, and fills their rows."""
        question, waveform, label = self.question, batch["waveform"], batch["label"]  # (B, C, T), (B,)
        explained = explain(question.domain, question.attribution, waveform, question.target, label)
        rows = np.array([self.row_of[clip] for clip in batch["clip"].tolist()])
        clips = Clips(waveform, label, batch["clip"], rows, explained)
        values = values_of(explained)
        for measurement in question.measurements:
            values |= measurement(clips)
        for name, change in changes_of(question.intervention).items():
            values[name] = self.model.logits(change(self.model, waveform, label))
        self.file.fill(rows, {name: value.cpu().numpy() for name, value in values.items()})

    def on_predict_end(self) -> None:
        """Closes the file."""
        self.file.close()


def values_of(explained: Explained) -> dict[str, Tensor]:
    """The values that every relevance file has, by column."""
    logit = explained.logits.gather(1, explained.target[:, None])[:, 0]
    unknown = torch.full_like(explained.apart, torch.nan)
    return {
        "relevance": explained.relevance, "apart": explained.apart,
        "biases": unknown if explained.biases is None else explained.biases,
        "unshared": unknown if explained.unshared is None else explained.unshared,
        "prediction": explained.logits, "target": explained.target, "logit": logit,
    }  # fmt: skip


def changes_of(intervention: Intervention | None) -> dict[str, Change]:
    """An intervention and its shams, by the columns of the resulting logits."""
    if intervention is None:
        return {}
    return {"intervention": intervention, **{f"sham/{name}": sham for name, sham in intervention.shams().items()}}


def lay_out(path: Path, source: Source, question: Question, attributes: dict[str, str]) -> None:
    """Makes the relevance file of an `Explainer`. All its rows are still empty.

    Raises:
        OSError: the disk is full.
    """
    known = {
        "label": source.labels,
        "path": [clip.path for clip in source.clips],
        "speaker": [clip.speaker for clip in source.clips],
    }
    columns = columns_of(source, question)
    RelevanceFile.create(path, columns, known, {**attributes, "classes": question.domain.model.classes})


def columns_of(source: Source, question: Question) -> dict[str, np.dtype[Any]]:
    """The columns that an `Explainer` fills, each with the type of a row."""
    model = question.domain.model
    shape = tuple(model.silence(source.dataset.length).shape[1:])
    logits = np.dtype((np.float32, len(model.classes)))
    columns: dict[str, np.dtype[Any]] = {"relevance": np.dtype((np.float32, shape)), "prediction": logits}
    columns |= {"target": np.dtype(np.int64), "logit": np.dtype(np.float32)}
    columns |= dict.fromkeys(("apart", "biases", "unshared"), np.dtype(np.float32))
    for measurement in question.measurements:
        columns |= measurement.columns
    return columns | dict.fromkeys(changes_of(question.intervention), logits)
