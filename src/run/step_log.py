"""The loss and the learning rate within epochs."""

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer


class StepLog(Callback):
    """Logs both to the run's logger, every `trainer.log_every_n_steps` steps; 0: never."""

    def __init__(self) -> None:
        self.logged = 0  # the last step that was logged: a step takes several batches if gradients are accumulated

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Logs a step."""
        step, every = trainer.global_step, trainer.log_every_n_steps  # type: ignore[attr-defined]
        if trainer.logger is None or not every or step == self.logged or step % every:
            return
        self.logged = step
        loss = float(outputs["loss"]) * trainer.accumulate_grad_batches  # Lightning divides it
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        trainer.logger.log_metrics({"train/loss_step": loss, "learning_rate": rate}, step=step)
