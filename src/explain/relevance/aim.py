"""Makes of a model and a target the model that is explained, and its labels."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import nn

from auscult.datamodules.source import Source
from auscult.explain.relevance.target import OF_CLIPS, REST, Target, check_target, is_grouped, name_of, named
from auscult.mistake import Mistake
from auscult.modules.model import Model
from auscult.modules.narrowed import Groups, OneNumber, OneTag
from auscult.pretrained.options import NUMBER


@dataclass(frozen=True)
class Aim:
    """What is explained.

    Args:
        model: answers the question: the model itself, or one that is narrowed to a tag, to groups of classes or to a
            number.
        target: number of the output that is explained; "predicted" and "true" differ from clip to clip.
        classes: for each of the model's outputs, the numbers of the outputs that it stands for; None if it is the
            model itself.
    """

    model: Model
    target: int | str
    classes: list[list[int]] | None = None

    def labelled(self, source: Source) -> Source:
        """The clips, with labels in the outputs of this model. Clips of classes that are not asked for are left out.

        Raises:
            Mistake: none of the clips is of one of the groups.
        """
        labels = source.labels
        if self.model.kind == "number":
            return source if labels.dtype.kind == "f" else source.relabelled(np.full(len(labels), np.nan, np.float32))
        if labels.ndim == 2:  # tags
            own = labels[:, self.classes[1][0]].astype(np.int64) if self.classes else np.full(len(labels), -1, np.int64)
            return source.relabelled(own) if self.classes else replace(source.relabelled(own), tags=labels)
        if self.classes is None or (labels < 0).all():
            return source
        numbers = np.full(len(labels), -1, np.int64)
        for number, members in enumerate(self.classes):
            numbers[np.isin(labels, members)] = number
        if (numbers < 0).all():
            raise Mistake("none of the clips is of a class that target or against names; name others.")
        return source.relabelled(numbers, np.flatnonzero(numbers >= 0))


def aim_at(model: Model, target: Target, against: Target | None = None) -> Aim:
    """What is explained of a model.

    Args:
        model: the trained model.
        target, against: see `check_target`.

    Raises:
        Mistake: the model cannot be asked for the target.
    """
    classes = model.classes
    check_target(target, classes, against, model.kind)
    if model.kind == "number":
        name = str(target) if target in classes else str(target).removeprefix(NUMBER)
        if len(classes) == 1:
            return Aim(model, 0)
        return Aim(narrowed(model, OneNumber(model.network, classes.index(name)), [name], "number"), 0)
    if is_grouped(target, against):
        members = [[classes.index(name) for name in named(target)], []]
        rest = against is None or (against == REST and REST not in classes)
        members[1] = (
            [number for number in range(len(classes)) if number not in members[0]]
            if rest
            else [classes.index(name) for name in named(against or "")]
        )
        names = [name_of(target, None), "the rest" if rest else name_of(against or "", None)]
        network = Groups(model.network, members, is_contrast=against is not None)
        return Aim(narrowed(model, network, names), 0, members)
    if model.kind == "tags" and target in classes:
        tag = classes.index(str(target))
        names = [f"no {target}", str(target)]
        return Aim(narrowed(model, OneTag(model.network, tag), names), 1, [[], [tag]])
    return Aim(model, str(target) if target in OF_CLIPS and target not in classes else classes.index(str(target)))


def narrowed(model: Model, network: nn.Module, names: list[str], kind: str = "classes") -> Model:
    """The model with another network behind its front end, in the mode of the model; what both share keeps its own."""
    made = model.having(network, classes=names, kind=kind)
    made.training = network.training = model.training
    return made


def aim_of(model: Model, source: Source, config: dict[str, Any]) -> tuple[Aim, Source]:
    """What a checked configuration asks of a model, and the clips with labels that go with it."""
    aim = aim_at(model, config["target"], config.get("against"))
    return aim, aim.labelled(source)
