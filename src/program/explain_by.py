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
REMOVAL = ("definition", "fractions", "random_orders")  # options of `perturbation` in explain.py
OPTIONS = ("fill", "seed", *REMOVAL)
# how the names of a group's metrics begin; those of its first explanation are there also without its name before them
TOPICS = {"attribution": "perturbation/", "intervention": "intervention/"}
SHOWS_INTERVENTION = "gradient_x_input"  # an attribution that every network allows


def explanations_of(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The explanations of a run at its end, by name: options of explain.py, without those that keep their defaults.

    A choice of a group is its name, or its resolved content. An intervention is tested without the removal of features,
    and its clips are shown by the first attribution.

    Args:
        config: a training's, in plain containers.

    Raises:
        Mistake: one of them is no explanation.
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
    named = config.get("explain_by") or []  # earlier checkpoints lack it
    if not isinstance(named, list):
        raise Mistake(
            f"explain_by={shown(named)} is not a list of attributions and interventions, such as [lrp_epsilon_plus]."
        )
    if len({str(name) for name in named}) < len(named):
        raise Mistake(f"explain_by={shown(named)} has a name twice; leave one out.")
    if "freqrise" in named:
        raise Mistake(
            "explain_by has freqrise, which masks frequencies, and a training explains its input: leave it out; later,"
            " python explain.py checkpoint=… attribution=freqrise domain=frequency explains the network by it."
        )
    for name in named:
        group_of(str(name), named)


def group_of(name: str, named: list[Any]) -> str:
    """The group of the configuration that has a name of `explain_by`.

    Raises:
        Mistake: none of the groups has it, or both have.
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
    """The nodes of `callbacks` that are no callbacks, but explain at the end."""
    callbacks = config.get("callbacks")
    return {key: node for key, node in (callbacks if isinstance(callbacks, dict) else {}).items() if explains(node)}


def explains(node: Any) -> bool:
    """Whether a node of `callbacks` explains at the end."""
    return isinstance(node, dict) and "_target_" not in node and any(group in node for group in GROUPS)


def explanation_in(node: dict[str, Any], option: str) -> tuple[str, dict[str, Any]]:
    """The name of a node's attribution or intervention, and the options of explain.py.

    Raises:
        Mistake: the node names no choice of `conf/`, or has other options.
    """
    group = next(group for group in GROUPS if group in node)
    if unknown := [name for name in node if name not in (group, *OPTIONS)]:
        raise Mistake(f"{option}.{shown(unknown[0])} is not an option; choose among {group}, {', '.join(OPTIONS)}.")
    chosen = node[group]
    name = chosen.get("name") if isinstance(chosen, dict) else None
    if name not in choices_of(group):  # the name is also that of a folder
        raise Mistake(f"{option}.{group} is no choice of conf/{group}; choose among {', '.join(choices_of(group))}.")
    options: dict[str, Any] = {group: chosen, **{name: node[name] for name in ("fill", "seed") if name in node}}
    if removal := {name: node[name] for name in REMOVAL if name in node}:
        options["perturbation"] = removal
    return str(name), options


def is_explained(config: dict[str, Any], metrics: Iterable[str]) -> bool:
    """Whether the names of a run's metrics show that it has been explained at its end.

    Earlier versions wrote the metrics of a node of `callbacks` without its name before them.
    """
    begins: list[tuple[str, ...]] = [(f"{name}/",) for name in config.get("explain_by") or []]
    for key, node in nodes_of(config).items():
        name, options = explanation_in(node, f"callbacks.{shown(key)}")
        begins.append((f"{name}/", next(TOPICS[group] for group in GROUPS if group in options)))
    return all(any(name.startswith(begin) for name in metrics) for begin in begins)
