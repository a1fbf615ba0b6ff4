"""What a study's answers say: how often people guessed what the network predicted, and how they rated its reasons."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auscult.mistake import Mistake
from auscult.study.crossed import estimate
from auscult.study.materials import manifest_of
from auscult.study.options import ANSWERS, check_study
from auscult.study.plan import CLIPS, MEASURES, UNLABELLED, Comparison
from auscult.study.store import Store

LEAST_SECONDS = 1.0  # the median time of an answer: nobody listens, looks and decides faster
TOO_MANY_FAILED = 0.5  # share of the attention checks


@dataclass(frozen=True)
class Answers:
    """A study's answers, and the participants who do not count.

    Args:
        table: a row per answer: participant, trial, block, clip, condition, guess, rating, seconds, browser_seconds,
            path, label, prediction, checkpoint, clips ("right" or "wrong"), correct (whether the guess is the
            prediction). For seconds see `timed`.
        excluded: participant -> reason.
        classes: those that could be named.
        planned: the study's primary comparisons, named before anybody answered.
    """

    table: pd.DataFrame
    excluded: dict[int, str]
    classes: list[str]
    planned: Sequence[Comparison] = ()

    @property
    def counted(self) -> pd.DataFrame:
        """Answers of the main block by participants who are not excluded."""
        return self.table[(self.table["block"] == "main") & ~self.table["participant"].isin(list(self.excluded))]


def read(folder: Path) -> Answers:
    """A study's answers.

    Raises:
        Mistake: the folder holds no study, or nobody has answered.
    """
    check_study(folder)
    manifest = manifest_of(folder)
    clips = pd.DataFrame(manifest["chosen"])
    store = Store(folder / ANSWERS)
    if "conditions" in manifest["asked"]:
        store.require_conditions(map(str, manifest["asked"]["conditions"]))
    table = store.answers()
    if table.empty:
        raise Mistake(f"results={folder} has no answers yet; come back when somebody has taken part.")
    table = timed(table, store.handed_out()).join(clips[["path", "label", "prediction", "checkpoint"]], on="clip")
    table["clips"] = np.where(table["label"] == table["prediction"], "right", "wrong")
    table.loc[table["label"] == UNLABELLED, "clips"] = "all"
    table["rating"] = table["rating"].astype(float)
    table["correct"] = (table["guess"] == table["prediction"]).astype(float)
    main = len(clips) - int(manifest["asked"]["training"])
    reasons = {int(str(person)): reason_against(own, main) for person, own in table.groupby("participant")}
    excluded = {person: reason for person, reason in reasons.items() if reason}
    return Answers(table, excluded, manifest["classes"], manifest["primary"])


def timed(answers: pd.DataFrame, handed_out: pd.DataFrame) -> pd.DataFrame:
    """The answers with `seconds` by the server's clock, from when a trial was first handed out to when it was answered.

    The browser's own time, which a participant can forge, becomes `browser_seconds`. It is used where the server kept
    no time, as in studies of earlier versions.
    """
    answers = answers.merge(handed_out, "left", ["participant", "trial"], validate="one_to_one")
    answers = answers.rename(columns={"seconds": "browser_seconds"})
    seconds = (answers["answered"] - answers.pop("moment")).clip(lower=0)  # a clock may be set back
    answers.insert(list(answers).index("browser_seconds"), "seconds", seconds.fillna(answers["browser_seconds"]))
    return answers


def reason_against(own: pd.DataFrame, trials: int) -> str:
    """Why a participant does not count; "" if they do. The rules do not look at what is compared.

    Args:
        own: the participant's answers.
        trials: how many the main block has.
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

    Means are over the participants' own means. Intervals are for other participants and other clips (see
    `crossed.estimate`), and end where the scale ends. Where nothing was explained, there are no ratings. `seconds` is
    the median time of an answer.
    """
    rows = []
    for condition, kind in itertools.product(counted["condition"].unique(), CLIPS):
        part = counted[(counted["condition"] == condition) & ((kind == "all") | (counted["clips"] == kind))]
        if part.empty:
            continue
        row: dict[str, Any] = {"condition": condition, "clips": kind, "participants": part["participant"].nunique()}
        row |= {"answers": len(part), "seconds": part["seconds"].median()}
        for measure, scale in MEASURES.items():
            measured = part.dropna(subset=[measure])
            estimated = estimate(*(measured[name].to_numpy() for name in (measure, "participant", "clip")))
            low, high = np.clip(estimated.interval, *scale)
            row |= {measure: estimated.value, f"{measure}_low": low, f"{measure}_high": high}
        rows.append(row)
    return pd.DataFrame(rows)
