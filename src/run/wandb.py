"""Weights & Biases: one run per job, grouped by sweep; offline where no key is configured, never asking."""

import logging
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import wandb
from pytorch_lightning.loggers import WandbLogger

from auscult.mistake import Mistake
from auscult.run.folder import MEASURES

log = logging.getLogger(__name__)

MOST_OF_NAME = 128  # characters of an artefact
OWN = ("name", "checkpoints")  # options of a logger that are not W&B's
HEARD = ("original", "positive", "negative")  # sounds of a clip in the table of clips


def open_run(config: dict[str, Any], folder: Path, sweep: Path | None, name: str) -> WandbLogger:
    """A logger whose run lives in the run folder; a resumed run goes on with the same W&B run.

    Args:
        config: the resolved configuration; becomes the run's config.
        folder: the run folder.
        sweep: the folder of the multirun that this job belongs to, if any.
        name: of the run.

    Raises:
        Mistake: W&B cannot start (a key that is refused, no connection in online mode).
    """
    options = {option: value for option, value in config["logger"].items() if option not in OWN}
    os.environ.setdefault("WANDB_SILENT", "true")
    options["group"] = (
        str(options["group"]) if options["group"] else (f"{sweep.parent.name}/{sweep.name}" if sweep else None)
    )
    logger = WandbLogger(
        name=name,
        id=run_id(folder),
        save_dir=str(folder),
        mode=mode(),  # Lightning's own `offline` would come after the look for a key
        resume="allow",
        **options,
    )
    try:
        logger.log_hyperparams(config)  # starts the run, in the first process only
    except (wandb.errors.Error, OSError, TypeError) as error:  # TypeError: of an option that it does not know
        raise Mistake(
            f"logger=wandb cannot start a run ({str(error).splitlines()[0]}); set WANDB_MODE=offline to go on without."
        ) from error
    return logger


@contextmanager
def finished() -> Iterator[None]:
    """Ends the run that was started within, if any, as done or failed: the next job must not go on with it."""
    exit_code = 1
    try:
        yield
        exit_code = 0
    finally:
        if wandb.run is not None:
            wandb.run.finish(exit_code)


@contextmanager
def unharmed(what: str) -> Iterator[None]:
    """Turns an error of W&B into a warning: results are in the run folder by now, and worth more."""
    try:
        yield
    except Exception as error:  # whatever W&B, or the network, may raise
        reason = " ".join(str(error).split())
        log.warning("W&B does not take %s (%s: %s); the run folder has it.", what, type(error).__name__, reason[:200])


def run_id(folder: Path) -> str:
    """The id of a run folder's W&B run, from an agent or drawn once. A resumed run keeps its id."""
    path = folder / "wandb/id.txt"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_text(os.environ.get("WANDB_RUN_ID") or secrets.token_hex(6))
    held = path.read_text().strip()
    if not re.fullmatch(r"[\w.-]{1,128}", held):
        raise Mistake(f"{path} holds no id of a W&B run; remove it to begin another run there.")
    return held


def mode() -> Literal["online", "offline", "disabled"]:
    """The mode that WANDB_MODE sets; if it is not set, online if a key is configured, else offline."""
    if chosen := os.environ.get("WANDB_MODE"):
        return {"online": "online", "disabled": "disabled"}.get(chosen, "offline")  # type: ignore[return-value]
    if wandb.login(prompt=False):
        return "online"
    log.info("W&B has no key here: the run is kept in its folder, and `wandb sync` sends it.")
    return "offline"


def log_results(
    logger: WandbLogger, metrics: dict[str, Any], table: tuple[str, pd.DataFrame], plot: Path | None
) -> None:
    """Logs a run's metrics as its summary, and what was confused, by name, as a table and, if drawn, as a picture."""
    name, rows = table
    with unharmed("the results"):
        drawn = {} if plot is None else {f"test/{name}": wandb.Image(str(plot))}
        logger.experiment.log({**drawn, f"test/{name}_table": wandb.Table(dataframe=rows)})
        logger.experiment.summary.update(metrics)


def log_leaderboard(logger: WandbLogger, table: pd.DataFrame, page: Path) -> None:
    """Logs a leaderboard as a table, and its page."""
    with unharmed("the leaderboard"):
        logger.experiment.log(
            {"leaderboard": wandb.Table(dataframe=table), "page": wandb.Html(str(page), inject=False)}
        )


def log_explanations(folders: Mapping[str, Path], metrics: Mapping[str, float | int]) -> None:
    """Logs the explanations of a run, if W&B has a run: metrics in its summary, curves and interventions as panels.

    Args:
        folders: of the explanations, by name.
        metrics: of the run.
    """
    if wandb.run is not None:
        with unharmed("the explanations"):
            log_each(folders)
            wandb.run.summary.update(dict(metrics))


def log_each(folders: Mapping[str, Path]) -> None:
    """Logs the curves, interventions, clips and reports of explanations, by name."""
    assert wandb.run is not None
    pictures = {"perturbation/curves": "curves.png", "intervention/accuracy": "figures/intervention.png"}
    for panel, file in pictures.items():
        drawn = {name: folder / file for name, folder in folders.items() if (folder / file).exists()}
        if drawn:
            wandb.run.log({panel: [wandb.Image(str(path), caption=name) for name, path in drawn.items()]})
    tables = {name: folder / "curves.csv" for name, folder in folders.items() if (folder / "curves.csv").exists()}
    if tables:
        curves = pd.concat([pd.read_csv(path).assign(attribution=name) for name, path in tables.items()])
        wandb.run.log({"perturbation/table": wandb.Table(dataframe=curves.reset_index(drop=True))})
    if any(rows := [row for name, folder in folders.items() for row in clip_rows(folder, name)]):
        columns: list[Any] = list(dict.fromkeys(column for row in rows for column in row))
        wandb.run.log({"clips": wandb.Table(columns, [[row.get(column) for column in columns] for row in rows])})
    for name, folder in folders.items():
        keep("report", folder / "report.html", name)


def clip_rows(folder: Path, name: str) -> list[dict[str, Any]]:
    """A row for each clip that an explanation shows: what was said of it, its measures, picture and sounds."""
    drawn = {int(path.name.split("-")[0]): path for path in sorted(folder.glob("figures/[0-9]*-*.png"))}
    said = read_clips(folder / "predictions.csv")
    if (folder / MEASURES).exists():
        said = pd.concat([said, read_clips(folder / MEASURES).drop(columns="path")], axis=1)
    rows = []
    for number, picture in drawn.items():
        values: dict[str, Any] = {
            "attribution": name,
            **{str(column): value for column, value in said.iloc[number].items()},
            "picture": wandb.Image(str(picture)),
        }
        for sound in HEARD:
            for path in folder.glob(f"audio/{number:05d}-*-{sound}.wav"):
                values[sound] = wandb.Audio(str(path))
        rows.append(values)
    return rows


def read_clips(path: Path) -> pd.DataFrame:
    """A table with a row per clip; names of files may be no text."""
    kinds = {"speaker": str, "label": str, "prediction": str}
    return pd.read_csv(path, dtype=kinds, encoding_errors="backslashreplace", keep_default_na=False, na_values=[""])


def keep(kind: str, file: Path, name: str = "") -> None:
    """Keeps a file as an artefact of the run, if W&B has a run and the file is there."""
    if wandb.run is not None and file.exists():
        with unharmed(file.name):
            words = "-".join(filter(None, [kind, wandb.run.id, name]))
            artefact = wandb.Artifact(re.sub(r"[^A-Za-z0-9_.-]", "_", words)[:MOST_OF_NAME], kind)
            artefact.add_file(str(file))
            wandb.run.log_artifact(artefact)


def log_sweep(folder: Path, options: dict[str, Any], table: pd.DataFrame) -> None:
    """Logs the summary of a multirun as a run of its own, in the group of its jobs.

    Args:
        folder: the folder of the multirun.
        options: of the jobs' logger.
        table: a row per job.
    """
    os.environ.setdefault("WANDB_SILENT", "true")
    group = options.get("group") or f"{folder.parent.name}/{folder.name}"
    texts = {str(name): column.map(str, na_action="ignore") for name, column in table.select_dtypes(object).items()}
    table = table.assign(**texts).astype(object)
    with unharmed("the summary"), wandb.init(
        project=options.get("project"), entity=options.get("entity"), group=str(group), name="summary",
        id=run_id(folder), resume="allow", job_type="summary", dir=str(folder), mode=mode(),
    ) as run:  # fmt: skip
        run.log({"summary": wandb.Table(dataframe=table.where(table.notna(), None))})
