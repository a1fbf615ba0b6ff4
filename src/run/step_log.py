"""The loss and the learning rate within epochs."""

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer


class StepLog(Callback):
    """Logs both to the run's logger, every `trainer.log_every_n_steps` steps."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Logs a step."""
        if trainer.logger is None or trainer.global_step % trainer.log_every_n_steps:  # type: ignore[attr-defined]
            return
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        values = {"train/loss_step": float(outputs["loss"]), "learning_rate": rate}
        trainer.logger.log_metrics(values, step=trainer.global_step)
