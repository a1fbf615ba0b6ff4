"""What a run measured: in its folder, in W&B, and on the screen."""

import logging
import math
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.loggers import WandbLogger
from rich.console import Console
from rich.table import Table
from sklearn.metrics import average_precision_score, confusion_matrix

from auscult.datamodules.cache_entries import SKIPPED, write_skipped
from auscult.datamodules.datamodule import AudioDataModule
from auscult.drawing import drawing
from auscult.modules.answers import Answers
from auscult.modules.figures import figures
from auscult.run import folder as run_folder
from auscult.run import wandb as wandb_run

log = logging.getLogger(__name__)

EACH = ("test/recall/", "test/precision/")  # how the metrics of a class or tag begin
SEVERAL = 3  # clips: fewer may be alike
ONE_ANSWER = 0.02  # of a probability, or of the range of the labels: answers that differ by less are one
MOST_SAID = 20  # classes or tags, on the screen

# numbers (N,), labels (N, ...) and probabilities or numbers (N, C) of N test clips
Predictions = tuple[np.ndarray, np.ndarray, np.ndarray]


def measured(
    trainer: Trainer, datamodule: AudioDataModule, predictions: Predictions, answers: Answers
) -> run_folder.Metrics:
    """The metrics of a run. Counts of test clips are of those that were tested."""
    clips, labels, read = predictions
    counts = datamodule.counts()
    if len(clips) < counts["clips/test"]:
        log.warning("%d of %d test clips were tested (trainer.limit_test_batches).", len(clips), counts["clips/test"])
        counts["clips/test"] = len(clips)
        counts[f"{datamodule.unit}s/test"] = len({datamodule.clips[clip].speaker for clip in clips})
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    best: Any = trainer.checkpoint_callback
    speakers = [datamodule.clips[clip].speaker for clip in clips]
    return {
        **{f"test/{name}": value for name, value in figures(answers, read, labels, speakers).items()},
        **{f"test/{name}": float(trainer.callback_metrics[f"test/{name}"]) for name in (*answers.measured, "loss")},
        **each_of(answers, labels, read),
        **({best.monitor: float(best.best_model_score)} if best.best_model_score is not None else {}),
        "fold": datamodule.fold,
        "epochs": trainer.current_epoch - any(getattr(own, "unfinished", False) for own in callbacks),
        **counts,
        **{name: value for callback in callbacks for name, value in getattr(callback, "metrics", {}).items()},
    }


def each_of(answers: Answers, labels: np.ndarray, read: np.ndarray) -> run_folder.Metrics:
    """The recall of each class, or the average precision of each tag, of those that N clips have."""
    if answers.kind == "classes":
        right = read.argmax(1) == labels
        return {
            f"test/recall/{name}": float(right[labels == number].mean())
            for number, name in enumerate(answers.names)
            if (labels == number).any()
        }
    if answers.kind == "tags":
        precisions = zip(answers.names, precision_of(labels, read), strict=True)
        return {f"test/precision/{name}": float(value) for name, value in precisions if not np.isnan(value)}
    return {}


def precision_of(labels: np.ndarray, read: np.ndarray) -> np.ndarray:
    """The average precision of each tag, (C,), of labels and probabilities (N, C); NaN if no clip has the tag."""
    pairs = zip(labels.T, read.T, strict=True)
    return np.array([average_precision_score(own, given) if own.any() else np.nan for own, given in pairs])


def write(
    folder: Path,
    trainer: Trainer,
    datamodule: AudioDataModule,
    predictions: Predictions,
    metrics: run_folder.Metrics,
    title: str,
    kind: str = "classes",
    unit: str | None = None,
) -> None:
    """Writes the results into the run folder, and logs them to W&B. `metrics.json` is the last file that matters.

    Args:
        title: of the figure.
        kind: of the task, see `auscult.modules.answers`.
        unit: of a number.
    """
    clips, labels, read = predictions
    classes = datamodule.classes
    run_folder.write_predictions(folder, [datamodule.clips[i] for i in clips], classes, labels, read, kind)
    warn_of_one_answer(labels, read, kind, trainer.global_step)
    if datamodule.cache.skipped:
        write_skipped(folder / SKIPPED, datamodule.cache.skipped)
    run_folder.write_metrics(folder, metrics)  # a run that has them is complete
    plot, table = None, table_of(classes, labels, read, kind)
    with drawing("the figure of the test"):  # the results of hours are safe by now
        if kind == "classes":
            counts = confusion_matrix(labels, read.argmax(1), labels=range(len(classes)))  # (C, C)
            plot = run_folder.plot_confusion(folder, counts, classes, title)
        elif kind == "tags":
            plot = run_folder.plot_tags(folder, precision_of(labels, read), labels.mean(0), classes, title)
        else:
            name = classes[0] if unit is None else f"{classes[0]} ({unit})"
            plot = run_folder.plot_numbers(folder, labels, read[:, 0], name, title)
    if isinstance(trainer.logger, WandbLogger):
        wandb_run.log_results(trainer.logger, metrics, table, plot)


def table_of(classes: list[str], labels: np.ndarray, read: np.ndarray, kind: str) -> tuple[str, pd.DataFrame]:
    """The name of a table of the test, and the table: confusions, tags or numbers."""
    if kind == "tags":
        table = {"tag": classes, "clips": labels.sum(0).astype(int), "average precision": precision_of(labels, read)}
        return "tags", pd.DataFrame(table)
    if kind == "number":
        return "numbers", pd.DataFrame({"true": labels, "predicted": read[:, 0]})
    counts = confusion_matrix(labels, read.argmax(1), labels=range(len(classes)))  # (C, C)
    rows = [[classes[row], classes[column], int(counts[row, column])] for row, column in np.ndindex(counts.shape)]
    return "confusion", pd.DataFrame(rows, columns=["true", "predicted", "clips"])


def warn_of_one_answer(labels: np.ndarray, read: np.ndarray, kind: str, steps: int) -> None:
    """Warns if a network gives the same answer for all of the N test clips, whose labels differ."""
    if kind == "classes":
        is_one = len(np.unique(read.argmax(1))) == 1
    else:
        is_one = bool((np.ptp(read, axis=0) < ONE_ANSWER * (1 if kind == "tags" else np.ptp(labels))).all())
    if is_one and len(labels) >= SEVERAL and len(np.unique(labels, axis=0)) > 1:
        log.warning(
            "The network gives the same answer for all %d test clips: in %d steps it has learnt nothing that tells them"
            " apart; say a larger trainer.max_epochs, or a smaller data.batch_size.", len(labels), steps,
        )  # fmt: skip


def warn_of_divergence(loss: float, classes: int) -> None:
    """Warns if a network is far more wrong than one that knows nothing."""
    if not loss < 100 * math.log(max(classes, 2)):
        log.warning("test/loss is %.3g: the training has diverged; lower optimizer.lr.", loss)


def show(metrics: run_folder.Metrics, folder: Path, units: str, answers: Answers) -> None:
    """Prints the run's results and where they are.

    Args:
        units: what clips are grouped by, such as "speakers".
    """
    table = Table(box=None)
    names = [*answers.measured, "loss"]
    for name in ("", "clips", units, *("balanced" if name == "balanced_accuracy" else name for name in names)):
        table.add_column(name, justify="left" if not name else "right")
    for split, metric in (("train", "train"), ("validation", "val"), ("test", "test")):
        numbers = [metrics.get(f"{metric}/{name}") for name in names]
        cells = ["" if number is None else f"{number:.4f}" for number in numbers]
        table.add_row(split, str(metrics[f"clips/{split}"]), str(metrics[f"{units}/{split}"]), *cells)
    each = {name.split("/", 2)[2]: value for name, value in metrics.items() if name.startswith(EACH)}
    ends = [
        f"{name.replace('_', ' ')} {metrics[f'test/{name}_low']:.3f} to {metrics[f'test/{name}_high']:.3f}"
        for name in answers.measured
        if f"test/{name}_low" in metrics
    ]
    console = Console(markup=False, emoji=False)  # a name may look like one
    with console:  # in one piece, as jobs of a multirun may print at the same time
        console.print(table)
        if ends:
            console.print(f"95 % intervals for other {units}: {', '.join(ends)}", soft_wrap=True, highlight=False)
        if 0 < len(each) <= MOST_SAID:
            what = "recall" if answers.kind == "classes" else "average precision"
            console.print(f"Test {what}: {', '.join(f'{name} {value:.2f}' for name, value in each.items())}")
        console.print(f"Run folder: {folder}", soft_wrap=True, highlight=False)
        command = f"python explain.py checkpoint={shlex.quote(str(folder))}"
        console.print(f"Explain it: {command}", soft_wrap=True, highlight=False)
