"""A small study, for the tests of its parts."""

from pathlib import Path
from typing import Any

from hydra import initialize_config_dir

from auscult.program.conf import CONF
from auscult.study.materials import Materials, prepared
from auscult.study.plan import Condition
from auscult.study.subjects import subjects_of

NAMES = ["visual/gradient_x_input", "audible/gradient_x_input", "both/random", "none"]
CONDITIONS = [Condition.of(name) for name in NAMES]
PRIMARY = [{"one": NAMES[1], "other": NAMES[0], "measure": "correct", "clips": "all"}]
TRAINING, ATTENTION, CLIPS = 2, 1, 6
TRIALS = TRAINING + ATTENTION + CLIPS


def make(folder: Path, checkpoints: list[Path], cache: Path, **changed: Any) -> Materials:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return make_here(folder, checkpoints, cache, **changed)


def make_here(folder: Path, checkpoints: list[Path], cache: Path, **changed: Any) -> Materials:
    """The same where Hydra knows the folder of configurations already."""
    plan = {
        "clips": CLIPS,
        "training": TRAINING,
        "attention": ATTENTION,
        "seed": 0,
        "primary": PRIMARY,
        "smoothing": 0.005,
    }
    conditions = changed.pop("conditions", CONDITIONS)
    data = {"root": None, "csv": None, "speakers": None, "pattern": None, "cache_dir": str(cache)}
    named = dict(zip(("checkpoint", "checkpoint_2"), map(str, checkpoints), strict=False))
    return prepared(folder, subjects_of({"allow": [], **named}), conditions, {**plan, **changed}, data)
