"""What the files of `conf/` offer: groups, their choices, and the options of each program at the top level."""

import difflib
from pathlib import Path
from typing import Any

import yaml

from auscult.mistake import Mistake

HOUSE = Path(__file__).parents[1]
CONF = next(path for path in (HOUSE / "conf", HOUSE.parent / "conf") if path.is_dir())  # installed; in the checkout
PROGRAMS = ("train", "explain", "benchmark", "serve", "study")


def content_of(name: str) -> dict[str, Any]:
    """What a file of `conf/` holds, such as "train" or "model/melcnn"."""
    return yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8")) or {}


def choices_of(group: str) -> list[str]:
    """The names that a group of the configuration can be given."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def choice(group: str, name: str, **changed: Any) -> dict[str, Any]:
    """What a choice of a group holds, such as attribution=integrated_gradients, whoever asks for it from wherever.

    Args:
        changed: values that some of its options are to have.

    Raises:
        Mistake: there is no such choice, or it has no such option.
    """
    from hydra import compose, initialize_config_dir  # only now: most that look into `conf/` need no Hydra
    from hydra.core.global_hydra import GlobalHydra
    from hydra.initialize import get_gh_backup, restore_gh_from_backup
    from omegaconf import OmegaConf

    known = choices_of(group)
    if name not in known:
        raise Mistake(f"{group}={name} is unknown; {nearest(name, known)}.")
    callers = get_gh_backup()  # whoever asks may be a program of Hydra's, with another configuration
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


def nearest(name: str, known: list[str]) -> str:
    """Says which of the known names may have been meant, or names all of them."""
    close = difflib.get_close_matches(name, known, cutoff=0.65)  # gradcam is 0.62 of random
    return f"choose {close[0]}" if len(close) == 1 else f"choose one of {', '.join(close or known)}"


def groups_of(content: dict[str, Any]) -> set[str]:
    """The groups that the defaults of a file choose of."""
    entries = [entry for entry in content.get("defaults", []) if isinstance(entry, dict)]
    return {group.removeprefix("override ").lstrip("/") for entry in entries for group in entry}


def with_pages(program: str) -> dict[str, Any]:
    """What the file of a program holds, with what the files of its pages do, if it serves some."""
    content = content_of(program)
    pages = choices_of("page") if "page" in groups_of(content) else []
    return {name: value for page in pages for name, value in content_of(f"page/{page}").items()} | content


def top_level(program: str) -> set[str]:
    """The first parts of the options that a program has, on whichever page."""
    content = with_pages(program)
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
    files = {choice: with_base(group, choice) for choice in choices_of(group)}
    if "/" in option:
        return [f"{group}={choice}" for choice, content in files.items() if name in groups_of(content)]
    return [f"{group}={choice}" for choice, content in files.items() if name in content]


def with_base(group: str, choice: str) -> dict[str, Any]:
    """What a file of a group holds, with what it takes from another one of the group, which its defaults name."""
    content = content_of(f"{group}/{choice}")
    for base in content.get("defaults", []):
        if base in choices_of(group):
            content = content_of(f"{group}/{base}") | content
    return content


def selected(config: Any, option: str) -> Any:
    """The value of an option such as "data.clip.seconds"; None where there is none."""
    for name in option.split("."):
        if not isinstance(config, dict):
            return None
        config = config.get(name)
    return config
