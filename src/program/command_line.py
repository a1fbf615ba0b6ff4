"""Turns a command line into a job, and a user's mistake into one sentence, for all programs."""

import errno
import io
import logging
import os
import shlex
import shutil
import sys
import tomllib
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from auscult.files import full_disk
from auscult.machine import interruption
from auscult.machine import lock as folder_lock
from auscult.mistake import Mistake, NoSuchFold, Occupied
from auscult.plain_data import shown
from auscult.program import arguments, own_folder
from auscult.program.complaint import sentence
from auscult.program.conf import CONF
from auscult.program.earlier_run import FAILED, LEFT_OUT
from auscult.program.overrides import (
    check_changed,
    check_experiment,
    check_ranges,
    check_resuming,
    check_sweep,
    check_unread,
)

log = logging.getLogger(__name__)

LONGEST_SENTENCE = 4000  # characters
CLOSED = (errno.EROFS, errno.EACCES)

# configuration, run folder, folder of the multirun that the job is of, overrides -> value that a sweeper may optimise
Run = Callable[[DictConfig, Path, Path | None, list[str]], float | None]
# run folder -> how the user goes on after the run was stopped
WayOn = Callable[[Path], str]


def job(cfg: DictConfig, run: Run, way_on: WayOn) -> float | None:
    """Runs one job. In a multirun, a job that fails leaves the reason in its folder, and the other jobs go on."""
    hydra_cfg = HydraConfig.get()
    folder = Path(hydra_cfg.runtime.output_dir)
    sweep = Path(hydra_cfg.sweep.dir).absolute() if hydra_cfg.mode == RunMode.MULTIRUN else None
    if sweep and not hydra_cfg.launcher._target_.endswith("BasicLauncher"):
        os.environ["TTY_COMPATIBLE"] = "0"  # lines: progress bars of several jobs overwrite each other
    try:
        with interruption.of_job(lambda: _way_on(way_on, folder, sweep)), writing_to(folder, way_on):
            check_unread(cfg, str(hydra_cfg.job.config_name))
            return run(cfg, folder, sweep, overrides_given())
    except Mistake as mistake:
        if sweep is None:
            remove_traces(folder)
            sys.exit(shown(mistake, LONGEST_SENTENCE))
        if isinstance(mistake, Occupied):
            raise
        left_out = cfg.get("missing_fold") == "skip" and isinstance(mistake, NoSuchFold)
        log.warning("This job is left out: %s" if left_out else "This job failed: %s", mistake)
        leave(folder, LEFT_OUT if left_out else FAILED, str(mistake))
    except Exception as error:
        if was_given_up_by_queue(error):
            log.warning("%s; %s", str(error).rstrip("."), way_on(folder))
            leave(folder, FAILED, str(error))
            return None
        log.exception("This job failed.")  # in the log file, too
        if sweep is None:
            sys.exit(1)
        leave(folder, FAILED, f"{type(error).__name__}: {' '.join(str(error).split())}")
    return None


def _way_on(way_on: WayOn, folder: Path, sweep: Path | None) -> str:
    """How the user goes on with a run that was interrupted, and with the multirun that it is a job of."""
    if sweep and way_on is repeat:  # a repeated multirun goes on with the job, too
        return f"the sweep ends, {repeat_sweep(sweep)}"
    return f"{way_on(folder)}; the sweep ends, {repeat_sweep(sweep)}" if sweep else way_on(folder)


def remove_traces(folder: Path) -> None:
    """Removes the folder of a refused run, if it was made for it and holds only the record of how it was started."""
    with suppress(OSError):
        logs = [path for path in folder.iterdir() if path.suffix == ".log" and not path.stat().st_size]
        others = {path.name for path in folder.iterdir()} - {path.name for path in logs}
        if own_folder.was_made_here(folder) and others <= {".hydra", folder_lock.LOCK}:
            folder_lock.release()
            shutil.rmtree(folder)


def overrides_given() -> list[str]:
    """The command line's overrides, unresolved: one may refer to an option that does not exist."""
    return OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)  # type: ignore[return-value]


def repeat(folder: Path) -> str:
    """How the user goes on with a run of most programs."""
    return f"go on by repeating the command with {shlex.quote(f'hydra.run.dir={folder}')}"


def repeat_sweep(folder: Path) -> str:
    """How the user goes on with a multirun."""
    return f"go on by repeating the command with {shlex.quote(f'hydra.sweep.dir={folder}')}"


def was_given_up_by_queue(error: Exception) -> bool:
    """Whether submitit says that a job reached its time limit and will not be started again."""
    submitit = sys.modules.get("submitit.core.utils")
    return submitit is not None and isinstance(error, submitit.UncompletedJobError)


def leave(folder: Path, name: str, reason: str) -> None:
    """Writes to a file why a job has no results, if the disk can take it."""
    with suppress(OSError):
        (folder / name).write_text(f"{reason}\n", encoding="utf-8", errors="backslashreplace")


@contextmanager
def writing_to(folder: Path, way_on: WayOn) -> Iterator[None]:
    """Turns the error of a full or read-only disk into a Mistake."""
    try:
        yield
    except Mistake:
        raise
    except Exception as error:
        if full := full_disk(error):
            number, place = full
            raise Mistake(
                f"Cannot write to {place or folder} ({os.strerror(number)}); make room, then {way_on(folder)}"
            ) from error
        if isinstance(error, OSError) and error.errno in CLOSED:
            raise Mistake(
                f"Cannot write to {error.filename or folder} ({error.strerror}); name another folder with"
                " hydra.run.dir."
            ) from error
        raise


def start(main: Callable[[], Any], program: str) -> None:
    """Runs a Hydra main. A user's mistake ends the program with one sentence and exit status 1.

    Args:
        main: the decorated function.
        program: the name of its configuration, "train", "explain", ...
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors rather than printing them
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # PyTorch's profiler warns of memory that it has not seen
    os.environ["MPLBACKEND"] = "agg"  # nothing is shown in windows
    logging.raiseExceptions = False  # else a log file on a full disk complains at every line
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # recordings' names need not be UTF-8
    with suppress(OSError, ValueError, AttributeError):  # a service may have none; in a test it is no file
        sys.stderr = os.fdopen(os.dup(sys.stderr.fileno()), "w", 1, errors="backslashreplace")  # see `quiet`
    find_src_from_anywhere()
    words: list[str] = []
    try:
        sys.argv[1:] = words = arguments.arranged(sys.argv[1:], program)
        say_version(words)
        check_changed(words, program)
        check_experiment(words, program)
        check_ranges(words, program)
        check_resuming(words, program)
        if set(arguments.MULTIRUN) & set(words):
            check_sweep(words, program)
        main()
    except BrokenPipeError:  # as behind `--help | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else Python complains that it cannot write the rest
        sys.exit(1)
    except interruption.Interrupted as interrupted:
        interruption.leave(interrupted)
    except KeyboardInterrupt:
        sys.exit(1)  # `job` has said so
    except Exception as error:
        if message := sentence_of(error, words, program):
            sys.exit(message)
        raise
    finally:
        folder_lock.release()


def sentence_of(error: Exception, words: list[str], program: str) -> str | None:
    """The sentence for an error that ends the program outside of a job; None if it is a fault of the program.

    Args:
        words: the command line's.
    """
    if isinstance(error, Mistake):
        return str(error)
    if isinstance(error, HydraException | OmegaConfBaseException | ValueError):  # `job` catches its own
        return sentence(error, words, program)
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark
        place = f"{yaml_with(error) or mark.name}, line {mark.line + 1}" if mark else "a YAML"
        way_out = "YAML is indented by spaces, and each line is of the form name: value"
        if "escape" in str(error.problem):
            way_out = "put what has a backslash in it between single quotes"
        return f"{place}: {error.problem}; {way_out}."
    if isinstance(error, TypeError | AttributeError | AssertionError):  # Hydra's, of an override it did not expect
        if not any(f"{package}{os.sep}" in origin(error) for package in ("hydra", "omegaconf")):
            return None
        reason = shown(" ".join(str(error).split()) or type(error).__name__, 200)
        return f"One of {', '.join(map(shown, words))} cannot be understood ({reason}); --help lists the options."
    if isinstance(error, OSError):  # Hydra's, as it makes the folder: `job` catches its own
        place = error.filename or "the run's folder"
        room = "make room, or " if full_disk(error) else ""
        return f"Cannot write to {place} ({error.strerror}); {room}name another folder with hydra.run.dir."
    return None


def yaml_with(error: yaml.MarkedYAMLError) -> str | None:
    """The file of conf/ that has the error. Hydra's error has the text of the file, but not its name."""
    for path in sorted(CONF.rglob("*.yaml")):
        try:
            yaml.compose(path.read_text(encoding="utf-8", errors="replace"))
        except yaml.MarkedYAMLError as own:
            if str(own.problem) == str(error.problem):
                return f"conf/{path.relative_to(CONF)}"
    return None


def origin(error: Exception) -> str:
    """The file that an error was raised in."""
    return traceback.extract_tb(error.__traceback__)[-1].filename


def say_version(words: list[str]) -> None:
    """Prints the version and ends the program, if the command line has --version."""
    if "--version" in words:
        project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        print(f"Auscult {project['version']}")
        sys.exit(0)


def find_src_from_anywhere() -> None:
    """Lets a launcher's processes import this package: only the script itself has its folder on the path."""
    own, paths = str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if own not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [own, *paths]))


def join(take_part: Callable[[], Any]) -> None:
    """Takes part in the run of another process, which prints everything."""
    logging.basicConfig(level=logging.ERROR)
    try:
        take_part()
    except Mistake:  # the first process raises it, too, and prints it
        sys.exit(1)
