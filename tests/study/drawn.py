"""Answers drawn from many participants and many clips, as the plan assigns conditions to them."""

import numpy as np
import pandas as pd

from auscult.study.plan import Condition, Plan, StudyClip

NAMES = ["audible/lrp", "visual/lrp", "both/lrp", "visual/random"]


def assigned(people: int, clips: int, conditions: int) -> pd.DataFrame:
    """A row per answer: participant, clip, condition, clips ("right" or "wrong"). Half of the clips are right."""
    shown = [StudyClip(f"{n}.wav", "yes", ("yes", "no")[n % 2], "best.ckpt", {}) for n in range(clips)]
    plan = Plan(shown, [Condition.of(name) for name in NAMES[:conditions]], ["yes", "no"], 0, 0, seed=0)
    rows = [
        (person, trial.clip, trial.condition.name, ("right", "wrong")[trial.clip % 2])
        for person in range(people)
        for trial in plan.trials(person, person % conditions)
    ]
    return pd.DataFrame(rows, columns=["participant", "clip", "condition", "clips"])


def answered(
    design: pd.DataFrame,
    random: np.random.Generator,
    effect: float = 0,
    clip_by_condition: float = 0,
    person_by_condition: float = 0,
    mean: float = 0.55,
) -> pd.DataFrame:
    """The design with `correct` and `rating`. Shares of correct guesses differ by participants (0.1) and clips (0.15).

    Args:
        effect: what the first condition adds to the share of correct guesses.
        clip_by_condition, person_by_condition: standard deviations of what conditions add on single clips, and for
            single participants.
        mean: share of correct guesses in the other conditions.
    """
    people, clips = design["participant"].to_numpy(), design["clip"].to_numpy()
    condition = design["condition"].map(NAMES.index).to_numpy()
    share = mean + effect * (condition == 0)
    share += 0.1 * random.standard_normal(people.max() + 1)[people]
    share += 0.15 * random.standard_normal(clips.max() + 1)[clips]
    share += person_by_condition * random.standard_normal((people.max() + 1, len(NAMES)))[people, condition]
    share += clip_by_condition * random.standard_normal((clips.max() + 1, len(NAMES)))[clips, condition]
    rating = np.clip(np.round(1 + 4 * share + random.standard_normal(len(design))), 1, 5)
    return design.assign(correct=(random.random(len(design)) < share).astype(float), rating=rating, seconds=5.0)
