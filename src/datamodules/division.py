"""Divides the clips of a corpus for a task into training, validation and test.

This needs neither the recordings nor PyTorch, which takes seconds to import. So mistakes in the options of folder,
labels and fold are reported at once.
"""

import logging
import re
from dataclasses import replace
from typing import Any

from auscult.datamodules.clips import Clip, Corpus
from auscult.datamodules.confound import Confound
from auscult.datamodules.folds import LEAST_SPEAKERS, Split, require_two, split, split_of, unsaid
from auscult.datamodules.kinds import Classes, Number, Tags, kind_of
from auscult.datamodules.labels.speakers import spelled_alike
from auscult.datamodules.labels.table import shortened
from auscult.datamodules.published_split import published_split
from auscult.mistake import Mistake, TooFewSpeakers
from auscult.parts import build_part

log = logging.getLogger(__name__)

TASKS = ("digit", "sex", "label")  # the tasks that have the name of their label
MISSING = ("nan", "na", "n/a", "#n/a", "<na>", "null")  # how programs write a missing value into tables
# the options of `data` that all corpora share
SHARED_OPTIONS = (
    "name", "clip", "cache_dir", "placement", "batch_size", "epochs", "shift", "confound", "shuffle_labels",
)  # fmt: skip


def is_decimal(name: str) -> bool:
    """Whether the name of a class is a number."""
    return re.fullmatch(r"[+-]?\d+([.,]\d+)?", name) is not None


class Division:
    """One task on one fold of one corpus. First, all clips are divided; `keep` then divides those that can be used.

    Args:
        corpus: where the clips are.
        task: `{name, label, classes, folds, balance, fold_seed}`, see `conf/task`.
        fold: which of the task's folds to test on.
        speakers: the speakers of "train", "validation" and "test" of a checkpoint, instead of the fold's.
        confound: what is planted into the clips of all splits.

    Attributes:
        clips: the corpus's clips, in its order.
        classes: names of the task's classes.
        split: positions in `clips`.
        unit: what counts as a speaker, see `Corpus.unit`.

    Raises:
        Mistake: there are no clips, or they do not serve the task or the fold.
    """

    def __init__(
        self,
        corpus: Corpus,
        task: dict[str, Any],
        fold: int,
        speakers: dict[str, list[str]] | None = None,
        confound: Confound | None = None,
    ) -> None:
        self.corpus, self.task, self.fold, self.given_speakers, self.confound = corpus, task, fold, speakers, confound
        self.label: str = task["label"]
        self.kind = kind_of(task)
        self.unit = corpus.unit
        clips = corpus.clips()
        columns = {column for clip in clips for column in clip.labels}
        if self.label == "speaker" and self.label not in columns and self.unit == "speaker":
            clips = _each_by_itself(clips, corpus)
            self.unit = "recording"
            columns = {column for clip in clips for column in clip.labels}
        if self.label not in columns:
            way = corpus.where_labels_are_named(self.label)
            asked = f"task={task['name']}" if task["name"] in (*TASKS, "sound") else f"task.label={self.label}"
            raise Mistake(
                f"{asked} needs clips labelled '{self.label}', and this corpus has only"
                f" {', '.join(sorted(columns)) or 'unlabelled clips'};"
                f" {', '.join(filter(None, [self._other_label(columns), way, 'or another corpus (data)']))}."
            )
        clips = self.kind.usable(clips)
        self._warn_of_spellings(clips)
        with unsaid():  # the next `keep`, with the clips that can be used, logs its own
            self.keep(clips)

    def _other_label(self, columns: set[str]) -> str:
        """What labels of the corpus the task can have instead, or which task goes with them."""
        if isinstance(self.kind, Classes) or not columns:
            return _other_task(columns)
        return f"choose {' or '.join(f'task.label={column}' for column in sorted(columns))}"

    @classmethod
    def from_config(cls, config: dict[str, Any], speakers: dict[str, list[str]] | None = None) -> "Division":
        """The division that a resolved configuration (plain containers) describes."""
        return cls(corpus_of(config), config["task"], config["fold"], speakers, Confound.from_config(config))

    def keep(self, clips: list[Clip]) -> None:
        """Divides these clips of the corpus, and no others.

        Raises:
            Mistake: they do not serve the task or the fold.
        """
        self.clips = clips
        self.classes = self._classes()
        if self.confound and not isinstance(self.kind, Classes):
            raise Mistake("data.confound goes with a class, which task.kind=classes has; leave data.confound.kind out.")
        if self.confound:
            present = {clip.labels.get(self.label) for clip in self.clips}
            self.confound.check([name for name in self.classes if name in present])
        self.split = self._split()

    def _warn_of_spellings(self, clips: list[Clip]) -> None:
        """Warns of classes and speakers that read like a missing value, or like another spelling of a second one."""
        classes = set() if isinstance(self.kind, Number) else set(self.kind.names(clips))
        if several := _with_several(classes):
            log.warning(
                "%s reads like several labels, and is a class of its own here (of such classes, task.label=%s has %d):"
                " a recording has one class, so keep one label of each, or say task=tags task.label=%s",
                shortened(several[0]),
                self.label,
                len(several),
                self.label,
            )
        kinds = {
            f"classes (task.label={self.label})": classes,
            f"{self.unit}s": {clip.speaker for clip in clips if clip.speaker != clip.path},
        }
        for kind, names in kinds.items():
            if missing := sorted(name for name in names if name.casefold() in MISSING):
                log.warning(
                    "%s is one of the %s, and reads like a missing value: if it is one, leave its cells empty.",
                    shortened(missing[0]), kind,
                )  # fmt: skip
            if pairs := spelled_alike(names):
                log.warning(
                    "%s and %s are two %s and differ only in capitals, leading zeros or a .0 at the end (%d such"
                    " pairs): if they are one, spell them alike.", *map(shortened, pairs[0]), kind, len(pairs),
                )  # fmt: skip

    def labels_in(self, part: Any) -> set[str]:
        """The classes or tags of a part of the split, (N,) positions in `clips`."""
        return {name for clip in part for name in self.kind.held(self.clips[clip])}

    def _split(self) -> Split:
        if self.given_speakers is not None:
            return split_of(self.clips, self.label, self.given_speakers)
        clips = self.kind.strata(self.clips)
        try:
            if (part_of := self.corpus.published_split()) is not None:
                if isinstance(self.kind, Classes):  # tags and numbers may be of one stratum here
                    require_two({clip.labels[self.label] for clip in clips}, self.label)
                return published_split(
                    clips, self.label, self.fold, part_of, self.task, self.corpus.undivided, self.unit
                )
            return split(
                clips,
                self.label,
                fold=self.fold,
                folds=self.task["folds"],
                published=self.corpus.published_folds(self.task["name"]),
                balance=self.task["balance"],
                seed=self.task["fold_seed"],
                unit=self.unit,
                validates=self.corpus.validates,
                first_fold=self.corpus.first_fold,
                undivided=self.corpus.undivided,
            )
        except TooFewSpeakers as error:
            raise Mistake(self._why_too_few(error)) from error

    def _why_too_few(self, error: TooFewSpeakers) -> str:
        """The sentence for classes of too few speakers, which may be no classes, or have no speakers."""
        if not isinstance(self.kind, Classes):
            return str(error)
        named = [(clip.speaker, clip.labels[self.label]) for clip in self.clips if self.label in clip.labels]
        is_open = self.task["classes"] is None  # the classes are what the recordings show
        if is_open and 2 * len(self.classes) > len(named) and all(map(is_decimal, self.classes)):
            return (
                f"task.label={self.label} has {len(self.classes)} different numbers, too many for"
                f" classes: say task=number task.label={self.label} to learn the number, or make another column that"
                " groups them into classes."
            )
        if is_open and 2 * len(self.classes) > len(named) > 2 * LEAST_SPEAKERS:
            return (
                f"task.label={self.label} has {len(self.classes)} classes for {len(named)} recordings, nearly one for"
                f" each, such as {shortened(self.classes[0])}; take a smaller part of a name for the label, or"
                " another column."
            )
        if all(speaker.casefold() == label.casefold() for speaker, label in named):
            return (
                f"the speaker of each recording is the same as its {self.label}, such as {shortened(named[0][0])}: name"
                " the person who speaks, or leave the speaker out of data.csv or data.pattern."
            )
        way = self.corpus.where_classes_are_left_out(self.label, error.few)
        if not way or len(set(self.classes) - set(error.few)) < 2:
            return str(error)
        return f"{str(error).rstrip('.')}, or {way}."

    def _classes(self) -> list[str]:
        path_of = {name: clip.path for clip in self.clips for name in self.kind.held(clip)}
        if self.task["classes"] is None or isinstance(self.kind, Number):
            return self.kind.names(self.clips)
        classes = [str(name) for name in self.task["classes"]]
        if isinstance(self.kind, Tags) and path_of.keys() & set(classes):
            return classes  # others are ignored
        if others := sorted(path_of.keys() - set(classes)):
            raise Mistake(self._misfit(classes, others, path_of[others[0]]))
        return classes

    def _misfit(self, classes: list[str], others: list[str], path: str) -> str:
        """The sentence for labels that the task does not have: `others`, the first of them of the recording `path`."""
        task, has = self.task["name"], f"has the classes {', '.join(classes)}"
        if set(classes) & {clip.labels.get(self.label) for clip in self.clips}:
            labelled = f"task={task} {has}, but {path} is labelled '{others[0]}'"
            if way := self.corpus.where_classes_are_left_out(self.label, others):
                tables = "data.pattern, or the table of labels or speakers"
                return f"{labelled}: mend the label ({tables}), name it in task.classes, or {way}."
            return f"{labelled}: name it in task.classes, too, as this corpus is learnt with all its classes."
        if task in TASKS and task != self.label:
            way = f"task={self.label}" if self.label in TASKS else f"task=label task.label={self.label}"
            return f"task.label={self.label} does not fit task={task}, which {has}: say {way}."
        labels = ", ".join(map(shortened, others[:5])) + (", …" if len(others) > 5 else "")
        way = f"say task=label task.label={self.label}" if task in ("digit", "sex") else "leave task.classes out"
        return (
            f"task={task} {has}, but all recordings are labelled otherwise ({labels}): write the names of the"
            f" classes in their place, or {way}, which learns what is there."
        )


def _with_several(classes: set[str]) -> list[str]:
    """The classes that read like several labels, such as "bird;pet" where there is "bird".

    A name may have a comma ("cough, dry"), so that all its parts have to be names of classes.
    """

    def are_several(name: str) -> bool:
        some, each = ({part.strip() for part in re.split(mark, name)} for mark in ("[;|]", ","))
        return (len(some) > 1 and bool(classes & some)) or (len(each) > 1 and classes >= each)

    return sorted(filter(are_several, classes))


def _other_task(columns: set[str]) -> str:
    names = [f"task={name}" if name in TASKS else f"task=label task.label={name}" for name in sorted(columns)]
    return f"choose {' or '.join(names[:3]) or 'another task'}"


def _each_by_itself(clips: list[Clip], corpus: Corpus) -> list[Clip]:
    """Makes the speaker a label, and each recording its own `speaker`, so that all splits have all speakers."""
    log.warning("task.label=speaker: training, validation and test share speakers, but no recordings.")
    return [
        clip
        if clip.speaker == clip.path  # the speaker is unknown
        else replace(clip, speaker=clip.path, labels={**clip.labels, "speaker": corpus.undivided(clip.speaker)})
        for clip in clips
    ]


def corpus_options(config: dict[str, Any]) -> dict[str, Any]:
    """The corpus's own options in `data`: its class and the arguments of that."""
    return {name: value for name, value in config["data"].items() if name not in SHARED_OPTIONS}


def corpus_of(config: dict[str, Any]) -> Corpus:
    """The corpus that a resolved configuration names."""
    corpus: Corpus = build_part("data", corpus_options(config), config.get("allow", ()))
    return corpus
