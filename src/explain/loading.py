"""Loads a model for a notebook or a program: of a checkpoint, or a network of the user's own with its weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from auscult.datamodules.recording import ClipSettings
from auscult.mistake import Mistake
from auscult.modules.model import Model
from auscult.pretrained.opening import Opened, opened, own_network
from auscult.pretrained.options import check_pretrained
from auscult.program.conf import content_of, nearest
from auscult.program.paths import EXAMPLE, checkpoint_at


class TrainedModel(Model):
    """A trained model that knows how recordings are prepared for it.

    Args:
        model: the trained model.
        config: the configuration of its run, in plain containers; of a network of the user's own, what stands for it.

    Attributes:
        settings: how its run prepared recordings; new recordings are prepared in the same way.
    """

    def __init__(self, model: Model, config: dict[str, Any]) -> None:
        how: dict[str, Any] = {"sample_rate": model.sample_rate, "kind": model.kind, "channels": model.channels}
        super().__init__(model.network, front_end=model.front_end, classes=model.classes, **how)
        self.mixes = model.mixes
        self.config, self.settings = config, ClipSettings(**config["data"]["clip"])
        self.place = 0.0 if config["data"]["name"] is None else 0.5  # of a short recording in its clip, see `clip_of`

    @classmethod
    def of_subject(cls, subject: Opened) -> "TrainedModel":
        """The model of what was opened, in evaluation mode."""
        return cls(subject.model, subject.card["config"]).eval()


def load(
    checkpoint: str | Path | None = None,
    allow: str | Sequence[str] = (),
    *,
    network: str | nn.Module | None = None,
    **options: Any,
) -> Model:
    """Loads a model, in evaluation mode on the CPU. No code that a file of weights or a checkpoint holds is run.

    Args:
        checkpoint: a `best.ckpt`, or a run folder; if it is left out, MelCNN on synthetic digits, which comes along.
        allow: your own packages that may provide its network.
        network: instead of a checkpoint, a network with weights of its own: "package.module:CNN", "file.py:CNN", or
            "hf:" with a name or a folder of Hugging Face; or a module.
        options: of that network, as in `conf/pretrained.yaml`: `weights`, `sample_rate`, `classes`, `output`, ...
            Without `seconds`, each recording is explained at its own length.

    Raises:
        Mistake: the checkpoint or network does not exist, cannot be read, or the weights do not fit it.
    """
    packages = [allow] if isinstance(allow, str) else list(allow)
    if network is None:
        if options:
            raise Mistake(f"load has no option {next(iter(options))} for a checkpoint; it describes network=….")
        config: dict[str, Any] = {"checkpoint": checkpoint_at("checkpoint", checkpoint or EXAMPLE), "allow": packages}
    else:
        known = {**content_of("pretrained"), "target": None}
        if unknown := [option for option in options if option not in known]:
            raise Mistake(f"load has no option {unknown[0]}; {nearest(unknown[0], list(known))}.")
        module = network if isinstance(network, nn.Module) else None
        name = "module:network" if module is not None else network
        config = {**known, **options, "network": name, "checkpoint": checkpoint, "allow": packages}
        check_pretrained(config)
        subject = own_network(config, module)
        return subject.model if config["seconds"] is None else TrainedModel.of_subject(subject)
    return TrainedModel.of_subject(opened(config))
