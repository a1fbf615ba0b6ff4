"""One explanation of a checkpoint: of its test clips or of the user's recordings, from the options to the report."""

import logging
import time
from pathlib import Path
from typing import Any

from pytorch_lightning import Trainer, seed_everything
from pytorch_lightning.callbacks import RichProgressBar
from pytorch_lightning.plugins.environments import LightningEnvironment
from rich.console import Console
from rich.table import Table
from sklearn.metrics import confusion_matrix

from auscult.checkpoint.card import trained_config
from auscult.datamodules.cache_entries import SKIPPED, write_skipped
from auscult.datamodules.source import Source, recordings, test_clips
from auscult.drawing import drawing
from auscult.explain.about import facts, lead
from auscult.explain.folder import COMPLETE, INCOMPLETE, prepare
from auscult.explain.relevance.aim import aim_of
from auscult.explain.relevance.explainer import Explainer
from auscult.explain.relevance.question import Question, question_of
from auscult.explain.relevance.results import Results
from auscult.explain.report import page
from auscult.explain.report.audit import audit
from auscult.explain.show.clip import View
from auscult.machine import memory
from auscult.machine.lock import locked
from auscult.machine.processes import folder_of_first_process, processes_of
from auscult.mistake import Mistake
from auscult.modules.model import Model
from auscult.plain_data import counted, shown
from auscult.pretrained.opening import opened
from auscult.run import folder as run_folder
from auscult.run.minute_lines import MinuteLines
from auscult.run.trainer import trainer_of
from auscult.run.training import hush

log = logging.getLogger(__name__)


def explain(config: dict[str, Any], folder: Path) -> run_folder.Metrics:
    """Runs the explanation that a checked configuration describes, and writes its run folder.

    Args:
        config: plain containers, as `check_explanation` returns them.
        folder: the run folder, which exists. If it holds an unfinished run with the same configuration, that run is
            continued.

    Returns:
        The metrics, as in `metrics.json`. They are empty in all but the first of several processes.

    Raises:
        Mistake: the configuration asks for something that the checkpoint, the recordings or the machine cannot give.
    """
    started = time.monotonic()
    hush()
    memory.keep_freed()
    seed_everything(config["seed"], verbose=False)
    trainer = make_trainer(config["trainer"], folder)  # first, as Lightning may refuse the options
    subject = opened(config)
    model = subject.model
    if model.mixes:
        config = {**config, "data": {**config["data"], "batch_size": 1}}
    trained = trained_config(subject.card, config["data"], config["checkpoint"], reads_corpus=not config["input"])
    source = source_of(config, trained, subject.card)
    aim, source = aim_of(model, source, config)
    model, question = aim.model, question_of(config, aim, source)
    explained_model = question.domain.model
    input_shape = tuple(explained_model.silence(source.dataset.length).shape[1:])
    view = View.of(
        explained_model, input_shape, config["smoothing"], question.attribution
    )  # early: not every input can be drawn
    if folder_of_first_process():
        ask(trainer, folder, source, model, question, config["data"]["batch_size"])
        return {}
    with locked(folder, "explaining into"):
        is_ours = not (folder / COMPLETE).exists() and not (folder / INCOMPLETE).exists()
        prepare(folder, config, source, question)
        if not (folder / COMPLETE).exists():
            ask(trainer, folder, source, model, question, config["data"]["batch_size"])
        log.info("Drawing the report.")
        try:
            results = Results(folder / COMPLETE, source, question, model.classes, config["seed"])
            write_predictions(folder, results)
            if results.measured:
                run_folder.write_measures(folder, source.clips, results.measured)
            if config["input"] and source.skipped:
                write_skipped(folder / SKIPPED, source.skipped)
            about = lead(config, trained, results)
            table = audit(folder, model, results) if config.get("audit") else None
            page.write(folder, results, view, lambda: facts(config, trained, results), config["clips"], about, table)
            metrics = {**results.metrics, "seconds": round(time.monotonic() - started, 1)}
        except Mistake:
            raise
        except Exception as error:  # an earlier file may hold anything
            if is_ours or (isinstance(error, OSError) and error.errno):  # such as a full disk
                raise
            raise Mistake(f"{folder / COMPLETE} is damaged ({shown(error)}); remove it to explain anew.") from error
        run_folder.write_metrics(folder, metrics)
    return metrics


def source_of(config: dict[str, Any], trained: dict[str, Any], card: dict[str, Any]) -> Source:
    """The clips to explain."""
    limit, seed = config["limit"], config["seed"]
    if config["input"]:
        return recordings(
            config["input"], trained, card["classes"], config["data"], limit, seed, card["speakers"]["train"]
        )
    return test_clips(trained, card["speakers"], limit, seed)


def write_predictions(folder: Path, results: Results) -> None:
    """Writes `predictions.csv` and, if labels are known, `confusion.png`, in the format that training writes."""
    classes, clips = results.classes, results.source.clips
    read = results.probabilities if results.numbers is None else results.logits
    label = results.label if results.source.tags is None else results.source.tags
    run_folder.write_predictions(folder, clips, classes, label, read, results.kind)
    if results.errors is not None and results.numbers is not None:
        with drawing("scatter.png"):
            run_folder.plot_numbers(folder, results.label, results.numbers, classes[0], f"{len(clips)} clips")
    if results.labelled:
        counts = confusion_matrix(results.label, results.predicted, labels=range(len(classes)))  # (C, C)
        with drawing("confusion.png"):
            run_folder.plot_confusion(folder, counts, classes, f"{len(clips)} clips")


def ask(trainer: Trainer, folder: Path, source: Source, model: Model, question: Question, batch_size: int) -> None:
    """Fills and completes the relevance file. All processes take part."""
    explainer = Explainer(model, source, question, folder / INCOMPLETE, batch_size)
    if trainer.is_global_zero:
        log.info("Explaining %s.", counted(len(source.clips), "clip"))
    with processes_of(trainer, folder, "explain"):
        trainer.predict(explainer, return_predictions=False)
        trainer.strategy.barrier()
    if trainer.is_global_zero:
        (folder / INCOMPLETE).rename(folder / COMPLETE)


def make_trainer(options: dict[str, Any], folder: Path) -> Trainer:
    """Makes a Lightning Trainer that only predicts."""
    arguments = dict(options)
    shown = arguments.pop("enable_progress_bar") and Console().is_terminal
    return trainer_of(
        **arguments,
        logger=False,
        callbacks=[RichProgressBar(leave=False) if shown else MinuteLines()],
        enable_progress_bar=shown,
        enable_checkpointing=False,
        enable_model_summary=False,
        inference_mode=False,  # relevance needs gradients
        use_distributed_sampler=False,  # the explainer shares the clips out
        plugins=[LightningEnvironment()],
        default_root_dir=folder,
    )


def show(metrics: run_folder.Metrics, folder: Path) -> None:
    """Prints the run's results and where they are."""
    table = Table("", "", box=None, show_header=False)
    for name, value in metrics.items():
        if not name.endswith(("_low", "_high")):
            table.add_row(name, f"{value:.4g}")
    console = Console(markup=False, emoji=False)  # names may look like markup or emoji codes
    with console:  # in one piece, as jobs of a multirun may print at the same time
        console.print(table)
        console.print(f"Report: {folder / 'report.html'}", soft_wrap=True, highlight=False)
