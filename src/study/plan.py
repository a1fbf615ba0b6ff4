"""Which clip a participant of the listening study judges by which explanation, and in which order.

Each participant judges every clip once, under one condition. Conditions move on by one from turn to turn (a Latin
square): after as many turns as there are conditions, each clip was judged under each of them. Every participant meets
each condition equally often, give or take one: among all clips, and among those that each network got right or wrong.
The order is the participant's own. Nobody is told whether the network was right, nor what is compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

SCALE = 5  # ratings of explanations, from 1: not at all, to 5: very well
Form = Literal["visual", "audible", "both", "none"]
Block = Literal["training", "main", "attention"]
MEASURES = {"correct": (0.0, 1.0), "rating": (1.0, float(SCALE))}  # measure -> ends of its scale
UNLABELLED = ""  # the label of a clip of which nobody says what it is
CLIPS = ("all", "right", "wrong")  # kinds of clips: all, or those that the network got right or wrong


@dataclass(frozen=True)
class StudyClip:
    """A clip, what it is, and what the network took it for.

    Args:
        checkpoint: the network's checkpoint, or the name of a network of the user's own.
        time_axes: attribution -> where the clip starts and ends, as shares of its picture's width.
    """

    path: str
    label: str
    prediction: str
    checkpoint: str
    time_axes: dict[str, list[float]]

    @property
    def is_right(self) -> bool:
        """Whether the network is right about the clip."""
        return self.label == self.prediction


@dataclass(frozen=True)
class Condition:
    """How a clip is explained: in which form, and by which attribution (the form "none" has no attribution)."""

    form: Form
    attribution: str

    @classmethod
    def of(cls, name: str) -> "Condition":
        """The condition with a name such as "visual/random" or "none"."""
        form, _, attribution = name.partition("/")
        return cls(form, attribution)  # type: ignore[arg-type]

    @property
    def name(self) -> str:
        """The name in `study.conditions`: "none", or form/attribution, such as visual/lrp_epsilon_plus."""
        return self.form if self.form == "none" else f"{self.form}/{self.attribution}"


@dataclass(frozen=True)
class Comparison:
    """What is compared by one test: `one` minus `other`, two conditions, by a measure, on a kind of clips."""

    one: str
    other: str
    measure: str
    clips: str

    @classmethod
    def of(cls, row: dict[str, Any]) -> "Comparison":
        """A comparison as `study.json` has it. Raises ValueError, KeyError or TypeError if it is damaged."""
        comparison = cls(*(str(row[name]) for name in ("one", "other", "measure", "clips")))
        if (
            len(row) != 4
            or comparison.one == comparison.other
            or comparison.measure not in MEASURES
            or comparison.clips not in CLIPS
        ):
            raise ValueError("a primary comparison is not as it was written")
        return comparison

    @property
    def regardless_of_order(self) -> tuple[frozenset[str], str, str]:
        """The comparison, whichever condition is named first."""
        return frozenset((self.one, self.other)), self.measure, self.clips

    @property
    def words(self) -> str:
        """The comparison in words."""
        measure = "ratings" if self.measure == "rating" else "correct guesses"
        clips = "of all clips" if self.clips == "all" else f"of clips that the network got {self.clips}"
        return f"{self.one} against {self.other}, by {measure} {clips}"


def first_pair(conditions: Sequence[str]) -> list[list[str]]:
    """The comparison that a study is for if none is named: its first attribution that is both audible and visual.

    Without one, its first two conditions.

    Returns:
        a list of that pair; empty if there is only one condition.
    """
    for attribution in (name.partition("/")[2] for name in conditions):
        pair = [f"audible/{attribution}", f"visual/{attribution}"]
        if set(pair) <= set(conditions):
            return [pair]
    return [list(conditions[:2])] if len(conditions) > 1 else []


@dataclass(frozen=True)
class Trial:
    """What a participant is asked in one step.

    Args:
        number: from 0, in the participant's order.
        block: "training" comes first and counts for nothing; "attention" asks for an answer that it names.
        clip: which clip, an index into the study's.
        condition: how it is explained.
        wanted: the class that an attention check asks for.
    """

    number: int
    block: Block
    clip: int
    condition: Condition
    wanted: str | None = None


@dataclass(frozen=True)
class Plan:
    """What all participants have in common.

    Args:
        clips: of the study. The first `training` are to practise with.
        conditions: those that are compared.
        classes: those that can be named.
        training: how many clips are for practice, each by the condition whose turn it is.
        attention: how many attention checks there are, spread evenly over the main trials.
        seed: for the orders.
    """

    clips: Sequence[StudyClip]
    conditions: Sequence[Condition]
    classes: Sequence[str]
    training: int
    attention: int
    seed: int

    def trials(self, participant: int, turn: int) -> list[Trial]:
        """The trials of one participant; the same whenever they come back.

        Args:
            participant: a number of their own, from which the order is drawn.
            turn: of the conditions, 0 to one less than there are. Practice needs none, so that it can be chosen later.
        """
        random = np.random.default_rng((self.seed, participant))
        steps: list[tuple[Block, int, Condition, str | None]] = [
            ("training", clip, self.condition(clip + participant), None) for clip in range(self.training)
        ]
        main = range(self.training, len(self.clips))
        by_kind = sorted(main, key=lambda clip: (self.clips[clip].checkpoint, not self.clips[clip].is_right))
        every = max(1, len(by_kind) // (self.attention + 1))
        for count, place in enumerate(random.permutation(len(by_kind)), start=1):
            steps.append(("main", by_kind[place], self.condition(place + turn), None))
            if count % every == 0 and count // every <= self.attention:
                clip = int(random.integers(self.training)) if self.training else by_kind[place]
                wanted = str(random.choice(self.unlikely(clip)))
                steps.append(("attention", clip, self.condition(place + turn), wanted))
        return [Trial(number, *step) for number, step in enumerate(steps)]

    def condition(self, turn: int) -> Condition:
        """The condition of a turn."""
        return self.conditions[turn % len(self.conditions)]

    def unlikely(self, clip: int) -> list[str]:
        """Classes that a participant names only after they have read the question.

        They are neither the prediction nor the label; the label stays where no other class is left.
        """
        others = [name for name in self.classes if name != self.clips[clip].prediction]
        return [name for name in others if name != self.clips[clip].label] or others
