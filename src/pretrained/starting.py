"""What a training starts from: the weights that `model.weights` names, for any network."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from auscult.mistake import Mistake
from auscult.pretrained.options import NETWORK, weights_at
from auscult.program.paths import HUB

if TYPE_CHECKING:  # mistakes are named before PyTorch is imported, which takes seconds
    from torch import nn


def checked_start(config: dict[str, Any]) -> dict[str, Any]:
    """A training's configuration with the absolute path of its weights, and with what describes its network.

    Args:
        config: checked, of a run that begins.

    Raises:
        Mistake: there are no such weights; see also `described`.
    """
    model = config["model"]
    weights, network = model.get("weights") or None, model["network"]
    if weights and not weights.startswith(HUB):
        weights = weights_at("model.weights", weights)
    elif weights and network.get("_target_") != NETWORK:
        raise Mistake(f"model.weights={weights}: weights of Hugging Face are for model=hf; name a state dict.")
    config = {**config, "model": {**model, "weights": weights}}
    if network.get("_target_") != NETWORK or network.get("config") is not None:
        return config
    from auscult.pretrained.hugging_face import described

    return described(config)


def start(network: "nn.Module", weights: str) -> None:
    """Gives a network the weights that it starts from.

    Args:
        weights: the path of a file, or `hf:` with a model of Hugging Face.

    Raises:
        Mistake: see `start_from` and `start_from_hub`.
    """
    from auscult.pretrained.hugging_face import start_from_hub
    from auscult.pretrained.weights import start_from

    if weights.startswith(HUB):
        start_from_hub(network, weights)
    else:
        start_from(network, Path(weights))
