"""`report.html`: one page that holds everything it shows, opens anywhere and asks nobody for anything."""

import base64
import hashlib
import math
import numbers
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from auscult.explain.show.media import Picture, Sound

MOST_BARS = 12  # probabilities shown per clip
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class Part:
    """What a section says of one thing, such as a class, under a heading that folds it away.

    Args:
        title: the heading.
        text: sentences.
        links: words, each with the path of a clip whose card they lead to.
        pictures: figures.
    """

    title: str
    text: Sequence[str] = ()
    links: Sequence[tuple[str, str]] = ()
    pictures: Sequence[Picture] = ()


@dataclass(frozen=True)
class Section:
    """Something about the whole run, such as the curves: sentences, figures, and the numbers behind them.

    Args:
        parts: what there is to say of each class, say.
        unfolded: show them from the start.
    """

    title: str
    text: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    table: pd.DataFrame | None = None
    parts: Sequence[Part] = ()
    unfolded: bool = True


@dataclass(frozen=True)
class Note:
    """A sentence that a reader must know of, such as how many recordings were skipped, and a line about each."""

    text: str
    lines: Sequence[str] = ()


@dataclass(frozen=True)
class ClipPanel:
    """One clip and what was found of it.

    Args:
        path, speaker: of the clip; a speaker that is not known is "".
        label: the true class, None where it is not known.
        prediction, target: the class with the highest probability, and the class that is explained.
        probabilities: of all classes by name, in the order of the logits.
        conservation_error: |sum of the relevance and what is kept apart - logit| / |logit|; NaN where the attribution
            does not conserve.
        biases: relevance of the network's biases as a share of the logit; NaN where it is not known.
        remarks: why it is shown, if not by chance.
    """

    path: str
    speaker: str
    label: str | None
    prediction: str
    target: str
    probabilities: Mapping[str, float]
    conservation_error: float = math.nan
    biases: float = math.nan
    pictures: Sequence[Picture] = ()
    sounds: Sequence[Sound] = ()
    remarks: Sequence[str] = ()

    @property
    def verdict(self) -> str:
        if self.label is None:
            return "no label"
        return "right" if self.prediction == self.label else "wrong"

    @property
    def bars(self) -> list[tuple[str, float, bool]]:
        """Class, probability, and whether it is the clip's label, prediction or target; in the order of the logits.

        Of many classes, the likeliest are shown.
        """
        named = {self.label, self.prediction, self.target}
        likeliest = sorted(self.probabilities, key=lambda name: -self.probabilities[name])[:MOST_BARS]
        shown = {*likeliest, *named}
        return [(name, value, name in named) for name, value in self.probabilities.items() if name in shown]


def write_report(
    path: Path,
    *,
    title: str,
    facts: Mapping[str, object],
    findings: Sequence[str] = (),
    sections: Sequence[Section] = (),
    notes: Sequence[Note] = (),
    guide: Sequence[str] = (),
    clips: Sequence[ClipPanel] = (),
    unit: str = "speaker",
) -> None:
    """Writes the page, whole or not at all.

    Args:
        path: of the page.
        title: its heading.
        facts: what was explained, by name: checkpoint, network, task and so on.
        findings: sentences, the most important ones first.
        sections: curves, class averages, interventions; links of their parts lead to clips of this page.
        notes: what was skipped or left out, and what to be careful about.
        guide: how the clips' pictures and sounds are to be read and heard.
        clips: a card each, in this order.
        unit: what a clip's `speaker` is called.

    Raises:
        OSError: the disk is full or read-only; an earlier page at `path` is as it was.
    """
    cards = {clip.path: f"clip-{number}" for number, clip in enumerate(clips, start=1)}
    pieces = template("report.html.j2").generate(
        title=title, facts=facts, findings=findings, sections=sections, notes=notes, guide=guide, clips=clips,
        cards=cards, unit=unit,
    )  # fmt: skip
    unfinished = path.with_name(path.name + ".part")
    try:
        with open(unfinished, "w", encoding="utf-8", newline="\n") as file:  # the digests are of these very bytes
            file.writelines(pieces)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def template(name: str, folder: Path = Path(__file__).parent) -> jinja2.Template:
    """A page of a folder, to be filled with values that it escapes."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        finalize=as_text,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["digest"] = digest
    return environment.get_template(name)


def as_text(value: Any) -> Any:
    """How the page shows any value, before it is escaped.

    Bytes of a file name that are no text, and control characters, appear as their Python escapes.
    """
    if hasattr(value, "__html__"):
        return value  # a piece of the page itself
    if value is None:
        return "–"
    if isinstance(value, str):
        return UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), value)
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral):
        return "–" if math.isnan(value) else f"{float(value):.4g}"
    return value


def digest(text: str) -> str:
    """What a Content-Security-Policy calls a piece of script or style that may run, so that no other may."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
