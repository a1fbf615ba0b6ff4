"""What a study's answers say: how often people guessed what the network predicted, and how they rated its reasons."""

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from src.explain.bootstrap import SpeakerBootstrap
from src.mistake import Mistake
from src.study.materials import MANIFEST
from src.study.store import Store

MEASURES = ("correct", "rating")
CLIPS = ("all", "right", "wrong")  # as the network took them
LEAST_SECONDS = 1.0  # in the median: nobody listens, looks and decides faster
MOST_FAILED = 0.5  # of the attention checks


@dataclass(frozen=True)
class Answers:
    """A study's answers, and whose do not count.

    Args:
        table: a row per answer: participant, trial, block, clip, condition, guess, rating, seconds, path, label,
            prediction, clips ("right" or "wrong"), correct (whether the guess is the prediction).
        excluded: participant and reason.
        classes: that could be named.
    """

    table: pd.DataFrame
    excluded: dict[int, str]
    classes: list[str]

    @property
    def counted(self) -> pd.DataFrame:
        """Answers of the main block by participants who are not excluded."""
        return self.table[(self.table["block"] == "main") & ~self.table["participant"].isin(list(self.excluded))]


def read(folder: Path) -> Answers:
    """A study's answers.

    Excluded are, by rules that do not look at what is compared: who named the wanted class in less than half of their
    attention checks, and whose median time for a main trial is below a second.

    Raises:
        Mistake: the folder holds no study, or nobody has answered.
    """
    if not (folder / MANIFEST).exists() or not (folder / "answers.sqlite").exists():
        raise Mistake(f"results={folder} holds no study; name the folder of one, such as studies/pilot.")
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    clips = pd.DataFrame(manifest["chosen"])
    table = Store(folder / "answers.sqlite").answers()
    if not (table["block"] == "main").any():
        raise Mistake(f"results={folder} has no answers yet; come back when somebody has taken part.")
    table = table.join(clips[["path", "label", "prediction"]], on="clip")
    table["clips"] = np.where(table["label"] == table["prediction"], "right", "wrong")
    table["rating"] = table["rating"].astype(float)
    table["correct"] = (table["guess"] == table["prediction"]).astype(float)
    excluded: dict[int, str] = {}
    for participant, own in table.groupby("participant"):
        checks, main = own[own["block"] == "attention"], own[own["block"] == "main"]
        if len(checks) and (checks["guess"] != checks["wanted"]).mean() > MOST_FAILED:
            excluded[int(str(participant))] = f"failed more than {MOST_FAILED:.0%} of the attention checks"
        elif len(main) and main["seconds"].median() < LEAST_SECONDS:
            excluded[int(str(participant))] = f"took less than {LEAST_SECONDS:g} s for half of the trials"
    return Answers(table, excluded, manifest["classes"])


def summarise(counted: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Per condition and kind of clips: participants, answers, and the mean of each measure with its 95 % interval.

    Means are over participants, each by their own mean, and so are intervals: participants are resampled. Where nothing
    was explained there are no ratings. `seconds` is the median time of an answer.
    """
    rows = []
    for condition, kind in itertools.product(counted["condition"].unique(), CLIPS):
        part = counted[(counted["condition"] == condition) & ((kind == "all") | (counted["clips"] == kind))]
        if part.empty:
            continue
        own = part.groupby("participant")[list(MEASURES)].mean()
        bootstrap = SpeakerBootstrap([str(name) for name in own.index], seed=seed)
        row: dict[str, Any] = {"condition": condition, "clips": kind, "participants": len(own), "answers": len(part)}
        row["seconds"] = part["seconds"].median()
        for measure in MEASURES:
            values = own[measure].to_numpy()
            low, high = bootstrap.interval(bootstrap.means(values))
            row |= {measure: values.mean(), f"{measure}_low": low, f"{measure}_high": high}
        rows.append(row)
    return pd.DataFrame(rows)


def compare(counted: pd.DataFrame) -> pd.DataFrame:
    """Each two conditions, by participants who met both: difference of means, paired t-test, and Cohen's d_z.

    d_z is the mean of the differences over their standard deviation (Lakens 2013, doi 10.3389/fpsyg.2013.00863, eq. 6).
    p-values are not corrected for how many comparisons there are; Holm's correction is beside them.
    """
    rows = []
    for measure, kind in itertools.product(MEASURES, CLIPS):
        part = counted if kind == "all" else counted[counted["clips"] == kind]
        means = part.pivot_table(index="participant", columns="condition", values=measure)
        for one, other in itertools.combinations(means.columns, 2):
            both = means[[one, other]].dropna()
            if len(both) < 2:
                continue
            difference = (both[one] - both[other]).to_numpy()
            spread = difference.std(ddof=1)
            tested = stats.ttest_rel(both[one], both[other]) if spread > 0 else None
            low, high = tested.confidence_interval() if tested else (difference.mean(),) * 2
            rows.append(
                {
                    "measure": measure, "clips": kind, "one": one, "other": other, "participants": len(both),
                    "difference": difference.mean(), "low": low, "high": high,
                    "t": tested.statistic if tested else np.nan,
                    "p": tested.pvalue if tested else (1.0 if difference.mean() == 0 else 0.0),
                    "d_z": difference.mean() / spread if spread > 0 else np.nan,
                }
            )  # fmt: skip
    table = pd.DataFrame(rows)
    if not table.empty:
        table["p_holm"] = multipletests(table["p"], method="holm")[1]
    return table


def participants_needed(effect: float, power: float = 0.8, alpha: float = 0.05) -> int:
    """How many participants a two-sided paired t-test needs to find an effect of this Cohen's d_z, above 0."""
    return int(np.ceil(TTestPower().solve_power(effect_size=effect, power=power, alpha=alpha)))
