"""Turns complaints of Hydra and OmegaConf into one sentence that names the option and the way out."""

import os
import re
from collections.abc import Callable, Iterable
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, OverrideParseException
from omegaconf import OmegaConf

from auscult.machine.hardware import ACCELERATORS, STRATEGIES
from auscult.program.arguments import in_shell
from auscult.program.conf import (
    CONF,
    PROGRAMS,
    choices_of,
    content_of,
    groups_of,
    owners_of,
    selected,
    top_level,
    with_pages,
)
from auscult.program.explain_by import GROUPS
from auscult.program.hints import closest, meant
from auscult.program.trainer_options import refusal

MOST_LISTED = 12  # options of a group, in a message
# options that a checkpoint brings along
BROUGHT = ("fold", "task", "model", "optimizer", "augmentation", "label_smoothing", "data", "trainer")
HELP = "--help lists them"


def sentence(error: Exception, overrides: Iterable[str] = (), program: str = "train") -> str:
    """One sentence for what Hydra or OmegaConf complained about.

    Args:
        overrides: the command line's.
        program: the program whose options are meant, "train", "explain", ...
    """
    overrides = list(overrides)
    text = "\n".join(str(cause) for cause in chain(error))
    for complaint, explained in COMPLAINTS:
        match = re.search(complaint, text, re.DOTALL)
        if match and (explanation := explained(match, overrides, program)):
            return explanation
    if isinstance(error, OverrideParseException):
        return unreadable(str(error.override))
    lines = [line.strip() for line in text.splitlines() if line.strip() and "HYDRA_FULL_ERROR" not in line]
    return f"{' '.join(lines[:2]).rstrip('.') or type(error).__name__}; {HELP}."


def no_such_choice(match: re.Match[str], overrides: list[str], program: str) -> str | None:
    """Explains "Could not find 'group/name'". A group may be within another, and a name may have a slash."""
    if match[1].startswith("data/") and os.path.isdir(place := match[1].removeprefix("data/")):
        return f"data={place} is no corpus; say data=folder data.root={place}."
    for slash in reversed([place.start() for place in re.finditer("/", match[1])]):
        group, name = match[1][:slash].rstrip("/"), match[1][slash + 1 :]
        if group == "experiment" and (CONF / name.partition("/")[0]).is_dir():
            return f"an experiment's YAML chooses of other groups as `- override /{name.replace('/', ': ')}`."
        if (CONF / group / f"{name}.yml").exists():
            return f"conf/{group}/{name}.yml has to end in .yaml; name it so."
        if group == "trainer" and (name in ACCELERATORS or name.startswith(STRATEGIES)):
            option = "accelerator" if name in ACCELERATORS else "strategy"
            return f"trainer={name} is unknown; say trainer.{option}={name}."
        if group.startswith("hydra/") and not choices_of(group):
            return f"{group}={name} is not installed; leave it out."
        if group == "hydra/launcher" and name in ("joblib", "submitit_local", "submitit_slurm"):
            return "hydra/launcher needs an extra that is not installed; pip install '.[cluster]' in the checkout."
        if choices := choices_of(group):
            return f"{group}={match[1][len(group) + 1 :]} is unknown; choose one of {', '.join(choices)}."
    return None


def several_values(match: re.Match[str], overrides: list[str], program: str) -> str:
    """Explains that an option has several values, between commas, but takes one."""
    option, _, value = match[1].partition("=")
    if (program, option) == ("benchmark", "attribution"):
        return f"{option}={value} is one more beside attributions; say {in_shell(f'attributions=[{value}]')}."
    usual = default(option, overrides, program)
    is_number = isinstance(usual, float) or str(usual).startswith("${") or program == "study"
    if is_number and re.fullmatch(r"\d+,\d+", value):
        return f"{option}={value} has a comma; say {option}={value.replace(',', '.')}, or -m to run with both."
    if (program, option) == ("train", "logger") and "wandb" in value.split(","):
        return f"{option}={value}: say logger=wandb, as metrics.csv is written in any case."
    if isinstance(usual, list) or option == "task.classes":
        return f"{option}={value} is a list, which takes brackets: say {in_shell(f'{option}=[{value}]')}."
    if program == "serve":
        return f"{option}={value} has several values; choose one, as serve.py runs with one."
    return f"{option}={value} has several values; add -m to run with each of them."


def refers_to_nothing(match: re.Match[str], overrides: list[str], program: str) -> str:
    """Explains that an option takes the value of another one, which does not exist."""
    group, _, name = match[1].partition(".")
    chosen = next((word.partition("=")[2] for word in overrides if word.startswith(f"{group}=")), "")
    if name and chosen and choices_of(group):
        return f"the YAML of {group}={chosen} lacks {name}; begin with a copy of another one in conf/{group}."
    return f"{match[2]} refers to {match[1]}, which is no option; {HELP}."


def has_no_value(match: re.Match[str], overrides: list[str], program: str) -> str:
    """Explains that an option has to be set."""
    if match[1] == "checkpoint":
        return "checkpoint has no value; set it with checkpoint=…/checkpoints/best.ckpt, of a run folder."
    return f"{match[1]} has no value; say {match[1]}=… to set it."


def swept(overrides: list[str]) -> str:
    """The word of the command line that asks for a sweep over what is no list."""
    return next((word for word in overrides if re.search(r"=(interval|tag|shuffle|sort)\(", word)), "a sweep")


def unreadable(override: str) -> str:
    """The sentence for a word of the command line that Hydra's grammar does not allow."""
    option, _, value = override.partition("=")
    if value.startswith("="):
        return f"{override} has two equal signs; say {option}={value.lstrip('=')}."
    if re.match(r"\w*(uniform|normal|randint)\w*\(", value):
        some = ",".join(re.findall(r"[-+.\d]+(?:e[-+]?\d+)?", value, re.IGNORECASE)) or "0.1,0.2"
        return f"{override}: no values are drawn here; list them, as in -m {option}={some}."
    return (
        f"{override} cannot be read; close its brackets and quotes, and put a value with spaces, brackets,"
        " commas or signs in two pairs of quotes: 'option=\"value\"'."
    )


def no_such_option(option: str, overrides: list[str], program: str) -> str:
    """The sentence for an option that a program does not have, or not with the choices that are made."""
    group, _, name = option.partition(".")
    if option in groups_of(content_of(program)) and (choices := choices_of(option)):
        return f"{option} is given by the name of a choice: one of {', '.join(choices)}."
    if group == "trainer" and (refused := refusal(name, explaining=program != "train")):
        return refused
    if group.partition("/")[0] in groups_of(content_of(program)) and (owners := owners_of(option)):
        return f"{option} needs {' or '.join(owners)} beside it; {HELP}."
    if page := page_of(option, program):
        return f"{option} is an option of {page}; add {page}, or leave {option} out."
    value = next((text.partition("=")[2] for text in overrides if text.lstrip("+~").startswith(f"{option}=")), "")
    if hint := meant(option, value.strip("\"'"), program):
        return f"{option} is not an option; {hint}."
    others = [other for other in PROGRAMS if other != program and group in top_level(other)]
    if owners := [f"{other}.py" for other in others if option in options((), other)]:
        if owners[0] == "train.py" and program in ("explain", "benchmark") and group in BROUGHT:
            return f"{option} is an option of train.py; here the checkpoint brings it: leave it out."
        also = "; explain_by=[…] explains a network at the end of its training" if group in GROUPS else ""
        also += ", by files of conf/attribution such as lrp_epsilon_zero_bias" if group == GROUPS[0] and name else ""
        return f"{option} is an option of {' and '.join(owners)}, not of {program}.py{also}; {HELP}."
    names = options(overrides, program)
    beside = [other.rpartition(".")[2] for other in names if other.rpartition(".")[0] == option.rpartition(".")[0]]
    if option.rpartition(".")[0].endswith(".factors") and beside:
        own, named = option.rpartition(".")[0], option.rpartition(".")[2]
        return (
            f"{option} is not an option: there are factors of {' and '.join(beside)}; say {own}.{beside[-1]}=…, or"
            f" +{option}=… if {named} is one of the classes."
        )
    if close := closest(option, names):
        return f"{option} is not an option (did you mean {close}?); {HELP}."
    beside = [other for other in beside if other != "name" and not other.startswith("_")]
    if "." in option and 0 < len(beside) <= MOST_LISTED:
        more = f"; other arguments of its class take a plus: +{option}=…" if group == "optimizer" else ""
        return f"{option} is not an option; {option.rpartition('.')[0]} has {', '.join(beside)}{more}."
    return f"{option} is not an option; {HELP}."


def page_of(option: str, program: str) -> str:
    """The choice of a page that has the option, such as page=record; empty if no page has it."""
    pages = choices_of("page") if option.partition(".")[0] in with_pages(program).keys() - content_of(program) else []
    return next((f"page={page}" for page in pages if option in options([f"page={page}"], program)), "")


def chain(error: BaseException | None) -> Iterable[BaseException]:
    """An error and its causes, the error first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def composed(overrides: Iterable[str], program: str) -> Any:
    """The configuration of a program, given the groups chosen on the command line (`data=folder`)."""
    groups = groups_of(content_of(program))
    chosen = [text for text in overrides if text.split("=")[0] in groups and "," not in text]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        try:
            return compose(program, overrides=chosen)
        except HydraException:  # there is no such choice
            return compose(program)


def default(option: str, overrides: Iterable[str], program: str) -> Any:
    """The default of an option; None if there is no such option."""
    return selected(OmegaConf.to_container(composed(overrides, program), resolve=False), option)


def options(overrides: Iterable[str] = (), program: str = "train") -> list[str]:
    """Every option that a program has, given the groups chosen on the command line (`data=folder`)."""

    def names(node: Any, path: str) -> list[str]:
        if not isinstance(node, dict):
            return [path]
        inner = [name for key, value in node.items() for name in names(value, f"{path}.{key}" if path else str(key))]
        return [path, *inner] if path else inner

    cfg = composed(overrides, program)
    return sorted(top_level(program) | set(names(OmegaConf.to_container(cfg, resolve=False), "")))


# pattern of a complaint -> what explains it, given the match, the command line's overrides and the program
COMPLAINTS: list[tuple[str, Callable[[re.Match[str], list[str], str], str | None]]] = [
    (r"Could not (?:find|load) '([^'\n]+)'", no_such_choice),
    (
        r"In '(experiment/[\w/.-]+?)': Could not override '\w+@experiment",
        lambda match, *_: f"the YAML of {match[1].replace('/', '=', 1)} lacks its first line: # @package _global_.",
    ),
    (r"Could not override '([^'\n]+)'", lambda match, *rest: no_such_option(match[1].split("@")[0], *rest)),
    (r"Ambiguous value for argument '([^'\n]+)'", several_values),
    (
        r"Sweep parameters '([^'\n]+)' requires --multirun",
        lambda match, *_: f"{match[1]} has several values; add -m to run with each of them.",
    ),
    (
        r"nvironment variable '(.*?)' not found.*?full_key: ([\w.]+)",
        lambda match, *_: f"{match[2]} refers to the environment variable {match[1]}, which is not set.",
    ),
    (r"Interpolation key '(.*?)' not found.*?full_key: ([\w.]+)", refers_to_nothing),
    (r"interpolation: Missing mandatory value: ([\w.]+)", has_no_value),  # of an option that another one refers to
    (r"Missing mandatory value.*?full_key: ([\w.]+)", has_no_value),
    (
        r"Could not delete from config. '([^']+)' does not exist",
        lambda match, *_: f"~{match[1]} takes away an option that does not exist, or is null anyway; leave it out.",
    ),
    (
        r"does not support sweep type : (\w+)",
        lambda _, overrides, *__: (
            f"{swept(overrides)} is no list of values; say them, with commas in between: a=1,2,3."
        ),
    ),
    (
        r"Cannot find primary config",
        lambda *_: "--config-path names another folder than conf/; say --config-dir, which adds a folder to it.",
    ),
    (
        r"An item is already at '([^']+)'.*?prefix: '([^']+)'",
        lambda match, *_: f"{match[1]} is an option already; say it without a plus: {match[2]}.",
    ),
    (
        r"In '?([\w/.-]+?)'?: Override '(\w+) : (\w+)' is defined before '[^']*@override : ([\w/:]+)'",
        lambda match, *_: (
            f"conf/{match[1].removesuffix('.yaml')}.yaml: `- override /{match[4].replace(':', ': ')}`"
            " wants a space behind its colon."
        ),
    ),
    (
        r"Multiple values for (\w+). To override",
        lambda match, *_: f"{match[1]} is chosen twice; say it once, without a plus.",
    ),
]
