"""One run: corpus, folds and network from a configuration; fit, test, and leave the results in the run folder."""

import logging
import os
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from pytorch_lightning import Callback, Trainer, seed_everything
from pytorch_lightning.callbacks import RichProgressBar, Timer
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.plugins.environments import LightningEnvironment
from pytorch_lightning.profilers import AdvancedProfiler, PyTorchProfiler, SimpleProfiler
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from rich.console import Console
from rich.table import Table
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

from src import memory, run_folder, wandb_run
from src.build import build
from src.card import check_config, checked_card
from src.checkpoint import KEY, CheckpointFiles, FirstEpoch, KeepBest, KeepLast, open_checkpoint
from src.datamodules.cache_files import SKIPPED, write_skipped
from src.datamodules.datamodule import AudioDataModule
from src.drawing import drawing
from src.epoch_table import EpochTable
from src.first_validation import FirstValidation
from src.mistake import Mistake
from src.modules.classifier import Classifier
from src.plain_data import shown
from src.processes import folder_of_first_process, processes_of

log = logging.getLogger(__name__)

PROFILERS: dict[str, Any] = {"simple": SimpleProfiler, "advanced": AdvancedProfiler, "pytorch": PyTorchProfiler}


def train(config: dict[str, Any], folder: Path, sweep: Path | None = None) -> run_folder.Metrics:
    """Trains and tests what a checked configuration describes.

    Args:
        config: plain containers, as `config.check` returns them.
        folder: the run folder; exists.
        sweep: the folder of the multirun that this job belongs to, if any.

    Returns:
        What `metrics.json` holds; in all but the first of several processes, nothing.

    Raises:
        Mistake: the configuration asks for something that the recordings or the machine cannot give.
    """
    started = time.monotonic()
    hush()
    memory.keep_freed()
    try_trainer(config["trainer"], folder)
    seed_everything(config["seed"], verbose=False)
    check_config(config, config["allow"])  # before hours are spent: what no checkpoint may name could not be opened
    datamodule = AudioDataModule.from_config(config)
    datamodule.setup()
    speakers, path = datamodule.speakers(), config["ckpt_path"]
    card = checked_card({"config": config, "classes": datamodule.classes, "speakers": speakers}, config["allow"])
    classifier = Classifier.from_config(config, datamodule.classes)
    if path:
        check_resumed(config, folder, datamodule)
    if folder_of_first_process() is None:
        run_folder.claim(folder, config, resume=bool(config["ckpt_path"]))
    with wandb_run.finished():
        trainer = make_trainer(config, folder, sweep, datamodule, card)
        with processes_of(trainer, folder, "train"):
            return fit_and_test(trainer, classifier, datamodule, config, folder, started)


def check_resumed(config: dict[str, Any], folder: Path, datamodule: AudioDataModule) -> None:
    """Looks whether a run can go on with a checkpoint.

    Raises:
        Mistake: it is of other recordings, or the `best.ckpt` in the run folder is of another run.
    """
    path, allow = config["ckpt_path"], config["allow"]
    card = open_checkpoint(path, allow=allow)[KEY]
    if card["speakers"] != datamodule.speakers():
        unit = datamodule.corpus.unit
        raise Mistake(
            f"ckpt_path={path} was trained on other {unit}s than data.root now gives its fold: to test"
            f" on {unit}s it has heard would mean nothing; restore the recordings, or start another run."
        )
    if folder_of_first_process() is None:
        KeepBest(folder / "checkpoints").require_own(card, allow)


def trainer_of(**arguments: Any) -> Trainer:
    """Lightning's Trainer.

    Raises:
        Mistake: it does not take the arguments, or this machine has not what they name.
    """
    if profiler := PROFILERS.get(arguments.get("profiler") or ""):  # by its name it would print what nobody sees
        arguments["profiler"] = profiler(dirpath=arguments["default_root_dir"], filename="profile")
    try:
        trainer = Trainer(**arguments)
    except Exception as error:  # it stumbles over odd values in any way, and is given nothing else
        raise Mistake(sentence_of(error)) from error
    # signals are ours: on SIGTERM Lightning would wait for the end of a batch, and for processes that are gone
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Timer):  # max_time is of each run, whatever time passed before it was resumed
            callback.load_state_dict = lambda state_dict: None  # type: ignore[method-assign]
    return trainer


def try_trainer(options: dict[str, Any], folder: Path) -> None:
    """Makes a Trainer of these arguments, to see it refused before recordings are read.

    Raises:
        Mistake: see `trainer_of`.
    """
    quiet = {"logger": False, "plugins": [LightningEnvironment()], "default_root_dir": folder}
    trainer_of(**{**options, "enable_progress_bar": False, "enable_model_summary": False}, **quiet)


def sentence_of(error: Exception) -> str:
    """What Lightning says of its arguments."""
    return f"trainer: {' '.join(str(error).split()).rstrip('.!') or type(error).__name__}."


def is_lightnings(error: Exception) -> bool:
    """Whether Lightning itself raised it, rather than what it calls."""
    if isinstance(error, MisconfigurationException):
        return True
    raised_in = traceback.extract_tb(error.__traceback__)[-1].filename
    own = isinstance(error, TypeError | ValueError | RuntimeError)
    return own and any(f"{package}{os.sep}" in raised_in for package in ("pytorch_lightning", "lightning_fabric"))


def callback(config: dict[str, Any], name: str, node: dict[str, Any]) -> Callback:
    """A callback of the configuration.

    Raises:
        Mistake: there is none such; in a run that is resumed, also where it refuses the options in any way.
    """
    try:
        return build(node, f"callbacks.{name}")
    except InstantiationException as error:
        if config["ckpt_path"]:
            reason = shown(" ".join(str(error.__cause__ or error).split()), 160)
            raise Mistake(
                f"callbacks.{shown(name)} cannot be built ({reason}); name it again with callbacks=…."
            ) from error
        raise


def make_trainer(
    config: dict[str, Any], folder: Path, sweep: Path | None, datamodule: AudioDataModule, card: dict[str, Any]
) -> Trainer:
    """Lightning's Trainer with this program's callbacks; `config["trainer"]` is passed on as it is."""
    arguments = dict(config["trainer"])
    callbacks: list[Callback] = [
        KeepBest(folder / "checkpoints"),
        KeepLast(folder / "checkpoints"),
        FirstEpoch(),
        FirstValidation(),
        EpochTable(folder / "metrics.csv"),
        *(callback(config, name, node) for name, node in (config.get("callbacks") or {}).items()),
    ]
    if arguments["enable_progress_bar"] and Console().is_terminal:
        callbacks.append(RichProgressBar(leave=False))
    else:
        arguments["enable_progress_bar"] = False  # a log file wants lines: EpochTable writes them
    name = f"{config['model']['name']}-{config['task']['name']}-{config['data']['name']}-fold{config['fold']}"
    logger = wandb_run.open_run(config, folder, sweep, name) if config["logger"]["name"] == "wandb" else False
    # a job of a SLURM queue, too, is one task that starts the others itself
    plugins: list[Any] = [CheckpointFiles(card), LightningEnvironment()]
    trainer = trainer_of(
        **arguments,
        logger=logger,
        callbacks=callbacks,
        plugins=plugins,
        default_root_dir=folder,
        use_distributed_sampler=False,  # the data module shares the clips out, without repeating any
    )
    if datamodule.batch_size % trainer.world_size:
        raise Mistake(
            f"data.batch_size={datamodule.batch_size} cannot be shared out evenly over {trainer.world_size} devices;"
            " choose a multiple, or other trainer.devices."
        )
    return trainer


def fit_and_test(
    trainer: Trainer,
    classifier: Classifier,
    datamodule: AudioDataModule,
    config: dict[str, Any],
    folder: Path,
    started: float,
) -> run_folder.Metrics:
    """Fits, tests the best checkpoint and writes what the run folder is to hold."""
    length, share = len(datamodule.test_dataloader()), trainer.limit_test_batches
    if isinstance(share, float) and int(length * share) == 0:  # which Lightning notices after the training
        raise Mistake(
            f"trainer.limit_test_batches={share} of {length} batches is none; set trainer.limit_test_batches=1 for one."
        )
    try:
        trainer.fit(classifier, datamodule, ckpt_path=config["ckpt_path"], weights_only=True)
    except (Mistake, OSError):
        raise
    except Exception as error:
        if config["ckpt_path"] and not any(own.done for own in trainer.callbacks if isinstance(own, FirstEpoch)):  # type: ignore[attr-defined]
            raise Mistake(
                f"ckpt_path={config['ckpt_path']} cannot be gone on with ({type(error).__name__}:"
                f" {shown(' '.join(str(error).split()), 160)}): its state does not fit the run; start another run."
            ) from error
        if not is_lightnings(error):
            raise
        raise Mistake(sentence_of(error)) from error
    best: Any = trainer.checkpoint_callback  # KeepBest comes first
    if not best.best_model_path and config["ckpt_path"]:
        best.keep_as_it_is(trainer)
    if not best.best_model_path:
        raise Mistake("trainer: no epoch was trained and validated, so that there is nothing to test.")
    trainer.test(classifier, datamodule, ckpt_path=best.best_model_path, verbose=False, weights_only=True)
    clips, labels, probabilities = classifier.predictions()
    if not trainer.is_global_zero:
        return {}
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    predicted = probabilities.argmax(1)
    counts = confusion_matrix(labels, predicted, labels=range(len(datamodule.classes)))  # (C, C)
    metrics: run_folder.Metrics = {
        "test/accuracy": float(trainer.callback_metrics["test/accuracy"]),
        "test/balanced_accuracy": float(balanced_accuracy_score(labels, predicted)),
        "test/loss": float(trainer.callback_metrics["test/loss"]),
        **({"val/accuracy": float(best.best_model_score)} if best.best_model_score is not None else {}),
        "fold": config["fold"],
        "epochs": trainer.current_epoch - any(getattr(own, "unfinished", False) for own in callbacks),
        **datamodule.counts(),
        **{name: value for callback in callbacks for name, value in getattr(callback, "metrics", {}).items()},
        "seconds": round(time.monotonic() - started, 1),
    }
    classes = datamodule.classes
    run_folder.write_predictions(folder, [datamodule.clips[i] for i in clips], classes, labels, probabilities)
    title = f"{config['model']['name']}, {config['task']['name']}, fold {config['fold']}: test"
    if datamodule.cache.skipped:
        write_skipped(folder / SKIPPED, datamodule.cache.skipped)
    run_folder.write_metrics(folder, metrics)  # a run that has them is complete
    plot = None
    with drawing("confusion.png"):  # the last thing: what took hours is safe by now
        plot = run_folder.plot_confusion(folder, counts, classes, title)
    if isinstance(trainer.logger, WandbLogger):
        wandb_run.log_results(trainer.logger, metrics, counts, classes, plot)
    show(metrics, folder, f"{datamodule.corpus.unit}s")
    return metrics


def show(metrics: run_folder.Metrics, folder: Path, units: str) -> None:
    """Prints the run's results and where they are.

    Args:
        units: what clips are grouped by, such as "speakers".
    """
    table = Table(box=None)
    for name in ("", "clips", units, "accuracy", "balanced", "loss"):
        table.add_column(name, justify="left" if not name else "right")
    for split, metric in (("train", "train"), ("validation", "val"), ("test", "test")):
        numbers = [metrics.get(f"{metric}/{name}") for name in ("accuracy", "balanced_accuracy", "loss")]
        cells = ["" if number is None else f"{number:.4f}" for number in numbers]
        table.add_row(split, str(metrics[f"clips/{split}"]), str(metrics[f"{units}/{split}"]), *cells)
    console = Console(markup=False, emoji=False)  # names may look like either
    with console:  # at once, as jobs of a multirun may speak at a time
        console.print(table)
        console.print(f"Run folder: {folder}", soft_wrap=True, highlight=False)


def hush() -> None:
    """Silences what libraries say at every start that no user can act on."""
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*predict returned None.*",
        ".*Checkpoint directory .* exists.*",
        ".*GPU available but not used.*",
        ".*treespec, LeafSpec.*",
        ".*number of training batches.*",
        ".*isinstance.treespec.*",
        ".*y_pred contains classes not in y_true.*",
        ".*A single label was found.*",
        "Glyph .* missing from font.*",
    ):
        warnings.filterwarnings("ignore", message)
