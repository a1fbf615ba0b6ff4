"""Checks a configuration and says what is wrong in one sentence. Imports nothing heavy: `--help` must be quick."""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from auscult.former_names import current_name, with_current_names
from auscult.machine.hardware import check_devices
from auscult.mistake import Mistake
from auscult.parts import KINDS, check_home, packages
from auscult.plain_data import NotPlain, plain_yaml, shown, text_of
from auscult.program.complaint import sentence
from auscult.program.conf import choices_of, listed_groups, selected
from auscult.program.explain_by import check_explain_by, explanations_of
from auscult.program.numbers import NUMBERS, check_number, is_number
from auscult.program.paths import absolute, run_folder_of
from auscult.program.trainer_options import check_trainer, check_training
from auscult.program.training_options import check_kind, check_parts

WANDB_MODES = ("online", "offline", "disabled", "shared", "dryrun", "run")
MOST_NAMED = 3  # options that differ, in a message

CHOICES = {
    "weights": ("best", "last"),
    "task.kind": ("classes", "tags", "number"),
    "class_weights": ("balanced",),
    "data.placement": ("each_epoch", "fixed"),
    "data.clip.preparation": ("cleaned", "untouched", "published"),
}

# what every configuration of a training needs
NEEDED: dict[str, type] = {
    **dict.fromkeys(("data", "data.clip", "task", "model", "model.network", "model.front_end"), dict),
    **dict.fromkeys(("optimizer", "optimizer.schedule", "augmentation", "trainer"), dict),
    **dict.fromkeys(("data.name", "task.name", "task.label", "model.name"), str),
    **dict.fromkeys(("fold", "seed", "task.folds", "task.fold_seed"), int),
    "task.balance": bool,
}
NAMES_OF_KINDS = {dict: "a group of options", str: "a name", int: "a whole number", bool: "true or false"}


def job_of_sweep(*, _root_: DictConfig) -> str:
    """The beginning of a log line in a multirun, whose jobs may log at the same time; empty for a run by itself."""
    number = OmegaConf.select(_root_, "hydra.job.num", throw_on_missing=False)
    return "" if number is None else f"[job {number}] "


# Functions for the YAML files. The first two let a resumed run keep its folder and the record of how it was started.
OmegaConf.register_new_resolver("run_dir", run_folder_of, replace=True)
OmegaConf.register_new_resolver(
    "hydra_subdir", lambda ckpt_path: None if run_folder_of(ckpt_path, None) else ".hydra", replace=True
)
OmegaConf.register_new_resolver("job_of_sweep", job_of_sweep, replace=True)
OmegaConf.register_new_resolver("groups", listed_groups, replace=True)  # for --help
OmegaConf.register_new_resolver(
    "as_published", lambda is_published, published, otherwise: published if is_published else otherwise, replace=True
)
OmegaConf.register_new_resolver("samples", lambda seconds, rate: round(seconds * rate), replace=True)


def plain(cfg: DictConfig) -> dict[str, Any]:
    """A configuration resolved into plain containers.

    Raises:
        Mistake: a value is missing, or refers to an option that does not exist.
    """
    try:
        return OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        overrides: Any = []
        if HydraConfig.initialized():
            overrides = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
        raise Mistake(sentence(error, overrides)) from error


def read(folder: Path) -> dict[str, Any]:
    """The configuration of a run folder.

    Raises:
        Mistake: its `config.yaml` holds no configuration.
    """
    path = folder / "config.yaml"
    try:
        config = plain_yaml(text_of(path))
        if not isinstance(config, dict):
            raise NotPlain("it is no group of options")
    except ValueError as error:
        reason = shown(" ".join(str(error).split()))
        raise Mistake(f"{path} is no configuration ({reason}); name another folder with hydra.run.dir.") from error
    return with_current_names(config)  # type: ignore[no-any-return]


def differences(held: dict[str, Any], config: dict[str, Any], within: str = "") -> list[str]:
    """The first few options in which two configurations differ."""
    differing: list[str] = []
    for name in dict.fromkeys([*held, *config]):
        old, new = held.get(name), config.get(name)
        if isinstance(old, dict) and isinstance(new, dict) and old.get("name") == new.get("name"):
            differing += differences(old, new, f"{within}{name}.")
        elif old != new:
            differing.append(within + name)
    return differing[:MOST_NAMED]


def check(cfg: DictConfig) -> dict[str, Any]:
    """Resolves a configuration into plain containers and checks its values.

    What only the recordings can tell (whether a fold or a label exists) is checked where they are read.

    Raises:
        Mistake: the first value that is missing, of the wrong type or out of range.
    """
    with suppress(OmegaConfBaseException):  # what follows reports it
        if cfg.optimizer.get("name") == "paper" and "solver" not in cfg.model:
            raise Mistake(f"model={cfg.model.name} has no published solver; choose optimizer=adamw.")
    if OmegaConf.is_missing(cfg.model, "name"):  # other options may be made of it
        raise Mistake("model.name has no value; say model.name=… with a name of Hugging Face's hub, or a folder.")
    check_numbers_as_given(cfg)
    config = with_current_names(plain(cfg))  # a user's YAML may have names of earlier versions
    if isinstance(config.get("explain_by"), str):
        config["explain_by"] = [config["explain_by"]]
    check_values(config)
    check_derived(config)
    explanations_of(config)
    config["allow"] = packages(config)
    check_homes(config, config["allow"])
    config["trainer"] = check_trainer(config["trainer"])
    check_training(config["trainer"])
    check_devices(config["trainer"])
    if config["data"].get("cache_dir") in (None, ""):
        raise Mistake("data.cache_dir has no value; say data.cache_dir=… to set it.")
    for option in ("root", "csv", "speakers", "cache_dir"):
        if config["data"].get(option) == "":
            raise Mistake(f"data.{option} has no value; say data.{option}=… to set it, or leave it out.")
        if path := config["data"].get(option):
            if re.match(r"[a-z]+://", str(path)):
                raise Mistake(f"data.{option}={shown(path)} is an address; download it, and name the place.")
            is_table = option in ("csv", "speakers")  # which may also lie in the root
            whole = absolute(f"data.{option}", path)
            config["data"][option] = str(path) if is_table and not os.path.exists(whole) else whole
    check_place(config)
    return config


def check_homes(config: dict[str, Any], allow: Sequence[str]) -> None:
    """Raises a Mistake if a part is a class of a package that `allow` does not name."""
    for option in KINDS:
        target = selected(config, f"{option}._target_")
        if isinstance(target, str):
            check_home(option, current_name(target), allow)


def check_numbers_as_given(cfg: DictConfig) -> None:
    """Checks numbers before others are computed from them, which would fail with less clear errors."""
    unresolved: Any = OmegaConf.to_container(cfg, resolve=False)
    for option, kind, low, high, nullable in NUMBERS:
        if not str(selected(unresolved, option)).startswith(("${", "None")):
            check_number(unresolved, option, kind, low, high, nullable)


def check_values(config: dict[str, Any]) -> None:
    """Checks the values of a training's configuration, whether the command line or a checkpoint brings it.

    Raises:
        Mistake: the first value that is missing, of the wrong type or out of range.
    """
    for option, kind in NEEDED.items():
        value = selected(config, option)
        if value is None and option not in ("fold", "seed"):
            raise Mistake(f"{option} is missing{in_yaml_of(option)}.")
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            way_out = way_to(option, value) if kind is dict else ""
            raise Mistake(f"{option}={shown(value)} is not {NAMES_OF_KINDS[kind]}{way_out}.")
    for option, kind, low, high, nullable in NUMBERS:
        check_number(config, option, kind, low, high, nullable)
    if config.get("keep_last", False) not in (True, False):
        raise Mistake(f"keep_last={config['keep_last']} is neither true nor false.")
    for option, choices in CHOICES.items():  # which cards of earlier checkpoints lack
        if (value := selected(config, option)) is not None and value not in choices:
            raise Mistake(f"{option}={shown(value)} is unknown; choose {' or '.join(choices)}.")
    check_kind(config)
    if config.get("missing_fold", "error") not in ("error", "skip"):  # cards of early checkpoints lack some options
        raise Mistake(f"missing_fold={config['missing_fold']} is neither error nor skip.")
    noise = config["augmentation"].get("noise_snr_db")
    if noise is not None and not (
        isinstance(noise, list) and len(noise) == 2 and all(is_number(end) for end in noise) and noise[0] <= noise[1]
    ):
        raise Mistake(f"augmentation.noise_snr_db={noise} is neither null nor [low, high] in dB.")
    classes = config["task"].get("classes")
    if classes is not None and (not isinstance(classes, list) or len(set(map(str, classes))) < 2):
        raise Mistake(f"task.classes={classes} is not a list of two or more different names.")
    if (short := selected(config, "data.clip.short")) not in (None, "pad", "repeat"):
        raise Mistake(
            f"data.clip.short={shown(short)} is neither pad (silence around) nor repeat (until they are full)."
        )
    check_parts(config)
    if config["data"].get("shuffle_labels", False) not in (True, False):
        raise Mistake(f"data.shuffle_labels={config['data']['shuffle_labels']} is neither true nor false.")
    if config["data"].get("random_split", False) not in (True, False):
        raise Mistake(f"data.random_split={shown(config['data']['random_split'])} is neither true nor false.")
    if "attributions" in config:
        raise Mistake("experiment=leaderboard is for python benchmark.py checkpoint=…; leave it out to train.")
    check_explain_by(config)


def check_derived(config: dict[str, Any]) -> None:
    """Raises a Mistake if a new run sets what follows from other options."""
    # not in `check_values`: checkpoints of earlier versions may have it
    if selected(config, "optimizer.schedule.total_steps") is not None:
        raise Mistake(
            "optimizer.schedule.total_steps is filled in with all steps of the run: leave it out (null in a YAML of"
            " yours), and set trainer.max_epochs or trainer.max_steps."
        )
    clip, samples = config["data"]["clip"], selected(config, "model.network.samples")
    parts = [str(selected(config, f"model.{part}._target_")) for part in ("network", "front_end")]
    if samples is None or not {"seconds", "sample_rate"} <= clip.keys():
        return
    length = round(clip["seconds"] * clip["sample_rate"])
    if samples != length and all(part.startswith("auscult.") for part in parts):
        raise Mistake(
            f"model.network.samples={shown(samples)} is not the length of a clip, {length} samples: leave it out, as it"
            " follows data.clip.seconds and data.clip.sample_rate."
        )


def in_yaml_of(option: str) -> str:
    """Where an option that every choice of its group has is to be written, and what it looks like there."""
    group = option.partition(".")[0]
    chosen = HydraConfig.get().runtime.choices.get(group) if HydraConfig.initialized() else None
    if not chosen or not choices_of(group):
        return ""
    if any(re.match(rf"~?{re.escape(option)}(=|$)", word) for word in HydraConfig.get().overrides.task):
        return f": your command takes it away; leave {option} as {group}={chosen} has it, or write a YAML of your own"
    others = [name for name in choices_of(group) if name != chosen]
    return f": the YAML of {group}={chosen} lacks it; copy it from conf/{group}/{others[0]}.yaml"


def way_to(option: str, value: Any) -> str:
    """The way out if a group of options was given one value."""
    if option == "optimizer.schedule":
        return "; name its class: optimizer.schedule._target_=torch.optim.lr_scheduler.…"
    if str(value) in choices_of(option.replace(".", "/")):
        return f"; say {option.replace('.', '/')}={value}"
    group = option.partition(".")[0]
    return f"; choose it by its name: {group}=…" if choices_of(group) else f"; say {option}.NAME=… for each"


def check_place(config: dict[str, Any]) -> None:
    """Raises a Mistake if data.cache_dir is no folder, or WANDB_MODE no mode that W&B knows."""
    path = config["data"]["cache_dir"]
    if os.path.exists(path) and not os.path.isdir(path):
        raise Mistake(f"data.cache_dir={path} is no folder; name one, also in AUSCULT_CACHE if that is set.")
    check_wandb(config)


def check_wandb(config: dict[str, Any]) -> None:
    """Raises a Mistake if W&B is to log, and WANDB_MODE is no mode that it knows."""
    mode = os.environ.get("WANDB_MODE", WANDB_MODES[0])
    if selected(config, "logger.name") == "wandb" and mode not in WANDB_MODES:
        raise Mistake(f"WANDB_MODE={shown(mode)} is unknown; set one of {', '.join(WANDB_MODES)}, or none.")
