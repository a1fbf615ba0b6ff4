"""A page that is served by a process without the seconds that its imports take: it is the fork of one that has them."""

import os
import sys
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import auscult.serve.server
import auscult.serve.study  # noqa: F401
import serve


def serving(options: list[str], folder: Path) -> None:
    """`python serve.py ...` in a folder, whose file `said` gets what it says."""
    os.chdir(folder)
    said = os.open("said", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(said, 1)
    os.dup2(said, 2)
    sys.argv = ["serve.py", *options]
    serve.cli()


def served(options: list[str], folder: Path) -> BaseProcess:
    """Starts it."""
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=serving, args=(options, folder))
    process.start()
    return process
