"""The clips that are explained: a checkpoint's test clips, or the user's own recordings."""

import logging
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from auscult.datamodules.audio.listing import audio_files
from auscult.datamodules.cache import Cache, open_cache
from auscult.datamodules.clips import Clip, Corpus, Segment
from auscult.datamodules.datamodule import AudioDataModule
from auscult.datamodules.dataset import ClipDataset
from auscult.datamodules.folder import SEXES, Folder
from auscult.datamodules.kinds import Classes, kind_of
from auscult.datamodules.labels.class_folders import FOLDER, INNERMOST
from auscult.datamodules.labels.table import composed, shortened
from auscult.datamodules.recording import ClipSettings
from auscult.datamodules.synthetic import Cue
from auscult.mistake import Mistake

log = logging.getLogger(__name__)

SHORT = 0.98  # of the length of the clips: what is shorter is padded by silence that can be heard


@dataclass(frozen=True)
class Source:
    """N clips, and their waveforms in the same order.

    Args:
        dataset: the waveforms.
        clips: the N clips.
        skipped: path and reason of each recording that could not be used.
        unit: what a clip's `speaker` is called in its corpus.
        cues: returns where the cues of a clip lie, if its corpus has such a function.
        segments: returns what is said when in a recording, if its corpus knows that.
        tags: (N, C), which of all tags hold, where the labels are no longer these; None if nobody knows.
        is_trimmed: whether what is silent before and behind a sound was cut off, so that only zeros are there.
    """

    dataset: ClipDataset
    clips: list[Clip]
    skipped: list[tuple[str, str]]
    unit: str = "speaker"
    cues: Callable[[Clip], list[Cue]] | None = None
    segments: Callable[[Clip], list[Segment]] | None = None
    tags: np.ndarray | None = None
    is_trimmed: bool = True

    @property
    def labels(self) -> np.ndarray:
        """(N,) int64, the class of each clip, -1 if it is unknown; tags (N, C); or numbers (N,), NaN if unknown."""
        return self.dataset.labels

    @property
    def is_labelled(self) -> bool:
        """Whether the labels of all clips are known."""
        return bool((~np.isnan(self.labels)).all() if self.labels.dtype.kind == "f" else (self.labels >= 0).all())

    def relabelled(self, labels: np.ndarray, rows: np.ndarray | None = None) -> "Source":
        """The same clips, or those in some rows, with other labels (N,)."""
        rows = np.arange(len(self.clips)) if rows is None else rows
        return replace(self, dataset=self.dataset.of_rows(rows, labels[rows]), clips=[self.clips[row] for row in rows])


class Recordings(Corpus):
    """One recording, or all recordings below a folder, without labels.

    Raises:
        Mistake: `path` does not exist.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise Mistake(f"input={path} does not exist; name a recording or a folder of recordings.")
        self.path = path
        self.root = path if path.is_dir() else path.parent

    def clips(self) -> list[Clip]:
        """See `Corpus.clips`."""
        paths = audio_files(self.root, "input") if self.path.is_dir() else [self.path.name]
        return [Clip(path, "") for path in paths]


class LabelledRecordings(Folder):
    """All recordings below a folder, with labels from a pattern or a table."""

    option = "input"

    def __init__(self, path: Path, data: dict[str, Any]) -> None:
        if not path.is_dir():
            raise Mistake(f"data.pattern and data.csv label a folder, which input={path} is not; name one.")
        super().__init__(path, data["pattern"], data["csv"], data["speakers"])


def recordings(
    path: str,
    config: dict[str, Any],
    classes: list[str],
    data: dict[str, Any],
    limit: int | None,
    seed: int,
    trained_on: Collection[str] = (),
) -> Source:
    """Prepares the user's recordings like the network's own clips.

    Each lies in the middle of its frame; for a network of the user's own, at the start, as most feature extractors do.

    Args:
        path: a file or a folder.
        config: the checkpoint's configuration.
        classes: the checkpoint's classes.
        data: options: `csv`, `pattern` and `speakers` label the recordings, unless they are None; `cache_dir` is the
            folder of the caches.
        limit: use only so many recordings, drawn at random.
        seed: decides which ones are drawn.
        trained_on: the checkpoint's training speakers.

    Raises:
        Mistake: there are no recordings, or none can be used.
    """
    labelled = data["csv"] is not None or data["pattern"] is not None
    corpus = LabelledRecordings(Path(path), data) if labelled else Recordings(Path(path))
    settings = ClipSettings(**config["data"]["clip"])
    cache = open_cache(corpus, corpus.clips(), settings, data["cache_dir"], option="input")
    clips = cache.clips
    numbers = np.full(len(clips), -1, np.int64)
    label, kind = config["task"]["label"], kind_of(config["task"])
    known = np.zeros(len(clips), bool)
    if not labelled:
        _say_what_labels(clips, label, classes)
    elif not isinstance(kind, Classes):
        clips = kind.usable(clips)
        known = np.array([label in clip.labels for clip in clips])
        _require_any(known, label)
        numbers = kind.values(clips, classes)
    else:
        named = [clip.speaker if label == "speaker" else clip.labels.get(label, "") for clip in clips]
        numbers = np.array([classes.index(name) if name in classes else -1 for name in named], np.int64)
        _require_labels(numbers, named, label, classes)
        if label != "speaker":  # speakers that the network shall recognise must be in its training
            _warn_of_known_speakers(clips, trained_on)
        known = numbers >= 0
    members = limited(np.flatnonzero(known) if labelled else np.arange(len(clips)), limit, seed)
    length = round(settings.seconds * settings.sample_rate)
    is_own = config["data"].get("name", "") is None  # a network of the user's own, see `auscult.pretrained`
    if is_own and (short := sum(cache.lengths[int(number)] < SHORT * length for number in members)):
        log.warning(
            "%d of %d recordings are shorter than seconds=%g: silence follows them, as what the network takes has one"
            " length; each alone has its own.", short, len(members), settings.seconds,
        )  # fmt: skip
    dataset = ClipDataset(
        cache, members, numbers[members], length, lambda: np.full(len(members), 0.0 if is_own else 0.5)
    )
    return Source(dataset, [clips[i] for i in members], cache.skipped, is_trimmed=settings.trim_db is not None)


def _say_what_labels(clips: list[Clip], label: str, classes: list[str]) -> None:
    """Warns if most recordings lie in folders with the names of classes, and no pattern takes these as labels."""
    if not label.isidentifier():
        return
    for pattern in (INNERMOST.format(label), f"^{FOLDER.format(label)}"):
        matches = [match for clip in clips if (match := re.search(pattern, composed(clip.path)))]
        named = [SEXES.get(match[1].lower(), match[1]) if label == "sex" else match[1] for match in matches]
        if 2 * sum(name in classes for name in named) > len(clips):
            log.warning(
                "the recordings lie in folders with the names of the checkpoint's classes, but have no labels to test"
                " against: 'data.pattern=%s' takes the folder for the %s of each.", pattern, label,
            )  # fmt: skip
            return


def _warn_of_known_speakers(clips: list[Clip], trained_on: Collection[str]) -> None:
    """Warns of speakers who have trained the checkpoint."""
    named = {clip.speaker for clip in clips if clip.speaker != clip.path}
    if trained := sorted(named & set(trained_on)):
        log.warning(
            "%d of the recordings' %d speakers have names of speakers who trained the checkpoint (%s): if they are the"
            " same persons, the accuracy says little about other speakers.",
            len(trained), len(named), ", ".join(map(shortened, trained[:5])) + (", …" if len(trained) > 5 else ""),
        )  # fmt: skip


def _require_any(known: np.ndarray, label: str) -> None:
    """Warns of recordings without tags or a number, of N; raises a Mistake if none has them."""
    if not known.any():
        raise Mistake(
            f"none of the {len(known)} recordings of input=… has a '{label}', which the network answers; give data.csv"
            f" a column {label}, or data.pattern a group of that name."
        )
    if not known.all():
        log.warning("%d of %d recordings have no '%s' and are left out.", (~known).sum(), len(known), label)


def _require_labels(numbers: np.ndarray, named: list[str], label: str, classes: list[str]) -> None:
    """Warns of recordings that are left out because the checkpoint does not have their label.

    Raises:
        Mistake: all recordings would be left out.
    """
    unknown = sorted({name for name, number in zip(named, numbers, strict=True) if number < 0})
    if not unknown:
        return
    left_out = int((numbers < 0).sum())
    examples = ", ".join(shortened(name) or "nothing" for name in unknown[:5]) + (", …" if len(unknown) > 5 else "")
    learnt = ", ".join(classes[:20]) + (", …" if len(classes) > 20 else "")
    if left_out == len(named) and unknown == [""]:
        raise Mistake(
            f"none of the {left_out} recordings of input=… has a '{label}', which the network tells apart; give"
            f" data.csv a column {label}, or data.pattern a group of that name."
        )
    if left_out == len(named):
        raise Mistake(
            f"none of the {left_out} recordings of input=… has a '{label}' that the network knows ({learnt}): they"
            f" are labelled {examples}; mend data.pattern or data.csv."
        )
    log.warning(
        "%d of %d recordings are left out, as they are labelled %s, and the network knows %s.",
        left_out, len(named), examples, learnt,
    )  # fmt: skip


def test_clips(config: dict[str, Any], speakers: dict[str, list[str]], limit: int | None, seed: int) -> Source:
    """The clips of a checkpoint's test speakers.

    Args:
        config: the checkpoint's configuration, with the present folder of the corpus.
        speakers: the checkpoint's speakers.
        limit: use only so many clips, drawn at random.
        seed: decides which ones are drawn.

    Raises:
        Mistake: the corpus or its test speakers do not exist.
    """
    datamodule = AudioDataModule.from_config(config, speakers)
    try:
        datamodule.setup()
    except Mistake as mistake:
        raise Mistake(
            f"{str(mistake).rstrip('.')}; the checkpoint's corpus is needed for its test clips:"
            " say where it is by data.root=…, or say input=… to explain recordings of your own."
        ) from mistake
    members, unit = datamodule.split.test, datamodule.unit
    if not len(members):
        raise Mistake(
            f"none of the checkpoint's test {unit}s ({', '.join(speakers['test'][:5])}, …) is in its corpus now;"
            " restore the recordings, or say input=… to explain recordings of your own."
        )
    missing = set(speakers["test"]) - {datamodule.clips[i].speaker for i in members}
    if missing:
        log.warning("%d of the checkpoint's test %ss are not in the corpus any more.", len(missing), unit)
    members = limited(members, limit, seed)
    cache: Cache = datamodule.cache
    clips = [datamodule.clips[i] for i in members]
    cues = getattr(datamodule.corpus, "cues", None)
    known = unit, cues, datamodule.corpus.segments
    is_trimmed = config["data"]["clip"]["trim_db"] is not None
    return Source(datamodule.evaluation_dataset(members), clips, cache.skipped, *known, is_trimmed=is_trimmed)


def limited(members: np.ndarray, limit: int | None, seed: int) -> np.ndarray:
    """Draws `limit` members at random, in their order; all of them if `limit` is None or larger."""
    if limit is None or limit >= len(members):
        return members
    return np.sort(np.random.default_rng(seed).choice(members, limit, replace=False))
