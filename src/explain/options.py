"""The options of `explain.py` and `benchmark.py`, checked before anything heavy is imported."""

import os
import re
from typing import Any

from hydra import compose
from omegaconf import DictConfig, OmegaConf

from auscult.explain.attribution.options import (
    BOUNDS,
    FREQUENCIES_ONLY,
    check_composite,
    check_option,
    check_stride,
)
from auscult.explain.intervention.bounds import check_band, checked_factors
from auscult.explain.measures.fractions import check_definition, checked_fractions
from auscult.explain.relevance.target import Target, check_labelled
from auscult.machine.hardware import check_devices
from auscult.mistake import Mistake
from auscult.parts import packages
from auscult.plain_data import shown
from auscult.pretrained.options import LIKENESS, check_pretrained
from auscult.program.conf import choices_of, selected
from auscult.program.config import check_wandb, plain
from auscult.program.numbers import check_number
from auscult.program.paths import absolute, checkpoint_at, make_absolute, other_checkpoint
from auscult.program.trainer_options import check_trainer

NO_FREQUENCIES = ("input", "time")  # domains whose features are none
# option, type, lowest, highest, whether null is allowed
NUMBERS: list[tuple[str, type, float, float, bool]] = [
    ("clips", int, 0, 10**6, False),
    ("smoothing", float, 0, 1, False),
    ("limit", int, 1, 10**9, True),
    ("seed", int, 0, 2**32 - 1, False),
    ("perturbation.random_orders", int, 0, 1000, False),
    ("checks", int, 0, 10**6, False),
    ("data.batch_size", int, 1, 10**6, False),
]


def check_explanation(cfg: DictConfig) -> dict[str, Any]:
    """Resolves the configuration of `explain.py` into plain containers and checks its values.

    Raises:
        Mistake: the first value that is missing, of the wrong type or out of range.
    """
    config = check_question(cfg)
    check_model(config)
    check_input(config)
    make_absolute(config["data"], ("root", "csv", "speakers", "cache_dir"), "data.")
    return config


def check_model(config: dict[str, Any]) -> None:
    """Checks what names the model that is explained: a checkpoint, or a network with weights of its own.

    Raises:
        Mistake: there is none, both are named, or a file does not exist.
    """
    check_pretrained(config)
    if config.get("network"):
        if not config["input"]:
            raise Mistake("input has no value; network=… has no corpus of its own: say input=… for your recordings.")
        return
    config["checkpoint"] = checkpoint_at("checkpoint", config["checkpoint"])
    if config["control"] not in (None, ""):
        config["control"] = other_checkpoint("control", config["control"], config["checkpoint"])


def check_question(cfg: DictConfig) -> dict[str, Any]:
    """Checks all options but the files, as `check_explanation` does.

    Raises:
        Mistake: the first value that is missing, of the wrong type or out of range.
    """
    config = plain(cfg)
    check_wandb(config)
    if selected(config, "logger.checkpoints"):
        raise Mistake("logger.checkpoints is of train.py, which makes checkpoints; leave it out.")
    if re.match(r"[a-z]+://", str(config["input"])):
        raise Mistake(f"input={config['input']} is an address; download it, and name the file.")
    make_absolute(config, ("input",))
    config.pop("logger", None)  # explain.py logs what it says; the explanation is the same
    for option, kind, low, high, nullable in NUMBERS:
        check_number(config, option, kind, low, high, nullable)
    check_perturbation(config)
    check_parts(config)
    config["allow"] = packages(config)
    config["trainer"] = check_trainer(config.get("trainer"), explaining=True)
    check_devices(config["trainer"])
    config["target"], config["against"] = target_of(config), names_of(config, "against")
    check_likeness(config)
    check_audit(config)
    return config


def check_audit(config: dict[str, Any]) -> None:
    """Raises a Mistake if `audit` is neither true nor false, or the attribution has nothing to audit."""
    audit = config.get("audit", False)
    if not isinstance(audit, bool):
        raise Mistake(f"audit={shown(audit)} is neither true nor false.")
    if audit and "composite" not in config["attribution"]:
        raise Mistake(
            f"audit=true follows LRP through the network, and attribution={config['attribution']['name']} is no LRP;"
            " leave audit out, or choose an attribution such as lrp_epsilon_plus."
        )


def options_at_end(config: dict[str, Any], explanation: dict[str, Any], checkpoint: str = "") -> DictConfig:
    """The options of `explain.py` that explain a run at its end.

    Args:
        config: the configuration of the training.
        explanation: one of the values that `explanations_of` returns.
        checkpoint: path of the checkpoint.

    Raises:
        Mistake: `explain.py` has no such option or choice.
    """
    named = [f"{option}={choice}" for option, choice in explanation.items() if isinstance(choice, str)]
    options = compose("explain", named)
    own = {option: choice for option, choice in explanation.items() if not isinstance(choice, str)}
    own["perturbation"] = {**options.perturbation, **explanation.get("perturbation", {})}
    places = {option: config["data"].get(option) for option in ("root", "csv", "speakers", "cache_dir")}
    own["data"] = {**options.data, **places}  # where the run had its files
    given = {"seed": config["seed"], **own, "checkpoint": checkpoint, "allow": config["allow"]}
    for option, value in given.items():
        OmegaConf.update(options, option, value, merge=False, force_add=True)
    options.trainer.enable_progress_bar = config["trainer"]["enable_progress_bar"]
    return options


def target_of(config: dict[str, Any]) -> Target:
    """The target as it was typed.

    Raises:
        Mistake: it is empty.
    """
    target = names_of(config, "target")
    if target is None:
        raise Mistake("target has no value; say target=predicted, or the name of a class.")
    return target


def names_of(config: dict[str, Any], option: str) -> Target | None:
    """A name or names as they were typed; None if there is none. YAML reads `true` as a boolean, and 7 as a number.

    Raises:
        Mistake: a list is empty, or holds something else than names.
    """
    value = config.get(option)
    if value is None or (isinstance(value, list) and not value):
        if value is not None:
            raise Mistake(f"{option}=[] names no class; name one, or leave it out.")
        return None
    if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(each, dict | list) for each in value)):
        raise Mistake(f"{option}={shown(value)} is no name and no list of names; say {option}=[dog,wolf].")
    words = [
        str(each).lower() if isinstance(each, bool) else str(each)
        for each in (value if isinstance(value, list) else [value])
    ]
    return words if isinstance(value, list) else words[0]


def check_likeness(config: dict[str, Any]) -> None:
    """Makes the path of a recording in the target absolute.

    Raises:
        Mistake: there is no such recording, or no network of the user's own to compare it with others.
    """
    target = config["target"]
    if not isinstance(target, str) or not target.startswith(LIKENESS) or config.get("checkpoint"):
        return
    path = absolute("target", target.removeprefix(LIKENESS))
    if not config.get("network"):
        raise Mistake(f"{LIKENESS}… compares what a network of your own gives; name it by network=….")
    if not os.path.isfile(path):
        raise Mistake(f"target={shown(target)}: there is no recording {path}; name the one to compare with.")
    config["target"] = LIKENESS + path


def check_input(config: dict[str, Any]) -> None:
    """Checks that the user's own recordings and the tables that label them exist.

    Raises:
        Mistake: they do not exist, or `data` describes their labels only in part.
    """
    data = config["data"]
    labelled = data["csv"] is not None or data.get("pattern") is not None
    if not config["input"]:
        if data.get("pattern") is not None:
            raise Mistake("data.pattern labels the recordings of input=…; add input=…, or leave data.pattern out.")
        return
    if not os.path.exists(config["input"]):
        raise Mistake(f"input={config['input']} does not exist; name a recording or a folder of recordings.")
    if data["csv"] is not None and data.get("pattern") is not None:
        raise Mistake("data.pattern and data.csv are both set: keep one of them.")
    if data["speakers"] is not None and not labelled:
        raise Mistake("data.speakers needs labels from data.pattern or data.csv; add one of the two.")
    if not os.access(config["input"], os.R_OK):
        raise Mistake(f"input={config['input']} cannot be read; check its permissions.")
    if not labelled:
        check_labelled(config["target"], config.get("intervention"))
    if labelled and os.path.isfile(config["input"]) and data["csv"] is not None:
        raise Mistake("data.csv labels the recordings of a folder; name that by input=…, or leave data.csv out.")
    for option in ("csv", "speakers"):
        beside = os.path.join(config["input"], str(data[option]))
        if data[option] is not None and not os.path.exists(absolute(f"data.{option}", data[option])):
            data[option] = beside if os.path.exists(beside) else data[option]


def check_parts(config: dict[str, Any]) -> None:
    """Checks what needs no network of the attribution's and the intervention's options; the rest when they are built.

    Raises:
        Mistake: the first that is wrong.
    """
    attribution, intervention = config.get("attribution") or {}, config.get("intervention") or {}
    if str(attribution.get("_target_")).startswith("auscult."):
        for option in sorted(BOUNDS.keys() & attribution.keys()):
            check_option(option, attribution[option], several=True)
        check_stride(attribution.get("stride"), attribution.get("window"))
        if "composite" in attribution:
            check_composite(attribution["composite"])
    if str(intervention.get("_target_")).startswith("auscult."):
        if "factors" in intervention:
            checked_factors(intervention["factors"])
        if "low_hz" in intervention:
            check_band(intervention["low_hz"], intervention.get("high_hz"), intervention.get("edge_hz", 50))


def check_masked(config: dict[str, Any]) -> None:
    """Raises a Mistake if FreqRISE would mask what are no frequencies."""
    if config["attribution"].get("name") == "freqrise" and config["domain"].get("name") in NO_FREQUENCIES:
        raise Mistake(FREQUENCIES_ONLY)


def check_perturbation(config: dict[str, Any]) -> None:
    """Raises a Mistake if the fractions of features or of energy are no fractions, or their definition is unknown."""
    check_definition("perturbation.definition", config["perturbation"]["definition"])
    if config["perturbation"]["fractions"] is not None:
        checked_fractions(config["perturbation"]["fractions"])
    if config["perturbation"]["energies"]:
        checked_fractions(config["perturbation"]["energies"], "perturbation.energies")


def check_benchmark(cfg: DictConfig) -> dict[str, Any]:
    """Resolves the configuration of `benchmark.py` into plain containers and checks its values.

    Raises:
        Mistake: the first value that is missing, unknown or out of range.
    """
    config = check_question(cfg)
    checked_fractions(config["perturbation"]["fractions"])
    attributions, domains = listed(config, "attributions", "attribution"), listed(config, "domains", "domain")
    if "freqrise" in attributions and set(domains) <= set(NO_FREQUENCIES):
        raise Mistake(
            "attributions has freqrise, which masks frequencies: say domains=[frequency,time_frequency], or leave it"
            " out."
        )
    check_model(config)
    return config


def listed(config: dict[str, Any], option: str, group: str) -> list[str]:
    """The choices of a configuration group that an option names, one or a list.

    Raises:
        Mistake: the option is empty, or a choice is unknown or named twice.
    """
    value = config[option]
    names = [str(name) for name in value] if isinstance(value, list) else [str(value)]
    if not names:
        raise Mistake(f"{option} is empty; name at least one.")
    known = choices_of(group)
    for name in names:
        if name not in known:
            raise Mistake(
                f"{option} has {name}, which is unknown; choose from {', '.join(known)}, or add"
                f" conf/{group}/{name}.yaml."
            )
        if names.count(name) > 1:
            raise Mistake(f"{option} names {name} twice; name it once.")
    return names
