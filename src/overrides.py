"""What a command line adds, takes away, chooses and sweeps, though nothing would come of it: Hydra lets it pass."""

import re
from collections.abc import Iterable

from omegaconf import OmegaConf

from src.complaint import composed, default, no_such_option, options
from src.conf import CONF, PROGRAMS, content_of, groups_of, owners_of, selected, top_level
from src.mistake import Mistake

# whose options whoever gets them checks
OPEN = ("trainer", "callbacks", "logger")
TAKE_LISTS = ("trainer.devices",)  # though their usual value is a number
MERGED = ("callbacks",)  # groups of which several choices make one


def check_changed(overrides: Iterable[str], program: str) -> None:
    """Looks at what the command line adds to the options (`+foo=bar`) or takes away (`~task`), which Hydra lets pass.

    Raises:
        Mistake: nothing would read what is added, or a run needs what is taken away.
    """
    words = list(overrides)
    groups = groups_of(content_of(program)) - set(MERGED)
    for word in words:
        if (found := re.fullmatch(r"([\w/]+)=\[(.*)\]", word)) and found.group(1) in groups:
            if found.group(1) == "logger":
                raise Mistake(f"{word} is a list, and one is to be chosen; say logger=wandb: metrics.csv comes anyway.")
            chosen = found.group(2) if "," not in found.group(2) else f"{found.group(2)} with -m"
            raise Mistake(f"{word} is a list, and one is to be chosen; say {found.group(1)}={chosen}.")
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
    """Raises a Mistake if the command line gives several values as other programs write them, as fold=0..4."""
    for word in overrides:
        found = re.fullmatch(r"([\w.]+)=(\d{1,4})(?:\.\.|-|:)(\d{1,4})", word)
        if found and isinstance(default(found.group(1), overrides, program), int):
            option, first, last = found.group(1), int(found.group(2)), int(found.group(3))
            values = range(first, last + 1)
            several = ",".join(map(str, values)) if 0 < len(values) <= 10 else f"range({first},{last + 1})"
            raise Mistake(f"{word} is not one value; say -m {option}={several} to run with each.")


def check_sweep(overrides: Iterable[str], program: str) -> None:
    """Raises a Mistake if a multirun is given a list as one value of an option that takes none, as fold=[0,1]."""
    for word in overrides:
        found = re.fullmatch(r"([\w.]+)=\[([^\[\]{}]*,[^\[\]{}]*)\]", word)
        if not found or found.group(1) in TAKE_LISTS:
            continue
        if isinstance(default(found.group(1), overrides, program), int | float):
            raise Mistake(f"{word} is a list, and as such one value; say -m {found.group(1)}={found.group(2)}.")


def is_open(option: str, overrides: Iterable[str], program: str) -> bool:
    """Whether an option is of a part, which takes more options than conf/ names and refuses by itself what it lacks."""
    config = OmegaConf.to_container(composed(overrides, program), resolve=False)
    groups = option.split(".")[:-1]
    nodes = [selected(config, ".".join(groups[:count])) for count in range(1, len(groups) + 1)]
    return any(isinstance(node, dict) and "_target_" in node for node in nodes) and not owners_of(option)
