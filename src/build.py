from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate

from auscult.former_names import current_name
from auscult.mistake import Mistake


def build(node: dict[str, Any], option: str, *arguments: Any, **more: Any) -> Any:
    """Builds what a node of the configuration names as its `_target_`.

    Args:
        node: the `_target_` and its options.
        option: the node's own name, for the message.
        arguments: positional arguments that the configuration cannot know.
        more: keyword arguments that the configuration cannot know.

    Raises:
        Mistake: there is no such target, or it refuses the options, or does not know one.
    """
    if "_target_" not in node:
        raise Mistake(f"{option} has no _target_, which names the class to build; its YAML needs one.")
    try:
        return instantiate({**node, "_target_": current_name(str(node["_target_"]))}, *arguments, **more)
    except InstantiationException as error:
        cause = error.__cause__
        if str(error).startswith("Error locating target"):
            reason = f" ({cause.__context__ or cause})" if cause else ""
            raise Mistake(f"{option}._target_={node['_target_']} cannot be imported{reason}.") from error
        if isinstance(cause, Mistake):
            raise cause from error
        if isinstance(cause, TypeError) and "argument" in str(cause):
            if not isinstance(get_object(current_name(str(node["_target_"]))), type):
                raise Mistake(f"{option}._target_={node['_target_']} is no class; name one, to be built.") from error
            raise Mistake(f"{option}: {cause}.") from error
        raise


def build_named(node: dict[str, Any], option: str, *arguments: Any) -> Any:
    """Builds a choice of a group without its `name`, which is no option of the class; see `build`."""
    return build({name: value for name, value in node.items() if name != "name"}, option, *arguments)
