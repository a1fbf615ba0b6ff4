"""What a run leaves behind: one folder, everything in it."""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np
import pandas as pd
import yaml

from auscult.datamodules.clips import Clip
from auscult.drawing import literal, save
from auscult.files import UNFINISHED, replacing
from auscult.mistake import CannotGoOn, Occupied
from auscult.program.earlier_run import FAILED, LEFT_OUT, METRICS, has_checkpoints, has_saved, holds_a_run, holds_same
from auscult.tables import any_names

log = logging.getLogger(__name__)

MEASURES = "measures.csv"
MOST_OF_NAME = 40  # characters of a class, beside the confusion matrix

Metrics = dict[str, float | int]


def claim(folder: Path, config: dict[str, Any], resume: bool = False) -> bytes | None:
    """Writes `config.yaml`, the resolved configuration, which `OmegaConf.load` reads back unchanged.

    Args:
        resume: whether to go on with the run that the folder holds, if it holds one.

    Returns:
        The bytes of the `config.yaml` before; None if there was none.

    Raises:
        Occupied: the folder holds a run already, and this one does not resume it.
    """
    path = folder / "config.yaml"
    before = path.read_bytes() if path.is_file() else None
    is_other = has_checkpoints(folder) if before is None else not holds_same(folder, config)
    if not resume and (is_other or has_saved(folder)):
        raise Occupied(holds_a_run(folder))
    for unfinished in folder.glob(f"checkpoints/*{UNFINISHED}"):  # of a run that was killed
        if unfinished.is_file():
            unfinished.unlink()
    with replacing(path) as unfinished:
        content = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
        unfinished.write_text(content, encoding="utf-8")
    for name in (FAILED, LEFT_OUT):  # of an earlier try
        (folder / name).unlink(missing_ok=True)
    return before


@contextmanager
def put_back(folder: Path, before: bytes | None) -> Iterator[None]:
    """Puts the earlier `config.yaml` back if the run cannot go on: the folder is still that of the earlier run."""
    try:
        yield
    except CannotGoOn:
        if before is not None:
            with replacing(folder / "config.yaml") as unfinished:
                unfinished.write_bytes(before)
        raise


def write_metrics(folder: Path, metrics: Metrics) -> None:
    """Writes `metrics.json`: one number for each name."""
    with replacing(folder / METRICS) as unfinished:
        unfinished.write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")


def add_metrics(folder: Path, metrics: Metrics) -> None:
    """Adds metrics to `metrics.json`."""
    earlier = json.loads((folder / METRICS).read_text(encoding="utf-8"))
    write_metrics(folder, {**earlier, **metrics})


def drop_last(folder: Path, config: dict[str, Any], metrics: Metrics) -> None:
    """Removes `last.ckpt`, four fifths of a run's size, unless `keep_last` or a training cut short by time needs it.

    Args:
        folder: of a complete run.
        config: the run's.
        metrics: the run's.
    """
    options = config["trainer"]
    epochs = options.get("max_epochs")
    whole = epochs is not None and 0 < epochs <= metrics["epochs"]
    cut_short = options.get("max_time") and not whole
    if not config.get("keep_last") and not cut_short:
        (folder / "checkpoints/last.ckpt").unlink(missing_ok=True)


@any_names
def write_predictions(
    folder: Path, clips: list[Clip], classes: list[str], labels: np.ndarray, read: np.ndarray, kind: str = "classes"
) -> None:
    """Writes `predictions.csv`: a row per clip, with a probability per class or tag, or with the number.

    Args:
        clips: N of them.
        labels: (N,) their classes, -1 if a class is not known; (N, C) tags; or (N,) numbers, NaN if not known.
        read: (N, C) probabilities, or numbers (N, 1).
        kind: of the task, see `auscult.modules.answers`.
    """
    table: dict[str, Any] = {"path": [clip.path for clip in clips], "speaker": [clip.speaker for clip in clips]}
    if kind == "number":
        columns = pd.DataFrame({"label": labels, "prediction": read[:, 0], "error": read[:, 0] - labels}).round(6)
    else:
        table["label"] = [named(classes, label) for label in labels]
        table["prediction"] = [named(classes, row >= 0.5 if kind == "tags" else row.argmax()) for row in read]
        columns = pd.DataFrame(read, columns=[f"p({name})" for name in classes]).round(6)
    pd.concat([pd.DataFrame(table), columns], axis=1).to_csv(
        folder / "predictions.csv", index=False, errors="surrogateescape"
    )


def named(classes: list[str], label: Any) -> str:
    """The name of a class by its number, empty below 0; or the names of tags (C,) that hold, as tables have them."""
    if np.ndim(label):
        return ";".join(name for name, holds in zip(classes, label, strict=True) if holds)
    return classes[label] if label >= 0 else ""


@any_names
def write_measures(folder: Path, clips: list[Clip], values: Mapping[str, np.ndarray]) -> None:
    """Writes `measures.csv`: a row per clip, in the order of `predictions.csv`, with a column for each measure (N,)."""
    table = pd.DataFrame({"path": [clip.path for clip in clips], **values})
    table.to_csv(folder / MEASURES, index=False, float_format="%.6g", errors="surrogateescape")


def plot_confusion(folder: Path, counts: np.ndarray, classes: list[str], title: str) -> Path:
    """Draws `confusion.png`: shares of each true class (row), with the number of clips in every cell.

    Args:
        counts: (C, C), clips of each true class by predicted class.
    """
    size = min(2.2 + 0.45 * len(classes), 30)
    figure = matplotlib.figure.Figure((size + 0.8, size), layout="constrained")
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.argwhere(counts):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour, fontsize=8)
    names = [literal(name, MOST_OF_NAME) for name in classes]
    axes.set_xticks(range(len(classes)), names, rotation=45 if max(map(len, names)) > 2 else 0)
    axes.set_yticks(range(len(classes)), names)
    axes.set(xlabel="predicted", ylabel="true", title=literal(title))
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.85)
    path = folder / "confusion.png"
    save(figure, path, dpi=150)
    return path


def plot_tags(folder: Path, precision: np.ndarray, clips: np.ndarray, classes: list[str], title: str) -> Path:
    """Draws `tags.png`: the average precision of each tag, beside the share of clips that have it (chance).

    Args:
        precision: (C,), NaN for tags that no clip has.
        clips: (C,) shares of the clips that have each.
    """
    figure = matplotlib.figure.Figure((6.4, min(1.2 + 0.3 * len(classes), 60)), layout="constrained")
    axes = figure.subplots()
    order = np.argsort(np.nan_to_num(precision, nan=-1.0))
    axes.barh(range(len(order)), precision[order], color="#8db4e2")
    axes.plot(clips[order], range(len(order)), "|", color="black", markersize=11, label="chance")
    axes.set_yticks(range(len(order)), [literal(classes[number], MOST_OF_NAME) for number in order])
    axes.set(xlim=(0, 1), xlabel="average precision", title=literal(title))
    figure.legend(loc="outside lower right", frameon=False)
    path = folder / "tags.png"
    save(figure, path, dpi=150)
    return path


def plot_numbers(folder: Path, labels: np.ndarray, numbers: np.ndarray, name: str, title: str) -> Path:
    """Draws `scatter.png`: predicted over true numbers (N,), and where they are equal."""
    figure = matplotlib.figure.Figure((5.2, 5.0), layout="constrained")
    axes = figure.subplots()
    ends = [min(labels.min(), numbers.min()), max(labels.max(), numbers.max())]
    axes.plot(ends, ends, color="grey", linewidth=1, label="equal")
    axes.plot(labels, numbers, ".", color="#2f6db3", alpha=0.6)
    axes.set(xlabel=literal(f"true {name}"), ylabel=literal(f"predicted {name}"), title=literal(title))
    axes.legend(loc="upper left")
    path = folder / "scatter.png"
    save(figure, path, dpi=150)
    return path
