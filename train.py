"""Trains and tests an audio classifier on speaker folds.

    python train.py model=audionet task=sex
    python train.py -m model=audionet,alexnet task=digit,sex fold=0,1,2,3
    python train.py ckpt_path=outputs/DATE/TIME/checkpoints/last.ckpt

`python train.py --help` lists the options; `conf/` explains each.
"""

if __name__ == "__main__":  # first of all: the other imports take a while
    from src import interruption

    interruption.listen()

import shlex
from pathlib import Path

import hydra
from omegaconf import DictConfig

from src import command_line, config
from src.mistake import Mistake
from src.processes import folder_of_first_process


@hydra.main(version_base="1.3", config_path=str(config.CONF), config_name="train")
def main(cfg: DictConfig) -> float | None:
    return command_line.job(cfg, run, way_on)


def run(cfg: DictConfig, folder: Path, sweep: Path | None, overrides: list[str]) -> float | None:
    """Trains, and returns val/accuracy: what a sweeper may optimise, unlike the test's."""
    checked = config.check(cfg)
    from src import run_folder, training  # only now: it takes seconds to import, and wrong options should not wait

    if checked["ckpt_path"]:
        from src.checkpoint import KEY, open_checkpoint

        path = checked["ckpt_path"]
        checkpoint = open_checkpoint(path)
        if "optimizer_states" not in checkpoint:
            raise Mistake(f"ckpt_path={path} holds weights only; resume from the last.ckpt beside it.")
        checked = config.resumed(checkpoint[KEY]["config"], overrides, str(Path(path).expanduser().absolute()))
        folder = Path(config.run_folder_of(path, str(folder)) or folder)
    with run_folder.locked(folder, "training in"):
        if not checked["ckpt_path"]:
            if sweep is not None and (metrics := run_folder.metrics_of_same(folder, checked)):
                return metrics.get("val/accuracy")
            checked["ckpt_path"] = run_folder.last_checkpoint_of_same(folder, checked)
        metrics = training.train(checked, folder, sweep)
        if checked.get("explain_by"):
            from src import explanation

            explanation.of_run(folder, checked)
    return metrics.get("val/accuracy")


def way_on(folder: Path) -> str:
    """How to go on with a run that was stopped."""
    last, best = folder / "checkpoints/last.ckpt", folder / "checkpoints/best.ckpt"
    if last.exists():
        return f"go on with: python train.py {shlex.quote(f'ckpt_path={last}')}"
    if (folder / "metrics.json").exists():
        return f"the training is complete; explain it with: python explain.py {shlex.quote(f'checkpoint={best}')}"
    return f"repeat the command with {shlex.quote(f'hydra.run.dir={folder}')}: nothing was saved yet"


def cli() -> None:
    command_line.start(main, "train")


def join(folder: Path) -> None:
    from src import training

    command_line.join(lambda: training.train(config.read(folder), folder))


if __name__ == "__main__":
    if folder := folder_of_first_process():
        join(folder)
    else:
        cli()
