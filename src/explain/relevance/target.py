"""Of what relevance is asked: of a class, of some classes against others, of a tag, or of a number."""

from collections.abc import Sequence

from auscult.mistake import Mistake
from auscult.plain_data import shown
from auscult.pretrained.options import LIKENESS, NUMBER
from auscult.program.conf import nearest

OF_CLIPS = ("predicted", "true")  # that differ from clip to clip
REST = "rest"  # all classes that `target` does not name

Target = str | list[str]

NEEDS_LABELS = {
    "target=true": "choose predicted, or a class by name",
    "intervention=…": "leave one of them out",
}


def check_labelled(target: object, intervention: object) -> None:
    """Raises a Mistake if the question needs labels; for clips that have none."""
    for option, needs_them in (("target=true", target == "true"), ("intervention=…", bool(intervention))):
        if needs_them:
            raise Mistake(f"{option} needs labels, which input=… does not have; {NEEDS_LABELS[option]}.")


def named(target: Target) -> list[str]:
    """The names in a target, or in what it is held against."""
    return target if isinstance(target, list) else [target]


def is_grouped(target: Target, against: Target | None) -> bool:
    """Whether groups of classes are asked for."""
    return isinstance(target, list) or against is not None


def name_of(target: Target, against: Target | None) -> str:
    """What is explained, in words: `dog or wolf against cat`."""
    words = " or ".join(name.removeprefix(NUMBER) for name in named(target))
    return words if against is None else f"{words} against {' or '.join(named(against))}"


def check_target(target: Target, classes: Sequence[str], against: Target | None = None, kind: str = "classes") -> None:
    """Raises a Mistake if a network cannot be asked for the target.

    Args:
        target: "predicted", "true", a name, or several names of classes.
        classes: names of the outputs.
        against: None; "rest"; or the names of other classes.
        kind: what the outputs are: "classes", "tags" or "number".
    """
    if isinstance(target, str) and target.startswith(LIKENESS) and target not in classes:
        return  # such a network has one output, the likeness
    if kind == "number":
        check_number(target, classes, against)
    elif kind == "tags":
        check_tag(target, classes, against)
    elif is_grouped(target, against):
        check_groups(named(target), None if against is None else named(against), classes)
    elif isinstance(target, str) and target.startswith(NUMBER) and target not in classes:
        raise Mistake(f"target={target}: the network tells classes apart and gives no number; choose a class.")
    else:
        check_name(target, (*OF_CLIPS, *classes), classes)


def check_name(target: Target, known: Sequence[str], classes: Sequence[str], option: str = "target") -> None:
    """Raises a Mistake if a target is none of the names that are known."""
    if target not in known:
        close = next((name for name in classes if name.casefold() == str(target).casefold()), None)
        others = ", ".join(name for name in known if name not in classes)
        choose = (
            f"say {option}={close}"
            if close
            else f"choose {others + ', or one of ' if others else ''}{', '.join(map(shown, classes[:100]))}"
        )
        raise Mistake(f"{option}={target} is unknown; {choose}.")


def check_groups(target: list[str], against: list[str] | None, classes: Sequence[str]) -> None:
    """Raises a Mistake unless both are different classes, and some classes are left."""
    if of_clips := [name for name in target if name in OF_CLIPS and name not in classes]:
        raise Mistake(
            f"target={of_clips[0]} differs from clip to clip; with against=…, or in a list, name the classes that are"
            " meant."
        )
    for option, names in (("target", target), ("against", [] if against in (None, [REST]) else against or [""])):
        for name in names:
            if name not in classes:
                raise Mistake(f"{option} has {shown(name)}, which is no class; {nearest(name, list(classes))}.")
            if names.count(name) > 1:
                raise Mistake(f"{option} names {shown(name)} twice; name it once.")
    if both := [name for name in target if name in (against or [])]:
        raise Mistake(f"target and against both name {shown(both[0])}; keep it in one of them.")
    if len(target) == len(classes):
        raise Mistake("target names all classes, so that none is left to tell them from; name fewer.")


def check_tag(target: Target, classes: Sequence[str], against: Target | None) -> None:
    """Raises a Mistake unless the target is one tag, or the likeliest."""
    if is_grouped(target, against):
        raise Mistake("tags do not exclude each other, so that none is held against others; name one tag by target=….")
    if target == "true" and target not in classes:
        raise Mistake("target=true: several tags may hold of a clip; name one of them, or say target=predicted.")
    check_name(target, ("predicted", *classes), classes)


def check_number(target: Target, classes: Sequence[str], against: Target | None) -> None:
    """Raises a Mistake unless the target is one of the numbers."""
    if is_grouped(target, against):
        raise Mistake(f"against=… and lists are of classes, and the network gives a number; say target={classes[0]}.")
    only = OF_CLIPS if len(classes) == 1 else ()
    check_name(str(target).removeprefix(NUMBER) if target not in classes else target, (*only, *classes), classes)
