"""Explanations while training: relevance of fixed clips, perturbation curves and interventions.

They are in the run folder and, with `logger=wandb`, in W&B. Whatever is random here is drawn from generators of its
own, and networks come back in their mode: the weights after training equal, bit for bit, those without callbacks.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import wandb
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.trainer.states import TrainerFn

from auscult.build import build_named
from auscult.datamodules.datamodule import AudioDataModule
from auscult.datamodules.dataset import Batch
from auscult.drawing import drawing
from auscult.explain.attribution.base import attribution_of
from auscult.explain.domain.domains import Input
from auscult.explain.domain.explain import explain
from auscult.explain.domain.inputs import inputs_of
from auscult.explain.intervention.interventions import compare, paper_of
from auscult.explain.measures.fractions import DEFINITIONS, check_definition, checked_fractions
from auscult.explain.measures.intervals import SpeakerIntervals
from auscult.explain.measures.perturbation import Outcome, areas, summarise, write_curves
from auscult.explain.relevance.question import Perturbation
from auscult.explain.show import plots
from auscult.explain.show.clip import View, audible, file_name, picture
from auscult.explain.trial import try_attribution
from auscult.modules.classifier import Classifier
from auscult.modules.model import Model
from auscult.program.numbers import check_number


class RelevancePanel(Callback):
    """Pictures and sounds of the relevance of some validation clips, the same ones every time.

    They are in `relevance/epoch-NNN/` of the run folder, and under `relevance/` in W&B.

    Args:
        attribution: a choice of `conf/attribution`.
        every_n_epochs: how often; after the last epoch in any case.
        clips: how many, spread evenly over the validation clips.
    """

    def __init__(self, attribution: dict[str, Any], every_n_epochs: int, clips: int) -> None:
        for name, value in (("every_n_epochs", every_n_epochs), ("clips", clips)):
            option = f"callbacks.relevance.{name}"
            check_number({"callbacks": {"relevance": {name: value}}}, option, int, 1, 10**6, nullable=False)
        self.attribution = attribution_of(attribution)
        self.every_n_epochs, self.clips = every_n_epochs, clips

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        classifier, datamodule = parts(trainer, module)
        try_attribution(self.attribution, classifier, datamodule.settings)

    def on_validation_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        due = epoch % self.every_n_epochs == 0 or epoch == trainer.max_epochs
        if not due or trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking or not trainer.is_global_zero:
            return
        classifier, datamodule = parts(trainer, module)
        model = Model.of(classifier, datamodule.settings.sample_rate)
        members = datamodule.split.validation
        chosen = np.unique(np.linspace(0, len(members) - 1, min(self.clips, len(members))).round().astype(int))
        batch = datamodule.evaluation_dataset(members).__getitems__(chosen.tolist())
        waveforms = batch["waveform"].to(module.device)  # (B, 1, T)
        explained = explain(Input(model, waveforms.shape[-1]), self.attribution, waveforms)
        relevance, predicted = explained.relevance[:, 0].cpu().numpy(), explained.target  # (B, ...), (B,)
        view = View.of(model, tuple(explained.input.shape[1:]))
        folder = Path(trainer.default_root_dir) / f"relevance/epoch-{epoch:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        images, sounds = [], []
        for row, clip in enumerate(members[chosen]):
            path, waveform = datamodule.clips[clip].path, batch["waveform"][row, 0].numpy()
            true, said = classifier.classes[batch["label"][row]], classifier.classes[predicted[row]]
            title = f"{path}: {true}, taken for {said}"
            drawn = folder / f"{file_name(path)}.png"
            with drawing(drawn.name):
                drawn.write_bytes(picture(view, waveform, relevance[row], title).png)
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


class PerturbationCurves(Callback):
    """`curves.csv` and `curves.png` of the test clips, with the areas as metrics; under `perturbation/` in W&B.

    Args:
        attribution: a choice of `conf/attribution`, for the predicted class.
        fill: a choice of `conf/fill`.
        fractions: of the features that are removed.
        random_orders: how many random orders are averaged.
        seed: of these.
        definition: of what fractions are, see `perturbation`.
    """

    def __init__(
        self,
        attribution: dict[str, Any],
        fill: dict[str, Any],
        fractions: Sequence[float],
        random_orders: int,
        seed: int,
        definition: str = DEFINITIONS[0],
    ) -> None:
        self.attribution, self.fill = attribution_of(attribution), fill
        self.fractions, self.seeds = checked_fractions(fractions), [seed + number for number in range(random_orders)]
        check_definition("callbacks.perturbation.definition", definition)
        self.definition = definition
        self.metrics: dict[str, float] = {}

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        classifier, datamodule = parts(trainer, module)
        try_attribution(self.attribution, classifier, datamodule.settings)

    def on_test_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        classifier, datamodule = parts(trainer, module)
        dataset = datamodule.evaluation_dataset(datamodule.split.test)
        self.model = Model.of(classifier, datamodule.settings.sample_rate)
        passes = partial(inputs_of, self.model, dataset, datamodule.batch_size)
        fill = build_named(self.fill, "fill", self.model.silence(dataset.length), passes)
        self.perturbation = Perturbation(self.fractions, self.seeds, fill, definition=self.definition)
        self.outcomes: list[Outcome] = []
        self.tested: list[int] = []

    def on_test_batch_end(self, trainer: Trainer, module: LightningModule, *step: Any) -> None:
        batch: Batch = step[1]
        explained = explain(Input(self.model, batch["waveform"].shape[-1]), self.attribution, batch["waveform"])
        self.outcomes.append(self.perturbation(self.model.network, explained, batch["label"], batch["clip"]))
        self.tested += batch["clip"].tolist()

    def on_test_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        shares = gathered((self.tested, Outcome.joined(self.outcomes)))
        if not trainer.is_global_zero:
            return
        _, datamodule = parts(trainer, module)
        outcome = Outcome.joined([outcome for _, outcome in shares])
        intervals = intervals_of(datamodule, [clip for tested, _ in shares for clip in tested])
        table = summarise(outcome, self.fractions, intervals)
        self.metrics = areas(outcome, self.fractions, intervals, self.definition)
        folder = Path(trainer.default_root_dir)
        features = self.perturbation.of("samples" if self.perturbation.fill.silence.ndim == 3 else "bins")
        write_curves(folder / "curves.csv", table)
        with drawing("curves.png"):
            figure = plots.plot_curves(table, features, chance=1 / len(datamodule.classes))
            (folder / "curves.png").write_bytes(plots.png(figure, dpi=150))
            log_to_wandb(trainer, {"perturbation/curves": wandb.Image(str(folder / "curves.png"))})
        if isinstance(trainer.logger, WandbLogger):
            log_to_wandb(trainer, {"perturbation/table": wandb.Table(dataframe=table)})


class InterventionTest(Callback):
    """Accuracy on test clips that an intervention changed, before and after: metrics and `intervention.png`.

    Args:
        intervention: a choice of `conf/intervention`.
        seed: of nothing any more; run folders of earlier versions have it.
    """

    def __init__(self, intervention: dict[str, Any], seed: int = 0) -> None:
        self.node = intervention
        self.metrics: dict[str, float] = {}

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Makes it of one clip: that this network cannot be asked so is better known before the training."""
        classifier, datamodule = parts(trainer, module)
        self.intervention = build_named(self.node, "intervention", datamodule.settings.sample_rate)
        batch = datamodule.evaluation_dataset(datamodule.split.test[:1]).__getitems__([0])
        self.model = Model.of(classifier, datamodule.settings.sample_rate)
        self.shams = self.intervention.shams()
        with torch.no_grad():
            for change in (self.intervention, *self.shams.values()):
                change(self.model, batch["waveform"].to(module.device), batch["label"].to(module.device))

    def on_test_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.tested: list[tuple[int, ...]] = []  # clip, label, prediction before, after, and after each sham

    def on_test_batch_end(self, trainer: Trainer, module: LightningModule, *step: Any) -> None:
        batch: Batch = step[1]
        before = self.model(batch["waveform"]).argmax(1)
        after = [
            self.model.logits(change(self.model, batch["waveform"], batch["label"])).argmax(1)
            for change in (self.intervention, *self.shams.values())
        ]
        columns = (batch["clip"], batch["label"], before, *after)
        self.tested += zip(*(column.tolist() for column in columns), strict=True)

    def on_test_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        shares = gathered(self.tested)
        if trainer.is_global_zero:
            clip, label, before, after, *others = np.array([row for share in shares for row in share]).T
            shams = dict(zip(self.shams, others, strict=True))
            classifier, datamodule = parts(trainer, module)
            self.metrics = compare(label, before, after, intervals_of(datamodule, clip.tolist()), shams)
            paper = paper_of(self.intervention, classifier.classes)
            name = f"fold {datamodule.fold}"
            path = Path(trainer.default_root_dir) / "intervention.png"
            with drawing(path.name):
                figure = plots.plot_intervention({name: self.metrics}, paper=paper, chance=1 / len(classifier.classes))
                path.write_bytes(plots.png(figure, dpi=150))
                log_to_wandb(trainer, {"intervention/accuracy": wandb.Image(str(path))})


def parts(trainer: Trainer, module: LightningModule) -> tuple[Classifier, AudioDataModule]:
    """What `train.py` trains, and on what."""
    datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
    assert isinstance(module, Classifier) and isinstance(datamodule, AudioDataModule)
    return module, datamodule


def intervals_of(datamodule: AudioDataModule, clips: Sequence[int]) -> SpeakerIntervals:
    return SpeakerIntervals([datamodule.clips[clip].speaker for clip in clips])


def gathered(own: Any) -> list[Any]:
    """What all processes have, in their order; all of them must call it."""
    if not torch.distributed.is_initialized():
        return [own]
    shares: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(shares, own)
    return shares


def log_to_wandb(trainer: Trainer, values: dict[str, Any]) -> None:
    if isinstance(trainer.logger, WandbLogger):
        trainer.logger.experiment.log(values)
