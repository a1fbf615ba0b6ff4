"""Writes licences.md: what the packages of the locks say about their licences. `make licences` runs it, on Linux.

pip-licenses reads the metadata of what is installed, so that the packages of other systems are missing.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = """# Licences

Auscult is under the MIT licence. It runs with the packages below, which `make install` fetches and whose licences are
their own. The tables hold what each package says of itself (`make licences` writes them, on Linux with Python 3.11).

What it runs with has no package under the GPL. Two are under the LGPL: **zennit**, the rules of LRP, and **soxr**,
which resamples. They are used as they are published. Wheels also hold libraries of others, with licences of their
own: libsndfile (LGPL) in soundfile, the runtime libraries of GCC (GPL with GCC's exception for what is linked to
them) in numpy, scipy, scikit-learn and torch. The packages named `nvidia-…` and `cuda-…` are NVIDIA's, most of them
not free software; Linux alone needs them, and an installation without CUDA has none of them.

## What the program runs with

{run}

## What only the tests and the developers need

Nothing of this is in what `make demo` or the container's image install. Quantus is under the (L)GPL: its metadata says
GPLv3, its licence file LGPL. PyAV (av), which reads M4A, AMR, WMA and others for whoever installs it, is under the BSD
licence; its wheels hold FFmpeg with encoders under the GPL.

{dev}
"""


def packages_of(lock: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+)==", (ROOT / f"requirements/{lock}.txt").read_text(), re.MULTILINE))


def table_of(packages: set[str]) -> str:
    command = [sys.executable, "-m", "piplicenses", "--from=mixed", "--with-system", "--format=markdown", "--packages"]
    return subprocess.run([*command, *packages], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


if __name__ == "__main__":
    run = packages_of("run")
    text = TEXT.format(run=table_of(run), dev=table_of(packages_of("dev") - run))
    (ROOT / "docs/licences.md").write_text(text)
