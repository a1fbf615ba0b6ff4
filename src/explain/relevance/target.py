"""Of which class relevance is asked."""

from collections.abc import Sequence

from auscult.mistake import Mistake

OF_CLIPS = ("predicted", "true")  # that differ from clip to clip


NEEDS_LABELS = {
    "target=true": "choose predicted, or a class by name",
    "intervention=…": "leave one of them out",
}


def check_labelled(target: int | str, intervention: object) -> None:
    """Raises a Mistake if the question needs labels; for clips that have none."""
    for option, needs_them in (("target=true", target == "true"), ("intervention=…", bool(intervention))):
        if needs_them:
            raise Mistake(f"{option} needs labels, which input=… does not have; {NEEDS_LABELS[option]}.")


def check_target(target: str, classes: Sequence[str]) -> None:
    """Raises a Mistake if the target is unknown."""
    if target not in (*OF_CLIPS, *classes):
        close = next((name for name in classes if name.casefold() == target.casefold()), None)
        choose = f"say target={close}" if close else f"choose predicted, true, or one of {', '.join(classes)}"
        raise Mistake(f"target={target} is unknown; {choose}.")
