"""Which checkpoints a training keeps: the best one, the last one, and that of its last step."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint

from auscult.checkpoint.checkpoint import KEY, classifier_of, identity, open_checkpoint
from auscult.mistake import Mistake

log = logging.getLogger(__name__)


class KeepBest(ModelCheckpoint):
    """Keeps `best.ckpt`, the weights of the best validation: to test and to explain.

    Of equal values it keeps the latest. Accuracy on a few clips often takes the same value again, and one that an early
    epoch reached by chance, at a high learning rate, says less about other clips.

    Args:
        folder: of the run's checkpoints.
        monitor: name of the metric that is to be best.
        mode: "max" if a higher one is better, or "min".
    """

    def __init__(self, folder: Path, monitor: str = "val/accuracy", mode: str = "max") -> None:
        super().__init__(
            folder, "best", monitor=monitor, mode=mode, save_weights_only=True, enable_version_counter=False,
            save_on_train_epoch_end=False,  # but after the validation: later weights have another score
        )  # fmt: skip

    def check_monitor_top_k(self, trainer: Trainer, current: torch.Tensor | None = None) -> bool:
        """Whether an epoch's score replaces the best one: also if the two are equal."""
        higher = super().check_monitor_top_k(trainer, current)
        return higher or (current is not None and bool(current == self.best_model_score))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up the best score of the run that is resumed, if its best checkpoint is still there."""
        if not (Path(str(self.dirpath)) / "best.ckpt").exists():
            return  # `require_own` has said so
        score = state_dict["best_model_score"]
        if not isinstance(score, torch.Tensor) or score.numel() != 1:
            raise ValueError("the best score is no number")
        # the folder is that of the run, whatever the file names: what is replaced is deleted
        here = str(Path(str(self.dirpath)) / "best.ckpt")
        own = {"dirpath": self.dirpath, "best_model_path": here, "kth_best_model_path": here}
        scores = {"best_model_score": score, "kth_value": score, "best_k_models": {here: score}}
        super().load_state_dict(own | scores)

    def require_own(self, card: dict[str, Any], allow: Sequence[str] = ()) -> None:
        """Checks, before a run is resumed, that `best.ckpt` is its own. One that cannot be read is set aside.

        Args:
            card: the card of the checkpoint to resume from.
            allow: packages of the user's own.

        Raises:
            Mistake: it is another run's.
        """
        path = Path(str(self.dirpath)) / "best.ckpt"
        try:
            opened = open_checkpoint(path, "best.ckpt", allow)
            classifier_of(opened)  # its weights are there, and fit
            held = opened[KEY]
        except Mistake:
            aside = path.with_name("best.unreadable")
            if path.exists():
                path.replace(aside)
                log.warning("%s cannot be read and is now %s; the best is chosen anew from here on.", path, aside.name)
            else:
                log.warning("%s is gone; the best is chosen anew from here on.", path)
            return
        if identity(held) != identity(card):
            raise Mistake(
                f"{path} is of another run than the last.ckpt beside it; put the run's own back, or move this one"
                " elsewhere to choose the best anew."
            )

    def keep_as_it_is(self, trainer: Trainer) -> None:
        """Saves the present weights as the best: for a resumed run that has lost its best and has no more epochs."""
        self.best_model_path = str(Path(str(self.dirpath)) / "best.ckpt")
        trainer.save_checkpoint(self.best_model_path, weights_only=True)


class KeepFinal(KeepBest):
    """Keeps in `best.ckpt` the weights of the last step, whatever they reach in validation.

    Each validation replaces the file, so that a stopped run has weights to look at. In the end the weights of the last
    step replace it, also if no validation follows that step.
    """

    def check_monitor_top_k(self, trainer: Trainer, current: torch.Tensor | None = None) -> bool:
        """True: every epoch's checkpoint replaces the one before."""
        return current is not None

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Keeps the weights of the last step, if no validation has kept them."""
        if trainer.global_step != self._last_global_step_saved:
            self.keep_as_it_is(trainer)


class KeepLast(ModelCheckpoint):
    """Keeps `last.ckpt`, with the optimizer's state: to resume."""

    def __init__(self, folder: Path) -> None:
        # at the end of the epoch, not of its validation: so a resumed run starts with a whole epoch
        super().__init__(folder, "last", save_on_train_epoch_end=True, enable_version_counter=False)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Does nothing. Lightning would delete what a file names as the last checkpoint, and all that is in it."""


class FirstEpoch(Callback):
    """Knows whether this process has made an epoch: until then, an error in a resumed run is its checkpoint's."""

    done = has_stepped = False

    def on_train_batch_end(self, *_: Any) -> None:
        """Notes that a step was taken."""
        self.has_stepped = True

    def on_train_epoch_end(self, *_: Any) -> None:
        """Notes that an epoch of this process is complete."""
        self.done = self.has_stepped  # Lightning ends the last epoch of the checkpoint once more
