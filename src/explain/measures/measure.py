"""What a measure is: a number per clip, the facts that readers need, and the code that takes it.

A new measure is a file here with a subclass of `Measurement`, and its name in `catalogue.MEASUREMENTS`. It then appears
in the relevance file, `metrics.json`, the report and leaderboards.
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
from auscult.intervals import SHARE, Bounds
from auscult.modules.model import Model

Row = np.dtype[Any]  # type of one row of a column


class Better(StrEnum):
    """Which values are better, in words. Attributions are ranked by the first two only."""

    LOWER = "lower is better"
    HIGHER = "higher is better"
    NEAR_ZERO = "near 0 is better"
    COMPARE = "for comparison"


@dataclass(frozen=True)
class Topic:
    """A question that several measures answer.

    Args:
        name: beginning of the measures' names.
        asks: the question, a sentence.
        place: place among the topics of a leaderboard.
    """

    name: str
    asks: str
    place: int


@dataclass(frozen=True)
class Measure:
    """A number per clip.

    Args:
        topic: topic of the measure.
        name: name within the topic. The name of a column may go on, as in `localisation/mass/confound`: this is the
            same measure in another place.
        says: what the number is, a clause for people.
        better: which values are better.
        bounds: the lowest and highest value of a clip; None: no bounds.
        unit: unit in words; empty for shares and correlations.
        fails_above: an attribution fails if its mean is further from zero than this value.
        shares_scale: whether all domains share the scale, so that values can be compared across domains.
        title: the name for people; empty: as `name`.
    """

    topic: Topic
    name: str
    says: str
    better: Better
    bounds: Bounds = SHARE
    unit: str = ""
    fails_above: float | None = None
    shares_scale: bool = False
    title: str = ""

    @property
    def words(self) -> str:
        """The name for people."""
        return self.title or self.name.replace("_", " ").capitalize()

    @property
    def direction(self) -> str:
        """Which values are better, and the best that there is: `higher is better, 1 at best`."""
        low, high = self.bounds or (None, None)
        best = {Better.LOWER: low, Better.HIGHER: high}.get(self.better)
        words = f"{self.better}" if best is None else f"{self.better}, {best:g} at best"
        return words if self.fails_above is None else f"{words}; further than {self.fails_above:g} from 0 it fails"

    @property
    def column(self) -> str:
        """Name of the measure in relevance files, `metrics.json` and leaderboards."""
        return f"{self.topic.name}/{self.name}"

    @property
    def sentence(self) -> str:
        """Explains the measure: `Concentration (Gini): …; higher is better, 1 at best.`"""
        return f"{self.words}: {self.says}{self.unit and f', in {self.unit}'}; {self.direction}."

    def is_in(self, column: str) -> bool:
        """Whether a column holds values of this measure."""
        return f"{column}/".startswith(f"{self.column}/")


Made = TypeVar("Made", bound="Measurement")


@dataclass(frozen=True, eq=False)
class Run:
    """What is known about a run before it begins.

    Args:
        model: the trained model.
        domain: where relevance is looked at.
        attribution: the method.
        source: the clips.
        target: target as in `Question`.
        config: configuration of the explanation.
    """

    model: Model
    domain: Domain
    attribution: Attribution
    source: Source
    target: int | str
    config: dict[str, Any]
    _made: dict[type, Any] = field(default_factory=dict)

    def measurement(self, kind: type[Made]) -> Made | None:
        """The measurement of this kind, made once, so that others can use it; None if it does not apply to the run."""
        if kind not in self._made:
            self._made[kind] = kind.of(self)
        return cast(Made | None, self._made[kind])


@dataclass(frozen=True)
class Clips:
    """B clips that were explained.

    Args:
        waveform: (B, C, T).
        label, clip: (B,) class and number of each.
        rows: (B,) rows of the clips in the source.
        explained: their explanation.
    """

    waveform: Tensor
    label: Tensor
    clip: Tensor
    rows: np.ndarray
    explained: Explained


class Measurement(ABC):
    """Takes one or more measures that use the same forward passes.

    Attributes:
        measures: all measures that it can take; a run takes those that apply.
        summary: names of metrics, all shares, that are columns in the summary of a multirun.
        models: other models that it needs; they are moved to the device of the explained model.
    """

    measures: ClassVar[Sequence[Measure]]
    summary: ClassVar[Sequence[str]] = ()
    models: Sequence[Model] = ()

    @classmethod
    def of(cls, run: Run) -> Self | None:
        """The measurement of a run; None if it does not apply to the run.

        Raises:
            Mistake: an option of the run is impossible for this measurement.
        """
        return cls()

    @property
    def names(self) -> list[str]:
        """Names of the columns with a number per clip."""
        return [measure.column for measure in self.measures]

    @property
    def columns(self) -> dict[str, Row]:
        """All columns of the relevance file that the measurement fills, with the type of a row."""
        return dict.fromkeys(self.names, np.dtype(np.float32))

    @abstractmethod
    def __call__(self, clips: Clips) -> dict[str, Tensor]:
        """Values (B, ...) for each column; a number is NaN for clips that have nothing to measure."""

    @classmethod
    def values_in(cls, file: h5py.File, config: dict[str, Any]) -> dict[str, np.ndarray]:
        """Reads measures (N,) by name from a complete relevance file.

        Args:
            file: the file.
            config: the configuration in its attributes.
        """
        values: dict[str, np.ndarray] = {}

        def note(name: str, column: Any) -> None:
            if isinstance(column, h5py.Dataset) and any(measure.is_in(name) for measure in cls.measures):
                values[name] = column[:]

        file.visititems(note)
        return values
