class Mistake(Exception):
    """A user's mistake, said in one sentence that names the option and the way out.

    `train.py` prints it and exits with status 1, without a traceback; a notebook shows it so, too.
    """

    def _render_traceback_(self) -> list[str]:
        """What IPython shows of it."""
        return [f"Mistake: {self}"]


class NoSuchFold(Mistake):
    """A fold beyond those that the task has; `missing_fold=skip` leaves such a job out of a sweep."""


class TooFewSpeakers(Mistake):
    """Classes, `few`, that come from too few speakers for folds."""

    def __init__(self, message: str, few: list[str]) -> None:
        super().__init__(message)
        self.few = few


class Occupied(Mistake):
    """A folder that another run has; whoever is told so must not write into it."""


class CannotGoOn(Mistake):
    """A run that is stopped and whose checkpoint does not fit what it is asked for; nothing was trained."""
