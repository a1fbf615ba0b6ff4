"""See and hear what an audio network listens to.

    import auscult

    model = auscult.load("outputs/DATE/TIME")
    explanation = auscult.explain(model, "dog.wav")
    explanation.plot()

What is named here is imported when it is asked for: PyTorch takes seconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auscult.explain.interface import TrainedModel, explain, load
    from auscult.explain.show.explanation import Explanation
    from auscult.mistake import Mistake
    from auscult.modules.model import Model

__all__ = ["Explanation", "Mistake", "Model", "TrainedModel", "explain", "load"]

HOMES = {  # of what is not in the interface
    "Explanation": "auscult.explain.show.explanation",
    "Mistake": "auscult.mistake",
    "Model": "auscult.modules.model",
}

if __name__ == "src":  # as earlier versions were imported
    from auscult.former_names import let_former_names_be_imported

    let_former_names_be_imported()


if not TYPE_CHECKING:  # which would take any name for one of these

    def __getattr__(name: str) -> Any:
        if name == "explain":  # a package that can be called: its name would hide a function's
            return import_module("auscult.explain")
        if name in __all__:
            return getattr(import_module(HOMES.get(name, "auscult.explain.interface")), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
