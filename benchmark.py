"""Compares attributions on one checkpoint and the same clips.

    python benchmark.py checkpoint=outputs/DATE/TIME/checkpoints/best.ckpt
    python benchmark.py checkpoint=… domains=[input,frequency,time_frequency] limit=50
    python benchmark.py checkpoint=… attribution=mine

`python benchmark.py --help` lists the options; `conf/benchmark.yaml` explains each.
"""

if __name__ == "__main__":  # first of all: the other imports take a while, or fail
    from auscult.program import environment

    environment.check()
    from auscult.machine import interruption

    interruption.listen()

from pathlib import Path

import hydra
from omegaconf import DictConfig

from auscult.explain.checkpoints import look_at_checkpoints
from auscult.explain.options import check_benchmark
from auscult.program import command_line
from auscult.program.conf import CONF


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="benchmark")
def main(cfg: DictConfig) -> float | None:
    return command_line.job(cfg, run, command_line.repeat)


def run(cfg: DictConfig, folder: Path, sweep: Path | None, overrides: list[str]) -> float | None:
    """Explains by every attribution, and writes the leaderboard."""
    look_at_checkpoints(check_benchmark(cfg))
    from auscult.leaderboard import compare as leaderboard  # only now: it takes seconds, and --help should not wait

    leaderboard.benchmark(cfg, folder, sweep)
    return None


def cli() -> None:
    command_line.start(main, "benchmark")


if __name__ == "__main__":
    cli()
