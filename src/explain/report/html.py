"""`report.html`: one page that contains all it shows. It opens anywhere and loads nothing from elsewhere."""

import base64
import hashlib
import math
import numbers
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from auscult.drawing import unbroken
from auscult.explain.show.media import Picture, Sound
from auscult.explain.show.plate import Plate, colours

HERE = Path(__file__).parent
STATIC = HERE / "static"  # styles and scripts that pages share
MOST_BARS = 5  # probabilities shown per clip
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class Part:
    """A part of a section, such as a class, under a heading of its own.

    Args:
        title: the heading.
        text: sentences.
        links: words, each with the path of the clip whose card is the target of the link.
        plates: pictures, each with words above it.
        name: what the part is about, such as the class.
    """

    title: str
    text: Sequence[str] = ()
    links: Sequence[tuple[str, str]] = ()
    plates: Sequence[tuple[str, Plate]] = ()
    name: str = ""


@dataclass(frozen=True)
class Value:
    """The value of a measure, with the ends of its interval, NaN if there is none; and words about the measure."""

    name: str
    mean: float
    low: float
    high: float
    says: str
    direction: str
    column: str


@dataclass(frozen=True)
class Section:
    """A section on the whole run, such as the curves.

    Args:
        title: the heading.
        text: sentences.
        pictures: figures.
        table: the numbers behind the figures; None if there are none.
        parts: parts, such as one per class.
        values: values by the question that they answer.
    """

    title: str
    text: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    table: pd.DataFrame | None = None
    parts: Sequence[Part] = ()
    values: Mapping[str, Sequence[Value]] = field(default_factory=dict)


@dataclass(frozen=True)
class Note:
    """A sentence that a reader must know, such as the number of skipped recordings, and a line for each."""

    text: str
    lines: Sequence[str] = ()


@dataclass(frozen=True)
class ClipPanel:
    """One clip and its explanation.

    Args:
        path, speaker: path and speaker of the clip; the speaker is "" if it is not known.
        label: the true class; None if it is not known.
        prediction, target: the class with the highest probability, and the class that is explained.
        probabilities: probabilities of all classes by name, in the order of the logits; none if the network gives a
            number, which is then the prediction.
        conservation_error: |sum of the relevance and what is kept apart - logit| / |logit|; NaN if the attribution
            does not conserve.
        biases: relevance of the network's biases as a share of the logit; NaN if it is not known.
        plate, sounds: pictures and sounds of the clip; no plate if it cannot be drawn.
        seconds, begins: length of the clip, and where it begins in its recording; NaN if that is not known.
        remarks: reasons why the clip is shown, if it was not chosen at random.
        measures: values of the clip by names for people.
        similar: paths of other clips of the page whose relevance is most similar.
    """

    path: str
    speaker: str
    label: str | None
    prediction: str
    target: str
    probabilities: Mapping[str, float]
    conservation_error: float = math.nan
    biases: float = math.nan
    plate: Plate | None = None
    sounds: Sequence[Sound] = ()
    seconds: float = 1.0
    begins: float = math.nan
    remarks: Sequence[str] = ()
    measures: Mapping[str, float] = field(default_factory=dict)
    similar: Sequence[str] = ()

    @property
    def confidence(self) -> float:
        """Probability of the prediction."""
        return self.probabilities.get(self.prediction, math.nan)

    @property
    def verdict(self) -> str:
        """Says whether the prediction is right: right, wrong or no label; of a number, what it is."""
        if not self.probabilities:
            return f"says {self.prediction}" + ("" if self.label is None else f", true {self.label}")
        if self.label is None:
            return "no label"
        return "right" if self.prediction == self.label else "wrong"

    @property
    def bars(self) -> list[tuple[str, float, bool]]:
        """Class, probability, and whether it is the clip's label, prediction or target; in the order of the logits.

        If there are many classes, only the likeliest are listed.
        """
        named = {self.label, self.prediction, self.target}
        likeliest = sorted(self.probabilities, key=lambda name: -self.probabilities[name])[:MOST_BARS]
        shown = {*likeliest, *named}
        return [(name, value, name in named) for name, value in self.probabilities.items() if name in shown]


@dataclass(frozen=True)
class ClassAnswer:
    """What a class is recognised by: sentences, and the clips that show it."""

    name: str
    text: Sequence[str] = ()
    clips: Sequence[ClipPanel] = ()


@dataclass(frozen=True)
class Answer:
    """What the page says first.

    Args:
        lead: what was asked of which network.
        classes: what it recognises them by.
        confirmed: whether removal confirms it; empty if nothing was removed.
        guide: how to read the sentences on classes.
        headline: where what speaks for its classes lies, in a sentence; empty if that is not known.
    """

    lead: str
    classes: Sequence[ClassAnswer] = ()
    confirmed: str = ""
    guide: str = ""
    headline: str = ""


def write_report(
    path: Path,
    *,
    title: str,
    facts: Mapping[str, object],
    answer: Answer | None = None,
    findings: Sequence[str] = (),
    sections: Sequence[Section] = (),
    notes: Sequence[Note] = (),
    guide: Sequence[str] = (),
    clips: Sequence[ClipPanel] = (),
    unit: str = "speaker",
    total: int = 0,
) -> None:
    """Writes the page, whole or not at all.

    Args:
        path: path of the page.
        title: the heading.
        facts: facts on the run by name: checkpoint, network, task and so on.
        answer: what the page says first; its clips are not among `clips`.
        findings: sentences, the most important ones first.
        sections: curves, class averages, interventions. Links of their parts lead to clips of this page.
        notes: notes on what was skipped or needs care.
        guide: sentences on how to read the pictures and hear the sounds.
        clips: clips, one card each, in this order.
        unit: the name of a `speaker`, such as "speaker" or "recording".
        total: how many clips were explained.

    Raises:
        OSError: the disk is full or read-only. An earlier page at `path` stays.
    """
    all_clips = [clip for each in (answer.classes if answer else ()) for clip in each.clips] + list(clips)
    cards = {clip.path: f"clip-{number}" for number, clip in enumerate(all_clips, start=1)}
    pieces = template("report.html.j2").generate(
        title=title, facts=facts, answer=answer, findings=findings, sections=sections, notes=notes, guide=guide,
        clips=clips, cards=cards, unit=unit, total=total, key=[f"#{bytes(colour).hex()}" for colour in colours(7)],
    )  # fmt: skip
    unfinished = path.with_name(path.name + ".part")
    try:
        with open(unfinished, "w", encoding="utf-8", newline="\n") as file:  # the digests hold for these bytes only
            file.writelines(pieces)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def template(name: str, folder: Path = HERE) -> jinja2.Template:
    """Opens the template of a page in a folder, or here. It escapes the values that fill it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, HERE]),
        autoescape=True,
        finalize=as_text,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["digest"] = digest
    environment.filters["unbroken"] = unbroken
    environment.globals["source"] = source
    return environment.get_template(name)


def as_text(value: Any) -> Any:
    """Converts a value to the text on the page, before it is escaped.

    Control characters, and bytes of a file name that are no text, become Python escapes.
    """
    if hasattr(value, "__html__"):
        return value  # a piece of the page itself
    if value is None:
        return "–"
    if isinstance(value, str):
        return UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), value)
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral):
        return "–" if math.isnan(value) else f"{float(value):.4g}"
    return value


def source(name: str) -> Markup:
    """A style or script of `STATIC`, to be written into a page."""
    return Markup((STATIC / name).read_text(encoding="utf-8"))


def digest(text: str) -> str:
    """The digest by which a Content-Security-Policy allows this script or style, and no other."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
