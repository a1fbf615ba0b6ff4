"""Explanations of networks.

The package itself can be called: `auscult.explain(model, "dog.wav", attribution=…, domain=…, target=…)`, or with
samples and their `sample_rate`. `explain` in `auscult.explain.interface` says what each of these may be.
"""

import inspect
import sys
from difflib import get_close_matches
from types import ModuleType
from typing import Any


class CallablePackage(ModuleType):
    """Calls `interface.explain`. It is imported only then, as the import of PyTorch takes seconds."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from auscult.explain.interface import explain
        from auscult.mistake import Mistake

        known = inspect.signature(explain).parameters
        if others := [name for name in options if name not in known]:
            way = f'an option of an attribution or domain goes into it, as attribution={{"name": …, "{others[0]}": …}}'
            if close := get_close_matches(others[0], known, 1):
                way = f"say {close[0]}"
            raise Mistake(f"{others[0]} is no argument of auscult.explain: {way}.")
        return explain(*arguments, **options)

    @property
    def __signature__(self) -> inspect.Signature:
        from auscult.explain.interface import explain

        return inspect.signature(explain)


sys.modules[__name__].__class__ = CallablePackage
