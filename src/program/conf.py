"""What the files of `conf/` offer: groups, their choices, and the options of each program at the top level."""

from pathlib import Path
from typing import Any

import yaml

CONF = Path(__file__).parents[2] / "conf"
PROGRAMS = ("train", "explain", "benchmark", "serve", "study")


def content_of(name: str) -> dict[str, Any]:
    """What a file of `conf/` holds, such as "train" or "model/melcnn"."""
    return yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8")) or {}


def choices_of(group: str) -> list[str]:
    """The names that a group of the configuration can be given."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def groups_of(content: dict[str, Any]) -> set[str]:
    """The groups that the defaults of a file choose of."""
    entries = [entry for entry in content.get("defaults", []) if isinstance(entry, dict)]
    return {group.removeprefix("override ").lstrip("/") for entry in entries for group in entry}


def top_level(program: str) -> set[str]:
    """The first parts of the options that a program has."""
    content = content_of(program)
    return groups_of(content) | {str(name) for name in content} - {"defaults", "hydra"}


def listed_groups(program: str) -> str:
    """The groups of a program's configuration, a line each with what can be chosen."""
    groups = groups_of(content_of(program))
    within = {f"{group}/{path.name}" for group in groups for path in (CONF / group).iterdir() if path.is_dir()}
    return "\n".join(f"{group}: {', '.join(choices_of(group))}" for group in sorted(groups | within))


def owners_of(option: str) -> list[str]:
    """The choices of a group that have an option which the one chosen lacks, such as data=folder for data.pattern.

    The option may be a group of theirs, as `model/front_end`.
    """
    group, _, name = option.replace("/", ".").partition(".")
    if not name:
        return []
    files = {choice: content_of(f"{group}/{choice}") for choice in choices_of(group)}
    if "/" in option:
        return [f"{group}={choice}" for choice, content in files.items() if name in groups_of(content)]
    return [f"{group}={choice}" for choice, content in files.items() if name in content]


def selected(config: Any, option: str) -> Any:
    """The value of an option such as "data.clip.seconds"; None where there is none."""
    for name in option.split("."):
        if not isinstance(config, dict):
            return None
        config = config.get(name)
    return config
