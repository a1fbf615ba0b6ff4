"""What a study shows and plays: test clips that networks got right and wrong, explained under every condition.

`study.json` names the clips, what is compared, and which comparison the study is for. `materials/` has a picture and a
sound of each clip and attribution, and the clip itself. All are made once, before anybody answers: whoever comes back,
and every later participant, is shown the same.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from auscult.files import check_links
from auscult.mistake import Mistake
from auscult.plain_data import plain_data, shown, text_of
from auscult.study.options import MANIFEST
from auscult.study.plan import Comparison, Condition, StudyClip
from auscult.study.stimuli import Stimuli, made
from auscult.study.subjects import Listened, Subject, listened

log = logging.getLogger(__name__)

LARGEST_MANIFEST = 20_000_000  # bytes; that of a thousand clips has 300 000


@dataclass(frozen=True)
class Materials(Stimuli):
    """A study's clips, in the order of their numbers, and where their pictures and sounds lie."""

    clips: list[StudyClip]
    classes: list[str]


def manifest_of(folder: Path) -> dict[str, Any]:
    """Reads `study.json`: `asked`, `classes`, `chosen` (the clips) and `primary` (the planned comparisons).

    Studies of earlier versions have planned no comparison.

    Raises:
        Mistake: the file is damaged.
    """
    path = folder / MANIFEST
    try:
        held = plain_data(json.loads(text_of(path, LARGEST_MANIFEST)))
        clips = [clip_of(row) for row in held["chosen"]]
        int(held["asked"]["training"])  # which the analysis reads
        planned = [Comparison.of(row) for row in held["asked"].get("primary", [])]
        classes = [str(name) for name in held["classes"]]
        manifest = {"asked": dict(held["asked"]), "classes": classes, "chosen": clips, "primary": planned}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Mistake(
            f"{path} is damaged ({shown(error)}); restore it, or choose another study.name (with study.py: results)."
        ) from error
    return manifest


def clip_of(row: dict[str, Any]) -> StudyClip:
    """A clip as `study.json` has it. Raises ValueError, KeyError or TypeError if it is damaged."""
    texts = {name: row[name] for name in ("path", "label", "prediction", "checkpoint")}
    axes = {name: [float(end) for end in ends] for name, ends in row["time_axes"].items()}
    is_named = all(isinstance(value, str) for value in texts.values())
    if not is_named or any(len(ends) not in (0, 2) for ends in axes.values()):
        raise ValueError("a clip is not as it was written")
    return StudyClip(**texts, time_axes=axes)


def prepared(
    folder: Path,
    subjects: list[Subject],
    conditions: list[Condition],
    options: dict[str, Any],
    data: dict[str, Any],
    input: str | None = None,
) -> Materials:
    """A study's materials, made if they are not there.

    Args:
        folder: the study's folder.
        subjects: the networks that are explained; each brings its share of the clips.
        conditions: those that are compared.
        options: `{clips, training, attention, seed, primary, smoothing}` of the plan. Networks got half of all clips
            wrong, with those for practice, if there are enough of both kinds. `primary` are the comparisons that the
            study is for, as `Comparison.of` takes them; a study that began without any keeps none.
        data: `{root, csv, speakers, pattern, cache_dir}`: where the recordings lie, or what labels those of `input`.
        input: the user's recordings, in the place of the networks' test clips.

    Raises:
        Mistake: the folder cannot be written to or holds another study, or there are no clips.
    """
    classes = subjects[0].opened.card["classes"]
    asked = {
        "checkpoints": [subject.digest for subject in subjects],
        "conditions": [condition.name for condition in conditions],
        "input": input,
        **options,
    }
    check_links(folder)
    networks = []
    if not (folder / MANIFEST).exists():  # before anything is made: a wrong checkpoint leaves no empty study
        networks = [listened(subject, data, options["seed"], input) for subject in subjects]
        check_primary(options["primary"], networks)
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)  # participants' links are in it
        (folder / "materials").mkdir(exist_ok=True)
        with FileLock(folder / ".lock"):  # of two servers that start one study, the second takes what the first made
            if not (folder / MANIFEST).exists():
                clips = made(Stimuli(folder), networks, conditions, options)
                write_manifest(folder, {"asked": asked, "classes": classes, "chosen": [asdict(clip) for clip in clips]})
    except OSError as error:
        raise Mistake(f"study.root: {folder} cannot be written to ({error.strerror}); name another one.") from error
    held = manifest_of(folder)
    if "primary" not in held["asked"]:  # it is too late to name one: somebody may have answered
        log.warning("%s is of an earlier version and names no primary comparison: all results are exploratory.", folder)
        asked.pop("primary", None)
    if "smoothing" not in held["asked"]:  # its sounds are as published
        asked.pop("smoothing", None)
    if changed := [name for name, value in asked.items() if held["asked"].get(name) != value]:
        raise Mistake(f"{folder} holds a study with other {', '.join(changed)}; choose another study.name.")
    for comparison in held["primary"]:
        log.info("The study's primary comparison: %s.", comparison.words)
    return Materials(folder, held["chosen"], classes)


def check_primary(primary: Sequence[dict[str, str]], networks: Sequence[Listened]) -> None:
    """Raises a Mistake if a comparison is of the clips that a network got right, or wrong, and nobody knows which."""
    unknown = any((network.source.labels < 0).any() for network in networks)
    if unknown and any(row["clips"] != "all" for row in primary):
        raise Mistake(
            "study.primary.clips asks for clips that the network got right or wrong, and the recordings of input=… have"
            " no labels; give them some by data.pattern or data.csv, or say study.primary.clips=all."
        )


def write_manifest(folder: Path, held: dict[str, Any]) -> None:
    """Writes `study.json` as a whole, after all materials. If the program is killed before, they are made anew."""
    unfinished = folder / f"{MANIFEST}.part"
    unfinished.write_text(json.dumps(held, indent=1), encoding="utf-8")
    unfinished.replace(folder / MANIFEST)
