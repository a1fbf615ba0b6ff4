"""One run on several devices of a machine: how its processes find each other, and leave no trace.

Lightning starts a further process per device with the command line of the first. Those processes do not compose
the configuration again (a multirun's command line describes many jobs, and each would get a run folder of its own):
they read the `config.yaml` of the run folder that the first process names in the environment.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # train.py reads this file before it knows that it will train
    from pytorch_lightning import Trainer

RUN_FOLDER = "AUSCULT_RUN_FOLDER"
PATIENCE = 60.0  # seconds that the other processes have to end after the first
PATIENCE_AFTER_ERROR = 3.0  # as long as it takes them to say what went wrong


def folder_of_first_process() -> Path | None:
    """The run folder to join, in a process that Lightning started; None in any other."""
    if RUN_FOLDER in os.environ and int(os.environ.get("LOCAL_RANK", 0)) > 0:
        return Path(os.environ[RUN_FOLDER])
    return None


@contextmanager
def processes_of(trainer: "Trainer", folder: Path, program: str) -> Iterator[None]:
    """Within it the trainer may start further processes, which join the run; afterwards they are gone.

    Everything that they need is undone as well: the next job of a multirun would find the ranks and ports of this one.

    Args:
        trainer: has not started yet.
        folder: the absolute run folder.
        program: "train" or "explain": what the further processes run.
    """
    main: Any = sys.modules["__main__"]
    environment, arguments, spec = dict(os.environ), sys.argv, main.__spec__
    os.environ[RUN_FOLDER] = str(folder)
    # Lightning repeats the command line of this process, which for a job of a launcher is not the program's
    sys.argv, main.__spec__ = [str(Path(__file__).parents[1] / f"{program}.py")], None
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


def _end_others(trainer: "Trainer", patience: float) -> None:
    started: list[subprocess.Popen[Any]] = getattr(trainer.strategy.launcher, "procs", [])
    others = started.copy()
    # Lightning kills this process, and with it the rest of a multirun, when it sees one of these fail
    started.clear()
    for process in others:
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
