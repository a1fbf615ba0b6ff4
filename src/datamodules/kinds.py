"""What a label says of a recording: which class it is of, which tags hold of it, or how large a number is."""

import logging
import math
import re
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from auscult.datamodules.clips import Clip
from auscult.datamodules.labels.table import shortened
from auscult.mistake import Mistake

log = logging.getLogger(__name__)

LEAST_SPEAKERS = 3  # of a stratum: one each to train, validate and test
MOST_STRATA = 5  # of numbers
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?")


class Kind(ABC):
    """How the cells of a column are read.

    Args:
        task: as in `conf/task`.
    """

    def __init__(self, task: dict[str, Any]) -> None:
        self.label: str = task["label"]

    def usable(self, clips: Sequence[Clip]) -> list[Clip]:
        """The clips, without labels that cannot be meant; says how many these are."""
        return list(clips)

    @abstractmethod
    def held(self, clip: Clip) -> list[str]:
        """The names of the outputs that are to be high for a clip: its class or its tags."""

    def names(self, clips: Sequence[Clip]) -> list[str]:
        """The names of the outputs, in alphabetical order."""
        return sorted({name for clip in clips for name in self.held(clip)})

    @abstractmethod
    def values(self, clips: Sequence[Clip], names: Sequence[str]) -> np.ndarray:
        """What a network is to answer for N clips that have the label, given the names of its outputs."""

    def strata(self, clips: Sequence[Clip]) -> list[Clip]:
        """The clips, with what folds are to spread evenly in the place of the label."""
        return list(clips)


class Classes(Kind):
    """Each recording is of one class, the whole cell."""

    def held(self, clip: Clip) -> list[str]:
        """See `Kind.held`."""
        return [clip.labels[self.label]] if self.label in clip.labels else []

    def values(self, clips: Sequence[Clip], names: Sequence[str]) -> np.ndarray:
        """(N,) int64, the class of each."""
        numbers = {name: number for number, name in enumerate(names)}
        return np.array([numbers[clip.labels[self.label]] for clip in clips], np.int64)


class Tags(Kind):
    """Any number of tags hold of a recording: a cell names them, separated by semicolons or bars, else by commas.

    Folds spread the rarest tag of each recording evenly, of those that three speakers have.
    """

    def held(self, clip: Clip) -> list[str]:
        """See `Kind.held`."""
        cell = clip.labels.get(self.label, "")
        parts = re.split(r"[;|]" if re.search(r"[;|]", cell) else ",", cell)
        return list(dict.fromkeys(part.strip() for part in parts if part.strip()))

    def values(self, clips: Sequence[Clip], names: Sequence[str]) -> np.ndarray:
        """(N, C) float32, 1 for each tag that holds."""
        numbers = {name: number for number, name in enumerate(names)}
        values = np.zeros((len(clips), len(names)), np.float32)
        for row, clip in zip(values, clips, strict=True):
            row[[numbers[name] for name in self.held(clip) if name in numbers]] = 1
        return values

    def strata(self, clips: Sequence[Clip]) -> list[Clip]:
        """See `Kind.strata`."""
        speakers: dict[str, set[str]] = defaultdict(set)
        for clip in clips:
            for name in self.held(clip):
                speakers[name].add(clip.speaker)
        common = {name: len(those) for name, those in speakers.items() if len(those) >= LEAST_SPEAKERS}
        if rare := sorted(speakers.keys() - common.keys()):
            log.warning(
                "%d of %d tags are of fewer than %d speakers, such as %s: not every fold has them.",
                len(rare), len(speakers), LEAST_SPEAKERS, shortened(rare[0]),
            )  # fmt: skip
        most = max(common, key=lambda name: (common[name], name), default="")

        def stratum(clip: Clip) -> str:
            own = [name for name in self.held(clip) if name in common]
            return min(own, key=lambda name: (common[name], name), default=most)

        return relabelled(clips, self.label, stratum)


class Number(Kind):
    """A number, such as an age. Folds spread low and high ones evenly.

    Args:
        task: with `low` and `high`, outside of which numbers are left out; None: no bound.
    """

    def __init__(self, task: dict[str, Any]) -> None:
        super().__init__(task)
        self.low = -math.inf if task.get("low") is None else task["low"]
        self.high = math.inf if task.get("high") is None else task["high"]
        self.comma = "."  # what a comma stands for: a decimal point, or nothing between thousands

    def number(self, clip: Clip) -> float:
        """The number of a clip; NaN if its cell is none, or beyond the bounds."""
        try:
            number = float(clip.labels.get(self.label, "nan").replace(",", self.comma))
        except ValueError:
            return math.nan
        return number if math.isfinite(number) and self.low <= number <= self.high else math.nan

    def usable(self, clips: Sequence[Clip]) -> list[Clip]:
        """See `Kind.usable`.

        Raises:
            Mistake: no clip has a number.
        """
        with_commas = [cell for clip in clips if "," in (cell := clip.labels.get(self.label, ""))]
        if with_commas and all(THOUSANDS.fullmatch(cell.strip()) for cell in with_commas):
            self.comma = ""
            log.warning(
                "commas in %s are taken to part thousands: %s is %s; write decimals with a point.", self.label,
                with_commas[0], with_commas[0].replace(",", ""),
            )  # fmt: skip
        wrong = [clip for clip in clips if self.label in clip.labels and math.isnan(self.number(clip))]
        if not wrong:
            return list(clips)
        within = f" from {self.low:g} to {self.high:g}" if math.isfinite(self.high - self.low) else ""
        named = sorted({clip.labels[self.label] for clip in wrong})
        examples = ", ".join(map(shortened, named[:3])) + (", …" if len(named) > 3 else "")
        if len(wrong) == sum(self.label in clip.labels for clip in clips):
            raise Mistake(
                f"task.label={self.label} holds no number{within}: the recordings have {examples}; choose another"
                " column, or task=label for classes."
            )
        log.warning(
            "%d recordings are left out, as their %s is no number%s (%s).", len(wrong), self.label, within, examples
        )
        out = {clip.path for clip in wrong}
        return [
            replace(clip, labels={column: cell for column, cell in clip.labels.items() if column != self.label})
            if clip.path in out
            else clip
            for clip in clips
        ]

    def held(self, clip: Clip) -> list[str]:
        """The name of the number."""
        return [self.label] if self.label in clip.labels else []

    def names(self, clips: Sequence[Clip]) -> list[str]:
        """The label's own name, whatever the clips."""
        return [self.label]

    def values(self, clips: Sequence[Clip], names: Sequence[str]) -> np.ndarray:
        """(N,) float32."""
        return np.array([self.number(clip) for clip in clips], np.float32)

    def strata(self, clips: Sequence[Clip]) -> list[Clip]:
        """See `Kind.strata`; as many equal parts of the speakers, by their mean, as have three speakers each."""
        numbers: dict[str, list[float]] = defaultdict(list)
        for clip in clips:
            if self.label in clip.labels:
                numbers[clip.speaker].append(self.number(clip))
        means = {speaker: float(np.mean(each)) for speaker, each in numbers.items()}
        parts = max(1, min(MOST_STRATA, len(means) // LEAST_SPEAKERS))
        ranked = sorted(means, key=lambda speaker: (means[speaker], speaker))
        part_of = {speaker: place * parts // len(ranked) for place, speaker in enumerate(ranked)}
        return relabelled(clips, self.label, lambda clip: f"part {part_of[clip.speaker] + 1} of {parts}")


def relabelled(clips: Iterable[Clip], label: str, stratum: Any) -> list[Clip]:
    """The clips with another value of the label, where they have one."""
    return [
        replace(clip, labels={**clip.labels, label: stratum(clip)}) if label in clip.labels else clip for clip in clips
    ]


KINDS: dict[str, type[Kind]] = {"classes": Classes, "tags": Tags, "number": Number}


def kind_of(task: dict[str, Any]) -> Kind:
    """How the labels of a task are read; the tasks of early checkpoints are of classes."""
    return KINDS[task.get("kind", "classes")](task)
