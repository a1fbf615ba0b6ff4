"""Audio classifiers of Hugging Face's `transformers`, from the hub or from a folder: to explain, and to train.

No code that a model brings along is run (`trust_remote_code` stays off), and weights are read as data.
"""

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import nn

from auscult.mistake import Mistake
from auscult.modules.front_end import FrontEnd
from auscult.parts import build_part
from auscult.plain_data import shown
from auscult.pretrained.hub import Place, how_to_open, sentence_of
from auscult.pretrained.weights import say_what_starts_anew
from auscult.program.paths import HUB

if TYPE_CHECKING:
    from auscult.modules.networks.hugging_face import HuggingFace  # `transformers` takes seconds to import

log = logging.getLogger(__name__)

FRONT_ENDS = "auscult.modules.feature_extractors"


class FromHub(NamedTuple):
    """A classifier, and what its files say of it."""

    network: "HuggingFace"
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
    place = Place(f"network={HUB}", name.removeprefix(HUB))
    extractor, config = files_of(place)
    model, about = weights_of(place)
    if missing := sorted(about["missing_keys"]):
        raise Mistake(
            f"{place} has no weights for {', '.join(missing[:3])}{', …' if missing[3:] else ''}: it was not"
            " trained as an audio classifier; train it first, or name one that was."
        )
    if about["mismatched_keys"]:
        raise Mistake(f"{place}: its weights do not fit its config.json; copy both from the same place.")
    from auscult.modules.networks.hugging_face import HuggingFace

    numbered = {int(number): str(word) for number, word in config.id2label.items()}
    classes = [numbered[number] for number in sorted(numbered)]
    front_end: FrontEnd = build_part("model.front_end", front_end_node(extractor, place))
    network = HuggingFace(len(classes), {}, model.float().eval())
    return FromHub(network, front_end, classes, int(extractor.sampling_rate))


def described(config: dict[str, Any]) -> dict[str, Any]:
    """A training's configuration with all that is needed to build its network of Hugging Face.

    Its checkpoints are whole, then: neither the hub nor the folder is needed to open them.

    Args:
        config: checked; `model.name` names the model.

    Raises:
        Mistake: the model cannot be opened, or was made for clips of another sample rate, or for shorter ones.
    """
    model = config["model"]
    place = Place("model.name=", model["name"])
    extractor, own = files_of(place)
    check_clips(place, extractor, config["data"]["clip"])
    from auscult.modules.networks.hugging_face import options_of

    weights = model["weights"]
    if weights == f"{HUB}{place.name}" and not place.has_weights:
        log.info("%s: the folder has no weights, and the network is trained from the start.", place)
        weights = None
    network = {**model["network"], "config": options_of(own)}
    front_end = model["front_end"] or front_end_node(extractor, place)
    return {**config, "model": {**model, "weights": weights, "network": network, "front_end": front_end}}


def check_clips(place: Place, extractor: Any, clip: dict[str, Any]) -> None:
    """Raises a Mistake if a training's clips are not such as the network takes."""
    rate = int(extractor.sampling_rate)
    if clip["sample_rate"] != rate:
        raise Mistake(
            f"data.clip.sample_rate={clip['sample_rate']}: {place} was made for {rate} Hz; say"
            f" data.clip.sample_rate={rate}."
        )
    seconds = getattr(build_part("model.front_end", front_end_node(extractor, place)), "seconds", None)
    if seconds is not None and clip["seconds"] > seconds:
        raise Mistake(
            f"data.clip.seconds={clip['seconds']:g}: {place} sees {seconds:g} s at most; say"
            f" data.clip.seconds={seconds:g} or fewer."
        )


def start_from_hub(network: nn.Module, name: str) -> None:
    """Gives a network the weights of its model on the hub or in a folder, as far as they fit. What starts anew is said.

    Args:
        network: a `HuggingFace`.
        name: see `from_hub`.

    Raises:
        Mistake: the model cannot be opened, or none of its weights fit.
    """
    place = Place("model.name=", name.removeprefix(HUB))
    own: nn.Module = network.model  # type: ignore[assignment]
    model, about = weights_of(place, config=own.config, ignore_mismatched_sizes=True)
    misfits = {key[0] if isinstance(key, tuple) else key for key in about["mismatched_keys"]}
    names = list(own.state_dict())
    other = [key for key in names if key in misfits]
    missing = [key for key in names if key in about["missing_keys"] and key not in misfits]
    held = {key: value for key, value in model.state_dict().items() if key not in {*missing, *other}}
    if not any(value.dim() > 1 for value in held.values()):
        raise Mistake(f"{place} has no weights for the network of its config.json; copy both from the same place.")
    own.load_state_dict(held, strict=False)
    say_what_starts_anew(str(place), len(names), other, missing)


def files_of(place: Place) -> tuple[Any, Any]:
    """The feature extractor of a model, and its configuration.

    Raises:
        Mistake: `transformers` is not installed, or the files cannot be read.
    """
    how = how_to_open(place)
    try:
        from transformers import AutoConfig, AutoFeatureExtractor
        from transformers.utils import logging as their_logging
    except ImportError as error:
        raise Mistake(f'{place} needs transformers: python -m pip install "transformers>=5" installs it.') from error
    their_logging.set_verbosity_error()
    their_logging.disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(place.path, **how)
        return AutoFeatureExtractor.from_pretrained(place.path, **how), config
    except Exception as error:  # the library and the hub raise many kinds
        raise Mistake(sentence_of(place, error)) from error


def weights_of(place: Place, **more: Any) -> tuple[Any, dict[str, Any]]:
    """A model with its weights, and which of its tensors have none. See `files_of`.

    Args:
        more: arguments of `from_pretrained`.
    """
    how = how_to_open(place)
    from transformers import AutoModelForAudioClassification

    try:
        model, about = AutoModelForAudioClassification.from_pretrained(
            place.path, output_loading_info=True, **how, **more
        )
    except Exception as error:  # likewise
        raise Mistake(sentence_of(place, error)) from error
    return model, about


def front_end_node(extractor: Any, place: Place) -> dict[str, Any]:
    """The class and options of the front end that gives what a feature extractor of `transformers` gives.

    Raises:
        Mistake: it is of another kind.
    """
    kind = type(extractor).__name__
    if kind == "Wav2Vec2FeatureExtractor":
        return {"_target_": f"{FRONT_ENDS}.UnitVariance", "normalized": bool(extractor.do_normalize)}
    rate = int(extractor.sampling_rate)
    if kind == "ASTFeatureExtractor":
        return {
            "_target_": f"{FRONT_ENDS}.KaldiMel", "sample_rate": rate, "bands": int(extractor.num_mel_bins),
            "frames": int(extractor.max_length), "mean": float(extractor.mean) if extractor.do_normalize else None,
            "deviation": float(extractor.std),
        }  # fmt: skip
    if kind == "WhisperFeatureExtractor":
        return {
            "_target_": f"{FRONT_ENDS}.WhisperMel", "sample_rate": rate, "bands": int(extractor.feature_size),
            "seconds": float(extractor.chunk_length), "window": int(extractor.n_fft), "hop": int(extractor.hop_length),
        }  # fmt: skip
    raise Mistake(
        f"{place} has the feature extractor {shown(kind)}, which is not known here; wrap the model in a module"
        " of your own that takes waveforms, and name that: network=my_file.py:model."
    )
