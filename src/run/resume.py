"""How a run goes on: as its checkpoint says, at the places that the command line and `conf/` name.

A checkpoint is a file, and no file decides where to read, write, download, log or run.
"""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from auscult.checkpoint.card import check_places
from auscult.checkpoint.checkpoint import KEY, open_checkpoint
from auscult.mistake import Mistake
from auscult.parts import holds_parts, is_allowed
from auscult.plain_data import shown
from auscult.program.conf import CONF, chosen, selected
from auscult.program.config import check_values
from auscult.program.explain_by import explains, explanations_of
from auscult.program.paths import DOWNLOADS, PLACES
from auscult.program.trainer_options import check_trainer, check_training
from auscult.run.changes import changes, check_resumable

log = logging.getLogger(__name__)

# options of `trainer` that decide the numbers of a run; the others say where and how to compute them
COMPUTING = (
    "precision", "max_epochs", "min_epochs", "max_steps", "min_steps", "max_time", "gradient_clip_val",
    "gradient_clip_algorithm", "accumulate_grad_batches", "limit_train_batches", "limit_val_batches",
    "limit_test_batches", "overfit_batches", "val_check_interval", "check_val_every_n_epoch", "num_sanity_val_steps",
    "deterministic", "benchmark", "sync_batchnorm",
)  # fmt: skip
RUNNING = ("accelerator", "devices", "strategy")
# Lightning's callbacks that neither take functions nor say where to write
LIGHTNINGS = (
    "BackboneFinetuning", "DeviceStatsMonitor", "EarlyStopping", "GradientAccumulationScheduler",
    "LearningRateMonitor", "ModelSummary", "RichModelSummary", "StochasticWeightAveraging", "ThroughputMonitor",
    "Timer",
)  # fmt: skip


def resumed(given: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """The configuration of a run that goes on: its checkpoint's, with what the command line changes.

    Args:
        given: the command line's configuration, checked; its `ckpt_path` names the checkpoint.
        overrides: the command line's, such as `trainer.max_epochs=20`.

    Raises:
        Mistake: the checkpoint cannot be opened or resumed, or the command line asks for another network, task, corpus
            or recipe than the checkpoint's.
    """
    path = given["ckpt_path"]
    checkpoint = open_checkpoint(path, allow=given["allow"])
    check_resumable(checkpoint, path)
    own = checkpoint[KEY]["config"]
    named = changes(own, given, list(overrides))
    trainer = {name: own["trainer"][name] for name in COMPUTING if name in own["trainer"]}
    places = {name: given["data"][name] for name in (*PLACES, *DOWNLOADS) if f"data.{name}" in named}
    result = {
        **own,
        "data": {**own["data"], **places, "cache_dir": given["data"]["cache_dir"]},
        "trainer": {**given["trainer"], **trainer, **{n[8:]: selected(given, n) for n in named if n[:8] == "trainer."}},
        "logger": logger_of(own, given, named),
        "ckpt_path": str(Path(path).expanduser().absolute()),
        "keep_last": given["keep_last"] if "keep_last" in named else own.get("keep_last", False),
        "allow": given["allow"],
    }
    if (callbacks := callbacks_of(own, given, named)) is not None:
        result["callbacks"] = callbacks
    check_values(result)
    explanations_of(result)
    result["trainer"] = check_trainer(result["trainer"])
    check_length(result["trainer"], checkpoint, path)
    check_training(result["trainer"])
    check_places(result, places, path, said=f"data={shown(chosen('data', own['data']))} ")
    for name in RUNNING:
        before, now = own["trainer"].get(name), result["trainer"].get(name)
        if before != now:
            log.info("The run had trainer.%s=%s; it goes on with %s.", name, shown(before), now)
    return result


def check_length(trainer: dict[str, Any], checkpoint: dict[str, Any], path: str) -> None:
    """Raises a Mistake if a run is to be shorter than it is already, as with a mistyped number."""
    epoch, steps = checkpoint.get("epoch"), checkpoint.get("global_step")
    done = {
        "max_epochs": epoch + 1 if isinstance(epoch, int) else 0,
        "max_steps": steps if isinstance(steps, int) else 0,
    }
    for name, count in done.items():
        most = trainer.get(name)
        if most is not None and 0 <= most < count:
            raise Mistake(
                f"trainer.{name}={most} is less than the {count} that ckpt_path={path} has behind it; say {count} to"
                " test the run as it is, or more to go on with it."
            )


def logger_of(own: dict[str, Any], given: dict[str, Any], named: list[str]) -> dict[str, Any]:
    """The command line's logger. Raises a Mistake if the run had another one and the command line names none."""
    before = selected(own, "logger.name")
    if before != given["logger"]["name"] and "logger" not in named:
        raise Mistake(
            f"ckpt_path={given['ckpt_path']} was logged by {shown(before)}, and no file decides where to log: say"
            f" logger={shown(before)} to go on there, or logger={given['logger']['name']} to go on without."
        )
    return given["logger"]


def callbacks_of(own: dict[str, Any], given: dict[str, Any], named: list[str]) -> dict[str, Any] | None:
    """The callbacks that the command line names, or else the checkpoint's.

    Raises:
        Mistake: the checkpoint has callbacks that no checkpoint may name.
    """
    if any(name.startswith("callbacks") for name in named):
        return given.get("callbacks")
    held, path = own.get("callbacks"), given["ckpt_path"]
    if not (held is None or isinstance(held, dict)):
        raise Mistake(f"ckpt_path={path} has callbacks={shown(held)}, which are no group of options.")
    for name, node in (held or {}).items():
        if not is_safe_callback(node, given["allow"]):
            raise Mistake(
                f"ckpt_path={path} was trained with callbacks.{shown(name)}, which a checkpoint cannot bring along;"
                " name it again with callbacks=…, or say callbacks=none to go on without."
            )
    return held


def is_safe_callback(node: Any, allow: list[str]) -> bool:
    """Whether a callback that a checkpoint names is one of `conf/callbacks` or a harmless one of Lightning's.

    Its options are plain. An option of a callback of `conf/` may also be a choice of `conf/`, such as an attribution.
    """
    if not isinstance(node, dict) or not (explains(node) or isinstance(node.get("_target_"), str)):
        return False
    options = {name: value for name, value in node.items() if name != "_target_"}
    target = node.get("_target_", "")
    module, _, name = target.rpartition(".")
    if explains(node) or (target in targets_of("callbacks") and options.pop("_recursive_", False) is False):
        chosen = set().union(*(targets_of(group) for group in ("attribution", "fill", "intervention")))
        for value in options.values():
            if isinstance(value, dict) and value.get("_target_") in chosen:
                options = {other: each for other, each in options.items() if each is not value}
                if holds_parts({key: each for key, each in value.items() if key != "_target_"}):
                    return False
    elif not (is_allowed(module, allow) or (module == "pytorch_lightning.callbacks" and name in LIGHTNINGS)):
        return False
    return not holds_parts(options)


def targets_of(group: str) -> set[str]:
    """Every class that the choices of a group in `conf/` name."""

    def within(node: Any) -> Iterable[str]:
        if isinstance(node, dict):
            if "_target_" in node:
                yield str(node["_target_"])
            for value in node.values():
                yield from within(value)

    files = (CONF / group).glob("*.yaml")
    return {target for path in files for target in within(yaml.safe_load(path.read_text(encoding="utf-8")))}
