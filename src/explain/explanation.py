"""One explanation of a checkpoint: of its test clips or of the user's recordings, from the options to the report."""

import json
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
from auscult.explain.folder import COMPLETE, INCOMPLETE, prepare
from auscult.explain.relevance.explainer import Explainer
from auscult.explain.relevance.question import Question, question_of
from auscult.explain.relevance.results import Results
from auscult.explain.report import page
from auscult.explain.report.audit import audit
from auscult.explain.report.findings import cautions
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
ANY_SOUND = (
    " It takes any sound for one of its classes: of a sound unlike those of its corpus, its answer means little."
)
FEW = 3  # recordings of one's own, whose predictions the report says first


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
    trained = trained_config(subject.card, config["data"], config["checkpoint"], reads_corpus=not config["input"])
    source = source_of(config, trained, subject.card)
    question = question_of(config, model, source)
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
    run_folder.write_predictions(folder, clips, classes, results.label, results.probabilities)
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


def lead(config: dict[str, Any], trained: dict[str, Any], results: Results) -> str:
    """What was asked of which network, in a sentence."""
    clips = counted(len(results.label), "clip")
    speakers = counted(len({clip.speaker for clip in results.source.clips}), f"test {results.source.unit}")
    of = f"of {config['input'] or speakers}"
    target = config["target"]
    whose = {"predicted": "its answer", "true": "the true class"}.get(target, target)
    heard = "".join(
        f" It takes {clip.path} for {results.classes[said]} with {100 * chances[said]:.0f} %."
        for clip, said, chances in zip(results.source.clips, results.predicted, results.probabilities, strict=True)
        if config["input"] and len(results.label) <= FEW
    )
    right = f"; it was right in {100 * (results.predicted == results.label).mean():.1f} % of them"
    corpus = trained["data"]["name"]
    trained_on = "" if corpus is None else f", trained on the corpus {corpus},"
    return (
        f"{trained['model']['name']}{trained_on} was asked for the"
        f" {trained['task']['name']} in {clips} {of}{right if results.labelled else ''}. Red is what"
        f" speaks for {whose}, by {config['attribution']['name']}.{heard}{ANY_SOUND if config['input'] else ''}"
        f"{''.join(f' {caution}' for caution in cautions(results.metrics))}"
    )


def origin(config: dict[str, Any], trained: dict[str, Any]) -> dict[str, object]:
    """Where the network comes from, for the head of the report."""
    if trained["data"]["name"] is None:
        clip = trained["data"]["clip"]
        weights = {"weights": config["weights"]} if config["weights"] else {}
        taken = f"{clip['seconds']:g} s at {clip['sample_rate']} Hz"
        return {"network": config["network"], **weights, "input of": taken}
    return {
        "checkpoint": config["checkpoint"],
        "network": trained["model"]["name"],
        "task": trained["task"]["name"],
        "trained on": f"{trained['data']['name']}, fold {trained['fold']}",
    }


def facts(config: dict[str, Any], trained: dict[str, Any], results: Results) -> dict[str, object]:
    """Describes what was explained, for the head of the report."""
    about: dict[str, object] = origin(config, trained) | {
        "clips": f"{len(results.label)}"
        + (f" of {config['input']}" if config["input"] else f" of test {results.source.unit}s"),
        "attribution": config["attribution"]["name"],
        "domain": config["domain"]["name"],
        "target": config["target"],
    }
    if config.get("intervention"):
        options = {name: value for name, value in config["intervention"].items() if name not in ("name", "_target_")}
        about["intervention"] = f"{config['intervention']['name']} {json.dumps(options)}"
    dataset = results.source.dataset
    if dataset.confound is not None:
        about["planted"] = (
            f"{dataset.confound.kind} in {dataset.planted.sum()} clips; it goes with {dataset.confound.label}"
        )
    if results.labelled:
        about["accuracy"] = f"{100 * results.metrics['test/accuracy']:.1f} %"
    if (error := results.metrics.get("conservation_error/median")) is not None:
        about["conservation error"] = (
            f"{error:.2g} in the median (0: relevance and what is kept apart sum to the logit)"
        )
    elif results.question.attribution.loses_relevance:
        about["conservation"] = results.question.attribution.loses_relevance
    if (share := results.metrics.get("apart/median")) is not None:
        about["kept apart"] = f"{100 * share:.2g} % of the logit in the median: relevance of silence"
    if (share := results.metrics.get("biases/median")) is not None:
        about["biases"] = (
            f"{100 * share:.2g} % of the logit in the median: the network's own, kept apart from the input's"
        )
    if (share := results.metrics.get("unshared/median")) is not None:
        about["unshared"] = (
            f"{100 * share:.2g} % of the logit in the median: nothing contributed where it was to be shared out, as in"
            " silence"
        )
    return about


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
