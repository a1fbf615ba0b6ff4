"""The networks that a study explains: of one or two checkpoints, or one of the user's own with its weights."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from auscult.checkpoint.card import trained_config
from auscult.checkpoint.checkpoint import KEY, model_of, open_checkpoint
from auscult.datamodules.source import Source
from auscult.explain.domain.inputs import inputs_of
from auscult.explain.explanation import source_of
from auscult.mistake import Mistake
from auscult.modules.model import Model
from auscult.pretrained.opening import Opened, own_network

BATCH = 64


@dataclass(frozen=True)
class Subject:
    """A network that is explained.

    Args:
        opened: the network and its card.
        name: the path of its checkpoint, or what `network` says.
        digest: of its weights; another one is another study.
    """

    opened: Opened
    name: str
    digest: str


@dataclass(frozen=True)
class Listened:
    """A network that has listened to the clips.

    Args:
        name: see `Subject`.
        source: the N clips.
        predicted: (N,) indices of the classes that it predicts.
    """

    name: str
    model: Model
    source: Source
    predicted: np.ndarray


def subjects_of(config: dict[str, Any]) -> list[Subject]:
    """The networks that a checked configuration names.

    Raises:
        Mistake: one cannot be opened, they have other classes, or do not tell classes apart.
    """
    if config.get("network"):
        own = own_network(config)
        subjects = [Subject(own, config["network"], digest_of(own.model))]
    else:
        subjects = []
        for option in ("checkpoint", "checkpoint_2"):
            if path := config.get(option):
                checkpoint = open_checkpoint(path, option, config["allow"])
                digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
                subjects.append(Subject(Opened(model_of(checkpoint), checkpoint[KEY]), path, digest))
    if any(other.opened.card["classes"] != subjects[0].opened.card["classes"] for other in subjects):
        raise Mistake("checkpoint_2=… has other classes than checkpoint; choose two networks of the same task.")
    for subject in subjects:
        if subject.opened.model.kind != "classes":
            raise Mistake(
                f"page=study asks which class a network heard, and {subject.name} answers with"
                f" {'a number' if subject.opened.model.kind == 'number' else 'tags'}; choose one that tells classes"
                " apart."
            )
    return subjects


def digest_of(model: Model) -> str:
    """The SHA-256 of all weights and buffers with their names."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def listened(subject: Subject, data: dict[str, Any], seed: int, input: str | None) -> Listened:
    """What a network predicts for the test clips of its run, or for the user's recordings.

    Args:
        data: `{root, csv, speakers, pattern, cache_dir}`: where the recordings lie, or what labels those of `input`.
        input: a recording or a folder of recordings; None: the test clips.

    Raises:
        Mistake: there are no clips.
    """
    card, model = subject.opened.card, subject.opened.model
    trained = trained_config(card, {**data, "batch_size": BATCH}, subject.name, reads_corpus=not input)
    source = source_of({"input": input, "data": data, "limit": None, "seed": seed}, trained, card)
    with torch.no_grad():
        inputs = inputs_of(model, source.dataset, 1 if model.mixes else BATCH)
        logits = [model.logits(input) for input in inputs]  # (B, C) each
    return Listened(subject.name, model, source, torch.cat(logits).argmax(1).numpy())
