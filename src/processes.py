"""One run on several devices of a machine: how its processes find each other, and leave no trace.

Lightning starts a further process per device with the same command line. Those processes do not compose the
configuration again (a multirun's command line describes many jobs, and each would get a run folder of its own):
they read the `config.yaml` of the run folder that the first process names in the environment.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RUN_FOLDER = "AUSCULT_RUN_FOLDER"


def folder_of_first_process() -> Path | None:
    """The run folder to join, in a process that Lightning started; None in any other."""
    if RUN_FOLDER in os.environ and int(os.environ.get("LOCAL_RANK", 0)) > 0:
        return Path(os.environ[RUN_FOLDER])
    return None


@contextmanager
def shared_run_folder(folder: Path) -> Iterator[None]:
    """Names the run folder to the processes started within, and afterwards restores the environment.

    Without that the next job of a multirun would find the ranks and ports of this one.
    """
    before = dict(os.environ)
    os.environ[RUN_FOLDER] = str(folder)
    try:
        yield
    finally:
        import torch  # only now: train.py reads this file before it knows that it will train

        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        os.environ.clear()
        os.environ.update(before)
