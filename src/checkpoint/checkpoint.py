"""What a checkpoint carries, and how to open one safely.

A checkpoint is Lightning's own, of plain containers and tensors only, plus `auscult`: the resolved configuration
of its run, the names of its classes and the speakers of each split. That is all that is needed to resume the run or to
explain its network.
"""

import errno
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from auscult.checkpoint.card import checked_card
from auscult.checkpoint.file import Foreign, look_through
from auscult.checkpoint.look import KEY, card_in, opening
from auscult.files import replacing
from auscult.machine.limits import TooMuch, bytes_at_most, seconds_at_most
from auscult.mistake import Mistake
from auscult.modules.classifier import Classifier
from auscult.modules.model import Model
from auscult.parts import build_part
from auscult.plain_data import DEEPEST, MOST_VALUES, shown

log = logging.getLogger(__name__)

MOST_SECONDS, MOST_BYTES = 7.0, 2**30  # for building a network, beside several times the size of its file


class CheckpointFiles(TorchCheckpointIO):
    """Writes checkpoints that carry a card: a configuration, the class names and each split's speakers.

    A new one is written beside the one that it replaces: a run that is killed meanwhile still has the old one.
    """

    def __init__(self, card: dict[str, Any]) -> None:
        self.card = card

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Writes the checkpoint with the card in it. An unfinished file never has the name of the checkpoint."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as unfinished:
            try:
                torch.save({**checkpoint, KEY: self.card}, unfinished)
            except RuntimeError as error:  # how PyTorch says that the disk is full
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error


def open_checkpoint(path: str | Path, option: str = "ckpt_path", allow: Sequence[str] = ()) -> dict[str, Any]:
    """Reads a checkpoint of this program onto the CPU, executing nothing that it holds.

    Args:
        path: the file.
        option: the option that named it, for the message.
        allow: packages of the user's own that its network may come from.

    Returns:
        What it holds: plain containers and tensors, with its card, checked (see `card`), under `KEY`.

    Raises:
        Mistake: no such file, not a whole checkpoint, not one of this program, or one that wants to run code.
    """
    path = Path(path).expanduser()
    with opening(path, option):
        look_through(path)
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        check_content(checkpoint)
    card = card_in(checkpoint, path, option)
    try:
        checkpoint[KEY] = checked_card(card, allow)
    except Mistake as mistake:
        raise Mistake(f"{option}={path} is not opened: {shown(mistake, 600)}") from mistake
    return checkpoint


def check_content(content: Any) -> None:
    """Raises Foreign if lists within lists, or views of a few bytes, stand for more than a file can hold."""
    left = MOST_VALUES

    def walk(value: Any, depth: int) -> None:
        nonlocal left
        left -= 1
        if left < 0 or depth > DEEPEST:
            raise Foreign("lists within lists without end")
        if isinstance(value, dict):
            for key, each in value.items():
                if not isinstance(key, str | int):
                    raise Foreign(f"keys of the type {type(key).__name__}")
                walk(each, depth + 1)
        elif isinstance(value, list | tuple):
            for each in value:
                walk(each, depth + 1)
        elif isinstance(value, torch.Tensor) and value.nbytes > value.untyped_storage().nbytes():
            raise Foreign("tensors that are larger than what they are made of")

    walk(content, 0)


def identity(card: dict[str, Any]) -> dict[str, Any]:
    """What distinguishes a run from others, and stays the same if it is resumed or its recordings are moved."""
    own = {name: card["config"].get(name) for name in ("task", "model", "optimizer", "fold", "seed")}
    return {**own, "data": card["config"]["data"]["name"], "classes": card["classes"], "speakers": card["speakers"]}


def model_of(checkpoint: dict[str, Any]) -> Model:
    """The trained model of an opened checkpoint, in evaluation mode on the CPU.

    Raises:
        Mistake: see `classifier_of`.
    """
    clip = checkpoint[KEY]["config"]["data"]["clip"]
    return Model.of(classifier_of(checkpoint), clip["sample_rate"], clip.get("channels", 1)).eval()


def classifier_of(checkpoint: dict[str, Any]) -> Classifier:
    """The trained classifier of an opened checkpoint, in evaluation mode on the CPU.

    Raises:
        Mistake: its weights do not fit the network that it describes, or the network cannot be built.
    """
    card, weights = checkpoint[KEY], checkpoint.get("state_dict")
    if not isinstance(weights, dict) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise Mistake("the checkpoint holds no weights; use one that train.py wrote.")
    size = sum(value.numel() * value.element_size() for value in weights.values())  # bytes
    try:
        with (
            bytes_at_most(MOST_BYTES + 3 * size),
            seconds_at_most(MOST_SECONDS + size / 2**27, "the network that the checkpoint describes"),
        ):
            check_size(card, weights)
            classifier = Classifier.from_config(card["config"], card["classes"])
            classifier.load_state_dict(weights)
            clip = card["config"]["data"]["clip"]
            with torch.no_grad():  # logits of silence: whatever follows needs logits
                classifier.eval()(torch.zeros(1, clip.get("channels", 1), round(clip["seconds"] * clip["sample_rate"])))
    except Mistake:
        raise
    except Exception as error:  # options from a file make a network raise any error
        network = card["config"]["model"]["network"]["_target_"].rpartition(".")[2]
        raise Mistake(
            f"the checkpoint's weights do not fit {network} as it is now"
            f" ({type(error).__name__}: {shown(' '.join(str(error).split()), 160)});"
            " use a checkpoint that this version of the network wrote."
        ) from error
    return classifier.eval()


def check_size(card: dict[str, Any], weights: dict[str, torch.Tensor]) -> None:
    """Raises ValueError unless the network that a card describes is as large as the weights beside it.

    It is built without memory for its weights: the card of a small file can ask for any number of them.
    """
    node, allow = card["config"]["model"]["network"], card["config"]["allow"]
    try:
        with torch.device("meta"):
            network = build_part("model.network", node, allow, classes=len(card["classes"]))
        described = {f"network.{name}": value.shape for name, value in network.state_dict().items()}
    except (Mistake, TooMuch):
        raise
    except Exception:  # some networks compute with their weights while they are built
        return
    held = {name: value.shape for name, value in weights.items() if name.startswith("network.")}
    if described != held:
        raise ValueError("it asks for other weights than the file holds")
