"""Gives each run and each multirun a folder of its own, before Hydra writes a byte into it."""

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from hydra.utils import get_method
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from auscult.files import check_links
from auscult.former_names import with_current_names
from auscult.machine.lock import lock
from auscult.mistake import Mistake, Occupied
from auscult.plain_data import plain_yaml, shown, text_of
from auscult.program.arguments import quoted
from auscult.program.complaint import sentence
from auscult.program.conf import selected
from auscult.program.config import differences, plain
from auscult.program.earlier_run import (
    METRICS,
    RUN,
    SWEEP,
    add_what_was_no_option,
    complete_metrics,
    has_checkpoints,
    held_in,
    holds_a_run,
    holds_another,
    holds_same,
    program_of,
)
from auscult.program.jobs import check_checkpoints, check_jobs
from auscult.program.paths import run_folder_of

RESULTS = (METRICS, "leaderboard.csv")  # in folders of earlier benchmarks, which wrote no configuration
GOES_ON = ("explain", "benchmark")  # programs that go on with what the same command left behind
MAY_CHANGE = ("attribution", "attributions", "domains", "logger")  # when a benchmark goes on with more

log = logging.getLogger(__name__)


_made: set[str] = set()  # folders that this process made for its runs


class OwnFolder(Callback):
    """Claims the folder of a run or of a multirun, or ends the program with a sentence.

    If another run has a folder that is named after the time, the next free name is taken. A folder that the user named
    is refused if it holds a run or a multirun, or if another process is at work in it.

    Args:
        check: the name of the function that resolves and checks the program's configuration; see `config.check`.
    """

    def __init__(self, check: str = "auscult.program.config.check") -> None:
        self.check = check

    def on_run_start(self, config: DictConfig, config_name: str | None = None, **kwargs: Any) -> None:
        """Claims the folder of a run."""
        with said():
            check_mode(config, "hydra.sweep.dir", "hydra.run.dir", "a multirun; say {}, or add -m")
            if (launcher := config.hydra.runtime.choices["hydra/launcher"]) != "basic":
                raise Mistake(f"hydra/launcher={launcher} is for the jobs of a multirun; add -m, or leave it out.")
            folder = named_folder(config.hydra.run.dir, "hydra.run.dir")
            check_links(Path(folder))
        if is_resumed(config, folder):
            return
        with said():
            if is_named_after_time(config.hydra.run):
                folder = make_free(folder)
                config.hydra.run.dir = folder
            check_run(Path(folder), config, str(config_name), get_method(self.check))
            if config_name == "explain" and (Path(folder) / RUN).exists():
                config.hydra.output_subdir = None  # the record of how it was started stays, as that of a resumed run
            lock(Path(folder), "hydra.run.dir")

    def on_multirun_start(self, config: DictConfig, config_name: str | None = None, **kwargs: Any) -> None:
        """Claims the folder of a multirun."""
        with said():
            check_mode(config, "hydra.run.dir", "hydra.sweep.dir", "a single run; say {}, or leave -m out")
            named = folder = named_folder(config.hydra.sweep.dir, "hydra.sweep.dir")
            check_links(Path(folder))
            check_launcher(config)
            check_jobs(config)
            check_checkpoints(config)
            if is_named_after_time(config.hydra.sweep):
                folder = make_free(folder)
            if folder != named:
                config.hydra.sweep.dir = folder
                # as if the user had named it, as the jobs compose their configuration from the overrides
                config.hydra.overrides.hydra.append(f"hydra.sweep.dir={quoted(folder)}")
            check_sweep(Path(folder), config, str(config_name))
            lock(Path(folder), "hydra.sweep.dir")


@contextmanager
def said() -> Iterator[None]:
    """Ends the program with the sentence of a Mistake. Hydra would turn the exception into a warning."""
    try:
        yield
    except Mistake as mistake:
        raise SystemExit(str(mistake)) from None
    except OSError:  # no folder can be made there: Hydra is about to say so
        pass
    except OmegaConfBaseException as error:
        raise SystemExit(sentence(error)) from None
    except Exception as error:  # Hydra would turn it into a warning and go on
        reason = shown(" ".join(str(error).split()))
        raise SystemExit(
            f"What is in the run's folder cannot be read ({type(error).__name__}: {reason}); name another folder with"
            " hydra.run.dir (hydra.sweep.dir)."
        ) from error


def check_mode(config: DictConfig, option: str, meant: str, of: str) -> None:
    """Raises a Mistake if the command line names a folder by an option that has no effect.

    Args:
        option: the option without effect.
        meant: the option with the wanted effect.
        of: what `option` is for, and the way out, with {} in the place of `meant`.
    """
    overrides: Any = OmegaConf.to_container(config.hydra.overrides.hydra, resolve=False)
    named = dict(override.lstrip("+").partition("=")[::2] for override in overrides)
    if option in named and meant not in named:
        raise Mistake(f"{option} is the folder of {of.format(f'{meant}={named[option]}')}.")


def named_folder(value: Any, option: str) -> str:
    """The folder that an option names.

    Raises:
        Mistake: it names a file, or has no value, which would mean the working folder.
    """
    if value in (None, ""):
        raise Mistake(f"{option} has no value; name a folder, or leave it out.")
    if Path(str(value)).is_file():
        raise Mistake(f"{option}={value} is a file; name a folder.")
    return str(value)


def is_resumed(config: DictConfig, folder: str) -> bool:
    """Whether a resumed run goes on in its own folder."""
    own = run_folder_of(config.get("ckpt_path"), None)
    return own is not None and Path(own) == Path(folder).absolute()


def is_named_after_time(node: DictConfig) -> bool:
    """Whether the folder's name contains the time."""
    return "${now:" in str(OmegaConf.to_container(node, resolve=False)["dir"])  # type: ignore[index,call-overload]


def was_made_here(folder: Path) -> bool:
    """Whether this process has made the folder for its run."""
    return str(folder.absolute()) in _made


def make_free(folder: str) -> str:
    """Makes the folder, or the first of `folder-2`, `folder-3`, ... that nobody else has made."""
    Path(folder).parent.mkdir(parents=True, exist_ok=True)
    number, free = 1, folder
    while True:
        try:
            Path(free).mkdir()
            _made.add(str(Path(free).absolute()))
            return free
        except FileExistsError:
            number += 1
            free = f"{folder}-{number}"


def check_run(folder: Path, config: DictConfig, program: str, check: Callable[[DictConfig], dict[str, Any]]) -> None:
    """Raises Occupied if the folder holds a multirun, or a run that this one does not go on with.

    Args:
        check: resolves and checks a configuration of the program.
    """
    for place in ("data.root", "input"):  # what is written among recordings looks like a part of the corpus
        root = OmegaConf.select(config, place, throw_on_missing=False)
        if root and Path(str(root)).expanduser().absolute() == folder.absolute():
            raise Occupied(f"{folder} is {place}, the folder of the recordings; name another one with hydra.run.dir.")
    if (folder / SWEEP).exists():
        raise Occupied(f"{folder} holds a sweep; name another folder with hydra.run.dir.")
    if not any((folder / name).exists() for name in (RUN, *RESULTS)) and not has_checkpoints(folder):
        return
    held = held_in(folder)
    asked = OmegaConf.masked_copy(config, [str(name) for name in config if name != "hydra"])
    if program == "train" and program_of(held, folder) == program:
        with suppress(Mistake):
            asked_now = check(asked)
            if holds_same(folder, asked_now) and not complete_metrics(folder, asked_now):
                return  # it was stopped
    if program not in GOES_ON or program_of(held, folder) != program:
        raise Occupied(holds_a_run(folder))
    if program == "explain":
        checked = check(asked)
        add_what_was_no_option(held, checked)
        if changed := differences(held, checked):
            raise Occupied(holds_another(folder, "an explanation", changed))
    if program == "benchmark" and held:
        asked_now = plain(asked)
        for name in MAY_CHANGE:
            held.pop(name, None), asked_now.pop(name, None)
        if changed := differences(held, asked_now):
            raise Occupied(holds_another(folder, "a leaderboard", changed))


def check_sweep(folder: Path, config: DictConfig, program: str) -> None:
    """Raises Occupied if the folder holds a run, or a multirun of another command."""
    if any((folder / name).exists() for name in (RUN, *RESULTS)):
        raise Occupied(f"{folder} holds a run; name another folder with hydra.sweep.dir.")
    if not (folder / SWEEP).exists() and not any(folder.glob("*/.hydra/overrides.yaml")):
        return
    same = False
    if (folder / SWEEP).exists() and program in (*GOES_ON, "train"):
        with suppress(ValueError):
            held = with_current_names(plain_yaml(text_of(folder / SWEEP)))
            names = ("hydra.job.config_name", "hydra.overrides.task")
            same = all(selected(held, name) == OmegaConf.select(config, name) for name in names)
    if not same:
        raise Occupied(f"{folder} holds a sweep already; name another folder with hydra.sweep.dir.")


def check_launcher(config: DictConfig) -> None:
    """Raises a Mistake if the jobs are for SLURM and this machine has no SLURM."""
    if config.hydra.launcher._target_.endswith(".SlurmLauncher") and not shutil.which("srun"):
        raise Mistake(
            f"hydra/launcher={config.hydra.runtime.choices['hydra/launcher']} needs SLURM, and this machine has no"
            " srun; start it where sbatch is, or choose hydra/launcher=cores or processes."
        )
