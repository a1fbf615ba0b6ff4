"""Trains and tests an audio classifier on speaker folds.

    python train.py model=audionet task=sex
    python train.py -m model=audionet,alexnet task=digit,sex fold=0,1,2,3
    python train.py ckpt_path=outputs/DATE/TIME/checkpoints/last.ckpt

`python train.py --help` lists the options; `conf/` explains each.
"""

if __name__ == "__main__":  # first of all: the other imports take a while, or fail
    from auscult.program import environment

    environment.check()
    from auscult.machine import interruption

    interruption.listen()

import shlex
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig

from auscult.machine.lock import locked
from auscult.machine.processes import folder_of_first_process
from auscult.program import command_line, config, earlier_run, paths
from auscult.program.conf import CONF
from auscult.program.explain_by import explanations_of
from auscult.program.training_options import BEST_BY
from auscult.run.changes import check_changes

SAID_AGAIN = ("logger", "trainer.accelerator", "trainer.devices", "trainer.strategy", "data.cache_dir", "allow")


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="train")
def main(cfg: DictConfig) -> float | None:
    return command_line.job(cfg, run, way_on)


def run(cfg: DictConfig, folder: Path, sweep: Path | None, overrides: list[str]) -> float | None:
    """Trains, and returns val/accuracy or what else `best_by` names, which a sweeper may optimise."""
    checked = config.check(cfg)
    if checked["ckpt_path"]:
        checked["ckpt_path"] = paths.checkpoint_to_go_on_with(checked["ckpt_path"])
    division = None
    if checked["ckpt_path"]:
        check_changes(checked, overrides)
        from auscult.run.resume import resumed

        checked = resumed(checked, overrides)
        folder = Path(paths.run_folder_of(checked["ckpt_path"], str(folder)) or folder)
    else:
        from auscult.datamodules.division import Division
        from auscult.datamodules.recording import ClipSettings
        from auscult.pretrained.starting import checked_start

        ClipSettings(**checked["data"]["clip"])  # refuses what no recording could satisfy
        checked = checked_start(checked)
        division = Division.from_config(checked)
    from auscult.explain.trial import try_each
    from auscult.run import folder as run_folder  # only now: it takes seconds to import, and mistakes should not wait
    from auscult.run import training
    from auscult.run import wandb as wandb_run

    with locked(folder, "training in"), wandb_run.finished():
        if not checked["ckpt_path"]:
            if sweep is not None and (metrics := earlier_run.metrics_of_same(folder, checked)):
                return best_of(metrics, checked)
            checked["ckpt_path"] = earlier_run.last_checkpoint_of_same(folder, checked)
        metrics = training.train(checked, folder, sweep, division, try_each)
        if explanations_of(checked):
            from auscult.explain.at_end import explain_run

            explain_run(folder, checked)
        if metrics:
            run_folder.drop_last(folder, checked, metrics)
    return best_of(metrics, checked)


def best_of(metrics: dict[str, Any], checked: dict[str, Any]) -> float | None:
    """The metric of validation that chose the best checkpoint."""
    names = BEST_BY[checked["task"].get("kind", "classes")]
    return metrics.get(f"val/{checked.get('best_by') or names[0]}")


def way_on(folder: Path) -> str:
    """How to go on with a run that was stopped."""
    last, best = folder / "checkpoints/last.ckpt", folder / "checkpoints/best.ckpt"
    if last.exists():
        # what a checkpoint does not decide has to be said again
        again = [each for each in command_line.overrides_given() if each.startswith(SAID_AGAIN)]
        return f"go on with: python train.py {shlex.join([f'ckpt_path={last}', *again])}"
    if (folder / "metrics.json").exists():
        return f"the training is complete; explain it with: python explain.py {shlex.quote(f'checkpoint={best}')}"
    return f"repeat the command with {shlex.quote(f'hydra.run.dir={folder}')}: nothing was saved yet"


def cli() -> None:
    command_line.start(main, "train")


def join(folder: Path) -> None:
    from auscult.run import training

    command_line.join(lambda: training.train(config.read(folder), folder))


if __name__ == "__main__":
    if folder := folder_of_first_process():
        join(folder)
    else:
        cli()
