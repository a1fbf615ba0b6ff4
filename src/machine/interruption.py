"""Ends a program at SIGTERM or Ctrl-C, and says how to go on.

In a job a signal raises `Interrupted` wherever the program is, so that files, locks and processes are released on the
way out. A library may catch it, or compute for long: `GRACE` seconds after SIGTERM the program ends anyway. Outside of
a job there is nothing to release, and the program ends at once. Imports nothing heavy: the programs read this file
before any other.
"""

import logging
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from auscult.files import full_disk
from auscult.machine.processes import folder_of_first_process

log = logging.getLogger(__name__)

STATUS = {signal.SIGINT: 1, signal.SIGTERM: 128 + signal.SIGTERM}
REASON = {signal.SIGINT: "Interrupted", signal.SIGTERM: "Ended by SIGTERM"}
GRACE = 6.5  # seconds between SIGTERM and the end
CHILDREN_GRACE = 1.5  # seconds that other processes have to end by themselves
LOST = 255  # in the place of a signal's number, if Python dropped its exception
SAYING_SECONDS = 1.0  # at most: the program ends even if nobody reads its output


class Interrupted(SystemExit):
    """Raised by a signal; libraries let it pass, as they do when a program exits."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(STATUS[number])
        self.number = number


class _Ending:
    """What this process knows of its end."""

    number: signal.Signals | None = None
    in_job = False
    said = False
    way_on: Callable[[], str] = staticmethod(lambda: "repeat the command: nothing was saved yet")


def listen() -> None:
    """Lets SIGTERM and Ctrl-C end this process, which has just been started."""
    if folder_of_first_process():
        leave_the_end_to_the_first_process()
        return
    for number in STATUS:
        # a shell's background jobs ignore Ctrl-C
        if number == signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)
    # Python runs a handler only between two of its own instructions; this thread hears of the signal in any case
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(heard,), daemon=True, name="interruption").start()
    sys.unraisablehook = lambda lost: _hear_of_lost(lost, told)
    os.register_at_fork(after_in_child=_stop_listening)


def leave_the_end_to_the_first_process() -> None:
    """Lets a further process of a run wait until the first one ends it, as a signal to the group reaches both.

    If it ended by itself, Lightning would take this for a failure and kill the first process.
    """

    def wait(number: int, frame: FrameType | None) -> None:
        time.sleep(GRACE + CHILDREN_GRACE)  # the first process may be gone
        os._exit(STATUS[signal.Signals(number)])

    for number in STATUS:
        signal.signal(number, wait)
    for number in (signal.SIGUSR1, signal.SIGUSR2):  # a queue announces the end with one of them
        signal.signal(number, signal.SIG_IGN)


def set_way_on(way_on: Callable[[], str]) -> None:
    """Sets how to go on if the program is interrupted from now on."""
    _Ending.way_on, _Ending.said = staticmethod(way_on), False


@contextmanager
def of_job(way_on: Callable[[], str]) -> Iterator[None]:
    """Says how to go on with the job within, if a signal or a queue stops it.

    Raises:
        Interrupted: a signal came, even if something within caught the exception.
    """
    set_way_on(way_on)
    _Ending.in_job = True
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as stop:
        if isinstance(stop, Interrupted):
            _Ending.number = stop.number
        elif _Ending.number is None:
            by_hand = isinstance(stop, KeyboardInterrupt) or isinstance(stop.__context__, KeyboardInterrupt)
            _say(REASON[signal.SIGINT] if by_hand else "Stopped")
            raise
    except BaseException:
        if _Ending.number is None:
            raise
    finally:
        _Ending.in_job = False
    if _Ending.number is not None:
        _say(REASON[_Ending.number])
        end_children()
        raise Interrupted(_Ending.number)


def _say(reason: str) -> None:
    """Says once what happened and how to go on."""
    if not _Ending.said:
        _Ending.said = True
        if logging.getLogger().handlers:
            log.info("%s; %s", reason, _Ending.way_on())
        else:  # before Hydra has set the log up
            print(f"{reason}; {_Ending.way_on()}", file=sys.stderr, flush=True)


def leave(interrupted: Interrupted) -> None:
    """Ends the program now. Python would first shut down all libraries, which can take long."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(STATUS[interrupted.number])


def end_children(grace: float = CHILDREN_GRACE) -> None:
    """Ends all processes that come from this one, such as a launcher's jobs."""
    left = descendants()
    for pid in left:
        _send(pid, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while (left := [pid for pid in left if _is_alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in left:
        _send(pid, signal.SIGKILL)
    while any(map(_is_alive, left)) and time.monotonic() < deadline + 1:
        time.sleep(0.02)


def descendants() -> list[int]:
    """The processes that come from this one, if the system lists them in /proc."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text(errors="replace").rpartition(")")[2].split()[:2]
            command = (path.parent / "cmdline").read_bytes()
        except OSError:  # it ended meanwhile
            continue
        if state != "Z" and b"resource_tracker" not in command:  # Python's own, which tidies up after this process
            parents[int(path.parent.name)] = int(parent)
    pids = [os.getpid()]
    for pid in pids:
        pids += [child for child, parent in parents.items() if parent == pid]
    return pids[1:]


def _raise(number: int, frame: FrameType | None) -> None:
    _Ending.number = _Ending.number or signal.Signals(number)
    if not _Ending.in_job:
        end(_Ending.number)
    raise Interrupted(_Ending.number)


def _hear_of_lost(lost: "sys.UnraisableHookArgs", told: int) -> None:
    """Tells `_watch` of a signal that came while Python tidied up an object, which drops the exception."""
    if isinstance(lost.exc_value, Interrupted):
        os.write(told, bytes([LOST]))
    elif not full_disk(lost.exc_value):  # a full disk is reported where the file is written
        sys.__unraisablehook__(lost)


def _watch(heard: int) -> None:
    """Ends the program some time after SIGTERM, at a second Ctrl-C, and if the first one goes unnoticed.

    Raises the signal again if it was lost, and halfway, as a library may have caught it.
    """
    begun, halfway, terminated, pressed = 0.0, False, False, 0
    while True:
        left = max(0.0, begun + (GRACE if halfway else GRACE / 2) - time.monotonic()) if begun else None
        number = os.read(heard, 1)[0] if select.select([heard], [], [], left)[0] else None
        if number in STATUS:
            begun = begun or time.monotonic()
            terminated, pressed = terminated or number == signal.SIGTERM, pressed + (number == signal.SIGINT)
        is_over = number is None and halfway and (terminated or _Ending.number is None)
        if is_over or pressed > 1:
            end(_Ending.number or (signal.SIGTERM if terminated else signal.SIGINT))
        if number == LOST or (number is None and not halfway and terminated):
            time.sleep(0.1)  # until Python has dropped it
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
        if number is None:
            begun, halfway = 0.0 if halfway else begun, True


def end(number: signal.Signals) -> None:
    """Says how to go on, and ends the program at once, whatever its threads are doing."""
    # in another thread, as it may wait for a lock of a thread that does not end
    saying = threading.Thread(target=_say, args=(REASON[number],), daemon=True)
    saying.start()
    saying.join(SAYING_SECONDS)
    end_children(grace=0.5)
    os._exit(STATUS[number])


def _stop_listening() -> None:
    signal.set_wakeup_fd(-1)
    for number in STATUS:
        if signal.getsignal(number) is _raise:
            signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.default_int_handler)


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except OSError:  # it ended meanwhile
        return


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
