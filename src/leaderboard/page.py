"""Writes a leaderboard: a table with every number, and a page with sortable tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auscult.explain.measures.catalogue import explanations, label_of
from auscult.explain.report.html import template
from auscult.explain.show import plots
from auscult.explain.show.media import Picture, Sound
from auscult.leaderboard.figures import plot_cascade, plot_energy, styles_of
from auscult.leaderboard.ranking import ACROSS, CONTROLS, Entry, shown_in, table_of, topic_of
from auscult.plain_data import counted
from auscult.sweep.summary import cell

MARKS = {"best": "**{:.3f}**", "tied": "*{:.3f}*", "ahead": "{:.3f} ▲", "fails": "{:.3f} ✗", "": "{:.3f}"}
TIED = (
    "Tied attributions cannot be distinguished from the best. All pairs of a table (one measure, one domain) are"
    " compared by paired t-tests over speakers, with Holm's correction, so that at most 5 % of tables show a difference"
    " between equal attributions. Where all speakers differ alike, the sign test stands in. With fewer speakers, fewer"
    " differences can be shown. Amplitude and random are controls, which know nothing of the network: they are"
    " compared, but none of them is the best. Cost is not tested."
)
TOGETHER = "all domains together"  # the title of the table of measures on a scale that they share
REMOVAL = "deletion/accuracy"  # the measure that answers first
ENERGY = (
    "The network's probability for the clip's own class as more and more of the clip's energy is removed, the most"
    " relevant features first (above), and when only these are left (below). Energy is the same in every domain, so"
    " these curves can be compared across domains, unlike curves over shares of features. The exception is a"
    " spectrogram in decibels, the input of some networks. The grey lines are the controls, amplitude and random."
)
CASCADE = (
    "Layers lose what they learnt, from the last to the first: how much does the relevance still resemble that of the"
    " trained network (Spearman's rank correlation)? A method that stays up does not explain what was learnt."
)


@dataclass(frozen=True)
class Panel:
    """The picture and sounds of one attribution in one domain, for the clip that all attributions share."""

    domain: str
    attribution: str
    picture: Picture
    sounds: Sequence[Sound]


SAME = 1e-9  # means that differ by less are equal


def write(folder: Path, entries: Sequence[Entry], left_out: Sequence[str], about: str) -> pd.DataFrame:
    """Writes `leaderboard.csv`, a row per number; `leaderboard.md` and `leaderboard.html`, a table per domain.

    The page also has one for all domains together, of the measures whose scale they share.

    Args:
        folder: the folder of the files.
        entries: the entries to compare, all of the same clips.
        left_out: attributions that failed, with the reason.
        about: description of the network and its data.

    Returns:
        The table of `ranking.table_of`.
    """
    table = table_of(entries)
    table.to_csv(folder / "leaderboard.csv", index=False, float_format="%.6g")
    clips, speakers = len(entries[0].speakers), len(set(entries[0].speakers))
    about = f"{about}: {counted(clips, 'clip')} of {counted(speakers, 'speaker')}."
    lines = [
        "# Leaderboard",
        "",
        about,
        "",
        f"**Best** of its domain; *tied* with it; ▲ a control that is ahead of it; ✗ fails. {TIED}",
        "",
    ]
    sentences = answers(table) + findings(table)
    lines += [line for sentence in sentences for line in (sentence, "")]
    for domain, part in table.groupby("domain", sort=False):
        lines += [f"## {domain}", "", *markdown(part), ""]
    lines += [f"- left out: {reason}" for reason in left_out]
    (folder / "leaderboard.md").write_text("\n".join(lines) + "\n", encoding="utf-8", errors="backslashreplace")
    is_across = table["measure"].map(lambda column: topic_of(column) is ACROSS)
    parts = [part_of(str(domain), part) for domain, part in table[~is_across].groupby("domain", sort=False)]
    if len(parts) > 1 and is_across.any():
        parts.append(part_of(TOGETHER, table[is_across]))
    clip, original, panels = side_by_side(entries)
    columns = table["measure"].unique().tolist()
    page = template("leaderboard.html.j2", Path(__file__).parent).render(
        about=about, parts=parts, left_out=left_out, tied=TIED, explanations=explained(columns),
        measures={column: shown_in(column) for column in columns},
        names={column: name_of(column) for column in columns}, figures=figures(entries),
        findings=sentences, controls=CONTROLS, definition=entries[0].definition, clip=clip, original=original,
        panels=panels, together=TOGETHER,
    )  # fmt: skip
    (folder / "leaderboard.html").write_text(page, encoding="utf-8")
    return table


def name_of(column: str) -> tuple[str, str]:
    """The topic and the name of a column, for people."""
    topic = topic_of(column)
    return topic.name, shown_in(column).words if topic is ACROSS else label_of(column)


def explained(columns: Sequence[str]) -> list[str]:
    """Explains how to read the columns of a leaderboard."""
    own = [column for column in columns if topic_of(column) is not ACROSS]
    is_across = len(own) < len(columns)
    return explanations(own) + ([f"{ACROSS.name.capitalize()}: {ACROSS.asks}"] if is_across else [])


def answers(table: pd.DataFrame) -> list[str]:
    """Says which attribution is best by removal, a sentence per domain, and whether others or controls do as well."""
    sentences = []
    removal = table[(table["measure"] == REMOVAL) & ~table.duplicated(["domain", "attribution", "measure"])]
    for domain, part in removal.groupby("domain", sort=False):
        named = {rank: part.loc[part["rank"] == rank, "attribution"].tolist() for rank in ("best", "tied", "ahead")}
        if len(part) > 1 and np.ptp(part["mean"]) < SAME:
            sentences.append(
                f"In the domain {domain}, accuracy during removal is {100 * part['mean'].iloc[0]:.1f} % by all"
                " attributions alike, and says nothing of them: the network may know none of these clips."
            )
            continue
        if not named["best"]:
            sentences.append(f"In the domain {domain}, too few speakers say which attribution is best.")
            continue
        [best], mean = named["best"], part.loc[part["rank"] == "best", "mean"].item()
        rivals, controls = ([name for name in named["tied"] if (name in CONTROLS) == known] for known in (False, True))
        lowest = f"lowers accuracy most of all attributions, to {100 * mean:.1f} % on average over the shares removed"
        said = [f"In the domain {domain}, removing what {best} finds {lowest}"]
        if controls:
            none = f"no attribution is shown to be better than {blind(controls)}"
            said = [f"In the domain {domain}, {none}: removing what {best} finds {lowest}"]
            said.append(f"{listed(controls)} cannot be told apart from it")
        if rivals:
            said.append(f"{listed(rivals)} cannot be told apart from it{' either' if controls else ''}")
        elif set(part["attribution"]) - {best, *CONTROLS}:
            said.append("all other attributions do worse")
        if named["ahead"]:
            said.append(f"{blind(named['ahead'])}, lowers it more")
        sentences.append(f"{'; '.join(said)}.")
    return sentences


def blind(controls: Sequence[str]) -> str:
    """Controls in a sentence, with what they are."""
    return f"{listed(controls)}, which {'know' if len(controls) > 1 else 'knows'} nothing of the network"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), *names[-1:]]) if len(names) > 1 else "".join(names)


def findings(table: pd.DataFrame) -> list[str]:
    """Says which attributions find a planted confound, a sentence per domain where its place is known.

    An attribution finds it if the interval of its share of positive relevance there is above chance, and above the
    share of the control network, if there is one.
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
        finders, others = ([words[name] for name in words if finds[name] == is_found] for is_found in (True, False))
        sentences.append(
            f"In the domain {domain} the planted confound is found by {', '.join(finders) or 'none'}; not by"
            f" {', '.join(others) or 'none'}. In brackets: the share of positive relevance in it, and the share by"
            " chance or of the control network, whichever is higher; each is judged by its own 95 % interval."
        )
    return sentences


def markdown(part: pd.DataFrame) -> list[str]:
    """The table of one domain in Markdown: a row per attribution, a column per measure."""
    measures = part["measure"].unique().tolist()
    lines = [f"| attribution | {' | '.join(measures)} |", "|---" * (len(measures) + 1) + "|"]
    for attribution, own in part.groupby("attribution", sort=False):
        cells = {row["measure"]: MARKS[row["rank"]].format(row["mean"]) for row in own.to_dict("records")}
        lines.append(f"| {cell(attribution)} | {' | '.join(cells.get(measure, '–') for measure in measures)} |")
    return lines


def part_of(title: str, table: pd.DataFrame) -> dict[str, Any]:
    """A table of the page: its title, its measures, and for each row domain, attribution and numbers by measure."""
    rows = [
        {
            "domain": domain,
            "attribution": attribution,
            "numbers": {row["measure"]: row for row in own.to_dict("records")},
        }
        for (domain, attribution), own in table.groupby(["domain", "attribution"], sort=False)
    ]
    return {"title": title, "measures": table["measure"].unique().tolist(), "rows": rows}


def figures(entries: Sequence[Entry]) -> dict[str, list[Picture]]:
    """The figures of the curves that entries have, by what they show: one for each domain."""
    drawn: dict[str, list[Picture]] = {}
    styles = styles_of(list(dict.fromkeys(entry.attribution for entry in entries)))  # the same in each figure
    for curve, plot, alt, text in (
        ("energy/deletion", plot_energy, "Probability over removed energy", ENERGY),
        ("cascade", plot_cascade, "Similarity over randomised layers", CASCADE),
    ):
        for domain in dict.fromkeys(entry.domain for entry in entries if curve in entry.curves):
            figure = plot([entry for entry in entries if entry.domain == domain], styles)
            drawn.setdefault(text, []).append(Picture(plots.svg(figure), f"{alt}, {domain}"))
    return drawn


def side_by_side(entries: Sequence[Entry]) -> tuple[str, Sound | None, list[Panel]]:
    """The path and sound of the first clip that all reports show, and a panel for each attribution."""
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
    """One of the sounds of a clip in the folder of an explanation."""
    [path] = entry.folder.glob(f"audio/{row}-*-{name}.wav")
    return Sound(name, path.read_bytes())
