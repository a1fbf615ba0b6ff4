"""Chooses a study's clips among the networks' test clips, draws them, and makes them audible."""

import logging
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from auscult.explain.attribution.base import attribution_of
from auscult.explain.domain.domains import Input
from auscult.explain.domain.explain import explain
from auscult.explain.show.audible import wav
from auscult.explain.show.clip import View, picture, sounds_of
from auscult.mistake import Mistake
from auscult.program.conf import choice
from auscult.progress import tracked
from auscult.study.plan import UNLABELLED, Condition, StudyClip
from auscult.study.subjects import Listened

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stimuli:
    """Where a study's pictures and sounds lie, by the clips' numbers."""

    folder: Path

    def picture(self, clip: int, attribution: str) -> Path:
        """The file of a clip's picture by an attribution."""
        return self.folder / f"materials/{clip:03d}-{attribution}.png"

    def sound(self, clip: int, attribution: str) -> Path:
        """The file of a clip's sound by an attribution."""
        return self.folder / f"materials/{clip:03d}-{attribution}.wav"

    def signal(self, clip: int) -> Path:
        """The file of a clip itself."""
        return self.folder / f"materials/{clip:03d}.wav"


def made(
    stimuli: Stimuli, networks: list[Listened], conditions: list[Condition], options: dict[str, Any]
) -> list[StudyClip]:
    """Chooses clips, draws them and makes them audible. Networks take turns, and no recording comes twice.

    Args:
        stimuli: where the files go; the folder is there.
        options: see `materials.prepared`.

    Raises:
        Mistake: there are too few clips.
        OSError: a file cannot be written.
    """
    count, seed = options["clips"] + options["training"], options["seed"]
    taken: set[str] = set()
    parts: list[list[tuple[Listened, int]]] = []
    for place, network in enumerate(networks):
        share = count // len(networks) + (place < count % len(networks))
        free = np.array([clip.path not in taken for clip in network.source.clips])
        rows = chosen(network.source.labels, network.predicted, share, seed, free)
        taken |= {network.source.clips[row].path for row in rows}
        parts.append([(network, row) for row in rows])
    order = [each for each in chain.from_iterable(zip_longest(*parts)) if each is not None]
    warn_of_few(order, count, options["training"])
    attributions = sorted({condition.attribution for condition in conditions if condition.form != "none"})
    methods = {each: attribution_of(choice("attribution", each)) for each in attributions}
    shown = tracked(order, "explaining clips", len(order))
    how = methods, options["smoothing"]
    return [show(stimuli, number, network, row, *how) for number, (network, row) in enumerate(shown)]


def warn_of_few(order: list[tuple[Listened, int]], count: int, training: int) -> None:
    """Warns of too few clips, or of too few that the network got wrong.

    Raises:
        Mistake: there is nothing left to judge.
    """
    if len(order) < training + 2:
        raise Mistake(f"study.training={training} leaves nothing to judge: there are {len(order)} clips; choose fewer.")
    wrong = sum(network.predicted[row] != network.source.labels[row] for network, row in order)
    if len(order) < count:
        log.warning(
            "study.clips=%d is more than there are: all %d clips are in the study, of which %d are judged; say a"
            " smaller study.clips to take some of them.", count - training, len(order), len(order) - training,
        )  # fmt: skip
    if not all(network.source.is_labelled for network, _ in order):
        return
    if wrong > (len(order) + 1) // 2:
        log.warning("Of %d clips, the network got %d wrong: there are no more that it got right.", len(order), wrong)
    if wrong < len(order) // 2:
        log.warning(
            "Of %d clips, the network got %d wrong: there are no more to balance right and wrong.", len(order), wrong
        )


def show(
    stimuli: Stimuli, number: int, network: Listened, row: int, methods: dict[str, Any], smoothing: float
) -> StudyClip:
    """Draws one clip, and makes it audible, by each attribution.

    A clip sounds equally loud under all conditions. `sounds_of` makes the sounds of one attribution quieter if one of
    them would clip; this function makes all sounds of the clip as quiet as the quietest.

    Args:
        number: the clip's number in the study.
        row: the clip's row in the network's source.
        methods: attribution -> what computes it.
        smoothing: seconds over which relevance of samples is smoothed before it is heard.
    """
    source, model, predicted = network.source, network.model, int(network.predicted[row])
    batch = source.dataset.__getitems__([row])["waveform"]  # (1, C, T)
    domain, waveform = Input(model, batch.shape[-1]), batch[0].numpy()  # (C, T)
    view = View.of(domain.model, tuple(domain.model.silence(batch.shape[-1]).shape[1:]), smoothing)
    heard: dict[str, dict[str, np.ndarray]] = {}
    axes: dict[str, list[float]] = {}
    for each, method in methods.items():
        relevance = explain(domain, method, batch, predicted).relevance[0].numpy()
        drawn = picture(view, waveform, relevance, "Relevance for the network's answer")
        stimuli.picture(number, each).write_bytes(drawn.content)
        axes[each] = list(drawn.time_axis or ())
        heard[each] = sounds_of(view, waveform, relevance)
    peaks = {each: np.abs(sounds["original"]).max() for each, sounds in heard.items()}
    signal = waveform.mean(0)
    for each, sounds in heard.items():
        quieter = min(peaks.values()) / peaks[each]
        stimuli.sound(number, each).write_bytes(wav(quieter * sounds["positive"], view.sample_rate))
        signal = quieter * sounds["original"]
    stimuli.signal(number).write_bytes(wav(signal, view.sample_rate))
    labelled = int(source.labels[row])
    label = model.classes[labelled] if labelled >= 0 else UNLABELLED
    return StudyClip(source.clips[row].path, label, model.classes[predicted], network.name, axes)


def chosen(labels: np.ndarray, predicted: np.ndarray, count: int, seed: int, free: np.ndarray) -> list[int]:
    """Rows of `count` free clips, drawn by chance. The network got half of them wrong, if there are enough of both.

    Right and wrong ones take turns, a right one first, so that any first few are of both kinds.

    Args:
        labels, predicted: (N,) indices of classes.
        free: (N,) whether a clip can be chosen.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[free[order]]
    right, wrong = (order[(labels[order] == predicted[order]) == is_right].tolist() for is_right in (True, False))
    few = min(len(wrong), max(count // 2, count - len(right)))
    turns = chain.from_iterable(zip_longest(right[: count - few], wrong[:few]))
    return [row for row in turns if row is not None]
