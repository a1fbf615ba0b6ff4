"""The options that a command line may change in a run that goes on. Others are refused before PyTorch is imported."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser

from auscult.checkpoint.look import card_in, content_of
from auscult.former_names import with_current_names
from auscult.mistake import Mistake
from auscult.plain_data import NotPlain, plain_data, shown
from auscult.program.conf import selected
from auscult.program.paths import DOWNLOADS, PLACES

GROUPS = ("data", "task", "model", "optimizer")  # groups that a checkpoint is bound to
# options that decide how many steps a run takes
STEPS = tuple(
    f"trainer.{name}" for name in ("max_epochs", "max_steps", "accumulate_grad_batches", "limit_train_batches")
)
# how the names of options begin that may change
FREE = (
    "trainer.",
    "logger",
    "callbacks",
    "allow",
    "keep_last",
    "ckpt_path",
    "data.cache_dir",
    *(f"data.{name}" for name in (*PLACES, *DOWNLOADS)),
)


def check_changes(given: dict[str, Any], overrides: list[str]) -> None:
    """Checks the checkpoint that a run is to go on from, and the options that the command line changes.

    Args:
        given: the command line's configuration, checked; its `ckpt_path` names the checkpoint.
        overrides: the command line's.

    Raises:
        Mistake: the checkpoint cannot be read; see also `changes`.
    """
    path = Path(given["ckpt_path"])
    content = content_of(path, "ckpt_path")
    card = card_in(content, path, "ckpt_path")
    check_resumable(content, path)
    with suppress(NotPlain, KeyError, TypeError, ValueError, AttributeError):  # the opening reports it
        changes(with_current_names(dict(plain_data(card["config"]))), given, overrides)


def check_resumable(checkpoint: dict[str, Any], path: str | Path) -> None:
    """Raises a Mistake if a checkpoint holds the weights of a run, and not what the run needs to go on."""
    if "optimizer_states" not in checkpoint:
        raise Mistake(f"ckpt_path={path} holds weights only; resume from the last.ckpt beside it.")


def changes(own: dict[str, Any], given: dict[str, Any], overrides: list[str]) -> list[str]:
    """The options of a run that goes on which the command line names, among those that may change.

    Args:
        own: the checkpoint's configuration.
        given: the command line's, checked; its `ckpt_path` names the checkpoint.
        overrides: the command line's, such as `trainer.max_epochs=20`.

    Raises:
        Mistake: the command line changes an option that may not change.
    """
    path, named = given["ckpt_path"], []
    for override in OverridesParser.create().parse_overrides(overrides):
        name = override.key_or_group
        value, before = selected(given, name), selected(own, name)
        if name in GROUPS:
            value, before = given[name]["name"], own[name].get("name")
        elif value is None:  # not in a configuration, such as experiment=…
            value = override.value()
        if name.startswith(FREE):
            named.append(name)
        elif value != before:
            raise Mistake(
                f"ckpt_path={path} was trained with {name}={shown(before)}, not {value}; leave {name} out to resume"
                " that run, or leave ckpt_path out to start another."
            )
        if name in STEPS and value != before and "total_steps" in own["optimizer"]["schedule"]:
            raise Mistake(
                f"{name}={value} cannot change when resuming: the run's one-cycle schedule ends with its"
                f" {shown(before)}; leave {name} out, or start another run."
            )
    return named
