class Mistake(Exception):
    """A user's mistake, in one sentence that names the option and the way out.

    A program prints it and exits with status 1, without a traceback. A notebook shows it without a traceback, too.
    """

    def _render_traceback_(self) -> list[str]:
        """The lines that IPython shows instead of a traceback."""
        return [f"Mistake: {self}"]


class NoSuchFold(Mistake):
    """The task has no such fold; `missing_fold=skip` leaves such a job out of a sweep."""


class TooFewSpeakers(Mistake):
    """Some classes, `few`, come from too few speakers for folds."""

    def __init__(self, message: str, few: list[str]) -> None:
        super().__init__(message)
        self.few = few


class Occupied(Mistake):
    """Another run has the folder, so nothing may be written into it."""


class CannotGoOn(Mistake):
    """The checkpoint of a stopped run does not fit what the run is to do. Nothing was trained."""
