"""A study's results as files: the answers, tables, a figure and one page."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from rich.console import Console

from auscult.drawing import MOST_CHARACTERS, literal
from auscult.explain.report.html import Note, Section, write_report
from auscult.explain.show import plots
from auscult.explain.show.canvas import small_figure
from auscult.explain.show.media import Picture
from auscult.mistake import Mistake
from auscult.study.analysis import LEAST_SECONDS, TOO_MANY_FAILED, read, summarise
from auscult.study.comparisons import compare
from auscult.study.plan import CLIPS, MEASURES, Comparison

COLOURS = {"all": "#000000", "right": "#0072B2", "wrong": "#D55E00"}
AXES = {"correct": "correct guesses", "rating": "rating"}
RULES = (
    "Participants are excluded who did not answer all trials, failed"
    f" {TOO_MANY_FAILED:.0%} or more of the attention checks, or took less than {LEAST_SECONDS:g} s for half of the"
    " trials. The server's clock counts, from when it first handed out a trial to when the answer came. Practice and"
    " attention checks are not counted."
)
GUESS = (
    "A guess is correct if it names what the network predicted, also where the network was wrong: a good explanation"
    " lets people see what the network heard. Right and wrong are the network's predictions. Means are over"
    " participants; their 95 % intervals are for other participants and other clips. The clips of several networks are"
    " taken together."
)
HOW = (
    "All tests and intervals of this page take participants and clips as drawn from many (Clark 1973). The squared"
    " standard error is the sum of those by participants and by clips, less that of single answers, which is part of"
    " both; it is never below either. df is one less than the number of participants, or of clips if they are fewer."
    " More participants cannot make up for few clips. d_z is Cohen's, over participants."
)
PRIMARY = (
    "This comparison was named in the study's plan before anybody answered. It is tested at 5 %, and is the only test"
    " that confirms. It holds if the study ends when it was meant to. Whoever looks at it often, and stops when p is"
    " small, finds differences that are not there."
)
SEVERAL = (
    "These comparisons were named in the study's plan before anybody answered. What confirms them is p_holm, which is p"
    " after Holm's correction for all of them. It holds if the study ends when it was meant to. Whoever looks at it"
    " often, and stops when p is small, finds differences that are not there."
)
NO_PLAN = (
    "No primary comparison was named before anybody answered, as in studies of earlier versions or of one condition."
    " Everything below is exploratory: nothing is confirmed."
)
EXPLORATORY = (
    "All comparisons that the plan does not name: two conditions at a time, by participants who met both. Another study"
    " must confirm what is found here. p_holm is p after Holm's correction for the whole table: all measures, kinds of"
    " clips and pairs at once. comparisons.csv also has t and p without correction, and the p-values of paired t-tests"
    " by participants alone and by clips alone. The first finds too much if the effect of conditions differs between"
    " clips, the second if it differs between participants."
)
NO_TESTS = "Nothing can be compared yet: no two participants met the same two conditions."
COUNTS = ["d_z", "participants", "recordings"]
FINE = {"difference": 6, "low": 6, "high": 6, "d_z": 6, "t": 6}  # decimals


def write(folder: Path) -> None:
    """Writes `answers.csv`, `summary.csv`, `comparisons.csv`, `study.png` and `report.html`, and prints the summary.

    Raises:
        Mistake: there is nothing to analyse.
    """
    answers = read(folder)
    counted = answers.counted
    answers.table.to_csv(folder / "answers.csv", index=False)
    if counted.empty:
        number, reason = next(iter(answers.excluded.items()))
        raise Mistake(
            f"results={folder} has answers, but none that count: all {len(answers.excluded)} participants are excluded;"
            f" participant {number} {reason}."
        )
    summary, comparisons = summarise(counted), compare(counted, answers.planned)
    summary.to_csv(folder / "summary.csv", index=False, float_format="%.6g")
    comparisons.to_csv(folder / "comparisons.csv", index=False, float_format="%.6g")
    figure = plot(summary, 1 / len(answers.classes))
    (folder / "study.png").write_bytes(plots.png(figure, dpi=200))
    picture = Picture(plots.svg(figure), "Guesses and ratings by condition")
    people = answers.table["participant"].nunique()
    write_report(
        folder / "report.html",
        title="What people made of the explanations",
        facts={
            "study": folder.name,
            "participants": f"{people}, of whom {len(answers.excluded)} are excluded",
            "answers that count": len(counted),
            "conditions": ", ".join(summary["condition"].unique()),
            "primary comparison": "; ".join(each.words for each in answers.planned) or "none",
        },
        sections=[
            confirmed_in(comparisons, answers.planned),
            Section("By condition", [GUESS, RULES], [picture], summary),
            explored_in(comparisons),
        ],
        notes=[Note(f"Of {people} participants, {len(answers.excluded)} do not count.", [
            f"participant {number}: {reason}" for number, reason in answers.excluded.items()
        ])] if answers.excluded else [],
    )  # fmt: skip
    console = Console(markup=False, emoji=False)  # names may look like either
    console.print(summary.to_string(index=False, float_format="%.3f"), highlight=False, soft_wrap=True)
    console.print(f"Report: {folder / 'report.html'}", soft_wrap=True, highlight=False)


def confirmed_in(comparisons: pd.DataFrame, planned: Sequence[Comparison]) -> Section:
    """The section about the plan's comparisons."""
    if not planned:
        return Section("Primary comparison", [NO_PLAN, HOW])
    corrected = [] if len(planned) == 1 else ["p_holm"]
    rows = of_role(comparisons, "primary", ["one", "other", "difference", "low", "high", "t", "df", "p", *corrected])
    text = [f"Compared: {each.words}." for each in planned]
    text += [PRIMARY if len(planned) == 1 else SEVERAL, HOW]
    if len(rows) < len(planned):
        text.append("Some comparisons cannot be tested yet: fewer than two participants met both conditions.")
    return Section("Primary comparison", text, table=None if rows.empty else rows)


def explored_in(comparisons: pd.DataFrame) -> Section:
    """The section about all other comparisons."""
    columns = ["measure", "clips", "one", "other", "difference", "low", "high", "p_holm"]
    rows = of_role(comparisons, "exploratory", columns)
    return Section("Exploratory", [NO_TESTS]) if rows.empty else Section("Exploratory", [EXPLORATORY], table=rows)


def of_role(comparisons: pd.DataFrame, role: str, columns: list[str]) -> pd.DataFrame:
    """The rows of a role: these columns first, as the page is not wide, then `COUNTS`."""
    if comparisons.empty:
        return comparisons
    return comparisons.loc[comparisons["role"] == role, [*columns, *COUNTS]].round(FINE)


def plot(summary: pd.DataFrame, chance: float) -> Figure:
    """Means and 95 % intervals by condition, of all clips and of those that the network got right and wrong.

    Args:
        chance: the share of correct guesses of somebody who knows nothing.
    """
    conditions = list(summary["condition"].unique())
    names = [literal(name, MOST_CHARACTERS // 3) for name in conditions]
    height = 0.28 * len(names) + 0.7  # inches
    figure = small_figure("", 2 * height + 0.3)
    for axes, (measure, scale) in zip(figure.subplots(2, 1), MEASURES.items(), strict=True):
        if measure == "correct":
            axes.axvline(chance, color="#777777", linestyle=":", linewidth=1, label="chance")
        for place, kind in enumerate(CLIPS):
            part = summary[summary["clips"] == kind]
            y = [conditions.index(name) + 0.22 * (place - 1) for name in part["condition"]]
            ends = [part[measure] - part[f"{measure}_low"], part[f"{measure}_high"] - part[measure]]
            marks = {"fmt": "o", "markersize": 4, "capsize": 2, "color": COLOURS[kind], "label": kind}
            axes.errorbar(part[measure], y, xerr=ends, **marks)
        axes.set_yticks(range(len(names)), names)
        axes.set(xlabel=AXES[measure], xlim=scale, ylim=(len(names) - 0.5, -0.5))
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, title="predictions", loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure
