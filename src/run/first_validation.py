"""Checks before hours of training, rather than after them, that a run will be validated at all."""

import math
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from auscult.mistake import Mistake


class FirstValidation(Callback):
    """Refuses a run that ends before its first validation, which would leave nothing to choose the best by."""

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Raises a Mistake if the run would end before its first validation."""
        first, end = first_validation(trainer), last_step(trainer)
        if trainer.global_step == 0 and end < first < math.inf:
            raise Mistake(
                f"trainer: the run ends after step {end:g}, but its first validation comes after step {first:g}; train"
                " for longer, or validate earlier (trainer.max_steps, trainer.limit_train_batches,"
                " trainer.check_val_every_n_epoch, trainer.val_check_interval)."
            )


def first_validation(trainer: Any) -> float:
    """The step after which a run is validated first; infinite if time decides."""
    if trainer._val_check_time_interval is not None:
        return math.inf
    before = ((trainer.check_val_every_n_epoch or 1) - 1) * steps_of(trainer, trainer.num_training_batches)
    return before + steps_of(trainer, trainer.val_check_batch)


def last_step(trainer: Any) -> float:
    """The step after which a run ends, if no clock ends it earlier."""
    by_epochs = (trainer.max_epochs or -1) * steps_of(trainer, trainer.num_training_batches)
    ends = [end for end in (by_epochs, trainer.max_steps) if end > 0]
    return min(ends, default=math.inf)


def steps_of(trainer: Any, batches: float) -> float:
    """The optimizer's steps in a number of batches."""
    return math.ceil(batches / trainer.accumulate_grad_batches) if math.isfinite(batches) else math.inf
