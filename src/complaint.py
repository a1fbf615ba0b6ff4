"""What Hydra and OmegaConf complain about, in one sentence that names the option and the way out."""

import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, OverrideParseException
from omegaconf import OmegaConf

from src.trainer_options import refusal

CONF = Path(__file__).parents[1] / "conf"
EXTRA = ("joblib", "submitit_local", "submitit_slurm")  # what the presets of hydra/launcher are made of
HELP = "--help lists them"


def sentence(error: Exception, overrides: Iterable[str] = (), program: str = "train") -> str:
    """One sentence for what Hydra or OmegaConf complained about.

    Args:
        overrides: of the command line.
        program: "train" or "explain", whose options are meant.
    """
    text = "\n".join(str(cause) for cause in chain(error))
    if found := re.search(r"Could not (?:find|load) '([^'\n]+)/([^'/\n]+)'", text):
        group, name = found.groups()
        if group == "hydra/launcher" and name in EXTRA:
            return "hydra/launcher needs an extra that is not installed; pip install '.[cluster]' in the checkout."
        choices = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
        if choices:
            return f"{group}={name} is unknown; choose one of {', '.join(choices)}."
    if found := re.search(r"Could not override '([^'\n]+)'", text):
        option = found.group(1).split("@")[0]
        group, _, name = option.partition(".")
        if choices := sorted(path.stem for path in (CONF / option).glob("*.yaml")):
            return f"{option} is given by the name of a choice: one of {', '.join(choices)}."
        if group == "trainer" and (refused := refusal(name, explaining=program != "train")):
            return refused
        if owners := owners_of(option):
            return f"{option} is an option of {' and '.join(owners)} only; {HELP}."
        close = difflib.get_close_matches(option, options(overrides, program), n=1, cutoff=0.6)
        return f"{option} is not an option{f' (did you mean {close[0]}?)' if close else ''}; {HELP}."
    if found := re.search(r"nvironment variable '(.*?)' not found.*?full_key: ([\w.]+)", text, re.DOTALL):
        return f"{found.group(2)} refers to the environment variable {found.group(1)}, which is not set."
    if found := re.search(r"Interpolation key '(.*?)' not found.*?full_key: ([\w.]+)", text, re.DOTALL):
        return f"{found.group(2)} refers to {found.group(1)}, which is no option; {HELP}."
    if found := re.search(r"Missing mandatory value.*?full_key: ([\w.]+)", text, re.DOTALL):
        return f"{found.group(1)} has no value; set it with {found.group(1)}=…"
    said = [line.strip() for line in text.splitlines() if line.strip() and "HYDRA_FULL_ERROR" not in line]
    if isinstance(error, OverrideParseException):
        if "=" not in str(error.override):
            return f"{error.override} is not of the form option=value; {HELP}."
        return (
            f"{said[0].rstrip('.')}; put a value with spaces, brackets, commas or equal signs in two pairs of"
            " quotes: 'option=\"value\"'."
        )
    return f"{' '.join(said[:2]).rstrip('.') or type(error).__name__}; {HELP}."


def owners_of(option: str) -> list[str]:
    """The choices of a group that have an option which the one chosen lacks, such as data=folder for data.pattern."""
    group, _, name = option.partition(".")
    files = sorted((CONF / group).glob("*.yaml")) if name else []
    return [f"{group}={path.stem}" for path in files if name in yaml.safe_load(path.read_text())]


def chain(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def options(overrides: Iterable[str] = (), program: str = "train") -> list[str]:
    """Every option that a program has, given the groups chosen on the command line (`data=folder`)."""
    entries = yaml.safe_load((CONF / f"{program}.yaml").read_text(encoding="utf-8")).get("defaults", [])
    groups = {group for entry in entries if isinstance(entry, dict) for group in entry}
    chosen = [text for text in overrides if text.split("=")[0] in groups and "," not in text]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        try:
            cfg = compose(program, overrides=chosen)
        except HydraException:  # of a choice that is none
            cfg = compose(program)

    def names(node: Any, path: str) -> list[str]:
        if not isinstance(node, dict):
            return [path]
        inner = [name for key, value in node.items() for name in names(value, f"{path}.{key}" if path else str(key))]
        return [path, *inner] if path else inner

    return sorted(groups | set(names(OmegaConf.to_container(cfg, resolve=False), "")))
