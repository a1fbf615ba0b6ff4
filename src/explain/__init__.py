"""Explanations of networks.

The package itself can be called: `auscult.explain(model, "dog.wav", attribution=…, domain=…, target=…)`, or with
samples and their `sample_rate`. `help(auscult.explain.interface.explain)` says what each of these may be.
"""

import inspect
import sys
from types import ModuleType
from typing import Any


class CallablePackage(ModuleType):
    """Calls `interface.explain`. It is imported only then, as the import of PyTorch takes seconds."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from auscult.explain.interface import explain

        return explain(*arguments, **options)

    @property
    def __signature__(self) -> inspect.Signature:
        from auscult.explain.interface import explain

        return inspect.signature(explain)


sys.modules[__name__].__class__ = CallablePackage
