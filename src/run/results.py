"""What a run measured: in its folder, in W&B, and on the screen."""

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.loggers import WandbLogger
from rich.console import Console
from rich.table import Table
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

from auscult.datamodules.cache_entries import SKIPPED, write_skipped
from auscult.datamodules.datamodule import AudioDataModule
from auscult.drawing import drawing
from auscult.run import folder as run_folder
from auscult.run import wandb as wandb_run

log = logging.getLogger(__name__)

# numbers (N,), labels (N,) and probabilities (N, C) of N test clips
Predictions = tuple[np.ndarray, np.ndarray, np.ndarray]


def measured(trainer: Trainer, datamodule: AudioDataModule, predictions: Predictions) -> run_folder.Metrics:
    """The metrics of a run. Counts of test clips are of those that were tested."""
    clips, labels, probabilities = predictions
    predicted, counts = probabilities.argmax(1), datamodule.counts()
    if len(clips) < counts["clips/test"]:
        log.warning("%d of %d test clips were tested (trainer.limit_test_batches).", len(clips), counts["clips/test"])
        counts["clips/test"] = len(clips)
        counts[f"{datamodule.unit}s/test"] = len({datamodule.clips[clip].speaker for clip in clips})
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    best: Any = trainer.checkpoint_callback
    return {
        "test/accuracy": float(trainer.callback_metrics["test/accuracy"]),
        "test/balanced_accuracy": float(balanced_accuracy_score(labels, predicted)),
        "test/loss": float(trainer.callback_metrics["test/loss"]),
        **({"val/accuracy": float(best.best_model_score)} if best.best_model_score is not None else {}),
        "fold": datamodule.fold,
        "epochs": trainer.current_epoch - any(getattr(own, "unfinished", False) for own in callbacks),
        **counts,
        **{name: value for callback in callbacks for name, value in getattr(callback, "metrics", {}).items()},
    }


def write(
    folder: Path,
    trainer: Trainer,
    datamodule: AudioDataModule,
    predictions: Predictions,
    metrics: run_folder.Metrics,
    title: str,
) -> None:
    """Writes the results into the run folder, and logs them to W&B. `metrics.json` is the last file that matters.

    Args:
        title: of the confusion matrix.
    """
    clips, labels, probabilities = predictions
    classes = datamodule.classes
    run_folder.write_predictions(folder, [datamodule.clips[i] for i in clips], classes, labels, probabilities)
    if datamodule.cache.skipped:
        write_skipped(folder / SKIPPED, datamodule.cache.skipped)
    run_folder.write_metrics(folder, metrics)  # a run that has them is complete
    counts = confusion_matrix(labels, probabilities.argmax(1), labels=range(len(classes)))  # (C, C)
    plot = None
    with drawing("confusion.png"):  # the results of hours are safe by now
        plot = run_folder.plot_confusion(folder, counts, classes, title)
    if isinstance(trainer.logger, WandbLogger):
        wandb_run.log_results(trainer.logger, metrics, counts, classes, plot)


def warn_of_divergence(loss: float, classes: int) -> None:
    """Warns if a network is far more wrong than one that knows nothing."""
    if not loss < 100 * math.log(max(classes, 2)):
        log.warning("test/loss is %.3g: the training has diverged; lower optimizer.lr.", loss)


def show(metrics: run_folder.Metrics, folder: Path, units: str) -> None:
    """Prints the run's results and where they are.

    Args:
        units: what clips are grouped by, such as "speakers".
    """
    table = Table(box=None)
    for name in ("", "clips", units, "accuracy", "balanced", "loss"):
        table.add_column(name, justify="left" if not name else "right")
    for split, metric in (("train", "train"), ("validation", "val"), ("test", "test")):
        numbers = [metrics.get(f"{metric}/{name}") for name in ("accuracy", "balanced_accuracy", "loss")]
        cells = ["" if number is None else f"{number:.4f}" for number in numbers]
        table.add_row(split, str(metrics[f"clips/{split}"]), str(metrics[f"{units}/{split}"]), *cells)
    console = Console(markup=False, emoji=False)  # a name may look like one
    with console:  # in one piece, as jobs of a multirun may print at the same time
        console.print(table)
        console.print(f"Run folder: {folder}", soft_wrap=True, highlight=False)
