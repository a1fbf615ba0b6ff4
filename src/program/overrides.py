"""Refuses additions, removals, choices and sweeps on a command line that Hydra accepts but that have no effect."""

import re
from collections.abc import Iterable
from contextlib import suppress

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from auscult.machine.hardware import ACCELERATORS
from auscult.mistake import Mistake
from auscult.program.arguments import MULTIRUN
from auscult.program.complaint import composed, default, no_such_option, options
from auscult.program.conf import (
    CONF,
    PROGRAMS,
    choices_of,
    content_of,
    groups_of,
    named_by_user,
    owners_of,
    selected,
    top_level,
    with_pages,
)
from auscult.program.hints import meant
from auscult.program.numbers import NUMBERS, fit
from auscult.program.paths import absolute, run_folder_of

# groups whose options are checked by what they are passed to
OPEN = ("trainer", "callbacks")
CLOSED = ("data.clip", "data.confound")  # in the options of a part: nothing else reads what is added to them
# options that are one number usually, and may be several
TAKE_LISTS = ("trainer.devices", "attribution.cells", "attribution.window", "attribution.stride")
OPTIONAL = ("experiment", "callbacks", "intervention", "attribution", "logger")  # groups that need no choice
MERGED = ("callbacks",)  # groups that can have several choices at once


def check_changed(overrides: Iterable[str], program: str) -> None:
    """Looks at what the command line adds to the options (`+foo=bar`) or takes away (`~task`), which Hydra lets pass.

    Raises:
        Mistake: nothing would read what is added, or a run needs what is taken away.
    """
    words = list(overrides)
    groups = groups_of(content_of(program)) - set(MERGED)
    for word in words:
        if (match := re.fullmatch(r"([\w/]+)=\[(.*)\]", word)) and match.group(1) in groups:
            if match.group(1) == "logger":
                raise Mistake(f"{word} is a list, and one is to be chosen; say logger=wandb: metrics.csv comes anyway.")
            chosen = match.group(2) if "," not in match.group(2) else f"{match.group(2)} with -m"
            raise Mistake(f"{word} is a list, and one is to be chosen; say {match.group(1)}={chosen}.")
        refuse_label(word, groups, words)
        refuse_bare_value(word, groups)
        refuse_value_of_group(word, groups, program)
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


def check_unread(cfg: DictConfig, program: str) -> None:
    """Looks for options at the top of a YAML of the user's, which Hydra lets pass.

    Raises:
        Mistake: nothing would read one of them.
    """
    if program not in PROGRAMS:  # a YAML of the user's in its place
        return
    known = top_level(program)
    if isinstance(OmegaConf.to_container(cfg, resolve=False).get("experiment"), dict):  # type: ignore[union-attr]
        chosen = HydraConfig.get().runtime.choices.get("experiment")
        raise Mistake(
            f"the YAML of experiment={chosen} has to begin with the line # @package _global_: its options are read as"
            " such only then."
        )
    text = OmegaConf.to_yaml(cfg, resolve=False)
    for name in map(str, cfg):
        is_read = re.search(rf"\$\{{([^}}]*[:,{{])?{re.escape(name)}\b", text) is not None  # another option: ${name}
        if name not in known and not is_read and not (CONF / name).is_dir():  # callbacks bring groups of their own
            value = OmegaConf.to_container(cfg, resolve=False)[name]  # type: ignore[index,call-overload]
            said = no_such_option(name, [f"{name}={value}"], program)
            raise Mistake(f"a YAML of yours has an option that nothing reads: {said}")


def refuse_label(word: str, groups: Iterable[str], words: Iterable[str]) -> None:
    """Raises a Mistake if a word changes the name of a choice (optimizer.name=sgd), which chooses nothing.

    Args:
        words: of the command line; with data=hf among them, data.name chooses a data set.
    """
    option, _, value = word.lstrip("+").partition("=")
    group, _, name = option.partition(".")
    if name == "name" and group in groups and group != "logger":
        choices = [each for other in words if other.startswith(f"{group}=") for each in other.split("=")[1].split(",")]
        if any(named_by_user(group, each) for each in choices):
            return
        if group == "data" and "/" in value:
            raise Mistake(f"{option} names a data set of Hugging Face only beside data=hf; say data=hf {word}.")
        raise Mistake(f"{option} is only a label and chooses nothing; say {group}={value or '…'}.")


def refuse_bare_value(word: str, groups: Iterable[str]) -> None:
    """Raises a Mistake if a group is given a number or a truth value, as fill=0, where the name of a choice belongs."""
    group, _, value = word.partition("=")
    if group not in groups or value == "" or (CONF / group / f"{value}.yaml").exists():
        return
    if not re.fullmatch(r"null|true|false|[+-]?[\d_.]+(e[+-]?\d+)?", value, re.IGNORECASE):
        return
    if value == "null" and group in OPTIONAL:
        return
    advice = f"say {group}.NAME={value} for one of its options, or " if re.match(r"[+-]?\.?\d", value) else ""
    raise Mistake(f"{word} is no choice of {group}; {advice}choose one of {', '.join(choices_of(group))}.")


def refuse_value_of_group(word: str, groups: Iterable[str], program: str) -> None:
    """Raises a Mistake if a group of options is given one value, such as data.clip=8000 or explain.py's trainer=cpu."""
    option, _, value = word.partition("=")
    holds = selected(with_pages(program), option)
    if option in groups or not isinstance(holds, dict) or "_target_" in holds or value.startswith(("{", '"{', "'{")):
        return
    if option == "trainer" and value in ACCELERATORS:
        raise Mistake(f"{word} is no value; say trainer.accelerator={value}.")
    if option == "perturbation" and value == "null":
        raise Mistake("perturbation=null is no value; say perturbation.fractions=null, which removes nothing.")
    if "." not in option and (hint := meant(option, value, program)):
        raise Mistake(f"{word} is no value; {hint}.")
    raise Mistake(f"{option} is a group of options; say {option}.NAME=…, such as {option}.{next(iter(holds))}=….")


def check_resuming(overrides: Iterable[str], program: str) -> None:
    """Raises a Mistake if a resumed run is to go on in another folder, or as several jobs."""
    values = dict(word.partition("=")[::2] for word in overrides)
    path, folder = values.get("ckpt_path", ""), values.get("hydra.run.dir", "")
    if program != "train" or path in ("", "null"):
        return
    own = run_folder_of(path.strip("\"'"), None)
    if folder and own and absolute("hydra.run.dir", folder.strip("\"'")) != own:
        raise Mistake(f"hydra.run.dir={folder} is another folder than {own}, in which that run goes on; leave it out.")
    several = [name for name in values if name != "ckpt_path" and re.fullmatch(r"[^\[{\"']+,.+", values[name])]
    if several and set(MULTIRUN) & set(overrides) and "," not in path:
        raise Mistake(f"ckpt_path={path} goes on with one run, and {several[0]} has several values; leave -m out.")


def check_experiment(overrides: Iterable[str], program: str) -> None:
    """Raises a Mistake if the command line names an experiment that sets options of another program, or none."""
    named = [text.partition("=")[2] for text in overrides if text.startswith("experiment=")]
    for name in named:
        path = CONF / f"experiment/{name}.yaml"
        if not path.exists() or "experiment" not in top_level(program):
            continue  # Hydra or `top_level` refuses it later
        content = content_of(f"experiment/{name}")
        if not re.search(r"^\s*#\s*@package\s+_global_", path.read_text(encoding="utf-8"), re.MULTILINE):
            raise Mistake(
                f"conf/experiment/{name}.yaml would change nothing; put `# @package _global_` in its first line."
            )
        swept = selected(content, "hydra.sweeper.params") or {}
        sets = groups_of(content) | {str(key).partition(".")[0] for key in (*content, *swept)} - {"defaults", "hydra"}
        fits = [other for other in PROGRAMS if sets <= top_level(other)]
        if fits and program not in fits:
            raise Mistake(f"experiment={name} is one of python {fits[0]}.py, not of {program}.py; leave it out.")


def check_ranges(overrides: Iterable[str], program: str) -> None:
    """Raises a Mistake if an option that is one number is given a list, or a range as others write it: fold=0..4."""
    for word in overrides:
        match = re.fullmatch(r"([\w.]+)=(\d{1,4})(?:\.\.|-|:)(\d{1,4})", word)
        if match and isinstance(default(match.group(1), overrides, program), int):
            option, first, last = match.group(1), int(match.group(2)), int(match.group(3))
            values = range(first, last + 1)
            several = ",".join(map(str, values)) if 0 < len(values) <= 10 else f"range({first},{last + 1})"
            raise Mistake(f"{word} is not one value; say -m {option}={several} to run with each.")
        match = re.fullmatch(r"([\w.]+)=\[([^\[\]{}]*,[^\[\]{}]*)\]", word)
        if not match or match.group(1) in TAKE_LISTS or program in ("serve", "study"):
            continue
        if is_one_number(match.group(1), overrides, program) and fit(match.group(1), match.group(2).split(",")):
            raise Mistake(f"{word} is a list, and as such one value; say -m {match.group(1)}={match.group(2)}.")


def is_one_number(option: str, overrides: Iterable[str], program: str) -> bool:
    """Whether an option takes one number or truth value. Of parts that are not ours, only `NUMBERS` says so."""
    if any(option == name for name, *_ in NUMBERS):
        return True
    composition = composed(overrides, program)
    config = OmegaConf.to_container(composition, resolve=False)
    targets = {word.partition("=")[0]: word.partition("=")[2] for word in overrides}
    groups = option.split(".")[:-1]
    for count in range(1, len(groups) + 1):
        name = ".".join([*groups[:count], "_target_"])
        if not str(targets.get(name) or selected(config, name) or "auscult.").startswith("auscult."):
            return False
    value = selected(config, option)
    with suppress(OmegaConfBaseException):
        value = OmegaConf.select(composition, option)  # which may be that of another option
    return isinstance(value, int | float)


def check_sweep(overrides: Iterable[str], program: str) -> None:
    """Raises a Mistake if benchmark.py is to run for each attribution, as a single run of it compares them all."""
    for word in overrides:
        if program == "benchmark" and (several := re.fullmatch(r"(attribution|domain)=(\w+(?:,\w+)+)", word)):
            raise Mistake(
                f"{word} makes a leaderboard for each; say {several[1]}s=[{several[2]}], without -m, for one."
            )


def is_open(option: str, overrides: Iterable[str], program: str) -> bool:
    """Whether an option is of a part. A part takes more options than conf/ names, and refuses wrong ones itself."""
    if option.rpartition(".")[0] in CLOSED:
        return False
    config = OmegaConf.to_container(composed(overrides, program), resolve=False)
    if option.startswith("logger."):
        return selected(config, "logger.name") == "wandb"
    groups = option.split(".")[:-1]
    nodes = [selected(config, ".".join(groups[:count])) for count in range(1, len(groups) + 1)]
    return any(isinstance(node, dict) and "_target_" in node for node in nodes) and not owners_of(option)
