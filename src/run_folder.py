"""What a run leaves behind: one folder, everything in it."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np
import pandas as pd
import yaml
from filelock import FileLock, Timeout

from src.config import read
from src.datamodules.clips import Clip
from src.files import UNFINISHED, replacing
from src.mistake import Mistake
from src.summary import FAILED, LEFT_OUT

log = logging.getLogger(__name__)

Metrics = dict[str, float | int]

METRICS, LAST = "metrics.json", "checkpoints/last.ckpt"


@contextmanager
def locked(folder: Path, doing: str) -> Iterator[None]:
    """Keeps other processes out of the folder; dies with the process.

    Args:
        doing: what is done there, such as "training in".

    Raises:
        Mistake: one is in it.
    """
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise Mistake(
            f"another process is {doing} {folder}; wait for it, or name another folder with hydra.run.dir."
        ) from None
    try:
        yield
    finally:
        lock.release()


def claim(folder: Path, config: dict[str, Any], resume: bool = False) -> None:
    """`config.yaml`: resolved and reloadable, `OmegaConf.load` gives the very configuration back.

    Args:
        resume: go on with the run that the folder holds, if it holds one.

    Raises:
        Mistake: the folder holds a run already, and this one does not resume it.
    """
    path = folder / "config.yaml"
    if path.exists() and not resume and (not holds_same(folder, config) or has_saved(folder)):
        raise Mistake(
            f"{folder} holds a run already; name another folder with hydra.run.dir (hydra.sweep.dir), or, to go on with"
            " a training, its ckpt_path=…/checkpoints/last.ckpt."
        )
    for unfinished in folder.glob(f"checkpoints/*{UNFINISHED}"):  # of a run that was killed
        unfinished.unlink()
    with replacing(path) as unfinished:
        content = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
        unfinished.write_text(content, encoding="utf-8")
    for name in (FAILED, LEFT_OUT):  # of an earlier try
        (folder / name).unlink(missing_ok=True)


def last_checkpoint_of_same(folder: Path, config: dict[str, Any]) -> str | None:
    """Where a run of the same configuration was stopped in the folder, as when a queue starts a job again."""
    last = folder / LAST
    if not last.exists() or not holds_same(folder, config) or complete_metrics(folder, config):
        return None
    log.info("Going on with the run in %s.", folder)
    return str(last)


def metrics_of_same(folder: Path, config: dict[str, Any]) -> Metrics:
    """The metrics of a run of the same configuration that is complete, as when a multirun is repeated; or none."""
    metrics = complete_metrics(folder, config) if holds_same(folder, config) else {}
    if metrics:
        log.info("The run in %s is complete.", folder)
    return metrics


def holds_same(folder: Path, config: dict[str, Any]) -> bool:
    """Whether the run in a folder was started with this configuration, wherever it was resumed."""
    try:
        held = read(folder)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return False
    return isinstance(held, dict) and {**held, "ckpt_path": None} == {**config, "ckpt_path": None}


def complete_metrics(folder: Path, config: dict[str, Any]) -> Metrics:
    """What the run in a folder measured, if it is complete: tested, and explained by what explains it at the end."""
    try:
        metrics: Metrics = json.loads((folder / METRICS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    asked = config.get("explain_by") or []
    complete = all(any(name.startswith(f"{attribution}/") for name in metrics) for attribution in asked)
    return metrics if complete else {}


def has_saved(folder: Path) -> bool:
    """Whether the run in a folder got as far as a checkpoint to go on with, or further."""
    if any((folder / name).exists() for name in (LAST, METRICS)):
        return True
    table = folder / "metrics.csv"
    return table.exists() and len(table.read_text(encoding="utf-8").splitlines()) > 2  # someone removed the checkpoint


def write_metrics(folder: Path, metrics: Metrics) -> None:
    """`metrics.json`: flat, one number a name."""
    with replacing(folder / METRICS) as unfinished:
        unfinished.write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")


def add_metrics(folder: Path, metrics: Metrics) -> None:
    """Adds to `metrics.json`."""
    known = json.loads((folder / METRICS).read_text(encoding="utf-8"))
    write_metrics(folder, {**known, **metrics})


def write_predictions(
    folder: Path, clips: list[Clip], classes: list[str], labels: np.ndarray, probabilities: np.ndarray
) -> None:
    """`predictions.csv`: a row per test clip, with a probability per class.

    Args:
        clips: the N test clips.
        labels: (N,) their classes.
        probabilities: (N, C).
    """
    table = pd.DataFrame(
        {
            "path": [clip.path for clip in clips],
            "speaker": [clip.speaker for clip in clips],
            "label": [classes[label] for label in labels],
            "prediction": [classes[number] for number in probabilities.argmax(1)],
        }
    )
    columns = pd.DataFrame(probabilities, columns=[f"p({name})" for name in classes]).round(6)
    pd.concat([table, columns], axis=1).to_csv(folder / "predictions.csv", index=False, errors="surrogateescape")


def plot_confusion(folder: Path, counts: np.ndarray, classes: list[str], title: str) -> Path:
    """`confusion.png`: shares of each true class (row), with the number of clips in every cell.

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
    axes.set_xticks(range(len(classes)), classes, rotation=45 if max(map(len, classes)) > 2 else 0)
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.85)
    path = folder / "confusion.png"
    figure.savefig(path, dpi=150)
    return path
