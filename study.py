"""Analyses the answers of a study's participants: the primary comparison, tables, a figure and one page.

    python study.py results=studies/pilot
    python study.py effect=0.5

`python study.py --help` lists the options; `conf/study.yaml` explains each.
"""

if __name__ == "__main__":  # first of all: the other imports take a while, or fail
    from auscult.program import environment

    environment.check()
    from auscult.machine import interruption

    interruption.listen()

from pathlib import Path

import hydra
from omegaconf import DictConfig

from auscult.mistake import Mistake
from auscult.plain_data import shown
from auscult.program import command_line
from auscult.program.conf import CONF
from auscult.study import options


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="study")
def main(cfg: DictConfig) -> float | None:
    return command_line.job(cfg, run, lambda _: "repeat the command")


def run(cfg: DictConfig, folder: Path, sweep: Path | None, overrides: list[str]) -> float | None:
    """Analyses a study, or says how many participants one needs."""
    checked = options.check(cfg)
    try:
        from auscult.study import page, sample_size  # only now: it takes seconds to import
    except ModuleNotFoundError as error:
        raise Mistake(f"study.py needs {error.name}, an extra; pip install '.[serve]' in the checkout.") from error
    if checked["effect"] is not None:
        print(sample_size.told(*(checked[name] for name in options.SAMPLE_SIZE)))
    else:
        try:
            page.write(Path(checked["results"]))
        except (TypeError, ValueError, KeyError, ZeroDivisionError) as error:
            raise Mistake(
                f"results={checked['results']} holds answers that no study gives"
                f" ({type(error).__name__}: {shown(error)}); restore them."
            ) from error
    return None


def cli() -> None:
    command_line.start(main, "study")


if __name__ == "__main__":
    cli()
