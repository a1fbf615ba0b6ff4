"""What the files of `conf/` offer: groups, their choices, and the options of each program at the top level."""

import difflib
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from auscult.mistake import Mistake

HOUSE = Path(__file__).parents[1]
CONF = next(path for path in (HOUSE / "conf", HOUSE.parent / "conf") if path.is_dir())  # in the package; in a checkout
PROGRAMS = ("train", "explain", "benchmark", "serve", "study")


def content_of(name: str) -> dict[str, Any]:
    """What a file of `conf/` holds, such as "train" or "model/melcnn"."""
    return _parsed((CONF / f"{name}.yaml").read_text(encoding="utf-8"))


@cache
def _parsed(text: str) -> dict[str, Any]:
    """The content of a YAML file; the same files are asked for again and again, and parsing them takes a while."""
    return yaml.safe_load(text) or {}


def choices_of(group: str) -> list[str]:
    """The names that a group of the configuration can be given."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def named_by_user(group: str, choice: str) -> bool:
    """Whether the user names what a choice of a group is called, as in data=hf data.name=…"""
    return choice in choices_of(group) and content_of(f"{group}/{choice}").get("name") == "???"


def chosen(group: str, node: dict[str, Any]) -> Any:
    """The choice of a group that a node of a configuration comes from: its name, if the user does not give that."""
    for each in choices_of(group):
        if named_by_user(group, each) and content_of(f"{group}/{each}")["_target_"] == node.get("_target_"):
            return each
    return node.get("name")


def choice(group: str, name: str, **changed: Any) -> dict[str, Any]:
    """The content of a choice of a group, such as attribution=integrated_gradients, also outside of the programs.

    Args:
        changed: options of the choice, with new values.

    Raises:
        Mistake: there is no such choice, or it has no such option.
    """
    from hydra import compose, initialize_config_dir  # only now: most callers of this module need no Hydra
    from hydra.core.global_hydra import GlobalHydra
    from hydra.initialize import get_gh_backup, restore_gh_from_backup
    from omegaconf import OmegaConf

    choices = choices_of(group)
    if name not in choices:
        raise Mistake(f"{group}={name} is unknown; {nearest(name, choices)}.")
    callers = get_gh_backup()  # the caller may be a program of Hydra's, with another configuration
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            node: Any = OmegaConf.to_container(compose(f"{group}/{name}")[group], resolve=True)
    finally:
        restore_gh_from_backup(callers)
    options = [option for option in node if option not in ("name", "_target_")]
    for option in changed:
        if option not in options:
            what = nearest(option, options) if options else "leave it out"
            raise Mistake(f"{group}={name} has no option {option}; {what}.")
    return {**node, **changed}


def nearest(name: str, choices: list[str]) -> str:
    """The advice to choose one of those that begin with the name; else the closest of the choices, or one of all."""
    begun = [choice for choice in choices if name and choice.startswith(f"{name}_")]
    close = begun or difflib.get_close_matches(name, choices, cutoff=0.65)  # gradcam and random score 0.62
    return f"choose {close[0]}" if len(close) == 1 else f"choose one of {', '.join(close or choices)}"


def groups_of(content: dict[str, Any]) -> set[str]:
    """The groups that the defaults of a file choose from."""
    entries = [entry for entry in content.get("defaults", []) if isinstance(entry, dict)]
    return {group.removeprefix("override ").lstrip("/") for entry in entries for group in entry}


def with_pages(program: str) -> dict[str, Any]:
    """The content of a program's file, with the contents of its pages' files if it serves pages."""
    content = with_included(program)
    pages = choices_of("page") if "page" in groups_of(content) else []
    return {name: value for page in pages for name, value in with_included(f"page/{page}").items()} | content


def with_included(name: str) -> dict[str, Any]:
    """The content of a file of `conf/`, with the contents of other files that its defaults name."""
    content = content_of(name)
    entries = [entry for entry in content.get("defaults", []) if isinstance(entry, str) and entry != "_self_"]
    return {option: value for entry in entries for option, value in content_of(entry.lstrip("/")).items()} | content


def top_level(program: str) -> set[str]:
    """The first parts of a program's options, on all its pages."""
    content = with_pages(program)
    return groups_of(content) | {str(name) for name in content} - {"defaults", "hydra"}


def listed_groups(program: str) -> str:
    """The groups of a program's configuration, a line each with what can be chosen."""
    groups = groups_of(content_of(program))
    within = {f"{group}/{path.name}" for group in groups for path in (CONF / group).iterdir() if path.is_dir()}
    return "\n".join(f"{group}: {', '.join(choices_of(group))}" for group in sorted(groups | within))


def owners_of(option: str) -> list[str]:
    """The choices of a group that have an option, such as data=folder for data.pattern.

    The option may be a group within the group, such as `model/front_end`.
    """
    group, _, name = option.replace("/", ".").partition(".")
    if not name:
        return []
    files = {choice: with_base(group, choice) for choice in choices_of(group)}
    if "/" in option:
        return [f"{group}={choice}" for choice, content in files.items() if name in groups_of(content)]
    return [f"{group}={choice}" for choice, content in files.items() if name in content]


def with_base(group: str, choice: str) -> dict[str, Any]:
    """The content of a group's file, with that of the files of the same group that its defaults name."""
    content = content_of(f"{group}/{choice}")
    for base in content.get("defaults", []):
        if base in choices_of(group):
            content = content_of(f"{group}/{base}") | content
    return content


def selected(config: Any, option: str) -> Any:
    """The value of an option such as "data.clip.seconds"; None if there is no such option."""
    for name in option.split("."):
        if not isinstance(config, dict):
            return None
        config = config.get(name)
    return config
