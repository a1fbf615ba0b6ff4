"""Whether this Python can run the programs at all. Any Python 3 can read this file."""

import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOWEST = (3, 11)
NEEDED = ("hydra", "omegaconf", "torch", "pytorch_lightning")


def check() -> None:
    """Ends the program with a sentence if Python is too old or a package is missing."""
    lacks = [name for name in NEEDED if find_spec(name) is None]
    if sys.version_info >= LOWEST and not lacks:
        return
    python = ROOT / ".venv/bin/python"
    version = "{}.{}".format(*sys.version_info[:2])
    lack = "lacks " + ", ".join(lacks) if sys.version_info >= LOWEST else "is older than 3.11"
    first = "" if python.exists() else f"run make install in {ROOT} once, then "
    program = Path(sys.argv[0]).name
    sys.exit(f"Python {version} at {sys.executable} {lack}; {first}say {python} {program} to start it.")
