"""Lines that say how far an epoch, or an explanation, is."""

from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Callback

from auscult.progress import Pace


class MinuteLines(Callback):
    """Says once a minute how far an epoch, or an explanation, is: for runs without a progress bar."""

    def __init__(self) -> None:
        self.pace: Pace | None = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begins an epoch."""
        self.pace = Pace(f"epoch {trainer.current_epoch + 1}, batches", trainer.num_training_batches)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Notes a batch."""
        self.reach(trainer, batch_idx)

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begins an explanation."""
        self.pace = Pace("explaining, batches", sum(trainer.num_predict_batches))

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Notes a batch."""
        self.reach(trainer, batch_idx)

    def reach(self, trainer: Trainer, number: int) -> None:
        """Notes that a batch is done, in the first of several processes."""
        if self.pace is not None and trainer.is_global_zero:
            self.pace.reach(number + 1)
