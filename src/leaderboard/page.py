"""A leaderboard as files: every number in a table, and a page to sort by any of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from auscult.explain.measures.catalogue import explanations
from auscult.explain.report.html import template
from auscult.explain.show import plots
from auscult.explain.show.media import Picture, Sound
from auscult.leaderboard.figures import plot_cascade, plot_energy
from auscult.leaderboard.ranking import ACROSS, Entry, shown_in, table_of, topic_of
from auscult.sweep.summary import cell

MARKS = {"best": "**{:.3f}**", "tied": "*{:.3f}*", "fails": "{:.3f} ✗", "": "{:.3f}"}
TIED = (
    "Tied attributions cannot be told apart from the best: all pairs of a table (one measure, one domain) are compared"
    " by paired t-tests over speakers, with Holm's correction, so that at most 5 % of tables part what is equal. Fewer"
    " speakers tell less apart."
)
ENERGY = (
    "The network's probability for the clip's own class as more and more of the clip's energy is removed, the most"
    " relevant features first (above), and as nothing but these is left (below). Energy is the same in every domain, so"
    " that these curves, unlike shares of the features, can be compared across domains; a spectrogram in decibels, the"
    " input of some networks, is the exception. Grey: amplitude and random, the controls."
)
CASCADE = (
    "Layers lose what they learnt, from the last to the first: how much does the relevance still resemble that of the"
    " trained network (Spearman's rank correlation)? A method that stays up does not explain what was learnt."
)


@dataclass(frozen=True)
class Panel:
    """What one attribution in one domain says of the clip that all are shown by."""

    domain: str
    attribution: str
    picture: Picture
    sounds: Sequence[Sound]


def write(folder: Path, entries: Sequence[Entry], left_out: Sequence[str], about: str) -> pd.DataFrame:
    """`leaderboard.csv`, a row per number; `leaderboard.md` and `leaderboard.html`, a table per domain.

    Args:
        folder: to write them into.
        entries: what there is to compare, all of the same clips.
        left_out: what could not be asked, and why.
        about: what is explained.

    Returns:
        See `ranking.table_of`.
    """
    table = table_of(entries)
    table.to_csv(folder / "leaderboard.csv", index=False, float_format="%.6g")
    clips, speakers = len(entries[0].speakers), len(set(entries[0].speakers))
    about = f"{about}: {clips} clips of {speakers} speakers."
    lines = [
        "# Leaderboard",
        "",
        about,
        "",
        f"**Best** of its domain; *tied* with it; ✗ fails. {TIED}",
        "",
    ]
    found = findings(table)
    lines += [*found, ""] if found else []
    for domain, part in table.groupby("domain", sort=False):
        lines += [f"## {domain}", "", *markdown(part), ""]
    lines += [f"- left out: {reason}" for reason in left_out]
    (folder / "leaderboard.md").write_text("\n".join(lines) + "\n", encoding="utf-8", errors="backslashreplace")
    parts = [
        {"domain": domain, "measures": part["measure"].unique().tolist(), "rows": rows_of(part)}
        for domain, part in table.groupby("domain", sort=False)
    ]
    clip, original, panels = side_by_side(entries)
    columns = table["measure"].unique().tolist()
    page = template("leaderboard.html.j2", Path(__file__).parent).render(
        about=about, parts=parts, left_out=left_out, tied=TIED, explanations=explained(columns),
        measures={column: shown_in(column) for column in columns}, figures=figures(entries), findings=found,
        definition=entries[0].definition, clip=clip, original=original, panels=panels,
    )  # fmt: skip
    (folder / "leaderboard.html").write_text(page, encoding="utf-8")
    return table


def explained(columns: Sequence[str]) -> list[str]:
    """How to read the columns of a leaderboard."""
    own = [column for column in columns if topic_of(column) is not ACROSS]
    is_across = len(own) < len(columns)
    return explanations(own) + ([f"{ACROSS.name.capitalize()}: {ACROSS.asks}"] if is_across else [])


def findings(table: pd.DataFrame) -> list[str]:
    """Which attributions find a planted confound, a sentence per domain that knows where it is.

    One finds it whose share of positive relevance in it has its interval above chance, and above the share that the
    control network, if there is one, has there.
    """
    sentences = []
    for domain, part in table.groupby("domain", sort=False):
        mean, low = (part.pivot(index="attribution", columns="measure", values=name) for name in ("mean", "low"))
        if "localisation/mass/confound" not in mean:
            continue
        share, beyond = mean["localisation/mass/confound"], mean["localisation/chance/confound"]
        if "control/mass/confound" in mean:
            beyond = beyond.combine(mean["control/mass/confound"], max)
        finds = low["localisation/mass/confound"] > beyond
        words = {
            name: f"{name} ({100 * share[name]:.1f} %, otherwise {100 * beyond[name]:.1f} %)"
            for name in share.sort_values(ascending=False).index
        }
        found, missed = ([words[name] for name in words if finds[name] == is_found] for is_found in (True, False))
        sentences.append(
            f"In the domain {domain} the planted confound is found by {', '.join(found) or 'none'}; not by"
            f" {', '.join(missed) or 'none'}. In brackets: the share of positive relevance in it, and what it would be"
            " by chance or by the control network, whichever is more."
        )
    return sentences


def markdown(part: pd.DataFrame) -> list[str]:
    """One domain's table: a row per attribution, a column per measure."""
    measures = part["measure"].unique().tolist()
    lines = [f"| attribution | {' | '.join(measures)} |", "|---" * (len(measures) + 1) + "|"]
    for attribution, own in part.groupby("attribution", sort=False):
        cells = {row["measure"]: MARKS[row["rank"]].format(row["mean"]) for row in own.to_dict("records")}
        lines.append(f"| {cell(attribution)} | {' | '.join(cells.get(measure, '–') for measure in measures)} |")
    return lines


def rows_of(part: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """One domain's numbers by attribution and measure."""
    return {
        str(attribution): {row["measure"]: row for row in own.to_dict("records")}
        for attribution, own in part.groupby("attribution", sort=False)
    }


def figures(entries: Sequence[Entry]) -> list[Picture]:
    """Those that the entries have curves for."""
    known = {name for entry in entries for name in entry.curves}
    found = []
    if "energy/deletion" in known:
        found.append(Picture(plots.png(plot_energy(entries), dpi=120), "Probability over removed energy", ENERGY))
    if "cascade" in known:
        found.append(Picture(plots.png(plot_cascade(entries), dpi=120), "Similarity over randomised layers", CASCADE))
    return found


def side_by_side(entries: Sequence[Entry]) -> tuple[str, Sound | None, list[Panel]]:
    """The first clip that all reports show, its path and sound, and what each attribution says of it."""
    drawn = [
        {path.name.split("-")[0]: path for path in sorted(entry.folder.glob("figures/[0-9]*-*.png"))}
        for entry in entries
    ]
    common = sorted(set.intersection(*(set(pictures) for pictures in drawn)))
    if not common:
        return "", None, []
    row = common[0]
    panels = []
    for entry, pictures in zip(entries, drawn, strict=True):
        picture = Picture(pictures[row].read_bytes(), f"Relevance by {entry.attribution}, {entry.domain}")
        heard = [sound_of(entry, row, name) for name in ("positive", "negative")]
        panels.append(Panel(entry.domain, entry.attribution, picture, heard))
    return entries[0].clips[int(row)], sound_of(entries[0], row, "original"), panels


def sound_of(entry: Entry, row: str, name: str) -> Sound:
    """One of the sounds that an explanation left of a clip."""
    [path] = entry.folder.glob(f"audio/{row}-*-{name}.wav")
    return Sound(name, path.read_bytes())
