"""What a checkpoint carries, and how to open one safely.

A checkpoint is Lightning's own, of plain containers and tensors only, plus `auscult`: the resolved configuration
of its run, the names of its classes and the speakers of each split. That is all that is needed to resume the run or to
explain its network.
"""

import errno
import logging
import os
import pickle
import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, is_zipfile

import torch
from hydra.utils import get_object
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch import nn

from src.datamodules.clips import Corpus
from src.files import replacing
from src.mistake import Mistake
from src.modules.classifier import Classifier

log = logging.getLogger(__name__)

KEY = "auscult"
# a configuration names the classes to build: one that comes out of a file may name none but these
SAFE_MODULES = ("src.", "torch.optim.")
SAFE_CLASSES = (Corpus, nn.Module, torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler)


class KeepBest(ModelCheckpoint):
    """Keeps `best.ckpt`, the weights of the highest val/accuracy: to test and to explain.

    Of equals it keeps the latest, as accuracy on a few clips comes back to the same value again and again, and one that
    an early epoch reached by chance, at a high learning rate, holds less on other clips.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder, "best", monitor="val/accuracy", mode="max", save_weights_only=True, enable_version_counter=False
        )

    def check_monitor_top_k(self, trainer: Trainer, current: torch.Tensor | None = None) -> bool:
        higher = super().check_monitor_top_k(trainer, current)
        return higher or (current is not None and bool(current == self.best_model_score))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if not (Path(str(self.dirpath)) / "best.ckpt").exists():
            return  # `require_own` has said so
        # Lightning forgets the best score of a run folder that was moved since
        here = str(Path(str(self.dirpath)) / "best.ckpt")
        moved = {"dirpath": self.dirpath, "best_model_path": here, "kth_best_model_path": here}
        scores = dict.fromkeys([here], state_dict["best_model_score"])
        super().load_state_dict({**state_dict, **moved, "best_k_models": scores})

    def require_own(self, card: dict[str, Any]) -> None:
        """Looks, before a run is resumed, whether `best.ckpt` is still its own; one that cannot be read is set aside.

        Args:
            card: of the checkpoint to resume from.

        Raises:
            Mistake: it is another run's.
        """
        path = Path(str(self.dirpath)) / "best.ckpt"
        try:
            held = open_checkpoint(path, "best.ckpt")[KEY]
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
        """Makes what the trainer holds the best: of a resumed run that has lost its own and has no epoch to come."""
        self.best_model_path = str(Path(str(self.dirpath)) / "best.ckpt")
        trainer.save_checkpoint(self.best_model_path, weights_only=True)


class KeepLast(ModelCheckpoint):
    """Keeps `last.ckpt`, with the optimizer's state: to resume."""

    def __init__(self, folder: Path) -> None:
        # at the end of the epoch, not of its validation: what is resumed then starts with a whole epoch
        super().__init__(folder, "last", save_on_train_epoch_end=True, enable_version_counter=False)


class CheckpointFiles(TorchCheckpointIO):
    """Writes checkpoints that carry a configuration, the class names and each split's speakers.

    Each is written beside the one it replaces, so that a run killed meanwhile still has that one.
    """

    def __init__(self, config: dict[str, Any], classes: list[str], speakers: dict[str, list[str]]) -> None:
        self.card = {"config": config, "classes": classes, "speakers": speakers}

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as unfinished:
            try:
                torch.save({**checkpoint, KEY: self.card}, unfinished)
            except RuntimeError as error:  # how PyTorch says that the disk is full
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error


def open_checkpoint(path: str | Path, option: str = "ckpt_path") -> dict[str, Any]:
    """Reads a checkpoint of this program onto the CPU, executing nothing that it holds.

    Args:
        path: the file.
        option: the option that named it, for the message.

    Raises:
        Mistake: no such file, not a whole checkpoint, not one of this program, or one that wants to run code.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise Mistake(f"{option}={path} is not a file; name a checkpoints/last.ckpt or best.ckpt of a run folder.")
    damaged = (
        f"{option}={path} cannot be read (truncated, damaged or not a checkpoint); use the run's other checkpoint."
    )
    if is_zipfile(path) and not is_whole(path):
        raise Mistake(damaged)
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # bytes that are no checkpoint make the reader stumble in any way
        if isinstance(error, pickle.UnpicklingError) and "nsupported" in str(error):
            raise Mistake(
                f"{option}={path} is not safe to open: it holds more than plain values and tensors"
                " (code, or another program's objects); use a checkpoint that train.py wrote."
            ) from error
        raise Mistake(damaged) from error
    card = checkpoint.get(KEY) if isinstance(checkpoint, dict) else None
    if not isinstance(card, dict) or not {"config", "classes", "speakers"} <= card.keys():
        raise Mistake(f"{option}={path} was not written by train.py; use a checkpoint of a run folder.")
    if "${" in repr(card["config"]):  # ours are resolved; resolving others could name anything
        raise Mistake(f"{option}={path} holds an unresolved configuration, which train.py never writes; not opened.")
    for target in targets(card["config"]):
        if not is_safe(target):
            raise Mistake(f"{option}={path} wants to build '{target}', which is no part of this program; not opened.")
    return checkpoint


def identity(card: dict[str, Any]) -> dict[str, Any]:
    """What tells runs apart and does not change when one is resumed, or its recordings are moved."""
    own = {name: card["config"].get(name) for name in ("task", "model", "optimizer", "fold", "seed")}
    return {**own, "data": card["config"]["data"]["name"], "classes": card["classes"], "speakers": card["speakers"]}


def is_whole(path: Path) -> bool:
    """Whether all bytes in a ZIP archive, which checkpoints are, are as they were written: PyTorch does not look."""
    try:
        with ZipFile(path) as archive:
            return archive.testzip() is None
    except (BadZipFile, zlib.error, EOFError, OSError):
        return False


def classifier_of(checkpoint: dict[str, Any]) -> Classifier:
    """The trained classifier of an opened checkpoint, in evaluation mode on the CPU.

    Raises:
        Mistake: its weights are not those of the network that it describes.
    """
    classifier = Classifier.from_config(checkpoint[KEY]["config"], checkpoint[KEY]["classes"])
    try:
        classifier.load_state_dict(checkpoint["state_dict"])
    except (KeyError, RuntimeError) as error:
        raise Mistake(
            f"the checkpoint's weights do not fit {type(classifier.network).__name__} as it is now;"
            " use a checkpoint that this version of the network wrote."
        ) from error
    return classifier.eval()


def is_safe(target: str) -> bool:
    """Whether a `_target_` names a corpus, module, optimizer, schedule or part of an explanation, not any callable.

    The prefix alone would not do: `src.some_module.os.system` has it too.
    """
    if not target.startswith(SAFE_MODULES):
        return False
    try:
        named = get_object(target)
    except Exception:  # whatever importing it raises, it is not ours
        return False
    return isinstance(named, type) and (issubclass(named, SAFE_CLASSES) or named.__module__.startswith("src.explain."))


def targets(config: Any) -> list[str]:
    """Every `_target_` in a configuration of plain containers."""
    if isinstance(config, dict):
        own = [str(config["_target_"])] if "_target_" in config else []
        return own + [target for value in config.values() for target in targets(value)]
    if isinstance(config, list):
        return [target for value in config for target in targets(value)]
    return []
