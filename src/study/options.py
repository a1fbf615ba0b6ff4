"""The options of `study.py`, checked before anything heavy is imported."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from auscult.files import check_links
from auscult.mistake import Mistake
from auscult.program.config import plain
from auscult.program.numbers import check_number, is_number
from auscult.program.paths import absolute

MANIFEST, ANSWERS = "study.json", "answers.sqlite"  # the files of a study
LARGEST_EFFECT = 5  # in standard deviations: hardly anybody would differ from it
SAMPLE_SIZE = ("effect", "power", "alpha", "comparisons", "clips", "clip_effect")


def check(cfg: DictConfig) -> dict[str, Any]:
    """Resolves the configuration of `study.py` into plain containers and checks its values.

    Raises:
        Mistake: the first value that is missing or out of range.
    """
    config = plain(cfg)
    check_effect(config["effect"])
    for option, high in (("power", 0.999), ("alpha", 0.999), ("clip_effect", 100)):
        check_number(config, option, float, 0.001, high, option == "clip_effect")
    if config["power"] <= config["alpha"]:
        raise Mistake(f"power={config['power']} is no more than alpha={config['alpha']}, which is chance; say 0.8.")
    for option, low in (("comparisons", 1), ("clips", 2)):
        check_number(config, option, int, low, 10**6, False)
    if config["effect"] is not None and config["results"]:
        raise Mistake("results=… analyses a study, and effect=… plans one; give one of the two.")
    if config["effect"] is None and not config["results"]:
        raise Mistake("results has no value; set it with results=…, or plan a study with effect=0.5.")
    if config["results"]:
        config["results"] = absolute("results", config["results"])
        check_links(Path(config["results"]))
        if not Path(config["results"]).is_dir():
            raise Mistake(
                f"results={config['results']} is not a folder; name the folder of a study that serve.py page=study has"
                " made, such as studies/pilot."
            )
        check_study(Path(config["results"]))
    return config


def check_study(folder: Path) -> None:
    """Raises a Mistake if a folder holds no study."""
    if not (folder / MANIFEST).exists() or not (folder / ANSWERS).exists():
        raise Mistake(f"results={folder} holds no study; name the folder of one, such as studies/pilot.")


def check_effect(effect: Any) -> None:
    """Raises a Mistake unless the effect is null, or a number that can be Cohen's d_z."""
    if effect is not None and not (is_number(effect) and 0.001 <= effect <= LARGEST_EFFECT):
        raise Mistake(
            f"effect={effect} is not a number from 0.001 to {LARGEST_EFFECT} or null: it is Cohen's d_z, such as 0.5,"
            " and no percentage."
        )
