"""The results in a complete relevance file: metrics, curves, and the clips that the report shows."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from scipy.stats import rankdata

from auscult.datamodules.source import Source
from auscult.explain.domain.explain import relative_to_logit
from auscult.explain.intervention.effect import compare
from auscult.explain.measures import fall
from auscult.explain.measures.catalogue import measure_of
from auscult.explain.measures.perturbation import Outcome, areas, summarise
from auscult.explain.relevance.question import Question
from auscult.intervals import SpeakerIntervals
from auscult.modules.answers import ANSWERS
from auscult.modules.figures import figures

KEPT = 2**28  # bytes of relevance that stay in memory; larger relevance is read again when needed
SAME = 1e-3  # logits that differ by less are the same answer
ROUNDING = 1e-6  # of a number, which may be a year: 2020 and 2021 are two answers
SEVERAL = 3  # clips: fewer may be alike
BATCH = 32  # clips in memory at a time


class Results:
    """The results of the N clips of a relevance file. Relevance itself is read when it is needed.

    Args:
        path: path of the file.
        source: the clips.
        question: how they were explained.
        classes: C names.
        seed: seed of the choice of clips.
    """

    def __init__(self, path: Path, source: Source, question: Question, classes: list[str], seed: int) -> None:
        self.path, self.source, self.question, self.classes, self.seed = path, source, question, classes, seed
        with h5py.File(path) as file:
            self.logits: np.ndarray = file["prediction"][:]  # (N, C)
            self.label: np.ndarray = file["label"][:]  # (N,)
            self.target: np.ndarray = file["target"][:]  # (N,)
            self.logit: np.ndarray = file["logit"][:]  # (N,)
            self.apart: np.ndarray = file["apart"][:]  # (N,) relevance that the domain cannot show
            rows = len(self.label)
            # (N,) relevance of the network's biases, and of nothing; NaN if it is not known
            known = (file[name][:] if name in file else np.full(rows, np.nan) for name in ("biases", "unshared"))
            self.biases, self.unshared = known
            shams = question.intervention.shams() if question.intervention and "sham" in file else {}
            kept = {name: file["sham"][name] for name in shams if name in file["sham"]}  # early files have others, too
            self.shams: dict[str, np.ndarray] = {
                name: logits[:].argmax(1) for name, logits in kept.items()
            }  # (N,) each
            self.changed: np.ndarray | None = file["intervention"][:].argmax(1) if "intervention" in file else None
            measured = [name for name in question.measured if name in file]  # early files lack newer measures
            self.measured: dict[str, np.ndarray] = {name: file[name][:] for name in measured}  # (N,) each
            self.outcome: Outcome | None = None
            self.tested = np.ones(rows, bool)
            self.falls: dict[str, np.ndarray] = {  # (N, O, F) each, of answers that are no classes
                name: file[f"perturbation/{name}"][:] for name in fall.BOUNDS if f"perturbation/{name}" in file
            }
            if question.perturbation is not None and not self.falls:
                correct, probability = (file[f"perturbation/{name}"][:] for name in ("correct", "probability"))
                self.tested = ~np.isnan(probability[:, 0, 0])  # (N,) see `Removal`
                correct = correct[self.tested].astype(bool)
                self.outcome = Outcome(question.perturbation.orders, correct, probability[self.tested])
            self.is_kept = file["relevance"].nbytes <= KEPT
            self.shape: tuple[int, ...] = file["relevance"].shape[1:]  # shape of a clip's relevance
        self.sums = np.full(rows, np.nan)  # (N,) sums of the relevance that has been read
        self.predicted = self.logits.argmax(1)  # (N,)
        self.kind = question.domain.model.kind
        self.labelled = source.is_labelled and self.kind == "classes"  # with classes, which can be right or wrong
        self.speakers = [clip.speaker for clip in source.clips]  # (N,)
        self.intervals = SpeakerIntervals(self.speakers)

    @property
    def numbers(self) -> np.ndarray | None:
        """(N,), what the network answers, if that is a number."""
        return self.logits[:, 0] if self.kind == "number" else None

    @property
    def errors(self) -> np.ndarray | None:
        """(N,), the numbers less the true ones; None if there are none."""
        return None if self.numbers is None or not self.source.is_labelled else self.numbers - self.label

    @property
    def probabilities(self) -> np.ndarray:
        """(N, C), the softmax of the logits, or the sigmoid of each tag's; (N, 0) for a number."""
        if self.kind == "number":
            return self.logits[:, :0]
        if self.kind == "tags":
            return 1 / (1 + np.exp(-self.logits.astype(float)))
        powers = np.exp(self.logits - self.logits.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)

    @property
    def conservation_error(self) -> np.ndarray:
        """|sum of relevance and what is kept apart - logit| / |logit|, (N,). NaN if the attribution does not conserve.

        Of a number, it is relative to what is not the network's constants. Kept apart are `apart`, `biases` and
        `unshared`; what is not known counts as 0.
        """
        if not self.question.attribution.conserves:
            return np.full(len(self.logit), np.nan)
        kept = self.apart + np.nan_to_num(self.biases) + np.nan_to_num(self.unshared)
        missing = np.abs(self.total + kept - self.logit)
        if self.kind == "number":  # which is mostly the mean of what was learnt, a constant
            return relative_to_logit(missing, self.logit - np.nan_to_num(self.biases))
        return relative_to_logit(missing, self.logit)

    @property
    def share_of_biases(self) -> np.ndarray:
        """Relevance of the network's biases / logit, (N,). NaN if it is not known."""
        return relative_to_logit(self.biases, self.logit) * np.copysign(1, self.logit)

    @cached_property
    def total(self) -> np.ndarray:
        """Sum of each clip's relevance, (N,)."""
        for rows in self.batches():
            if np.isnan(self.sums[rows.start]):
                self.relevances(rows)
        return self.sums

    @cached_property
    def kept(self) -> np.ndarray:
        """The relevance of all clips, if it has at most `KEPT` bytes: (N, C, T) or (N, C, frequencies, times)."""
        with h5py.File(self.path) as file:
            return file["relevance"][:]

    @cached_property
    def curves(self) -> pd.DataFrame | None:
        """The table of `perturbation.summarise`, or of `fall.summarise`; None if there are no curves."""
        if self.falls and self.question.perturbation is not None:
            return fall.summarise(self.question.perturbation, self.falls, self.intervals)
        if self.outcome is None or self.question.perturbation is None:
            return None
        return summarise(self.outcome, self.question.perturbation.fractions, self.tested_intervals)

    @property
    def is_constant(self) -> bool:
        """Whether the network gives the same answer for all clips, of which there are several."""
        spread = np.ptp(self.logits, axis=0).max()
        least = ROUNDING * np.abs(self.logits).max() if self.kind == "number" else SAME
        return len(self.logits) >= SEVERAL and bool(spread < least)

    @property
    def tested_intervals(self) -> SpeakerIntervals:
        """For means over the clips whose features were removed."""
        return SpeakerIntervals(
            [clip.speaker for clip, is_one in zip(self.source.clips, self.tested, strict=True) if is_one]
        )

    @cached_property
    def tested_figures(self) -> dict[str, float]:
        """How well the network answers the clips, with intervals over speakers; empty without labels."""
        labels = self.source.tags if self.kind == "tags" else self.label if self.source.is_labelled else None
        if labels is None:
            return {}
        read = self.logits if self.kind == "number" else self.probabilities
        labels = labels.astype(np.float32 if self.kind == "number" else np.int64)
        found = figures(ANSWERS[self.kind](self.classes), read, labels, self.speakers)
        return {f"test/{name}": value for name, value in found.items()}

    @cached_property
    def metrics(self) -> dict[str, float | int]:
        """The metrics for `metrics.json`."""
        error = self.conservation_error
        metrics: dict[str, float | int] = {
            "clips/explained": len(self.label),
            "clips/skipped": len(self.source.skipped),
        }
        if self.labelled:
            metrics[f"{self.source.unit}s/explained"] = len({clip.speaker for clip in self.source.clips})
        metrics |= self.tested_figures
        if not np.isnan(error).any():
            metrics["conservation_error/median"] = float(np.median(error))
            metrics["conservation_error/highest"] = float(error.max())
        if self.apart.any():
            metrics["apart/median"] = float(np.median(relative_to_logit(np.abs(self.apart), self.logit)))
        if np.nan_to_num(self.biases).any():
            metrics["biases/median"] = float(np.nanmedian(np.abs(self.share_of_biases)))
        if np.nan_to_num(self.unshared).any():
            metrics["unshared/median"] = float(np.nanmedian(np.abs(relative_to_logit(self.unshared, self.logit))))
        for name, values in self.measured.items():
            metrics |= self.mean(name, values)
        if self.outcome is not None and self.question.perturbation is not None:
            perturbation = self.question.perturbation
            metrics |= areas(self.outcome, perturbation.fractions, self.tested_intervals, perturbation.definition)
        if self.falls and self.question.perturbation is not None:
            metrics |= fall.areas(self.question.perturbation, self.falls, self.intervals)
        if self.changed is not None:
            metrics |= compare(self.label, self.predicted, self.changed, self.intervals, self.shams)
        return metrics

    def mean(self, name: str, values: np.ndarray) -> dict[str, float]:
        """The mean of values (N,) as metrics, without clips whose value is NaN. Empty if all values are NaN."""
        kept = ~np.isnan(values)
        if not kept.any():
            return {}
        speakers = [clip.speaker for clip, known in zip(self.source.clips, kept, strict=True) if known]
        return SpeakerIntervals(speakers).described(name, values[kept], measure_of(name).bounds)

    def relevance(self, row: int) -> np.ndarray:
        """Relevance of one clip, (C, T) or (C, frequencies, times)."""
        return self.relevances(range(row, row + 1))[0].copy()

    def batches(self) -> list[range]:
        """All rows, a few at a time."""
        return [range(start, min(start + BATCH, len(self.label))) for start in range(0, len(self.label), BATCH)]

    def relevances(self, rows: range) -> np.ndarray:
        """Relevance of B clips in a range of rows, (B, C, T) or (B, C, frequencies, times). Also notes their sums."""
        if self.is_kept:
            values = self.kept[rows.start : rows.stop]
        else:
            with h5py.File(self.path) as file:
                values = file["relevance"][rows.start : rows.stop]
        self.sums[rows.start : rows.stop] = values.sum(tuple(range(1, values.ndim)), dtype=float)
        return values

    def waveform(self, row: int) -> np.ndarray:
        """The waveform of one clip, (C, T)."""
        return self.waveforms([row])[0]

    def waveforms(self, rows: Sequence[int]) -> np.ndarray:
        """The waveforms of B clips, (B, C, T)."""
        return self.source.dataset.__getitems__(list(rows))["waveform"].numpy()

    def drawn(self, count: int) -> list[int]:
        """Rows of clips for the report: right and wrong ones, spread over classes and speakers; the first ones first.

        Each next clip is of a kind that was chosen least so far: right or wrong first, then class, then speaker. Chance
        decides between equals.
        """
        left = np.random.default_rng(self.seed).permutation(len(self.label)).tolist()
        wrong = (self.predicted != self.label) & self.labelled
        group = self.groups
        shown: Counter[tuple[str, int | str | bool]] = Counter()

        def kinds(row: int) -> list[tuple[str, int | str | bool]]:
            speaker = self.source.clips[row].speaker
            return [("wrong", bool(wrong[row])), ("class", int(group[row])), ("speaker", speaker)]

        rows: list[int] = []
        while left and len(rows) < count:
            row = min(left, key=lambda row: [shown[kind] for kind in kinds(row)])
            left.remove(row)
            rows.append(row)
            shown.update(kinds(row))
        return rows

    @property
    def groups(self) -> np.ndarray:
        """(N,), the class of each clip, or the fifth of the numbers that it lies in."""
        if self.numbers is None:
            return self.label if self.labelled else self.predicted
        return 5 * rankdata(self.numbers, "ordinal").astype(int) // (len(self.numbers) + 1)

    def in_order(self, rows: Iterable[int]) -> list[int]:
        """Sorts rows by class, with wrong predictions last; or by number."""
        if self.numbers is not None:
            return sorted(rows, key=lambda row: (self.logits[row, 0], row))
        return sorted(rows, key=lambda row: (bool(self.predicted[row] != self.label[row]), self.label[row], row))
