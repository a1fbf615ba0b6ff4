"""Explanations of networks. The package itself can be called: `auscult.explain(model, "dog.wav")`, see `interface`."""

import inspect
import sys
from types import ModuleType
from typing import Any


class CallablePackage(ModuleType):
    """Does what `interface.explain` does, which is imported when it is called: PyTorch takes seconds."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from auscult.explain.interface import explain

        return explain(*arguments, **options)

    @property
    def __signature__(self) -> inspect.Signature:
        from auscult.explain.interface import explain

        return inspect.signature(explain)


sys.modules[__name__].__class__ = CallablePackage
