"""Serves pages for people: see and hear why a network says what it says, or record a corpus of spoken words.

    python serve.py                                                         # the network that comes along
    python serve.py checkpoint=outputs/DATE/TIME/checkpoints/best.ckpt
    python serve.py page=record record.root=my_corpus

`python serve.py --help` lists the options; `conf/serve.yaml` and `conf/page/` explain each.
"""

if __name__ == "__main__":  # first of all: the other imports take a while, or fail
    from auscult.program import environment

    environment.check()
    from auscult.machine import interruption

    interruption.listen()

from importlib import import_module
from pathlib import Path

import hydra
from omegaconf import DictConfig

from auscult.explain.checkpoints import look_at_checkpoints
from auscult.mistake import Mistake
from auscult.program import command_line
from auscult.program.conf import CONF
from auscult.serve import options


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="serve")
def main(cfg: DictConfig) -> float | None:
    way_on = "the same command serves the page again."
    if cfg.get("page") != "live":  # which keeps nothing
        way_on = "what was saved is safe, and the same command goes on with it."
    return command_line.job(cfg, run, lambda _: way_on)


def run(cfg: DictConfig, folder: Path, sweep: Path | None, overrides: list[str]) -> float | None:
    """Serves until it is interrupted."""
    checked = options.check(cfg)
    look_at_checkpoints(checked)
    try:
        # only now: it takes seconds to import, and wrong options should not wait
        server, page = import_module("auscult.serve.server"), import_module(options.PAGES[checked["page"]])
    except ModuleNotFoundError as error:
        raise Mistake(
            f"serve.py needs {error.name}, which is an extra; pip install '.[serve]' in the checkout."
        ) from error
    server.serve(page.page(checked), checked["host"], checked["port"])
    return None


def cli() -> None:
    command_line.start(main, "serve")


if __name__ == "__main__":
    cli()
