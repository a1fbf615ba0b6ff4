"""What Hydra and OmegaConf complain about, in one sentence that names the option and the way out."""

import re
from collections.abc import Iterable
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, OverrideParseException
from omegaconf import OmegaConf

from src.arguments import in_shell
from src.conf import CONF, PROGRAMS, choices_of, content_of, groups_of, owners_of, selected, top_level
from src.hints import closest, meant
from src.mistake import Mistake
from src.trainer_options import refusal

EXTRA = ("joblib", "submitit_local", "submitit_slurm")  # what the presets of hydra/launcher are made of
# whose options whoever gets them checks
OPEN = ("trainer", "callbacks", "logger")
# what a checkpoint says of its training
BROUGHT = ("fold", "task", "model", "optimizer", "augmentation", "label_smoothing", "data", "trainer")
HELP = "--help lists them"


def sentence(error: Exception, overrides: Iterable[str] = (), program: str = "train") -> str:
    """One sentence for what Hydra or OmegaConf complained about.

    Args:
        overrides: of the command line.
        program: "train" or "explain", whose options are meant.
    """
    text = "\n".join(str(cause) for cause in chain(error))
    if found := re.search(r"Could not (?:find|load) '([^'\n]+)'", text):
        places = [match.start() for match in re.finditer("/", found.group(1))]
        for place in reversed(places):
            group, name = found.group(1)[:place].rstrip("/"), found.group(1)[place + 1 :]
            if group == "hydra/launcher" and name in EXTRA:
                return "hydra/launcher needs an extra that is not installed; pip install '.[cluster]' in the checkout."
            if choices := choices_of(group):
                return f"{group}={found.group(1)[len(group) + 1 :]} is unknown; choose one of {', '.join(choices)}."
    if found := re.search(r"Could not override '([^'\n]+)'", text):
        return no_such_option(found.group(1).split("@")[0], list(overrides), program)
    if found := re.search(r"Ambiguous value for argument '([^'\n]+)'", text):
        option, _, value = found.group(1).partition("=")
        if isinstance(default(option, overrides, program), list):
            return f"{option}={value} is a list, which takes brackets: say {in_shell(f'{option}=[{value}]')}."
        return f"{option}={value} has several values; add -m to run with each of them."
    if found := re.search(r"nvironment variable '(.*?)' not found.*?full_key: ([\w.]+)", text, re.DOTALL):
        return f"{found.group(2)} refers to the environment variable {found.group(1)}, which is not set."
    if found := re.search(r"Interpolation key '(.*?)' not found.*?full_key: ([\w.]+)", text, re.DOTALL):
        return f"{found.group(2)} refers to {found.group(1)}, which is no option; {HELP}."
    if found := re.search(r"Missing mandatory value.*?full_key: ([\w.]+)", text, re.DOTALL):
        return f"{found.group(1)} has no value; set it with {found.group(1)}=…"
    if found := re.search(r"Could not delete from config. '([^']+)' does not exist", text):
        return f"~{found.group(1)} takes away what is not there, or null in any case; leave it out."
    if found := re.search(r"Multiple values for (\w+). To override", text):
        return f"{found.group(1)} is chosen twice; say it once, without a plus."
    said = [line.strip() for line in text.splitlines() if line.strip() and "HYDRA_FULL_ERROR" not in line]
    if isinstance(error, OverrideParseException):
        option, _, value = str(error.override).partition("=")
        if value.startswith("="):
            return f"{error.override} has two equal signs; say {option}={value.lstrip('=')}."
        return (
            f"{error.override} cannot be read; close its brackets and quotes, and put a value with spaces, brackets,"
            " commas or signs in two pairs of quotes: 'option=\"value\"'."
        )
    return f"{' '.join(said[:2]).rstrip('.') or type(error).__name__}; {HELP}."


def no_such_option(option: str, overrides: list[str], program: str) -> str:
    """What to say of an option that a program has not, or has not with the choices made."""
    group, _, name = option.partition(".")
    own = top_level(program)
    if option in own and (choices := choices_of(option)):
        return f"{option} is given by the name of a choice: one of {', '.join(choices)}."
    if group == "trainer" and (refused := refusal(name, explaining=program != "train")):
        return refused
    if group.partition("/")[0] in groups_of(content_of(program)) and (owners := owners_of(option)):
        return f"{option} needs {' or '.join(owners)} beside it; {HELP}."
    value = next((text.partition("=")[2] for text in overrides if text.lstrip("+~").startswith(f"{option}=")), "")
    if said := meant(option, value.strip("\"'"), program):
        return f"{option} is not an option; {said}."
    others = [other for other in PROGRAMS if other != program and group in top_level(other)]
    if owners := [f"{other}.py" for other in others if option in options((), other)]:
        if owners[0] == "train.py" and program in ("explain", "benchmark") and group in BROUGHT:
            return f"{option} is an option of train.py; here the checkpoint brings it: leave it out."
        also = "; explain_by=[…] explains a network at the end of its training" if option == "attribution" else ""
        return f"{option} is an option of {' and '.join(owners)}, not of {program}.py{also}; {HELP}."
    close = closest(option, options(overrides, program))
    return f"{option} is not an option{f' (did you mean {close}?)' if close else ''}; {HELP}."


def check_changed(overrides: Iterable[str], program: str) -> None:
    """Looks at what the command line adds to the options (`+foo=bar`) or takes away (`~task`), which Hydra lets pass.

    Raises:
        Mistake: nothing would read what is added, or a run needs what is taken away.
    """
    words = list(overrides)
    for word in words:
        option = word.lstrip("+~").partition("=")[0].partition("@")[0]
        group = option.partition(".")[0]
        if not word.startswith(("+", "~")) or (group in OPEN and group != option) or group == "hydra":
            continue
        if word.startswith("~") and group != option:
            continue  # something else may be put in its place
        if word.startswith("~"):
            raise Mistake(f"{word} takes away what a run needs; leave it out, or set a value: {option}=….")
        if "/" in option or (CONF / option).is_dir():  # a choice of a group
            continue
        if not is_open(option, words, program) and option not in options(words, program):
            raise Mistake(no_such_option(option, words, program))


def check_experiment(overrides: Iterable[str], program: str) -> None:
    """Raises a Mistake if the command line names an experiment that another program's options are set by."""
    named = [text.partition("=")[2] for text in overrides if text.startswith("experiment=")]
    for name in named:
        path = CONF / f"experiment/{name}.yaml"
        if not path.exists() or "experiment" not in top_level(program):
            continue  # which is said when it is looked for
        content = content_of(f"experiment/{name}")
        swept = selected(content, "hydra.sweeper.params") or {}
        sets = groups_of(content) | {str(key).partition(".")[0] for key in (*content, *swept)} - {"defaults", "hydra"}
        fits = [other for other in PROGRAMS if sets <= top_level(other)]
        if fits and program not in fits:
            raise Mistake(f"experiment={name} is one of python {fits[0]}.py, not of {program}.py; leave it out.")


def is_open(option: str, overrides: Iterable[str], program: str) -> bool:
    """Whether an option is of a part, which takes more options than conf/ names and refuses by itself what it lacks."""
    config = OmegaConf.to_container(composed(overrides, program), resolve=False)
    groups = option.split(".")[:-1]
    nodes = [selected(config, ".".join(groups[:count])) for count in range(1, len(groups) + 1)]
    return any(isinstance(node, dict) and "_target_" in node for node in nodes) and not owners_of(option)


def chain(error: BaseException | None) -> Iterable[BaseException]:
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
        except HydraException:  # of a choice that is none
            return compose(program)


def default(option: str, overrides: Iterable[str], program: str) -> Any:
    """What an option is where nobody says it; None where there is no such option."""
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
