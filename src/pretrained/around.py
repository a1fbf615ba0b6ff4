"""A model around any network: what it takes and what it gives is found by trying it on two clips of noise."""

import logging
from typing import Any

import torch
from torch import Tensor, nn

from auscult.mistake import Mistake
from auscult.modules.model import Model
from auscult.parts import place_of
from auscult.plain_data import shown
from auscult.pretrained.inner import Before, Behind
from auscult.pretrained.logits import Logits, head_of, names_of, picked, place_of_classes
from auscult.pretrained.transforms import axes_of, rate_of

log = logging.getLogger(__name__)

QUIET = torch.tensor([1.0, 1e-4]).view(2, 1, 1)  # of two clips, the second is 80 dB softer
CLOSE = 1e-3  # of the largest output: outputs that are meant to be the same differ by less


def model_around(
    network: nn.Module, *, sample_rate: int, samples: int, channels: int = 1, front_end: nn.Module | None = None,
    inner: str | None = None, classes: list[str] | None = None, output: str | int | None = None,
    kind: str | None = None, stretch: tuple[float, float] | None = None,
) -> Model:  # fmt: skip
    """The model of a network, in evaluation mode.

    Args:
        network: takes waveforms (B, C, T) or (B, T), or what the front end gives, with the dimension of channels or
            without; gives logits, probabilities, outputs for frames, or a group of these.
        sample_rate: of the waveforms, in hertz.
        samples: length of the clips.
        channels: C, of the waveforms.
        front_end: makes the network's input; None if it takes waveforms.
        inner: name of a module of the network whose output is explained, instead of the network's own input.
        classes: names of the outputs; None: numbers.
        output: which of several outputs has the logits.
        kind: what the outputs are, see `Model`; None: tags if they are sigmoids, else classes.
        stretch: the part of outputs for frames that counts, as shares of all; None: all.

    Raises:
        Mistake: it cannot take such clips, gives no logits, draws by chance, or has another number of outputs.
    """
    network.eval()
    check_precision(network)
    if (own := rate_of(network)) not in (None, sample_rate):
        log.warning(
            "sample_rate=%d, and the network makes its spectrogram for %d Hz: say sample_rate=%d if it was trained with"
            " that.", sample_rate, own, own,
        )  # fmt: skip
    device = next((weight.device for weight in network.parameters()), torch.device("cpu"))
    front_end = None if front_end is None else front_end.to(device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        waveform = (0.1 * torch.randn(2, channels, samples)).to(device)
        input = waveform if front_end is None else front_end(waveform)
        flat, outputs = tried(network, input, samples / sample_rate, sample_rate)
        values = picked(outputs, output)
        if values.dim() == 0 or len(values) != 2:
            raise Mistake(f"the network gives a tensor {tuple(values.shape)} for 2 clips; let it give (2, classes).")
        count = None if classes is None else len(classes)
        classes_at = place_of_classes(values, count)
        if values.dim() > 2 and count is None:
            classes_at = place_that_stays(network, input, values, flat, output)
        head, several = head_of(values, kind), values.dim() > 1 and values.shape[classes_at] > 1
        if kind is None and head == "sigmoid" and several:
            log.info("The network ends in sigmoids: each output is a tag, a yes or no of its own (kind=tags).")
        if kind in (None, "classes") and head == "softmax":
            log.info(
                "The network ends in a softmax: the logarithms of its probabilities are explained. They are near 0"
                " where it is sure, so that shares of them are large; let it give its logits to have shares of these."
            )
        kind = ("tags" if head == "sigmoid" else "classes") if kind is None else kind
        kind = kind if several or kind == "number" else "classes"
        how: dict[str, Any] = {"classes_at": classes_at, "kind": kind, "stretch": stretch}
        whole = Logits(network, output, flat=flat, head=head, **how)
        model = cut(whole, front_end, inner, waveform, sample_rate, classes)
        check(model, waveform, whole, front_end)
    return model


def check_precision(network: nn.Module) -> None:
    """Raises a Mistake if a network's weights are of another precision than waveforms are."""
    for weight in network.parameters():
        if weight.is_floating_point() and weight.dtype != torch.float32:
            raise Mistake(
                f"the network's weights are {str(weight.dtype).removeprefix('torch.')}, and relevance is computed in"
                " float32; say network.float(), of a copy if you need the network as it is."
            )


def place_that_stays(network: nn.Module, input: Tensor, values: Tensor, flat: bool, output: str | int | None) -> int:
    """Which dimension of an output, -1 or -2, has classes: the one that stays if clips are shorter; -1 if both do."""
    shorter = input[..., : 3 * input.shape[-1] // 4]
    try:
        with torch.no_grad():
            other = picked(network(shorter.squeeze(1) if flat else shorter.clone()), output)
    except Exception:  # it takes clips of one length
        return -1
    return -2 if other.shape[-1] != values.shape[-1] and other.shape[-2] == values.shape[-2] else -1


def tried(network: nn.Module, input: Tensor, seconds: float, sample_rate: int) -> tuple[bool, Any]:
    """Whether a network takes inputs (B, 1, ...) without their dimension of channels, and what it gives.

    Raises:
        Mistake: it takes them neither with that dimension nor without.
    """
    flat_ones = [False, True] if input.dim() > 2 and input.shape[1] == 1 else [False]
    errors: list[str] = []
    for flat in flat_ones:
        try:
            given = input.detach().clone().requires_grad_()
            return flat, network(given.squeeze(1).clone() if flat else given.clone())
        except Mistake:
            raise
        except Exception as error:  # a user's network may raise anything
            why = shown(" ".join(str(error).split()), 160)
            errors.append(f"{type(error).__name__} in {shown(place_of(error))}: {why}")
    shapes = [tuple(input.shape), (len(input), *input.shape[2:])][: len(flat_ones)]
    raise Mistake(
        f"the network takes no clips of {seconds:g} s at {sample_rate} Hz, {' or '.join(map(str, shapes))}"
        f" ({errors[0]}); mind sample_rate and seconds, and say front_end=… if it takes spectrograms, or"
        " channels=… if it takes several channels."
    )


def cut(
    whole: Logits, front_end: nn.Module | None, inner: str | None, waveform: Tensor, sample_rate: int,
    classes: list[str] | None,
) -> Model:  # fmt: skip
    """The model whose input is the front end's output; or, if an inner module is named, the output of that.

    Raises:
        Mistake: see `Before`, `Behind` and `names_of`.
    """
    network: nn.Module = whole
    if inner is not None:
        if front_end is not None:
            raise Mistake(f"front_end={inner}: the network has a front end already; leave front_end out.")
        before = Before(whole.network, inner, whole.flat)
        with torch.no_grad():
            shape = tuple(before(waveform).shape)
        axes = axes_of(whole.network, shape, sample_rate)
        if axes is not None:
            before.frequencies, before.times = axes
        behind = Behind(before)
        front_end = before
        kept: dict[str, Any] = {"classes_at": whole.classes_at, "kind": whole.kind, "stretch": whole.stretch}
        network = Logits(behind, whole.output, head=whole.head, **kept)
    with torch.no_grad():
        input = waveform if front_end is None else front_end(waveform)
        count = network(input).shape[1]
    names = names_of(count, classes, whole.kind)
    how: dict[str, Any] = {"sample_rate": sample_rate, "kind": whole.kind, "channels": waveform.shape[1]}
    return Model(network, front_end=front_end, classes=names, **how).eval()


def mixture(model: Model, waveform: Tensor) -> float:
    """How much the outputs for a clip differ if others are in the batch, as a share of the largest output.

    Raises:
        Mistake: the model takes no single clip, or gives another shape for it.
    """
    together = model(waveform)
    try:
        alone = torch.cat([model(clip[None]) for clip in waveform])
        difference = (alone - together).abs().max() / together.abs().max().clamp(min=1e-30)
    except Exception as error:  # a user's network may raise anything
        raise Mistake(
            "the network takes 2 clips, but not one alone, or gives another shape for it; let it keep the dimension of"
            " clips, as by squeeze(-1) instead of squeeze()."
        ) from error
    return float(difference)


def check(model: Model, waveform: Tensor, whole: nn.Module, front_end: nn.Module | None) -> None:
    """Compares what a model gives with what the whole network gives, from one pass to the next, and clip by clip.

    Raises:
        Mistake: outputs are not finite, or not the same where they are to be.
    """
    with torch.no_grad():
        logits = model(waveform)
        if not logits.isfinite().all():
            raise Mistake("the network gives outputs that are not finite for noise; give it finite ones by weights=….")
        again = whole(waveform if front_end is None else front_end(waveform))
        difference = max(mixture(model, waveform), mixture(model, waveform * QUIET.to(waveform)))
    scale = logits.abs().max().clamp(min=1e-30)
    if (again - logits).abs().max() > CLOSE * scale:
        inner = getattr(model.front_end, "module", None)
        if isinstance(inner, Before):
            raise Mistake(
                f"front_end={inner.name}: the network uses the waveform behind it, too; name an earlier module."
            )
        raise Mistake(
            "the network gives other outputs from one pass to the next; let it draw nothing by chance in evaluation,"
            " as by F.dropout(x, training=self.training)."
        )
    if difference > CLOSE:
        model.mixes = True
        log.warning(
            "the network mixes clips: its outputs for a clip differ by %.2g of their size if others are in the batch,"
            " as behind AmplitudeToDB(top_db=80), which takes the loudest of all; so each clip is explained alone.",
            difference,
        )
