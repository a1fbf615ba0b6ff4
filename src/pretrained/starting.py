"""What a training starts from: the weights that `model.weights` names, for any network."""

from pathlib import Path
from typing import Any

from torch import nn

from auscult.mistake import Mistake
from auscult.pretrained.hugging_face import NETWORK, described, start_from_hub
from auscult.pretrained.options import HUB, weights_at
from auscult.pretrained.weights import start_from


def checked_start(config: dict[str, Any]) -> dict[str, Any]:
    """A training's configuration with the absolute path of its weights, and with what describes its network.

    Args:
        config: checked, of a run that begins.

    Raises:
        Mistake: there are no such weights; see also `described`.
    """
    config, weights = described(config), config["model"].get("weights") or None
    if weights is None or weights.startswith(HUB):
        if weights and config["model"]["network"].get("_target_") != NETWORK:
            raise Mistake(f"model.weights={weights}: weights of Hugging Face are for model=hf; name a state dict.")
        return config
    return {**config, "model": {**config["model"], "weights": weights_at("model.weights", weights)}}


def start(network: nn.Module, weights: str) -> None:
    """Gives a network the weights that it starts from.

    Args:
        weights: the path of a file, or `hf:` with a model of Hugging Face.

    Raises:
        Mistake: see `start_from` and `start_from_hub`.
    """
    if weights.startswith(HUB):
        start_from_hub(network, weights)
    else:
        start_from(network, Path(weights))
