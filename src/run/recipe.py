"""Whether a run is trained as its network was published, for the line that says so at the run's start."""

from typing import Any

from auscult.program.conf import selected

# what `optimizer.published` decides in conf/train.yaml, unless the command line does
PUBLISHED: dict[str, Any] = {
    "data.placement": "fixed",
    **{f"augmentation.{name}": 0 for name in ("shift", "gain_db", "speed", "time_mask", "band_mask", "mixup")},
    "augmentation.noise_snr_db": None,
    "label_smoothing": 0,
    "weights": "last",
}
# ... and which options of the optimizer decide what else is published
SOLVER = {
    "data.batch_size": "optimizer.batch_size",
    "trainer.max_epochs": "optimizer.max_epochs",
    "trainer.max_steps": "optimizer.max_steps",
    "trainer.gradient_clip_val": "optimizer.gradient_clip_val",
}
RECIPE = "one place in its silence for each clip, no augmentation, plain cross-entropy, the weights of the last step"


def said_of(config: dict[str, Any]) -> str:
    """The line that a run with a published recipe logs at its start; empty for another recipe.

    Args:
        config: of a training, in plain containers.
    """
    if not config["optimizer"].get("published"):
        return ""
    changed = departures(config)
    line = f"optimizer={config['optimizer']['name']}: as published ({RECIPE})"
    if changed:
        line += f", but for {', '.join(changed)}"
    if config["data"]["name"] == "audiomnist" and selected(config, "data.clip.preparation") != "published":
        line += "; recordings are prepared as by default: say data.clip.preparation=published for the published way"
    return f"{line}."


def departures(config: dict[str, Any]) -> list[str]:
    """Options of a published recipe that differ from it, such as "augmentation.speed=0.1"."""
    wanted = {**PUBLISHED, **{option: selected(config, solver) for option, solver in SOLVER.items()}}
    if solver := config["model"].get("solver"):
        wanted["optimizer.lr"] = solver["lr"]
    changed = []
    for option, value in wanted.items():
        own = selected(config, option)
        if own != value and (own or value):  # null is 0 here
            changed.append(f"{option}={own}")
    return changed
