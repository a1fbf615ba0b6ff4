"""One run: corpus, folds and network from a configuration; fit, test, and leave the results in the run folder."""

import logging
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Trainer, seed_everything

from auscult.checkpoint.card import check_config, checked_card
from auscult.checkpoint.checkpoint import KEY, open_checkpoint
from auscult.checkpoint.keeping import FirstEpoch, KeepBest, KeepFinal
from auscult.datamodules.datamodule import AudioDataModule
from auscult.datamodules.division import Division
from auscult.datamodules.labels.table import shortened
from auscult.datamodules.recording import ClipSettings
from auscult.machine import memory
from auscult.machine.processes import folder_of_first_process, processes_of
from auscult.mistake import CannotGoOn, Mistake
from auscult.modules.classifier import Classifier
from auscult.plain_data import counted, shown
from auscult.pretrained.starting import start
from auscult.printing import printing
from auscult.program.conf import selected
from auscult.run import folder as run_folder
from auscult.run import wandb as wandb_run
from auscult.run.recipe import said_of
from auscult.run.results import Predictions, measured, show, warn_of_divergence, write
from auscult.run.trainer import best_by, is_lightnings, make_trainer, sentence_of, try_trainer
from auscult.run.trial import try_network, try_optimizer

log = logging.getLogger(__name__)

MOST_CLASSES_SAID = 12
IDLE = {"optimizer.lr": 0, "label_smoothing": 1, "model.network.dropout": 1}  # values that teach nothing

# the run's configuration, its classifier, the settings of clips
Trial = Callable[[dict[str, Any], Classifier, ClipSettings], None]


def train(
    config: dict[str, Any],
    folder: Path,
    sweep: Path | None = None,
    division: Division | None = None,
    try_explanations: Trial | None = None,
) -> run_folder.Metrics:
    """Trains and tests what a checked configuration describes.

    Args:
        config: plain containers, as `config.check` returns them.
        folder: the run folder; exists.
        sweep: the folder of the multirun that this job belongs to, if any.
        division: the configuration's clips, if they have been listed already.
        try_explanations: raises a Mistake if the network cannot be explained as the configuration asks.

    Returns:
        What `metrics.json` holds; empty in all processes but the first.

    Raises:
        Mistake: the configuration asks for something that the recordings or the machine cannot give.
    """
    started = time.monotonic()
    hush()
    memory.keep_freed()
    try_trainer(config["trainer"], folder)
    check_config(config, config["allow"])  # before hours of training: its checkpoint could not be opened
    say_what_is_unusual(config)
    datamodule = AudioDataModule.from_config(config, division=division)
    classifier = tried_classifier(config, datamodule, try_explanations)
    datamodule.setup()
    names = ", ".join(map(shortened, datamodule.classes[:MOST_CLASSES_SAID]))
    count = len(datamodule.classes)
    said = {"classes": f"{count} classes", "tags": counted(count, "tag"), "number": "number"}[classifier.answers.kind]
    log.info("%s: %s%s", said, names, ", …" * (count > MOST_CLASSES_SAID))
    if datamodule.classes != classifier.classes:  # no recording of one of them can be used
        classifier = new_classifier(config, datamodule.classes)
    is_balanced = config.get("class_weights") == "balanced"
    classifier.answers.prepare(torch.from_numpy(datamodule.training_labels()), is_balanced)
    speakers, path = datamodule.speakers(), config["ckpt_path"]
    card = checked_card({"config": config, "classes": datamodule.classes, "speakers": speakers}, config["allow"])
    if path:
        check_resumed(config, folder, datamodule)
    before = None
    if folder_of_first_process() is None:
        before = run_folder.claim(folder, config, resume=bool(path))
    with run_folder.put_back(folder, before):
        trainer = make_trainer(config, folder, sweep, datamodule, card)
        with processes_of(trainer, folder, "train"):
            check_test_batches(trainer, datamodule)
            fit(trainer, classifier, datamodule, path)
            predictions = test_best(trainer, classifier, datamodule, resumes=bool(path))
            if not trainer.is_global_zero:
                return {}
            metrics = measured(trainer, datamodule, predictions, classifier.answers)
            metrics["seconds"] = round(time.monotonic() - started, 1)
            title = f"{config['model']['name']}, {config['task']['name']}, fold {config['fold']}: test"
            unit = config["task"].get("unit")
            write(folder, trainer, datamodule, predictions, metrics, title, classifier.answers.kind, unit)
            if classifier.answers.kind == "classes":
                warn_of_divergence(metrics["test/loss"], len(datamodule.classes))
            with printing():
                show(metrics, folder, f"{datamodule.unit}s", classifier.answers)
            if config["logger"].get("checkpoints"):
                wandb_run.keep("model", folder / "checkpoints/best.ckpt")
            return metrics


def say_what_is_unusual(config: dict[str, Any]) -> None:
    """Says how a run departs from its recipe, and which of its values spoil what it is for."""
    if recipe := said_of(config):
        log.info("%s", recipe)
    for option, value in IDLE.items():
        if selected(config, option) == value:
            log.warning("%s=%g: the network learns nothing.", option, value)
    planted, speed = selected(config, "data.confound.kind"), selected(config, "augmentation.speed")
    if planted in ("hum", "click") and speed:
        log.warning("augmentation.speed=%g moves the planted %s in training; say augmentation.speed=0.", speed, planted)


def tried_classifier(config: dict[str, Any], datamodule: AudioDataModule, try_explanations: Trial | None) -> Classifier:
    """Makes the classifier of a configuration, and tries whether it can be trained and explained as that asks.

    This comes before recordings are read, which can take hours.

    Raises:
        Mistake: it cannot, or the clips do not suit the task.
    """
    if not hasattr(datamodule, "division"):
        datamodule.find()
    classifier = new_classifier(config, datamodule.classes)
    if folder_of_first_process() is None:
        try_network(classifier, datamodule.settings, own=bool(config["allow"]))
        try_optimizer(classifier, own=bool(config["allow"]))
        if try_explanations:
            try_explanations(config, classifier, datamodule.settings)
    return classifier


def new_classifier(config: dict[str, Any], classes: list[str]) -> Classifier:
    """A classifier whose weights are drawn by the run's seed, or those that `model.weights` names."""
    seed_everything(config["seed"], verbose=False)
    try:
        classifier = Classifier.from_config(config, classes)
        if (weights := config["model"].get("weights")) and not config["ckpt_path"]:
            start(classifier.network, weights)
        return classifier
    except Mistake:
        raise
    except Exception as error:  # odd options make PyTorch or the network raise any error
        if config["allow"]:  # the author of such code wants to see where it fails
            raise
        reason = f"{type(error).__name__}: {shown(' '.join(str(error).split()), 160)}"
        clip = config["data"]["clip"]
        if "allocate memory" in str(error) and clip["seconds"] * clip["sample_rate"] > 10**6:
            raise Mistake(
                f"data.clip.seconds={clip['seconds']:g} at data.clip.sample_rate={clip['sample_rate']} makes a network"
                " that is larger than this machine's memory; choose shorter clips."
            ) from error
        raise Mistake(f"model: it cannot be built of these options ({reason}).") from error


def check_resumed(config: dict[str, Any], folder: Path, datamodule: AudioDataModule) -> None:
    """Checks that a run can go on with a checkpoint.

    Raises:
        Mistake: it is of other recordings, or the `best.ckpt` in the run folder is of another run.
    """
    path, allow = config["ckpt_path"], config["allow"]
    card = open_checkpoint(path, allow=allow)[KEY]
    if card["speakers"] != datamodule.speakers():
        unit = datamodule.unit
        raise Mistake(
            f"ckpt_path={path} was trained on other {unit}s than data.root now has for its fold, so it would be"
            f" tested on {unit}s that it has heard; restore the recordings, or start another run."
        )
    if folder_of_first_process() is None:
        KeepBest(folder / "checkpoints", *best_by(config)).require_own(card, allow)


def fit(trainer: Trainer, classifier: Classifier, datamodule: AudioDataModule, path: str | None) -> None:
    """Trains, from the state in a checkpoint if `path` names one.

    Raises:
        CannotGoOn: the state in the checkpoint does not fit the run.
        Mistake: Lightning cannot do what `trainer` asks for.
    """
    try:
        trainer.fit(classifier, datamodule, ckpt_path=path, weights_only=True)
    except (Mistake, OSError):
        raise
    except Exception as error:
        if path and not any(own.done for own in trainer.callbacks if isinstance(own, FirstEpoch)):  # type: ignore[attr-defined]
            raise CannotGoOn(
                f"ckpt_path={path} cannot be resumed ({type(error).__name__}:"
                f" {shown(' '.join(str(error).split()), 160)}): its state does not fit the run; start another run."
            ) from error
        if not is_lightnings(error):
            raise
        raise Mistake(sentence_of(error)) from error


def check_test_batches(trainer: Trainer, datamodule: AudioDataModule) -> None:
    """Raises a Mistake if no batch would be tested, which Lightning notices only after the training."""
    length, share = len(datamodule.test_dataloader()), trainer.limit_test_batches
    if isinstance(share, float) and int(length * share) == 0:
        raise Mistake(
            f"trainer.limit_test_batches={share} of {length} batches is none; set trainer.limit_test_batches=1 for one."
        )


def test_best(trainer: Trainer, classifier: Classifier, datamodule: AudioDataModule, resumes: bool) -> Predictions:
    """Tests the best checkpoint, or that of the last step, which it validates first.

    Raises:
        Mistake: there is none, as no epoch was trained and validated.
    """
    best: Any = trainer.checkpoint_callback  # KeepBest comes first
    if not best.best_model_path and resumes:
        best.keep_as_it_is(trainer)
    if not best.best_model_path:
        raise Mistake("trainer: no epoch was trained and validated, so that there is nothing to test.")
    if isinstance(best, KeepFinal):
        trainer.validate(classifier, datamodule, ckpt_path=best.best_model_path, verbose=False, weights_only=True)
        best.best_model_score = trainer.callback_metrics.get(str(best.monitor))
    trainer.test(classifier, datamodule, ckpt_path=best.best_model_path, verbose=False, weights_only=True)
    return classifier.predictions()


def hush() -> None:
    """Silences messages of libraries that come at every start and that no user can act on."""
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*predict returned None.*",
        ".*Checkpoint directory .* exists.*",
        ".*GPU available but not used.*",
        ".*treespec, LeafSpec.*",
        ".*number of training batches.*",
        ".*in eval mode at the start of training.*",  # frozen parts
        ".*isinstance.treespec.*",
        ".*y_pred contains classes not in y_true.*",
        ".*A single label was found.*",
        ".*variance of predictions or target is close to zero.*",
        ".*No (positive|negative) samples in targets.*",
    ):
        warnings.filterwarnings("ignore", message)
