"""Audio classifiers of Hugging Face's `transformers`, built from their configuration in plain containers."""

import json
from typing import Any

from torch import Tensor, nn

from auscult.mistake import Mistake

INSTALL = 'python -m pip install "transformers>=5"'

try:  # here, and not in the class: the time to build a checkpoint's network is bounded
    from transformers import AutoConfig, AutoModelForAudioClassification, PreTrainedConfig, PreTrainedModel
except ImportError as error:
    raise Mistake(f"networks of Hugging Face need transformers: {INSTALL} installs it.") from error

# masks are those of `augmentation`; layers that are left out by chance would not be drawn by the run's seed
IN_TRAINING = ("mask_time_prob", "mask_feature_prob", "layerdrop", "encoder_layerdrop", "decoder_layerdrop")
FRAMES_FIRST = ("audio-spectrogram-transformer",)  # kinds that take spectrograms with frames before bands


class HuggingFace(nn.Module):
    """A classifier of `transformers`, on what its front end gives.

    Args:
        classes: number of logits.
        config: `model_type` and other options of the kind's configuration, see `options_of`. Options that are not of
            the kind itself are left out: one of them can name code to run.
        model: the classifier, if it is built already.

    Raises:
        Mistake: there is no such kind of audio classifier.
    """

    def __init__(self, classes: int, config: dict[str, Any], model: PreTrainedModel | None = None) -> None:
        super().__init__()
        self.model = built(config, classes) if model is None else model
        self.frames_first = self.model.config.model_type in FRAMES_FIRST

    def forward(self, input: Tensor) -> Tensor:
        """Logits (B, classes) of waveforms (B, 1, T), or of spectrograms (B, 1, F, N)."""
        values = input.squeeze(1)
        return self.model(values.transpose(1, 2) if self.frames_first else values).logits


def built(config: dict[str, Any], classes: int) -> PreTrainedModel:
    """A classifier of a kind, with new weights.

    Raises:
        Mistake: there is no such kind of audio classifier.
    """
    kind = str(config.get("model_type"))
    try:
        own = options_of(AutoConfig.for_model(kind))
    except ValueError as error:
        raise Mistake(f"model.network.config.model_type={kind} is no kind of transformers; name one.") from error
    options = {name: value for name, value in config.items() if name in own and name != "model_type"}
    whole = AutoConfig.for_model(kind, **options, num_labels=classes)
    if type(whole) not in AutoModelForAudioClassification._model_mapping:
        raise Mistake(f"model.network.config.model_type={kind} is no audio classifier; name a kind that is.")
    model: PreTrainedModel = AutoModelForAudioClassification.from_config(whole)
    return model.float()


def options_of(config: PreTrainedConfig) -> dict[str, Any]:
    """The options of a configuration that decide its network, in plain containers, without those that all kinds have.

    Parts of the network that act by chance in training are off, but for dropout.
    """
    shared = PreTrainedConfig().to_dict().keys() - {"model_type"}
    options = json.loads(config.to_json_string(use_diff=False)).items()
    own = {name: value for name, value in options if name not in shared and not name.startswith("_")}
    return {name: 0.0 if name in IN_TRAINING else value for name, value in own.items()}
