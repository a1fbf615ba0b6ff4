"""See and hear what an audio network listens to.

    import auscult

    model = auscult.load("outputs/DATE/TIME")
    explanation = auscult.explain(model, "dog.wav")
    explanation.plot()

Each name is imported when it is first used, as the import of PyTorch takes seconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auscult.explain.interface import explain
    from auscult.explain.loading import TrainedModel, load
    from auscult.explain.show.explanation import Explanation
    from auscult.mistake import Mistake
    from auscult.modules.model import Model

__all__ = ["Explanation", "Mistake", "Model", "TrainedModel", "explain", "load"]

HOMES = {  # modules of the names that are not in `interface`
    "Explanation": "auscult.explain.show.explanation",
    "Mistake": "auscult.mistake",
    "TrainedModel": "auscult.explain.loading",
    "load": "auscult.explain.loading",
    "Model": "auscult.modules.model",
}

if __name__ == "src":  # the import name of earlier versions
    from auscult.former_names import let_former_names_be_imported

    let_former_names_be_imported()


if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> Any:
        if name == "explain":  # the package itself, which can be called
            return import_module("auscult.explain")
        if name in __all__:
            return getattr(import_module(HOMES.get(name, "auscult.explain.interface")), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
