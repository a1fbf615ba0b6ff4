"""Explanations during a training: relevance of fixed clips. Explanations at its end are in `at_end.py`.

They are in the run folder and, with `logger=wandb`, in W&B. A callback draws random numbers from its own generator and
restores the mode of the network. So the weights after training equal, bit for bit, those of a training without it.
"""

from pathlib import Path
from typing import Any

import numpy as np
import wandb
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from auscult.datamodules.datamodule import AudioDataModule
from auscult.drawing import drawing
from auscult.explain.attribution.base import attribution_of
from auscult.explain.domain.domains import Input
from auscult.explain.domain.explain import explain
from auscult.explain.show.clip import View, audible, file_name, picture
from auscult.explain.trial import try_attribution
from auscult.modules.classifier import Classifier
from auscult.modules.model import Model
from auscult.program.numbers import check_number
from auscult.run.folder import named


class RelevancePanel(Callback):
    """Pictures and sounds of the relevance of some validation clips, the same ones every time.

    They are in `relevance/epoch-NNN/` of the run folder, and under `relevance/` in W&B.

    Args:
        attribution: a choice of `conf/attribution`.
        every_n_epochs: epochs between two panels; the last epoch always has one.
        clips: number of clips, spread evenly over the validation clips.
    """

    def __init__(self, attribution: dict[str, Any], every_n_epochs: int, clips: int) -> None:
        for name, value in (("every_n_epochs", every_n_epochs), ("clips", clips)):
            option = f"callbacks.relevance.{name}"
            check_number({"callbacks": {"relevance": {name: value}}}, option, int, 1, 10**6, nullable=False)
        self.attribution = attribution_of(attribution)
        self.every_n_epochs, self.clips = every_n_epochs, clips

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Tries the attribution before the training, so that a Mistake comes at once."""
        classifier, datamodule = parts(trainer, module)
        try_attribution(self.attribution, classifier, datamodule.settings)

    def on_validation_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Writes the panel if one is due after this epoch."""
        epoch = trainer.current_epoch + 1
        due = epoch % self.every_n_epochs == 0 or epoch == trainer.max_epochs
        if not due or trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking or not trainer.is_global_zero:
            return
        classifier, datamodule = parts(trainer, module)
        settings = datamodule.settings
        model = Model.of(classifier, settings.sample_rate, settings.channels)
        members = datamodule.split.validation
        chosen = np.unique(np.linspace(0, len(members) - 1, min(self.clips, len(members))).round().astype(int))
        batch = datamodule.evaluation_dataset(members).__getitems__(chosen.tolist())
        waveforms = batch["waveform"].to(module.device)  # (B, C, T)
        explained = explain(Input(model, waveforms.shape[-1]), self.attribution, waveforms)
        relevance = explained.relevance.cpu().numpy()  # (B, C, ...)
        view = View.of(model, tuple(explained.input.shape[1:]), attribution=self.attribution)
        folder = Path(trainer.default_root_dir) / f"relevance/epoch-{epoch:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        images, sounds = [], []
        for row, clip in enumerate(members[chosen]):
            path, waveform = datamodule.clips[clip].path, batch["waveform"][row].numpy()
            title = f"{path}: {answered(classifier, batch['label'][row], explained.logits[row])}"
            drawn = folder / f"{file_name(path)}.png"
            with drawing(drawn.name):
                drawn.write_bytes(picture(view, waveform, relevance[row], title).content)
                images.append((drawn, title))
            for sound in audible(view, waveform, relevance[row]):
                heard = folder / f"{file_name(path, sound.name)}.wav"
                heard.write_bytes(sound.wav)
                sounds.append((heard, f"{title}, {sound.name}"))
        log_to_wandb(
            trainer,
            {
                "relevance/pictures": [wandb.Image(str(file), caption=caption) for file, caption in images],
                "relevance/sounds": [wandb.Audio(str(file), caption=caption) for file, caption in sounds],
            },
        )


def answered(classifier: Classifier, label: Tensor, outputs: Tensor) -> str:
    """What a clip is and what it was taken for, given its label and the network's outputs (C,)."""
    if classifier.answers.kind == "number":
        return f"{float(label):.4g}, said to be {float(outputs[0]):.4g}"
    holds = outputs > 0 if label.dim() else int(outputs.argmax())
    true, said = (named(classifier.classes, each) for each in (label, holds))
    return f"{true or 'no tag'}, taken for {said or 'none'}"


def parts(trainer: Trainer, module: LightningModule) -> tuple[Classifier, AudioDataModule]:
    """The classifier that is trained, and the data module that it is trained on."""
    datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
    assert isinstance(module, Classifier) and isinstance(datamodule, AudioDataModule)
    return module, datamodule


def log_to_wandb(trainer: Trainer, values: dict[str, Any]) -> None:
    """Logs values if the run has a W&B logger."""
    if isinstance(trainer.logger, WandbLogger):
        trainer.logger.experiment.log(values)
