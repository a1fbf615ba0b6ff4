"""One run on several devices of a machine: how its processes join it, and leave no trace.

Lightning starts a further process per device with the command line of the first. Those processes do not compose
the configuration again (a multirun's command line describes many jobs, and each would get a run folder of its own):
they read the `config.yaml` of the run folder that the first process names in the environment.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # train.py reads this file before it knows that it will train
    from pytorch_lightning import Trainer

RUN_FOLDER = "AUSCULT_RUN_FOLDER"
PATIENCE = 60.0  # seconds that the other processes have to end after the first
PATIENCE_AFTER_ERROR = 3.0  # as long as it takes them to say what went wrong
SECONDS_TO_NOTICE = 60.0  # that the first process has to notice by itself that another has failed


def folder_of_first_process() -> Path | None:
    """The run folder to join, in a process that Lightning started; None in any other."""
    if RUN_FOLDER in os.environ and int(os.environ.get("LOCAL_RANK", 0)) > 0:
        return Path(os.environ[RUN_FOLDER])
    return None


@contextmanager
def processes_of(trainer: "Trainer", folder: Path, program: str) -> Iterator[None]:
    """Lets the trainer start further processes, which join the run. Afterwards they are gone.

    Their environment is undone as well: else the next job of a multirun would find the ranks and ports of this one.

    Args:
        trainer: not started yet.
        folder: the absolute run folder.
        program: "train" or "explain": what the further processes run.
    """
    _let_first_process_notice()
    main: Any = sys.modules["__main__"]
    environment, arguments, spec = dict(os.environ), sys.argv, main.__spec__
    os.environ[RUN_FOLDER] = str(folder)
    # Lightning repeats the command line of this process, which for a job of a launcher is not the program's
    sys.argv, main.__spec__ = [str(Path(__file__).parents[2] / f"{program}.py")], None
    patience = PATIENCE_AFTER_ERROR
    try:
        yield
        patience = PATIENCE
    except (KeyboardInterrupt, SystemExit):
        patience = 0  # they hold nothing that is not saved
        raise
    finally:
        _end_others(trainer, patience)
        import torch

        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        sys.argv, main.__spec__ = arguments, spec
        os.environ.clear()
        os.environ.update(environment)


@cache
def _let_first_process_notice() -> None:
    """Lets Lightning kill this process after the failure of another one only if this process hangs.

    Lightning looks every 5 seconds. If it saw the failure first, it would otherwise end a whole multirun.
    """
    from lightning_fabric.strategies.launchers.subprocess_script import _ChildProcessObserver as Observer

    kill = Observer._terminate_all

    def kill_if_it_hangs(observer: Observer) -> None:
        waits_until = time.monotonic() + SECONDS_TO_NOTICE
        while observer._child_processes and time.monotonic() < waits_until:  # see _end_others
            time.sleep(0.1)
        if observer._child_processes:
            kill(observer)

    Observer._terminate_all = kill_if_it_hangs  # type: ignore[method-assign,assignment]


def _end_others(trainer: "Trainer", patience: float) -> None:
    started: list[subprocess.Popen[Any]] = getattr(trainer.strategy.launcher, "procs", [])
    others = started.copy()
    started.clear()  # Lightning looks at this list
    for process in others:
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
