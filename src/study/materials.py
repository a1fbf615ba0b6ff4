"""What a study shows and plays: test clips that networks got right and wrong, explained under every condition.

`study.json` names the clips and what is compared; `materials/` has a picture and a sound of each clip and attribution,
and the clip itself. Both are made once: whoever comes back, and every later participant, is shown the same.
"""

import hashlib
import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import compose
from rich.console import Console
from rich.progress import track

from src.build import build_named
from src.checkpoint import KEY, classifier_of, open_checkpoint
from src.config import plain
from src.explain.attribution import relevance_of
from src.explain.audible import wav
from src.explain.inputs import inputs_of
from src.explain.panels import View, picture, sounds_of
from src.explain.source import test_clips
from src.explanation import trained_config
from src.mistake import Mistake
from src.study.plan import Condition

log = logging.getLogger(__name__)

MANIFEST = "study.json"
BATCH = 64


@dataclass(frozen=True)
class StudyClip:
    """A test clip, what it is, and what the network took it for.

    Args:
        checkpoint: whose network it was.
        time_axes: attribution -> where the clip starts and ends, as shares of its picture's width.
    """

    path: str
    label: str
    prediction: str
    checkpoint: str
    time_axes: dict[str, list[float]]

    @property
    def is_right(self) -> bool:
        return self.label == self.prediction


@dataclass(frozen=True)
class Materials:
    """A study's clips, in the order of their numbers, and where their pictures and sounds lie."""

    folder: Path
    clips: list[StudyClip]
    classes: list[str]

    def picture(self, clip: int, attribution: str) -> Path:
        return self.folder / f"materials/{clip:03d}-{attribution}.png"

    def sound(self, clip: int, attribution: str) -> Path:
        return self.folder / f"materials/{clip:03d}-{attribution}.wav"

    def signal(self, clip: int) -> Path:
        return self.folder / f"materials/{clip:03d}.wav"


def prepared(
    folder: Path, checkpoints: list[str], conditions: list[Condition], options: dict[str, int], data: dict[str, Any]
) -> Materials:
    """A study's materials, made if they are not there.

    Args:
        folder: the study's.
        checkpoints: whose networks are explained; each brings its share of the clips.
        conditions: to be compared.
        options: `{clips, training, attention, seed}` of the plan. Of all clips, to judge and to practise with, half are
            such that a network got wrong, or as many as there are.
        data: `{root, cache_dir}`, where the recordings lie now.

    Raises:
        Mistake: the folder holds another study, or a checkpoint cannot be used.
    """
    named = zip(("checkpoint", "checkpoint_2"), checkpoints, strict=False)
    opened = [open_checkpoint(path, option) for option, path in named]
    classes = opened[0][KEY]["classes"]
    if any(other[KEY]["classes"] != classes for other in opened):
        raise Mistake("checkpoint_2=… tells other classes apart than checkpoint; compare networks of the same task.")
    asked = {
        "checkpoints": [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in checkpoints],
        "conditions": [condition.name for condition in conditions],
        **options,
    }
    clips, seed = options["clips"] + options["training"], options["seed"]
    manifest = folder / MANIFEST
    if manifest.exists():
        held = json.loads(manifest.read_text(encoding="utf-8"))
        if changed := [name for name, value in asked.items() if held["asked"].get(name) != value]:
            raise Mistake(f"{folder} holds a study with other {', '.join(changed)}; choose another study.name.")
        return Materials(folder, [StudyClip(**clip) for clip in held["chosen"]], classes)
    attributions = sorted({condition.attribution for condition in conditions if condition.form != "none"})
    materials = Materials(folder, [], classes)
    (folder / "materials").mkdir(parents=True, exist_ok=True)
    shares = [clips // len(opened) + (place < clips % len(opened)) for place in range(len(opened))]
    for checkpoint, name, share in zip(opened, checkpoints, shares, strict=True):
        add(materials, checkpoint, name, attributions, share, seed, data)
    chosen = [asdict(clip) for clip in materials.clips]
    unfinished = manifest.with_suffix(".part")  # at the end: what is killed before it is made anew
    held = {"asked": asked, "classes": classes, "chosen": chosen}
    unfinished.write_text(json.dumps(held, indent=1), encoding="utf-8")
    unfinished.replace(manifest)
    return materials


def add(
    materials: Materials, checkpoint: dict[str, Any], name: str, attributions: list[str], share: int, seed: int,
    data: dict[str, Any],
) -> None:  # fmt: skip
    """Chooses a network's clips, and draws and sounds them."""
    classifier = classifier_of(checkpoint)
    trained = trained_config(checkpoint[KEY], {"data": {**data, "batch_size": BATCH}})
    source = test_clips(trained, checkpoint[KEY]["speakers"], None, seed)
    with torch.no_grad():
        logits = [classifier.network(input) for input in inputs_of(classifier, source.dataset, BATCH)]  # (B, C) each
    predicted = torch.cat(logits).argmax(1).numpy()  # (N,)
    nodes = {each: plain(compose("explain", [f"attribution={each}"]).attribution) for each in attributions}
    methods = {each: build_named(node, "attribution") for each, node in nodes.items()}
    console = Console(stderr=True)
    rows = chosen(source.labels, predicted, share, seed)
    for row in track(rows, "explaining clips", console=console, disable=not console.is_terminal, transient=True):
        number = len(materials.clips)
        waveform = source.dataset.__getitems__([row])["waveform"]  # (1, 1, T)
        with torch.no_grad():
            input = classifier.front_end(waveform)
        view = View.of(classifier, trained["data"]["clip"]["sample_rate"], tuple(input.shape[1:]))
        relevance = {
            each: relevance_of(method, classifier.network, input, torch.tensor([predicted[row]]))[0, 0].numpy()
            for each, method in methods.items()
        }
        axes = show(materials, number, view, waveform[0, 0].numpy(), relevance)
        clip = source.clips[row].path, materials.classes[source.labels[row]], materials.classes[predicted[row]]
        materials.clips.append(StudyClip(*clip, name, axes))


def show(
    materials: Materials, number: int, view: View, waveform: np.ndarray, relevance: dict[str, np.ndarray]
) -> dict[str, list[float]]:
    """Draws and sounds one clip under each attribution; returns its `time_axes`.

    All that is heard of a clip is equally loud, under all conditions: `sounds` makes an attribution's quieter alike
    where one of them needs it, which here is done to all.
    """
    axes: dict[str, list[float]] = {}
    for each, values in relevance.items():
        drawn = picture(view, waveform, values, "Relevance for the network's answer")
        materials.picture(number, each).write_bytes(drawn.png)
        axes[each] = list(drawn.time_axis or ())
    heard = {each: sounds_of(view, waveform, values) for each, values in relevance.items()}
    peaks = {each: np.abs(sounds["original"]).max() for each, sounds in heard.items()}
    for each, sounds in heard.items():
        quieter = min(peaks.values()) / peaks[each]
        materials.sound(number, each).write_bytes(wav(quieter * sounds["positive"], view.sample_rate))
        materials.signal(number).write_bytes(wav(quieter * sounds["original"], view.sample_rate))
    if not heard:
        materials.signal(number).write_bytes(wav(waveform, view.sample_rate))
    return axes


def chosen(labels: np.ndarray, predicted: np.ndarray, count: int, seed: int) -> list[int]:
    """Rows of so many clips, half of them wrong or as many as are, drawn by chance.

    They come in turns, a right one first, so that any first few are of both kinds.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    right, wrong = (order[(labels[order] == predicted[order]) == is_right].tolist() for is_right in (True, False))
    few = min(len(wrong), count // 2)
    kept = [*wrong[:few]], [*right[: count - few]]
    rows = []
    for place in range(max(map(len, kept))):
        rows += [part[place] for part in reversed(kept) if place < len(part)]
    return rows
