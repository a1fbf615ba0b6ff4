"""The tables of RESULTS.md, in Markdown."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

ACCURACY = "test/accuracy"
ORDERS = {"relevance": "by relevance, `{}`", "least_relevant": "least relevant first, `{}`"}
CONTROLS = {"amplitude": "by amplitude", "random": "at random"}


def table_of(rows: dict[str, dict[str, Any]], figures: pd.DataFrame) -> list[str]:
    """The lines of one table.

    Args:
        rows: the table's rows, by name. All have the `layout` of the first one.
        figures: those of all rows that were measured, also of other tables.
    """
    layout = next(iter(rows.values())).get("layout", "folds")
    measured = {name: figures[figures["row"] == name] for name in rows}
    measured = {name: own for name, own in measured.items() if len(own)}
    if not measured:
        return ["*Not measured by this version yet.*"]
    if layout in JOINED:
        return JOINED[layout](rows, measured)
    lines: list[str] = []
    for name, own in measured.items():
        lines += [*([""] if lines else []), *LAYOUTS[layout](rows[name], own), "", _made_by(name, own)]
    return lines


def folds(rows: dict[str, dict[str, Any]], measured: dict[str, pd.DataFrame]) -> list[str]:
    """A line for each row: the mean and deviation over its folds. A fold's value is the mean over its seeds."""
    lines = _head(["network", "task", "accuracy", "of folds", "folds run", "seeds", "version", "date", "row"])
    for name, own in measured.items():
        accuracy = 100 * own.groupby("fold")["value"].mean()
        cells = [rows[name]["says"], _mean_of(accuracy), ", ".join(f"{value:.1f}" for value in accuracy), len(accuracy)]
        cells += [", ".join(map(str, sorted(own["seed"].unique()))), ", ".join(own["version"].unique())]
        lines.append(_line([*cells, own["date"].max(), f"`{name}`"]))
    deviation = 100 * seed_deviation(pd.concat(measured.values()))
    if not np.isnan(deviation):
        lines += [
            "",
            f"Between seeds, the accuracy of one fold spreads by {deviation:.2f} points (standard deviation).",
        ]
    return lines


def removal(row: dict[str, Any], own: pd.DataFrame) -> list[str]:
    """Accuracy in percent, and its interval, as more and more is removed; the controls are the first attribution's."""
    places = own["figure"].str.extract(r"^(?P<attribution>[^/]+)/(?P<order>\w+)/(?P<fraction>[\d.e-]+)$").dropna()
    own = own.join(places.astype({"fraction": float}), how="inner")
    fractions, attributions = sorted(own["fraction"].unique()), list(own["attribution"].unique())
    curves = [(name, order, words.format(name)) for order, words in ORDERS.items() for name in attributions]
    curves[len(attributions) : len(attributions)] = [(attributions[0], *control) for control in CONTROLS.items()]
    lines = _head([row["says"], *(f"{100 * fraction:g} %" for fraction in fractions)])
    for name, order, words in curves:
        curve = own[(own["attribution"] == name) & (own["order"] == order)].set_index("fraction")
        lines.append(_line([words, *(_percent(curve.loc[fraction]) for fraction in fractions)]))
    return lines


def interventions(row: dict[str, Any], own: pd.DataFrame) -> list[str]:
    """Accuracy in percent of each fold before and after an intervention and its shams; then mean and deviation."""
    names = row["columns"]
    lines = _head([row["says"], *names])
    table = own.set_index(["fold", "figure"])
    for fold in sorted(own["fold"].unique()):
        lines.append(_line([f"fold {fold}", *(_percent(table.loc[(fold, figure)]) for figure in names.values())]))
    values = own.pivot(index="fold", columns="figure", values="value")
    return [*lines, _line(["**all folds**", *(_mean_of(100 * values[figure]) for figure in names.values())])]


def methods(row: dict[str, Any], own: pd.DataFrame) -> list[str]:
    """A line for each attribution.

    Bold: the best; `=`: cannot be told apart from it; ▲: a control that is ahead of it; ✗: fails the sanity check.
    """
    return [*_head(["attribution", *row["columns"]]), *(_line(cells) for cells in _by_attribution(row, own))]


def networks(rows: dict[str, dict[str, Any]], measured: dict[str, pd.DataFrame]) -> list[str]:
    """A line for each attribution of each network. Signs stand for differences between attributions of one network."""
    columns = next(iter(rows.values()))["columns"]
    lines = _head(["network", "attribution", *columns, "version", "date", "row"])
    for name, own in measured.items():
        made = [", ".join(own["version"].unique()), own["date"].max(), f"`{name}`"]
        lines += [_line([rows[name]["says"], *cells, *made]) for cells in _by_attribution(rows[name], own)]
    return lines


JOINED = {"folds": folds, "networks": networks}  # tables whose rows stand together
LAYOUTS = {"removal": removal, "interventions": interventions, "methods": methods}


def _by_attribution(row: dict[str, Any], own: pd.DataFrame) -> Iterator[list[str]]:
    """The cells of each attribution: its name, and its figures in the row's columns."""
    if row["program"] == "explain":  # one domain, which its figures do not name
        own = own.assign(figure="explained/" + own["figure"])
    places = own["figure"].str.split("/", n=2, expand=True).set_axis(["domain", "attribution", "measure"], axis=1)
    own = own.join(places)
    for attribution in own["attribution"].unique():
        cells = [f"`{attribution}`"]
        for domain, measure in (name.split("/", 1) for name in row["columns"].values()):
            is_cell = own["attribution"].eq(attribution) & own["domain"].eq(domain) & own["measure"].eq(measure)
            cells.append(_ranked(own[is_cell].iloc[0], row) if is_cell.any() else "")
        yield cells


def seed_deviation(figures: pd.DataFrame) -> float:
    """Standard deviation between seeds of one fold, pooled over all folds that were run with several; else NaN."""
    runs = figures[figures["figure"] == ACCURACY]
    groups = [group["value"] for _, group in runs.groupby(["row", "fold"]) if len(group) > 1]
    freedom = sum(len(group) - 1 for group in groups)
    return float(np.sqrt(sum(group.var() * (len(group) - 1) for group in groups) / freedom)) if freedom else np.nan


def spread_of(figures: pd.DataFrame, runs: int) -> float:
    """How far apart seeds bring two means over so many runs: two standard errors of their difference."""
    return 2 * seed_deviation(figures) * (2 / runs) ** 0.5


def _made_by(name: str, own: pd.DataFrame) -> str:
    return f"Row `{name}`, version {', '.join(own['version'].unique())}, {own['date'].max()}."


def _head(cells: list[str]) -> list[str]:
    return [_line(cells), "|---" * len(cells) + "|"]


def _line(cells: Iterable[Any]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _mean_of(values: pd.Series) -> str:
    """Mean and standard deviation (divisor n - 1) over folds, in bold; one fold's value as it is."""
    return f"**{values.mean():.2f} ± {values.std():.2f}**" if len(values) > 1 else f"{values.mean():.2f}"


def _percent(figure: pd.Series) -> str:
    ends = "" if pd.isna(figure["low"]) else f" [{100 * figure['low']:.0f}, {100 * figure['high']:.0f}]"
    return f"{100 * figure['value']:.1f}{ends}"


def _ranked(figure: pd.Series, row: dict[str, Any]) -> str:
    form = row.get("format", ".3f")
    text = f"{figure['value']:{form}}"
    if "/cost/" in figure["figure"]:  # versions before 2026-11-28 ranked it
        return text
    if row.get("intervals") and not pd.isna(figure["low"]):
        text += f" [{figure['low']:{form}}, {figure['high']:{form}}]"
    return {"best": f"**{text}**", "tied": f"{text} =", "fails": f"{text} ✗", "ahead": f"{text} ▲"}.get(
        figure["rank"], text
    )
