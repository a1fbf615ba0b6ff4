"""Trains and tests an audio classifier on speaker folds.

    python train.py model=audionet task=sex
    python train.py -m model=audionet,alexnet task=digit,sex fold=0,1,2,3
    python train.py ckpt_path=outputs/DATE/TIME/checkpoints/last.ckpt

`python train.py --help` lists the options; `conf/` explains each.
"""

import logging
import os
import sys
from pathlib import Path

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from src import config
from src.mistake import Mistake, NoSuchFold
from src.processes import folder_of_first_process
from src.summary import FAILED, LEFT_OUT

log = logging.getLogger(__name__)


@hydra.main(version_base="1.3", config_path=str(config.CONF), config_name="train")
def main(cfg: DictConfig) -> float | None:
    """Runs one job; in a multirun a job that fails leaves its reason behind and lets the others go on."""
    hydra_cfg = HydraConfig.get()
    folder = Path(hydra_cfg.runtime.output_dir)
    sweep = Path(hydra_cfg.sweep.dir).absolute() if hydra_cfg.mode == RunMode.MULTIRUN else None
    try:
        return run(cfg, folder, sweep, list(hydra_cfg.overrides.task))
    except Mistake as mistake:
        if sweep is None:
            sys.exit(str(mistake))
        left_out = cfg.missing_fold == "skip" and isinstance(mistake, NoSuchFold)
        log.warning("This job is left out: %s" if left_out else "This job failed: %s", mistake)
        (folder / (LEFT_OUT if left_out else FAILED)).write_text(f"{mistake}\n", encoding="utf-8")
    except Exception as error:
        log.exception("This job failed.")  # in train.log, too
        if sweep is None:
            sys.exit(1)
        (folder / FAILED).write_text(f"{type(error).__name__}: {' '.join(str(error).split())}\n", encoding="utf-8")
    return None


def run(cfg: DictConfig, folder: Path, sweep: Path | None, overrides: list[str]) -> float | None:
    """Trains, and returns val/accuracy: what a sweeper may optimise, unlike the test's."""
    checked = config.check(cfg)
    from src import training  # only now: it takes seconds to import, and wrong options should not wait

    if checked["ckpt_path"]:
        from src.checkpoint import KEY, open_checkpoint

        path = checked["ckpt_path"]
        checkpoint = open_checkpoint(path)
        if "optimizer_states" not in checkpoint:
            raise Mistake(f"ckpt_path={path} holds weights only; resume from the last.ckpt beside it.")
        checked = config.resumed(checkpoint[KEY]["config"], overrides, str(Path(path).expanduser().absolute()))
        folder = Path(config.run_folder_of(path, str(folder)) or folder)
    return training.train(checked, folder, sweep).get("val/accuracy")


def cli() -> None:
    """Runs `main`; what a user got wrong ends in one sentence and exit status 1."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # hands Hydra's own errors to us rather than printing them
    find_src_from_anywhere()
    config.register_resolvers()
    flags, overrides = config.sorted_arguments(sys.argv[1:])
    sys.argv[1:] = flags + overrides
    try:
        main()
    except (HydraException, OmegaConfBaseException) as error:
        sys.exit(config.sentence(error, overrides))
    except OSError as error:  # Hydra's, as it makes the folder: `main` lets none of its own out
        sys.exit(f"Cannot write to {error.filename} ({error.strerror}); name another folder with hydra.run.dir.")
    except KeyboardInterrupt:
        sys.exit("Interrupted.")


def find_src_from_anywhere() -> None:
    """Lets a launcher's processes import `src`; started as a script, only this process has its folder on the path."""
    own, paths = str(Path(__file__).parent.absolute()), os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if own not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [own, *paths]))


def join(folder: Path) -> None:
    """Takes part in the run of another process, which says all there is to say."""
    from src import training

    logging.basicConfig(level=logging.ERROR)
    try:
        training.train(yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")), folder)
    except Mistake:  # the first process makes the same one
        sys.exit(1)


if __name__ == "__main__":
    if folder := folder_of_first_process():
        join(folder)
    else:
        cli()
