"""The end of a training: each configured attribution and intervention explains the best checkpoint."""

import logging
import shutil
from itertools import count
from pathlib import Path
from typing import Any

from auscult.explain.explanation import explain, show
from auscult.explain.measures.catalogue import decided_by_attribution
from auscult.explain.options import check_explanation, options_at_end
from auscult.printing import printing
from auscult.program.explain_by import TOPICS, explanations_of
from auscult.run import folder as run_folder
from auscult.run import wandb as wandb_run

log = logging.getLogger(__name__)


def explain_run(folder: Path, config: dict[str, Any]) -> None:
    """Explains the best checkpoint of a run by each of `explanations_of`, as `python explain.py` would.

    The explanations are in `explanation/<name>` of the run folder. `metrics.json` gets what they measured, under
    `<name>/`. The areas under the curves of the first attribution, and the effect of the first intervention, are there
    also without the name. W&B gets the same metrics, the curves and the interventions. An explanation that was made
    before the run was resumed is made anew.

    Args:
        folder: the folder of a complete run.
        config: the configuration of the run, in plain containers.

    Raises:
        Mistake: see `explain`.
    """
    decided = decided_by_attribution()
    explanations, checkpoint = explanations_of(config), str(folder / "checkpoints/best.ckpt")
    firsts: run_folder.Metrics = {}
    measured: run_folder.Metrics = {}
    for name, explanation in explanations.items():
        own = folder / "explanation" / name
        make_room(own)
        log.info("Explaining by %s.", name)
        metrics = explain(check_explanation(options_at_end(config, explanation, checkpoint)), own)
        with printing():
            show(metrics, own)
        topic = TOPICS["intervention" if "intervention" in explanation else "attribution"]
        kept = topic if "intervention" in explanation else decided
        measured |= {f"{name}/{metric}": value for metric, value in metrics.items() if metric.startswith(kept)}
        if not any(metric.startswith(topic) for metric in firsts):
            firsts |= {metric: value for metric, value in metrics.items() if metric.startswith(topic)}
    run_folder.add_metrics(folder, {**firsts, **measured})
    wandb_run.log_explanations({name: folder / "explanation" / name for name in explanations}, {**firsts, **measured})


def make_room(own: Path) -> None:
    """Makes an empty folder. An earlier explanation is removed, as it is made anew; anything else is set aside."""
    is_explanation = own.is_dir() and not own.is_symlink() and (own / "config.yaml").exists()
    if is_explanation and not (own / ".hydra").exists():  # a run that a user started has `.hydra`: keep it
        shutil.rmtree(own)
    elif own.is_symlink() or (own.exists() and not (own.is_dir() and not any(own.iterdir()))):
        aside = next(path for number in count(1) if not (path := own.with_name(f"{own.name}-{number}")).exists())
        own.rename(aside)
        log.warning("%s was there before, and is now %s.", own, aside.name)
    own.mkdir(parents=True, exist_ok=True)
