import logging
import time
from pathlib import Path
from typing import Any

import pandas as pd
from pytorch_lightning import Callback, LightningModule, Trainer

from auscult.files import replacing
from auscult.plain_data import shown

log = logging.getLogger(__name__)


class EpochTable(Callback):
    """Writes `metrics.csv`, a row per epoch, and logs each row as a line.

    A resumed run keeps the rows of the epochs before. A value that was not measured in an epoch is empty: validation
    was not due, or the run was stopped before it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[Any, Any]] = []
        self.started = time.monotonic()
        self.validated = self.unfinished = False

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Takes up the rows of the run that is resumed."""
        if trainer.is_global_zero and trainer.current_epoch > 0 and self.path.exists():
            self.rows = self._rows_before(trainer.current_epoch)

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Starts the epoch's clock."""
        self.started = time.monotonic()
        self.validated = False

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Notes that the epoch was validated."""
        self.validated = not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Adds the epoch's row, and writes the table."""
        batches = trainer.fit_loop.epoch_loop.batch_progress
        self.unfinished = not batches.is_last_batch
        if not trainer.is_global_zero:
            return
        # Lightning keeps the numbers of the last validation, whenever that was
        metrics = {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if self.validated or not name.startswith("val/")
        }
        row = {
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            **{name: metrics[name] for name in sorted(metrics)},
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "seconds": round(time.monotonic() - self.started, 2),
        }
        self.rows.append(row)
        with replacing(self.path) as unfinished:  # so that a run killed here keeps the rows it had
            pd.DataFrame(self.rows).to_csv(unfinished, index=False)
        values = ", ".join(f"{name} {metrics[name]:.3f}" for name in sorted(metrics))
        log.info(
            "epoch %d/%s%s: %s",
            row["epoch"] + 1,
            trainer.max_epochs if trainer.max_epochs and trainer.max_epochs > 0 else "…",
            f" (stopped after {batches.current.completed} of {trainer.num_training_batches} batches)"
            if self.unfinished
            else "",
            values,
        )

    def _rows_before(self, epoch: int) -> list[dict[Any, Any]]:
        """The table's rows of earlier epochs. A table that cannot be read is set aside: only people need it."""
        try:
            rows = pd.read_csv(self.path)
            return rows[rows["epoch"] < epoch].to_dict("records")
        except (OSError, KeyError, ValueError, TypeError) as error:  # ValueError: also no CSV, or not UTF-8
            aside = self.path.with_name(f"{self.path.stem}.unreadable.csv")
            self.path.replace(aside)
            log.warning("%s cannot be read (%s) and is now %s.", self.path, shown(error), aside.name)
            return []
