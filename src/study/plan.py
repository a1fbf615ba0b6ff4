"""Which clip a participant of the listening study judges by which explanation, and in which order.

Each participant judges every clip once, under one condition. Conditions move on by one from participant to participant
(a Latin square), so that after as many participants as there are conditions each clip was judged under each of them,
and every participant has met each condition about equally often, of clips that the network got right and of those that
it got wrong. The order is the participant's own. Nobody is told whether the network was right, nor what is compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Form = Literal["visual", "audible", "both", "none"]
Block = Literal["training", "main", "attention"]


@dataclass(frozen=True)
class Condition:
    """How a clip is explained: in which form, and by which attribution (none has none)."""

    form: Form
    attribution: str

    @classmethod
    def of(cls, name: str) -> "Condition":
        """That with a name such as "visual/random" or "none"."""
        form, _, attribution = name.partition("/")
        return cls(form, attribution)  # type: ignore[arg-type]

    @property
    def name(self) -> str:
        return self.form if self.form == "none" else f"{self.form}/{self.attribution}"


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


def trials_of(
    participant: int,
    is_right: Sequence[bool],
    conditions: Sequence[Condition],
    classes: Sequence[str],
    training: int,
    attention: int,
    seed: int,
) -> list[Trial]:
    """The trials of one participant; the same whenever they come back.

    Args:
        participant: from 0, in the order in which they came.
        is_right: of each clip, whether the network's prediction is the label. The first `training` are for training.
        conditions: to be compared.
        classes: that can be named.
        training: how many clips to practise with, each by the condition whose turn it is.
        attention: checks, spread evenly over the main trials.
        seed: of the orders.
    """
    random = np.random.default_rng((seed, participant))
    turn = [conditions[(place + participant) % len(conditions)] for place in range(len(is_right))]
    judged = [
        (clip, turn[place])
        for stratum in (True, False)
        for place, clip in enumerate(clip for clip in range(training, len(is_right)) if is_right[clip] == stratum)
    ]
    every = max(1, len(judged) // (attention + 1))
    steps: list[tuple[Block, int, Condition, str | None]] = [
        ("training", clip, turn[clip], None) for clip in range(training)
    ]
    for count, place in enumerate(random.permutation(len(judged)), start=1):
        steps.append(("main", *judged[place], None))
        if count % every == 0 and count // every <= attention:
            steps.append(("attention", *judged[place], str(random.choice(list(classes)))))
    return [Trial(number, *step) for number, step in enumerate(steps)]
