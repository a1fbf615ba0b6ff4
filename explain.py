"""Shows and tests what a trained network listens to.

    python explain.py checkpoint=outputs/DATE/TIME/checkpoints/best.ckpt
    python explain.py checkpoint=… input=my_voice.wav
    python explain.py -m checkpoint=… attribution=lrp_epsilon_plus,gradient_x_input,amplitude,random

`python explain.py --help` lists the options; `conf/explain.yaml` explains each.
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
from auscult.explain.options import check_explanation, check_masked
from auscult.machine.processes import folder_of_first_process
from auscult.printing import printing
from auscult.program import command_line, config
from auscult.program.conf import CONF


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="explain")
def main(cfg: DictConfig) -> float | None:
    return command_line.job(cfg, run, command_line.repeat)


def run(cfg: DictConfig, folder: Path, sweep: Path | None, overrides: list[str]) -> float | None:
    """Explains; returns the area under the perturbation curve by relevance, the smaller the better."""
    checked = check_explanation(cfg)
    check_masked(checked)
    look_at_checkpoints(checked)
    from auscult.explain import explanation  # only now: it takes seconds to import, and wrong options should not wait
    from auscult.run import wandb as wandb_run

    name = cfg.attribution.name
    with wandb_run.finished():
        if cfg.get("logger") and cfg.logger.name == "wandb":  # first, so that a refused key shows before the work
            wandb_run.open_run(config.plain(cfg), folder, sweep, f"explanation-{name}")
        metrics = explanation.explain(checked, folder)
        wandb_run.log_explanations({name: folder}, metrics)
    with printing():
        explanation.show(metrics, folder)
    return metrics.get("perturbation/area/relevance")


def cli() -> None:
    command_line.start(main, "explain")


def join(folder: Path) -> None:
    from auscult.explain import explanation

    command_line.join(lambda: explanation.explain(config.read(folder), folder))


if __name__ == "__main__":
    if folder := folder_of_first_process():
        join(folder)
    else:
        cli()
