"""What the jobs of a multirun will be asked for, checked before the first one begins."""

from collections import Counter
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import QuotedString
from omegaconf import DictConfig, OmegaConf

from auscult.mistake import Occupied
from auscult.program.paths import checkpoint_at

CHECKPOINTS = ("checkpoint", "control")  # options that name one


def jobs_of(config: DictConfig) -> list[list[str]]:
    """The overrides of each job of a multirun; none if another sweeper than Hydra's own chooses them as it goes."""
    if not config.hydra.sweeper._target_.endswith("BasicSweeper"):
        return []
    loader = GlobalHydra.instance().config_loader()
    params = [f"{name}={value}" for name, value in (config.hydra.sweeper.params or {}).items()]
    task: Any = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
    overrides = OverridesParser.create(loader).parse_overrides([*params, *task])
    return [job for batch in BasicSweeper.split_arguments(overrides, None) for job in batch]


def check_jobs(config: DictConfig) -> None:
    """Raises Occupied if two jobs of a multirun would get the same folder."""
    named = str(OmegaConf.to_container(config.hydra.sweep, resolve=False)["subdir"])  # type: ignore[index,call-overload]
    if any(each in named for each in ("hydra.job.num", "hydra.job.id", "hydra.job.override_dirname")):
        return
    loader = GlobalHydra.instance().config_loader()
    folders = Counter(str(loader.load_sweep_config(config, job).hydra.sweep.subdir) for job in jobs_of(config))
    for folder, count in folders.most_common(1):
        if count > 1:
            raise Occupied(
                f"hydra.sweep.subdir={named} would give {count} jobs the folder {folder}; add their number:"
                f" 'hydra.sweep.subdir={named}/${{hydra.job.num}}'."
            )


def check_checkpoints(config: DictConfig) -> None:
    """Raises a Mistake if a job of a multirun names a checkpoint that is not there."""
    if not any(str(text).startswith(CHECKPOINTS) for text in config.hydra.overrides.task):
        return
    parser = OverridesParser.create()
    for text in dict.fromkeys(text for job in jobs_of(config) for text in job if text.startswith(CHECKPOINTS)):
        override = parser.parse_override(text)  # job texts are quoted and escaped
        option, value = override.key_or_group, override.value()
        if option in CHECKPOINTS and value not in ("", None) and "${" not in str(value):
            checkpoint_at(option, value.text if isinstance(value, QuotedString) else value)
