"""What a study's answers say: how often people guessed what the network predicted, and how they rated its reasons."""

import itertools
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from src.mistake import Mistake
from src.study.materials import MANIFEST, manifest_of
from src.study.plan import SCALE
from src.study.store import Store

MEASURES = {"correct": (0.0, 1.0), "rating": (1.0, float(SCALE))}  # and the ends of their scales
CLIPS = ("all", "right", "wrong")  # as the network took them
LEAST_SECONDS = 1.0  # in the median: nobody listens, looks and decides faster
TOO_MANY_FAILED = 0.5  # of the attention checks
EQUAL = 1e-9  # differences of means that differ by less are the same
MOST_PARTICIPANTS = 10**9


@dataclass(frozen=True)
class Answers:
    """A study's answers, and whose do not count.

    Args:
        table: a row per answer: participant, trial, block, clip, condition, guess, rating, seconds, browser_seconds,
            path, label, prediction, checkpoint, clips ("right" or "wrong"), correct (whether the guess is the
            prediction). For seconds see `timed`.
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

    Raises:
        Mistake: the folder holds no study, or nobody has answered.
    """
    if not (folder / MANIFEST).exists() or not (folder / "answers.sqlite").exists():
        raise Mistake(f"results={folder} holds no study; name the folder of one, such as studies/pilot.")
    manifest = manifest_of(folder)
    clips = pd.DataFrame(manifest["chosen"])
    store = Store(folder / "answers.sqlite")
    table = store.answers()
    if table.empty:
        raise Mistake(f"results={folder} has no answers yet; come back when somebody has taken part.")
    table = timed(table, store.handed_out()).join(clips[["path", "label", "prediction", "checkpoint"]], on="clip")
    table["clips"] = np.where(table["label"] == table["prediction"], "right", "wrong")
    table["rating"] = table["rating"].astype(float)
    table["correct"] = (table["guess"] == table["prediction"]).astype(float)
    main = len(clips) - int(manifest["asked"]["training"])
    reasons = {int(str(person)): reason_against(own, main) for person, own in table.groupby("participant")}
    return Answers(table, {person: reason for person, reason in reasons.items() if reason}, manifest["classes"])


def timed(answers: pd.DataFrame, handed_out: pd.DataFrame) -> pd.DataFrame:
    """The answers with `seconds` by the server's clock, from when a trial was first handed out to when it was answered.

    What the browser said, which whoever takes part can choose, becomes `browser_seconds`. It is taken where the server
    kept no time, as in studies of earlier versions.
    """
    answers = answers.merge(handed_out, "left", ["participant", "trial"], validate="one_to_one")
    answers = answers.rename(columns={"seconds": "browser_seconds"})
    seconds = (answers["answered"] - answers.pop("moment")).clip(lower=0)  # a clock may be set back
    answers.insert(list(answers).index("browser_seconds"), "seconds", seconds.fillna(answers["browser_seconds"]))
    return answers


def reason_against(own: pd.DataFrame, trials: int) -> str:
    """Why a participant does not count, if so; by rules that do not look at what is compared.

    Args:
        own: their answers.
        trials: of the main block.
    """
    checks, main = own[own["block"] == "attention"], own[own["block"] == "main"]
    if len(main) < trials:
        return f"answered {len(main)} of {trials} trials"
    if len(checks) and (checks["guess"] != checks["wanted"]).mean() >= TOO_MANY_FAILED:
        return f"failed {TOO_MANY_FAILED:.0%} or more of the attention checks"
    if main["seconds"].median() < LEAST_SECONDS:
        return f"took less than {LEAST_SECONDS:g} s for half of the trials"
    return ""


def summarise(counted: pd.DataFrame) -> pd.DataFrame:
    """Per condition and kind of clips: participants, answers, and the mean of each measure with its 95 % interval.

    Means are over participants, each by their own mean, and intervals are Student's over those means, as far as they
    are on the scale. Where nothing was explained there are no ratings. `seconds` is the median time of an answer.
    """
    rows = []
    for condition, kind in itertools.product(counted["condition"].unique(), CLIPS):
        part = counted[(counted["condition"] == condition) & ((kind == "all") | (counted["clips"] == kind))]
        if part.empty:
            continue
        own = part.groupby("participant")[list(MEASURES)].mean()
        row: dict[str, Any] = {"condition": condition, "clips": kind, "participants": len(own), "answers": len(part)}
        row["seconds"] = part["seconds"].median()
        for measure, scale in MEASURES.items():
            values = own[measure].to_numpy()
            low, high = np.clip(interval(values), *scale)
            row |= {measure: values.mean(), f"{measure}_low": low, f"{measure}_high": high}
        rows.append(row)
    return pd.DataFrame(rows)


def interval(values: np.ndarray) -> tuple[float, float]:
    """Student's 95 % interval of a mean of values (N,); not a number where it cannot be known: all alike, or one."""
    if len(values) < 2 or not np.isfinite(values).all() or np.ptp(values) < EQUAL:
        return np.nan, np.nan
    found = stats.ttest_1samp(values, 0).confidence_interval()
    return float(found.low), float(found.high)


def compare(counted: pd.DataFrame) -> pd.DataFrame:
    """Each two conditions, by participants who met both: difference of means, paired t-test, and Cohen's d_z.

    d_z is t over the square root of the number of participants (Lakens 2013, doi 10.3389/fpsyg.2013.00863, eq. 7).
    Holm's correction is for all pairs of conditions of one measure and kind of clips. Where every participant's
    difference is the same, there is nothing to test by.
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
            is_constant = np.ptp(difference) < EQUAL
            t, p = (np.nan, np.nan) if is_constant else stats.ttest_rel(both[one], both[other])
            low, high = interval(difference)
            rows.append(
                {
                    "measure": measure, "clips": kind, "one": one, "other": other, "participants": len(both),
                    "difference": difference.mean(), "low": low, "high": high, "d_z": t / np.sqrt(len(both)),
                    "t": t, "p": p,
                }
            )  # fmt: skip
    table = pd.DataFrame(rows)
    if not table.empty:
        table["p_holm"] = table.groupby(["measure", "clips"])["p"].transform(holm)
    return table


def holm(p: pd.Series) -> pd.Series:
    """Holm's correction of those that are numbers."""
    corrected = p.copy()
    if p.notna().any():
        corrected[p.notna()] = multipletests(p.dropna(), method="holm")[1]
    return corrected


def participants_needed(effect: float, power: float = 0.8, alpha: float = 0.05, comparisons: int = 1) -> int:
    """How many participants two-sided paired t-tests need to find an effect of this Cohen's d_z, above 0.

    Args:
        comparisons: that are tested together. Alpha is divided by them (Bonferroni), which Holm's correction, as
            `compare` makes it, needs at most.

    Raises:
        Mistake: more than there are people.
    """
    counts = range(2, MOST_PARTICIPANTS)
    place = bisect_left(counts, power, key=lambda count: TTestPower().power(effect, count, alpha / comparisons))
    if place == len(counts):
        raise Mistake(f"effect={effect} is too small to be found by anybody; plan for a larger one.")
    return counts[place]
