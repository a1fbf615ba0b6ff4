"""Tables of names that need not be UTF-8, as those of files."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import pandas as pd

P = ParamSpec("P")
R = TypeVar("R")


def any_names(function: Callable[P, R]) -> Callable[P, R]:
    """The function, with tables that take any text: where pyarrow is installed, pandas refuses what is not UTF-8."""

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        with pd.option_context("mode.string_storage", "python"):
            return function(*args, **kwargs)

    return called
