"""What an earlier run left in a folder: which program ran, whether it was the same run, and how far it got."""

import json
import logging
from pathlib import Path
from typing import Any

from auscult.mistake import Mistake
from auscult.program.conf import selected
from auscult.program.config import read
from auscult.program.explain_by import is_explained

RUN, SWEEP = "config.yaml", "multirun.yaml"
METRICS, LAST = "metrics.json", "checkpoints/last.ckpt"
FAILED, LEFT_OUT = "error.txt", "left_out.txt"  # why a job of a multirun has no metrics.json
# values in runs of earlier versions, which lack these options: a stopped run with them is still the same
BEFORE: dict[str, Any] = {
    "smoothing": 0.005,  # in explanations; relevance does not depend on it
    "weights": "best",
    "data.placement": "each_epoch",
    "data.clip.preparation": "cleaned",
    "data.clip.channels": 1,
    "data.random_split": False,
    "model.network.channels": 1,
    "model.network.colours": None,
    "model.network.published": False,
    "model.weights": None,
    "model.freeze": [],
    "optimizer.parts": None,
    "task.kind": "classes",
    "class_weights": None,
    "best_by": None,
    "against": None,
}
BEFORE_NETWORKS: dict[str, Any] = {  # likewise, in leaderboards
    **dict.fromkeys(("input", "data.pattern", "network", "network_options", "weights", "sample_rate", "seconds")),
    "channels": None,
    **dict.fromkeys(("classes", "front_end", "output", "frames", "stretch", "kind")),
    "label": "label",
}

log = logging.getLogger(__name__)


def last_checkpoint_of_same(folder: Path, config: dict[str, Any]) -> str | None:
    """The last checkpoint of the same run, if it was stopped in the folder, as when a queue starts a job again."""
    last = folder / LAST
    if not last.exists() or not holds_same(folder, config) or complete_metrics(folder, config):
        return None
    log.info("Going on with the run in %s.", folder)
    return str(last)


def metrics_of_same(folder: Path, config: dict[str, Any]) -> dict[str, float | int]:
    """The metrics of the same run, if it is complete, as when a multirun is repeated; else none."""
    metrics = complete_metrics(folder, config) if holds_same(folder, config) else {}
    if metrics:
        log.info("The run in %s is complete.", folder)
    return metrics


def holds_same(folder: Path, config: dict[str, Any]) -> bool:
    """Whether the run in a folder has this configuration, wherever either of the two was resumed from."""
    try:
        held = read(folder)
    except (OSError, Mistake):
        return False
    add_what_was_no_option(held, config)
    return {**held, "ckpt_path": None} == {**config, "ckpt_path": None}


def add_what_was_no_option(held: dict[str, Any], config: dict[str, Any]) -> None:
    """Adds to a run's configuration the options of `config` that an earlier version did not have."""
    before = BEFORE | BEFORE_NETWORKS if "network" in config else BEFORE
    for option, value in before.items():
        group, _, name = option.rpartition(".")
        own, now = (selected(each, group) if group else each for each in (held, config))
        if isinstance(own, dict) and isinstance(now, dict) and name in now:
            own.setdefault(name, value)


def complete_metrics(folder: Path, config: dict[str, Any]) -> dict[str, float | int]:
    """The metrics of the run in a folder, if it is complete: tested, and explained as it asks for; else none."""
    try:
        metrics: dict[str, float | int] = json.loads((folder / METRICS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return metrics if is_explained(config, metrics) else {}


def has_checkpoints(folder: Path) -> bool:
    """Whether a folder holds checkpoints of a run."""
    return any(folder.glob("checkpoints/*.ckpt"))


def has_saved(folder: Path) -> bool:
    """Whether the run in a folder got as far as a checkpoint to go on with, or further."""
    if any((folder / name).exists() for name in (LAST, METRICS)):
        return True
    table = folder / "metrics.csv"
    return table.is_file() and table.read_bytes().count(b"\n") > 2  # someone removed the checkpoint


def holds_a_run(folder: Path) -> str:
    """The sentence for a folder that holds another run."""
    go_on = f"; ckpt_path={folder / LAST} goes on with it" if (folder / LAST).exists() else ""
    return f"{folder} holds a run already; name another folder with hydra.run.dir (hydra.sweep.dir){go_on}."


def holds_another(folder: Path, what: str, changed: list[str]) -> str:
    """The sentence for a folder that the same program has used with other options."""
    return f"{folder} holds {what} with another {', '.join(changed)}; name another folder with hydra.run.dir."


def held_in(folder: Path) -> dict[str, Any]:
    """The configuration in a folder; empty if there is none that can be read."""
    try:
        held = read(folder)
    except (OSError, Mistake):
        return {}
    return held if isinstance(held, dict) else {}


def program_of(held: dict[str, Any], folder: Path) -> str:
    """The program that left a configuration in a folder."""
    if "attributions" in held or (not held and (folder / "leaderboard.csv").exists()):
        return "benchmark"
    return "explain" if "attribution" in held and "model" not in held else "train"
