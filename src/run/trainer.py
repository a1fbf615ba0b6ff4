"""Lightning's Trainer as this program uses it."""

import os
import traceback
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from omegaconf.errors import OmegaConfBaseException
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import RichProgressBar, Timer
from pytorch_lightning.plugins.environments import LightningEnvironment
from pytorch_lightning.profilers import AdvancedProfiler, PyTorchProfiler, SimpleProfiler
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from rich.console import Console

from auscult.build import build
from auscult.checkpoint.checkpoint import CheckpointFiles
from auscult.checkpoint.keeping import FirstEpoch, KeepBest, KeepFinal, KeepLast
from auscult.datamodules.datamodule import AudioDataModule
from auscult.mistake import Mistake
from auscult.modules.answers import ANSWERS
from auscult.plain_data import shown
from auscult.program.explain_by import explains
from auscult.run import wandb as wandb_run
from auscult.run.epoch_table import EpochTable
from auscult.run.first_validation import FirstValidation
from auscult.run.minute_lines import MinuteLines
from auscult.run.step_log import StepLog

PROFILERS: dict[str, Any] = {"simple": SimpleProfiler, "advanced": AdvancedProfiler, "pytorch": PyTorchProfiler}


def trainer_of(**arguments: Any) -> Trainer:
    """Makes Lightning's Trainer.

    Raises:
        Mistake: it does not take the arguments, or this machine lacks what they name.
    """
    if profiler := PROFILERS.get(arguments.get("profiler") or ""):  # by its name it prints where nobody sees it
        arguments["profiler"] = profiler(dirpath=arguments["default_root_dir"], filename="profile")
    try:
        trainer = Trainer(**arguments)
    except Exception as error:  # odd values make it raise any error, and nothing else does
        raise Mistake(sentence_of(error)) from error
    # we handle signals: on SIGTERM Lightning would wait for the end of a batch, and for processes that are gone
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    # with max_steps, Lightning would end a checkpoint's last epoch again, although ours are written at an epoch's end
    trainer.fit_loop._iteration_based_training = lambda: False  # type: ignore[method-assign]
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Timer):  # max_time does not count the time before the run was resumed
            callback.load_state_dict = lambda state_dict: None  # type: ignore[method-assign]
    return trainer


def try_trainer(options: dict[str, Any], folder: Path) -> None:
    """Makes a Trainer of these arguments, so that wrong ones are refused before recordings are read.

    Raises:
        Mistake: see `trainer_of`.
    """
    quiet = {"logger": False, "plugins": [LightningEnvironment()], "default_root_dir": folder}
    trainer_of(**{**options, "enable_progress_bar": False, "enable_model_summary": False}, **quiet)


def sentence_of(error: Exception) -> str:
    """The sentence for what Lightning says of its arguments."""
    return f"trainer: {' '.join(str(error).split()).rstrip('.!') or type(error).__name__}."


def is_lightnings(error: Exception) -> bool:
    """Whether Lightning itself raised it, rather than what it calls."""
    if isinstance(error, MisconfigurationException):
        return True
    raised_in = traceback.extract_tb(error.__traceback__)[-1].filename
    own = isinstance(error, TypeError | ValueError | RuntimeError)
    return own and any(f"{package}{os.sep}" in raised_in for package in ("pytorch_lightning", "lightning_fabric"))


def callback(config: dict[str, Any], name: str, node: Any) -> Callback:
    """A callback of the configuration.

    Raises:
        Mistake: there is no such class, or it refuses the options.
    """
    option = f"callbacks.{shown(name)}"
    try:
        built = build(node, option) if isinstance(node, dict) else node
    except (InstantiationException, OmegaConfBaseException) as error:
        if config["allow"] and not config["ckpt_path"]:  # the author of such code wants to see where it fails
            raise
        reason = shown(" ".join(str(error.__cause__ or error).split()), 160)
        raise Mistake(f"{option} cannot be built ({reason}); name it again with callbacks=….") from error
    if not isinstance(built, Callback):
        raise Mistake(f"{option} is no callback of Lightning's; its _target_ has to name one.")
    return built


def best_by(config: dict[str, Any]) -> tuple[str, str]:
    """The metric that chooses the best checkpoint, such as "val/accuracy", and "max" or "min"."""
    kind = ANSWERS[config["task"].get("kind", "classes")]
    name = config.get("best_by") or next(iter(kind.measured))
    return f"val/{name}", "max" if kind.measured.get(name, False) else "min"


def make_trainer(
    config: dict[str, Any], folder: Path, sweep: Path | None, datamodule: AudioDataModule, card: dict[str, Any]
) -> Trainer:
    """Lightning's Trainer with this program's callbacks; `config["trainer"]` is passed on as it is."""
    arguments, named = dict(config["trainer"]), config.get("callbacks") or {}
    kept = KeepFinal if config.get("weights") == "last" else KeepBest  # earlier runs lack this option
    callbacks: list[Callback] = [
        kept(folder / "checkpoints", *best_by(config)),
        KeepLast(folder / "checkpoints"),
        FirstEpoch(),
        FirstValidation(),
        EpochTable(folder / "metrics.csv"),
        StepLog(),
        *(callback(config, name, node) for name, node in named.items() if not explains(node)),
    ]
    if arguments["enable_progress_bar"] and Console().is_terminal:
        callbacks.append(RichProgressBar(leave=False))
    else:
        arguments["enable_progress_bar"] = False
        callbacks.append(MinuteLines())  # EpochTable writes lines, too, which suit a log file
    name = f"{config['model']['name']}-{config['task']['name']}-{config['data']['name']}-fold{config['fold']}"
    logger = wandb_run.open_run(config, folder, sweep, name) if config["logger"]["name"] == "wandb" else False
    # also in a SLURM job this process starts the others itself
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
