"""A log that nobody can fill."""

import logging
import time
import traceback

SECONDS = 60.0  # between two lines that say the same
MOST = 1000  # lines that are remembered


class BoundedLog(logging.Filter):
    """Lets the same line through once a minute. The next one says how many were left out."""

    def __init__(self) -> None:
        super().__init__()
        self.said: dict[tuple[object, ...], float] = {}
        self.left_out: dict[tuple[object, ...], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets a message through, unless the same one was let through a moment ago."""
        error = record.exc_info[1] if record.exc_info else None
        frames = traceback.extract_tb(error.__traceback__)[-1:] if error else []
        same = (str(record.msg).split("\n")[0][:100], type(error), *(frame[:2] for frame in frames))
        now = time.monotonic()
        if now - self.said.get(same, -SECONDS) < SECONDS:
            self.left_out[same] = self.left_out.get(same, 0) + 1
            return False
        if len(self.said) >= MOST:
            self.said.clear()
            self.left_out.clear()
        self.said[same] = now
        if count := self.left_out.pop(same, 0):
            record.msg = f"{record.msg} ({count} more such lines were left out.)"
        return True
