"""The options of `serve.py`, checked before anything heavy is imported."""

import errno
import logging
import os
import re
import socket
import unicodedata
from typing import Any

from omegaconf import DictConfig

from auscult.explain.options import check_input, listed
from auscult.machine.hardware import check_devices
from auscult.mistake import Mistake
from auscult.parts import packages
from auscult.plain_data import shown
from auscult.pretrained.options import check_pretrained
from auscult.program.conf import choices_of, selected
from auscult.program.config import plain
from auscult.program.numbers import check_number
from auscult.program.paths import EXAMPLE, checkpoint_at, make_absolute, other_checkpoint
from auscult.study.plan import CLIPS, MEASURES, first_pair

LOOPBACK = ("127.0.0.1", "localhost")
FORMS = ("visual", "audible", "both")  # of explanations in a study
PATHS = {"record": ("root",), "study": ("root",), "data": ("root", "csv", "speakers", "cache_dir")}
log = logging.getLogger(__name__)

# the pages of serve.py, and the module that makes each
PAGES = {"live": "auscult.serve.live", "record": "auscult.serve.record.app", "study": "auscult.serve.study"}
NEEDED: dict[str, tuple[str, ...]] = {"live": (), "record": ("record.root",), "study": ("checkpoint", "study.name")}


def check(cfg: DictConfig) -> dict[str, Any]:
    """Resolves the configuration of `serve.py` into plain containers and checks its values.

    Raises:
        Mistake: the first value that is missing, of the wrong type or unknown.
    """
    config = plain(cfg)
    if config["page"] not in PAGES:
        raise Mistake(f"page={config['page']} is unknown; choose one of {', '.join(PAGES)}.")
    page = config["page"]
    check_number(config, "port", int, 0, 65535, False)
    check_names(config)
    if page == "record":
        check_recording(config)
    if page == "study":
        check_study(config)
    for option in NEEDED[page]:
        if not selected(config, option) and not (option == "checkpoint" and config.get("network")):
            raise Mistake(f"{option} has no value; say {option}=… to set it.")
    if page == "record" and config["checkpoint"] not in (None, ""):
        raise Mistake("page=record uses no network; leave checkpoint out, or leave page out for the live page.")
    check_pretrained(config)
    if page == "study":
        check_judged(config)
    if page == "live" and not (selected(config, "checkpoint") or config.get("network")):
        log.info("No checkpoint is given: the page has the network that comes along, MelCNN on synthetic digits.")
        config["checkpoint"] = str(EXAMPLE)
    config["allow"] = packages(config)
    check_devices({"devices": 1, "strategy": "auto", **config["trainer"]})
    check_address(config["host"], config["port"])
    if config["checkpoint"] not in (None, ""):
        config["checkpoint"] = checkpoint_at("checkpoint", config["checkpoint"])
        if config.get("checkpoint_2") not in (None, ""):
            config["checkpoint_2"] = other_checkpoint("checkpoint_2", config["checkpoint_2"], config["checkpoint"])
    if page == "live":
        check_number(config, "smoothing", float, 0, 1, False)
        for option, group in (("attributions", "attribution"), ("domains", "domain")):
            config[option] = listed(config, option, group)
    for group, names in PATHS.items():
        if group in config:
            make_absolute(config[group], names, f"{group}.")
    if page == "record" and os.path.isfile(config["record"]["root"]):
        raise Mistake(f"record.root={config['record']['root']} is not a folder; name another one.")
    return config


def check_names(config: dict[str, Any]) -> None:
    """Checks where the page is served, and lists the names by which browsers may call it."""
    names, host = config["names"], config["host"]
    further = names if isinstance(names, list) else [] if names is None else [names]
    for option, value in (("host", host), *(("names", name) for name in further)):
        if not isinstance(value, str) or not re.fullmatch(r"(\*\.)?[\w.:-]+", value):
            raise Mistake(f"{option}={value} is not the name or address of a machine, such as 127.0.0.1.")
    is_open = host not in LOOPBACK
    config["names"] = ["*"] if is_open and names is None else [*LOOPBACK, host, *further]


def check_address(host: str, port: int) -> None:
    """Raises a Mistake if nothing can be served there. It is tried early, as a network takes a while to open."""
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        if error.errno == socket.EAI_NONAME:
            raise Mistake(f"host={host} is no name that this machine knows; choose 127.0.0.1 or 0.0.0.0.") from error
        way_out = "choose another port" if error.errno == errno.EADDRINUSE else "choose 127.0.0.1 or 0.0.0.0, or a port"
        raise Mistake(f"host={host} port={port} cannot be served ({reason}); {way_out}.") from error


def check_study(config: dict[str, Any]) -> None:
    """Checks the options of a study. Its name becomes the name of a folder."""
    study = config["study"]
    for option, low in (("clips", 2), ("training", 0), ("attention", 0), ("seed", 0)):
        check_number(config, f"study.{option}", int, low, 10**6, False)
    check_number(config, "study.smoothing", float, 0, 1, False)
    if study["name"] is not None and not re.fullmatch(r"[^\W_][\w-]*", str(study["name"])):
        raise Mistake(f"study.name={study['name']} is not made of letters, digits, hyphens and underscores.")
    if study["name"] is not None:
        study["name"] = str(study["name"])  # YAML takes some for numbers
    conditions = study["conditions"] if isinstance(study["conditions"], list) else [study["conditions"]]
    attributions = choices_of("attribution")
    for name in conditions:
        form, _, attribution = str(name).partition("/")
        if name in attributions:
            forms = ", ".join(f"{each}/{name}" for each in FORMS)
            raise Mistake(f"study.conditions has {name} without its form; say one of {forms}.")
        if name != "none" and (form not in FORMS or attribution not in attributions):
            raise Mistake(
                f"study.conditions has {shown(name)}; say none, or visual, audible or both with an attribution behind"
                " a slash, such as visual/lrp_epsilon_plus (conf/attribution has them all)."
            )
    if not conditions or len(set(conditions)) < len(conditions):
        raise Mistake(f"study.conditions={conditions} is not a list of one or more different conditions.")
    if len(conditions) == 1:
        log.warning("study.conditions=%s is one condition: nothing is compared.", conditions)
    study["conditions"] = conditions
    study["primary"] = primary_of(study["primary"], conditions)


def check_judged(config: dict[str, Any]) -> None:
    """Checks whose recordings are judged in a study: the test clips of checkpoints, or the user's own.

    Raises:
        Mistake: a network of the user's own has none, or a second one; or a file does not exist.
    """
    if config.get("network"):
        if config["checkpoint_2"] not in (None, ""):
            raise Mistake("checkpoint_2=… is a second one beside checkpoint=…; leave it out with network=….")
        if not config["input"]:
            raise Mistake("input has no value; network=… has no corpus of its own: say input=… for your recordings.")
    make_absolute(config, ("input",))
    check_input({**config, "target": "predicted"})


def primary_of(primary: Any, conditions: list[str]) -> list[dict[str, str]]:
    """The comparisons that a study is for, from its options `{pairs, measure, clips}`.

    Raises:
        Mistake: a comparison is not of two of the conditions, or the measure does not fit them.
    """
    if not isinstance(primary, dict):
        raise Mistake(f"study.primary={shown(primary)} is not a group of options; set study.primary.pairs.")
    for option, values in (("measure", tuple(MEASURES)), ("clips", CLIPS)):
        if primary[option] not in values:
            raise Mistake(
                f"study.primary.{option}={shown(primary[option])} is unknown; choose one of {', '.join(values)}."
            )
    pairs = first_pair(conditions) if primary["pairs"] is None else primary["pairs"]
    pairs = [pairs] if isinstance(pairs, list) and pairs and all(isinstance(name, str) for name in pairs) else pairs
    if not isinstance(pairs, list) or not all(is_pair(pair, conditions) for pair in pairs):
        raise Mistake(
            f"study.primary.pairs={shown(pairs)} is not a list of pairs of study.conditions, such as"
            " [[audible/random,none]]."
        )
    if not pairs and len(conditions) > 1:
        raise Mistake("study.primary.pairs=[] names nothing to compare; name two of study.conditions.")
    if len({frozenset(pair) for pair in pairs}) < len(pairs):
        raise Mistake(f"study.primary.pairs={shown(pairs)} has a pair twice.")
    if primary["measure"] == "rating" and any("none" in pair for pair in pairs):
        raise Mistake(
            "study.primary.measure=rating cannot compare the condition none, which nobody rates; set"
            " study.primary.pairs to two other conditions."
        )
    how = {"measure": primary["measure"], "clips": primary["clips"]}
    return [{"one": one, "other": other, **how} for one, other in pairs]


def is_pair(pair: Any, conditions: list[str]) -> bool:
    """Whether a value is a list of two different conditions."""
    return isinstance(pair, list) and len(pair) == 2 and pair[0] != pair[1] and all(name in conditions for name in pair)


def check_recording(config: dict[str, Any]) -> None:
    """Checks what is to be recorded, and turns the words into texts. Words become names of files."""
    check_number(config, "record.repetitions", int, 1, 999, False)
    words = config["record"]["words"]
    words = words if isinstance(words, list) else [words]
    words = [str(word).lower() if isinstance(word, bool) else str(word) for word in words if word is not None]
    unfit = [word for word in words if not is_word(word)]
    if unfit:
        raise Mistake(f"record.words has {unfit[0]}, which is not made of up to 40 letters, digits and hyphens.")
    folded = [word.casefold() for word in words]
    if twice := [word for number, word in enumerate(words) if word.casefold() in folded[:number]]:
        raise Mistake(f"record.words has {twice[0]} twice, if capitals do not count; leave one out.")
    if not words:
        raise Mistake(f"record.words={words} is not a list of one or more different words.")
    config["record"]["words"] = words


def is_word(text: str) -> bool:
    """Whether a text is made of up to 40 letters of any script, marks that belong to them, digits and hyphens."""
    kinds = [unicodedata.category(letter)[0] for letter in text.replace("-", "")]
    return 0 < len(kinds) <= len(text) <= 40 and set(kinds) <= set("LMN")
