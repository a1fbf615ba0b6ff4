"""What a measure is: a number per clip, what people need to know to read it, and how it is taken.

A new measure is a file here with a subclass of `Measurement`, and its name in `catalogue.MEASUREMENTS`. From there it
comes into the relevance file, `metrics.json`, the report and leaderboards.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Self, TypeVar, cast

import h5py
import numpy as np
from torch import Tensor

from auscult.datamodules.source import Source
from auscult.explain.attribution.base import Attribution
from auscult.explain.domain.domains import Domain
from auscult.explain.domain.explain import Explained
from auscult.explain.measures.intervals import SHARE, Bounds
from auscult.modules.model import Model

Row = np.dtype[Any]  # the type of a row of a column


class Better(StrEnum):
    """Which values are better, in words. Only of the first two is an attribution best."""

    LOWER = "lower is better"
    HIGHER = "higher is better"
    NEAR_ZERO = "near 0 is better"
    COMPARE = "for comparison"


@dataclass(frozen=True)
class Topic:
    """What measures ask together.

    Args:
        name: how their names begin.
        asks: what they ask, a sentence.
        place: among the topics of a leaderboard, which stand in this order.
    """

    name: str
    asks: str
    place: int


@dataclass(frozen=True)
class Measure:
    """A number per clip.

    Args:
        topic: what it belongs to.
        name: within the topic. Where a column's name goes on, as in `localisation/mass/confound`, it is the same
            measure of another place.
        says: what it is, a clause for people.
        better: which values are.
        bounds: the lowest and highest value of a clip; None: there are none.
        unit: in words; none of shares and correlations.
        fails_above: an attribution fails whose mean is above.
        shares_scale: whether it is on a scale that domains share, so that it can be compared across them.
    """

    topic: Topic
    name: str
    says: str
    better: Better
    bounds: Bounds = SHARE
    unit: str = ""
    fails_above: float | None = None
    shares_scale: bool = False

    @property
    def column(self) -> str:
        """Its name in relevance files, `metrics.json` and leaderboards."""
        return f"{self.topic.name}/{self.name}"

    @property
    def sentence(self) -> str:
        """`Gini: …; higher is better.`"""
        name = self.name.replace("_", " ")
        return f"{name[0].upper()}{name[1:]}: {self.says}{self.unit and f', in {self.unit}'}; {self.better}."

    def is_in(self, column: str) -> bool:
        """Whether a column holds its values."""
        return f"{column}/".startswith(f"{self.column}/")


Made = TypeVar("Made", bound="Measurement")


@dataclass(frozen=True, eq=False)
class Run:
    """What is known of a run before it begins.

    Args:
        model: the trained one.
        domain: where relevance is looked at.
        attribution: the method.
        source: the clips.
        target: as of `Question`.
        config: of the explanation.
    """

    model: Model
    domain: Domain
    attribution: Attribution
    source: Source
    target: int | str
    config: dict[str, Any]
    _made: dict[type, Any] = field(default_factory=dict)

    def measurement(self, kind: type[Made]) -> Made | None:
        """The run's measurement of a kind, made once, so that others can build on it; None: it does not apply."""
        if kind not in self._made:
            self._made[kind] = kind.of(self)
        return cast(Made | None, self._made[kind])


@dataclass(frozen=True)
class Clips:
    """B clips that were explained.

    Args:
        waveform: (B, 1, T).
        label, clip: (B,) class and number of each.
        rows: (B,) of the source's clips.
        explained: what was found of them.
    """

    waveform: Tensor
    label: Tensor
    clip: Tensor
    rows: np.ndarray
    explained: Explained


class Measurement(ABC):
    """Takes measures that come of the same forward passes.

    Attributes:
        measures: all that it can take; of a run, those that apply.
        summary: names of metrics, shares, that are columns of a multirun's summary.
        models: other models that it asks, which go to the device of the explained one.
    """

    measures: ClassVar[Sequence[Measure]]
    summary: ClassVar[Sequence[str]] = ()
    models: Sequence[Model] = ()

    @classmethod
    def of(cls, run: Run) -> Self | None:
        """That of a run; None: it does not apply.

        Raises:
            Mistake: the run's options ask for something that it cannot do.
        """
        return cls()

    @property
    def names(self) -> list[str]:
        """Columns of a number per clip."""
        return [measure.column for measure in self.measures]

    @property
    def columns(self) -> dict[str, Row]:
        """All columns of the relevance file that it fills, with the type of a row."""
        return dict.fromkeys(self.names, np.dtype(np.float32))

    @abstractmethod
    def __call__(self, clips: Clips) -> dict[str, Tensor]:
        """Values (B, ...) for each column; of a number, NaN where there is nothing to measure."""

    @classmethod
    def values_in(cls, file: h5py.File, config: dict[str, Any]) -> dict[str, np.ndarray]:
        """Its measures (N,) by name, of a complete relevance file and the configuration that is written there."""
        values: dict[str, np.ndarray] = {}

        def note(name: str, column: Any) -> None:
            if isinstance(column, h5py.Dataset) and any(measure.is_in(name) for measure in cls.measures):
                values[name] = column[:]

        file.visititems(note)
        return values
