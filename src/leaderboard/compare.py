"""Every attribution in every domain, on one checkpoint and the same clips: one table and one page.

There is no single score. Each measure has its own best attribution and its own ties: attributions that cannot be
distinguished from the best, see `ranking`. Features differ from domain to domain, so attributions are compared within a
domain.
"""

import itertools
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import h5py
import numpy as np
import pandas as pd
from hydra import compose
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from auscult.checkpoint.checkpoint import KEY, open_checkpoint
from auscult.explain import explanation
from auscult.explain.measures import catalogue
from auscult.explain.measures.checks import CASCADE
from auscult.explain.measures.control import check_classes
from auscult.explain.measures.energy import CURVES
from auscult.explain.options import check_benchmark, check_explanation, listed, target_of
from auscult.explain.relevance.target import check_target
from auscult.intervals import ENOUGH, SpeakerIntervals
from auscult.leaderboard.estimate import DRAWING, estimated
from auscult.leaderboard.page import write
from auscult.leaderboard.ranking import Entry
from auscult.mistake import Mistake
from auscult.parts import packages
from auscult.plain_data import counted, plain_yaml
from auscult.pretrained.opening import Opened, opened
from auscult.printing import printing
from auscult.program.config import plain
from auscult.program.paths import checkpoint_at
from auscult.progress import duration
from auscult.run import folder as run_folder
from auscult.run import wandb as wandb_run
from auscult.run.training import hush

log = logging.getLogger(__name__)

SHARED = (
    "checkpoint", "target", "limit", "clips", "seed", "perturbation", "checks", "control", "fill", "data", "trainer",
    "allow", "input", "against", "network", "network_options", "weights", "sample_rate", "seconds", "channels",
    "classes", "front_end", "output", "frames", "stretch", "kind", "label",
)  # fmt: skip


def benchmark(cfg: DictConfig, folder: Path, sweep: Path | None = None) -> None:
    """Explains by every attribution in every domain, in `<domain>/<attribution>`, and writes the leaderboard.

    Args:
        cfg: the options of `conf/benchmark.yaml`.
        folder: the run folder.
        sweep: the folder of the multirun that this job belongs to, if any.

    Raises:
        Mistake: a name is unknown, or no attribution can explain the model.
    """
    config = plain(cfg)
    attributions, domains = listed(config, "attributions", "attribution"), listed(config, "domains", "domain")
    if cfg.get("attribution"):
        attributions = [*(name for name in attributions if name != cfg.attribution.name), cfg.attribution.name]
    subject = opened(check_benchmark(cfg))
    trained, classes = subject.card["config"], subject.card["classes"]
    check_target(target_of(config), classes, config["against"], subject.model.kind)
    if cfg.control:
        control = open_checkpoint(checkpoint_at("control", cfg.control), "control", packages(config))
        check_classes(control[KEY]["classes"], classes, cfg.control)
    network, task = trained["model"]["name"], trained["task"]["name"]
    run_folder.claim(folder, config, resume=True)  # OwnFolder has checked that the folder is free
    with wandb_run.finished():
        logger = None
        if cfg.get("logger") and cfg.logger.name == "wandb":  # first, so that a refused key shows before the work
            logger = wandb_run.open_run(config, folder, sweep, f"leaderboard-{network}-{task}")
        about = f"{network} on {task}, {trained['data']['name']}, fold {trained['fold']} ({cfg.checkpoint})"
        about = f"{network} ({cfg.network}) on {cfg.input}" if subject.is_own else about
        table = compare(cfg, folder, list(itertools.product(domains, attributions)), subject, about)
        if logger is not None:
            wandb_run.log_leaderboard(logger, table, folder / "leaderboard.html")
    with printing():
        show(table, folder)


def compare(
    cfg: DictConfig, folder: Path, pairs: Sequence[tuple[str, str]], subject: Opened, about: str
) -> pd.DataFrame:
    """Explains by each pair of a domain and an attribution, and writes the leaderboard anew after each.

    Raises:
        Mistake: no pair can explain the checkpoint.
    """
    entries: list[Entry] = []
    left_out: list[str] = []
    table = pd.DataFrame()
    configs = [configured(cfg, domain, attribution) for domain, attribution in pairs]
    hush()
    places = [folder / domain / attribution for domain, attribution in pairs]
    is_done = [(own / explanation.COMPLETE).exists() for own in places]  # by a run that was stopped
    left_to_do = estimated([config for config, done in zip(configs, is_done, strict=True) if not done], subject)
    expected = [DRAWING if done else left_to_do.pop(0) for done in is_done]
    log.info(
        "%s of %s: about %s on a CPU; limit, checks and attributions decide how long.",
        counted(len(pairs), "explanation"), counted(cfg.limit, "clip") if cfg.limit else "all clips",
        duration(sum(expected)),
    )  # fmt: skip
    told: set[str] = set()
    taken, foreseen = 0.0, 0.0  # seconds of those that were explained anew
    for number, ((domain, attribution), config) in enumerate(zip(pairs, configs, strict=True)):
        left = f", about {duration(taken / foreseen * sum(expected[number:]))} left" if foreseen else ""
        log.info("%s in the domain %s (%d of %d%s)", attribution, domain, number + 1, len(pairs), left)
        own, began = places[number], monotonic()
        own.mkdir(parents=True, exist_ok=True)
        try:
            with once(told):
                explanation.explain(config, own)
        except Mistake as mistake:
            log.warning("It is left out: %s", mistake)
            left_out.append(f"{attribution} in the domain {domain}: {mistake}")
            continue
        if not is_done[number]:
            taken, foreseen = taken + monotonic() - began, foreseen + expected[number]
        entries.append(entry_of(own / explanation.COMPLETE, domain, attribution))
        if len(entries) == 1 and SpeakerIntervals(entries[0].speakers).effective < ENOUGH:
            log.warning(
                "The clips are of too few speakers to compare attributions: none is called the best; explain more, such"
                " as by a higher limit, and say whose voices those of your own are (a column or group `speaker`)."
            )
        table = write(folder, entries, left_out, about)
    if not entries:
        said = re.sub(r"\b(domain|attribution)=(\w+)", r"\1s=[\2]", left_out[0])  # the option names of this program
        raise Mistake(f"no attribution could explain the checkpoint; the first reason: {said}")
    return table


@contextmanager
def once(said: set[str]) -> Iterator[None]:
    """What is noticed of the corpus is told of the first explanation only; `said` keeps what was told."""

    def is_new(record: logging.LogRecord) -> bool:
        known = record.getMessage() in said
        said.add(record.getMessage())
        return not known

    corpus = [logging.getLogger(f"auscult.datamodules.{name}") for name in ("source", "audio.listing", "cache")]
    for logger in corpus:
        logger.addFilter(is_new)
    try:
        yield
    finally:
        for logger in corpus:
            logger.removeFilter(is_new)


def configured(cfg: DictConfig, domain: str, attribution: str) -> dict[str, Any]:
    """The checked options of `explain.py` for one attribution in one domain."""
    is_own = bool(cfg.get("attribution")) and attribution == cfg.attribution.name
    node = compose("explain", [f"domain={domain}", *([] if is_own else [f"attribution={attribution}"])])
    OmegaConf.set_struct(node, False)
    if is_own:
        node.attribution = cfg.attribution
    for name in SHARED:
        node[name] = cfg[name]
    return check_explanation(node)


def entry_of(path: Path, domain: str, attribution: str) -> Entry:
    """Reads the measures and curves of every clip from a complete relevance file."""
    values: dict[str, np.ndarray] = {}
    curves: dict[str, tuple[Sequence[float], np.ndarray]] = {}
    with h5py.File(path) as file:
        config = plain_yaml(file.attrs["config"])
        for measurement in catalogue.MEASUREMENTS:
            values |= measurement.values_in(file, config)
        perturbation = config["perturbation"]
        for name in CURVES:
            if name in file:
                curves[name] = (perturbation["energies"], file[name][:])
        if CASCADE in file:
            similar = file[CASCADE][:]  # (N, layers)
            curves[CASCADE] = (range(similar.shape[1] + 1), np.insert(similar, 0, 1.0, axis=1))
        speakers, clips = (
            [str(name) for name in file[column].asstr(errors="surrogateescape")[:]] for column in ("speaker", "path")
        )
        is_spectrogram = domain == "input" and file["relevance"].ndim == 4  # its energy is not that of the signal
    definition = perturbation.get("definition", "paper")
    measured = {name: np.asarray(values[name], float) for name in sorted(values)}
    return Entry(domain, attribution, measured, speakers, curves, clips, path.parent, not is_spectrogram, definition)


def show(table: pd.DataFrame, folder: Path) -> None:
    """Prints the deletion of all domains and attributions, and the path of the leaderboard."""
    wide = table.pivot(index=["domain", "attribution"], columns="measure", values="mean").reset_index()
    names = [name for name in ("accuracy", "probability", "fall", "error") if f"deletion/{name}" in wide]
    printed = Table("domain", "attribution", *(f"deletion: {name}" for name in names), box=None)
    if names:
        for row in wide.sort_values(f"deletion/{names[0]}", ascending=names[0] != "fall").to_dict("records"):
            printed.add_row(row["domain"], row["attribution"], *(f"{row[f'deletion/{name}']:.3f}" for name in names))
    console = Console(markup=False, emoji=False)  # names may look like markup or emoji codes
    with console:  # in one piece, as jobs of a multirun may print at the same time
        if printed.row_count:
            console.print(printed)
        else:
            console.print(
                "The recordings have no labels, so no accuracy during removal; the page has the other measures."
            )
        console.print(f"Leaderboard: {folder / 'leaderboard.html'}", soft_wrap=True, highlight=False)
