"""What explains a network at the end of its training: attributions and interventions, each by its name.

`explain_by` lists names of `conf/attribution` and `conf/intervention`. A node of `callbacks` without a `_target_` is
one more of them, with options of its own: `callbacks=explain` and `callbacks=intervention` have such nodes.
"""

from collections.abc import Iterable
from typing import Any

from auscult.mistake import Mistake
from auscult.plain_data import shown
from auscult.program.conf import choices_of

GROUPS = ("attribution", "intervention")
REMOVAL = ("definition", "fractions", "random_orders")  # which are options of `perturbation`
OPTIONS = ("fill", "seed", *REMOVAL)
# how the metrics begin that each group writes, for the first of its names without that name before it
TOPICS = {"attribution": "perturbation/", "intervention": "intervention/"}
SHOWS_INTERVENTION = "gradient_x_input"  # which every network can be asked


def explanations_of(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What explains a run at its end, by name: options of explain.py, of which its own defaults may lack.

    A choice of a group is there by its name, or resolved. Nothing is removed where an intervention is tested, and its
    clips are shown by the first attribution.

    Args:
        config: of a training, in plain containers.

    Raises:
        Mistake: something in it explains nothing.
    """
    explanations: dict[str, dict[str, Any]] = {}
    for key, node in nodes_of(config).items():
        name, options = explanation_in(node, f"callbacks.{shown(key)}")
        explanations[name] = options
    for name in map(str, config.get("explain_by") or []):
        explanations.setdefault(name, {group_of(name, config["explain_by"]): name})
    attributions = [options["attribution"] for options in explanations.values() if "attribution" in options]
    for options in explanations.values():
        if "intervention" in options:
            options["attribution"] = attributions[0] if attributions else SHOWS_INTERVENTION
            options["perturbation"] = {"fractions": None}
    return explanations


def check_explain_by(config: dict[str, Any]) -> None:
    """Raises a Mistake unless `explain_by` is a list of names, each of an attribution or an intervention."""
    named = config.get("explain_by") or []  # checkpoints from before it was an option have none
    if not isinstance(named, list):
        raise Mistake(
            f"explain_by={shown(named)} is not a list of attributions and interventions, such as [lrp_epsilon_plus]."
        )
    if len({str(name) for name in named}) < len(named):
        raise Mistake(f"explain_by={shown(named)} has a name twice; leave one out.")
    for name in named:
        group_of(str(name), named)


def group_of(name: str, named: list[Any]) -> str:
    """The group of the configuration that a name of `explain_by` is of.

    Raises:
        Mistake: it is of none, or of both.
    """
    groups = [group for group in GROUPS if name in choices_of(group)]
    if not groups:
        choices = " or an intervention: ".join(", ".join(choices_of(group)) for group in GROUPS)
        raise Mistake(f"explain_by={shown(named)} names {shown(name)}; choose among {choices}.")
    if len(groups) > 1:
        files = " or ".join(f"conf/{group}/{name}.yaml" for group in groups)
        raise Mistake(f"explain_by={shown(named)} names {name}, an attribution and an intervention; rename {files}.")
    return groups[0]


def nodes_of(config: dict[str, Any]) -> dict[Any, dict[str, Any]]:
    """The nodes of `callbacks` that explain at the end, and are no callbacks."""
    callbacks = config.get("callbacks")
    return {key: node for key, node in (callbacks if isinstance(callbacks, dict) else {}).items() if explains(node)}


def explains(node: Any) -> bool:
    """Whether a node of `callbacks` explains at the end."""
    return isinstance(node, dict) and "_target_" not in node and any(group in node for group in GROUPS)


def explanation_in(node: dict[str, Any], option: str) -> tuple[str, dict[str, Any]]:
    """The name of what a node explains by, and the options of explain.py.

    Raises:
        Mistake: it explains by no choice of `conf/`, or has other options.
    """
    group = next(group for group in GROUPS if group in node)
    if unknown := [name for name in node if name not in (group, *OPTIONS)]:
        raise Mistake(f"{option}.{shown(unknown[0])} is not an option; choose among {group}, {', '.join(OPTIONS)}.")
    chosen = node[group]
    name = chosen.get("name") if isinstance(chosen, dict) else None
    if name not in choices_of(group):  # which also names a folder
        raise Mistake(f"{option}.{group} is no choice of conf/{group}; choose among {', '.join(choices_of(group))}.")
    options: dict[str, Any] = {group: chosen, **{name: node[name] for name in ("fill", "seed") if name in node}}
    if removal := {name: node[name] for name in REMOVAL if name in node}:
        options["perturbation"] = removal
    return str(name), options


def is_explained(config: dict[str, Any], metrics: Iterable[str]) -> bool:
    """Whether the names of a run's metrics are those of one that has been explained at its end.

    What `callbacks` name was written without a name before it in earlier versions.
    """
    begins: list[tuple[str, ...]] = [(f"{name}/",) for name in config.get("explain_by") or []]
    for key, node in nodes_of(config).items():
        name, options = explanation_in(node, f"callbacks.{shown(key)}")
        begins.append((f"{name}/", next(TOPICS[group] for group in GROUPS if group in options)))
    return all(any(name.startswith(begin) for name in metrics) for begin in begins)
