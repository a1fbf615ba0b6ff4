"""Audio classifiers of Hugging Face's `transformers`, from the hub or from a folder.

No code that a model brings along is run (`trust_remote_code` stays off), and weights are read as data.
"""

import os
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from auscult.machine.hub import is_reachable
from auscult.mistake import Mistake
from auscult.modules.feature_extractors import KaldiMel, UnitVariance, WhisperMel
from auscult.modules.front_end import FrontEnd
from auscult.plain_data import shown
from auscult.program.paths import HUB

INSTALL = 'python -m pip install "transformers>=5"'


class HubNetwork(nn.Module):
    """A classifier of `transformers`, on what its front end gives.

    Args:
        model: the classifier.
        frames_first: whether it takes spectrograms with frames before bands.
    """

    def __init__(self, model: nn.Module, frames_first: bool) -> None:
        super().__init__()
        self.model, self.frames_first = model, frames_first

    def forward(self, input: Tensor) -> Tensor:
        """Logits (B, classes) of waveforms (B, 1, T), or of spectrograms (B, 1, F, N)."""
        values = input.squeeze(1)
        return self.model(values.transpose(1, 2) if self.frames_first else values).logits


class FromHub(NamedTuple):
    """A classifier, and what its files say of it."""

    network: HubNetwork
    front_end: FrontEnd
    classes: list[str]
    sample_rate: int


def from_hub(name: str) -> FromHub:
    """Opens a classifier, in evaluation mode and on the CPU.

    Args:
        name: of the hub, or a folder that `save_pretrained` wrote; with `hf:` before it.

    Raises:
        Mistake: `transformers` is not installed; the hub cannot be reached; there is no such model, or it is no whole
            audio classifier.
    """
    place = name.removeprefix(HUB)
    check_folder(name, place)
    try:
        from transformers import AutoFeatureExtractor, AutoModelForAudioClassification
        from transformers.utils import logging as their_logging
    except ImportError as error:
        raise Mistake(f"network={name} needs transformers: {INSTALL} installs it.") from error
    their_logging.set_verbosity_error()
    their_logging.disable_progress_bar()
    how = {"trust_remote_code": False, "local_files_only": os.path.isdir(place) or not is_reachable()}
    try:
        extractor = AutoFeatureExtractor.from_pretrained(place, **how)
        model, about = AutoModelForAudioClassification.from_pretrained(place, output_loading_info=True, **how)
    except Exception as error:  # the library and the hub raise many kinds
        raise Mistake(sentence_of(name, place, error)) from error
    if missing := sorted(about["missing_keys"]):
        raise Mistake(
            f"network={name} has no weights for {', '.join(missing[:3])}{', …' if missing[3:] else ''}: it was not"
            " trained as an audio classifier; train it first, or name one that was."
        )
    if about["mismatched_keys"]:
        raise Mistake(f"network={name}: its weights do not fit its config.json; copy both from the same place.")
    network = HubNetwork(model.float().eval(), model.config.model_type == "audio-spectrogram-transformer")
    numbered = {int(number): str(word) for number, word in model.config.id2label.items()}
    classes = [numbered[number] for number in sorted(numbered)]
    return FromHub(network, front_end_of(extractor, name), classes, int(extractor.sampling_rate))


def check_folder(name: str, place: str) -> None:
    """Raises a Mistake if a folder lacks a file that says how to build the network, or how to give it recordings."""
    if os.path.isdir(place):
        for file, what in (("config.json", "how the network is built"), ("preprocessor_config.json", "its front end")):
            if not Path(place, file).is_file():
                raise Mistake(
                    f"network={name}: the folder has no {file}, which says {what}; save_pretrained writes it."
                )
    elif place.startswith((".", "/", "~")) or place.count("/") > 1:
        raise Mistake(f"network={name}: there is no such folder; name one that save_pretrained wrote.")


def front_end_of(extractor: Any, name: str) -> FrontEnd:
    """The front end that gives what a feature extractor of `transformers` gives.

    Raises:
        Mistake: it is of another kind.
    """
    kind = type(extractor).__name__
    if kind == "Wav2Vec2FeatureExtractor":
        return UnitVariance(bool(extractor.do_normalize))
    if kind == "ASTFeatureExtractor":
        mean = float(extractor.mean) if extractor.do_normalize else None
        bands, frames = int(extractor.num_mel_bins), int(extractor.max_length)
        return KaldiMel(int(extractor.sampling_rate), bands, frames, mean, float(extractor.std))
    if kind == "WhisperFeatureExtractor":
        rate, bands, seconds = int(extractor.sampling_rate), int(extractor.feature_size), float(extractor.chunk_length)
        return WhisperMel(rate, bands, seconds, int(extractor.n_fft), int(extractor.hop_length))
    raise Mistake(
        f"network={name} has the feature extractor {shown(kind)}, which is not known here; wrap the model in a module"
        " of your own that takes waveforms, and name that: network=my_file.py:model."
    )


def sentence_of(name: str, place: str, error: Exception) -> str:
    """Says why a model cannot be opened."""
    why = shown(" ".join(str(error).split()), 200)
    kinds = {
        kind.__name__ for each in (error, error.__cause__, error.__context__) if each for kind in type(each).__mro__
    }
    if os.path.isdir(place):
        if "Unrecognized configuration class" in why or "Unrecognized model" in why:
            return f"network={name} is no audio classifier; name one of AutoModelForAudioClassification's."
        return f"network={name} cannot be opened ({type(error).__name__}: {why}); copy its files again."
    if kinds & {"RepositoryNotFoundError", "HFValidationError", "GatedRepoError"}:
        return f"network={name}: the hub has no such model, or wants you to log in ({why}); mind its spelling."
    if "Unrecognized configuration class" in why or "Unrecognized model" in why:
        return f"network={name} is no audio classifier; name one of AutoModelForAudioClassification's."
    return (
        f"network={name} is no folder here, and the hub cannot be reached or lacks it; copy the model to this machine,"
        f" and say network={HUB}FOLDER ({type(error).__name__}: {why})."
    )
