"""A model around any network gives what the network gives, whatever form its input and its outputs have."""

import librosa
import pytest
import soundfile
import torch
from torch.nn.utils import parametrizations

import auscult
from auscult.explain.attribution.lrp import LRP
from auscult.mistake import Mistake
from auscult.modules.mel import centres
from auscult.pretrained.around import model_around
from auscult.pretrained.logits import Logits
from auscult.pretrained.transforms import axes_of
from tests.pretrained import networks
from tests.pretrained.networks import RATE

SAMPLES = 4000


def clips(count: int = 3) -> torch.Tensor:
    return 0.1 * torch.randn(count, 1, SAMPLES, generator=torch.Generator().manual_seed(1))


def around(network, **options):
    return model_around(network.eval(), sample_rate=RATE, samples=SAMPLES, **options)


def test_a_usual_network_stays_as_it_is():
    network = networks.Mel(5).eval()
    model = around(network, classes=list("abcde"))
    assert torch.equal(model(clips()), network(clips())) and model.classes == list("abcde")


def test_waveforms_without_channels_and_probabilities():
    network = networks.Flat(5).eval()
    model = around(network)
    assert torch.allclose(model(clips()).softmax(1), network(clips()[:, 0]), atol=1e-6)
    assert model.classes == list("01234")


@pytest.mark.parametrize("classes", [None, list("abcde")])
def test_outputs_for_frames_are_averaged(classes):
    network = networks.Frames().eval()
    assert torch.allclose(around(network)(clips()), network(clips())["logits"].mean(1))
    turned = (
        networks.FramesLast().eval()
    )  # the number of classes tells where they are, or what stays if clips are shorter
    assert torch.allclose(around(turned, classes=classes)(clips()), turned(clips()).mean(2))


def test_one_output_of_several_is_named():
    with pytest.raises(Mistake, match=r"gives 2 tensors \(0 \(2, 5\), 1 .* say output=0"):
        around(networks.Tuple())
    network = networks.Tuple().eval()
    assert torch.equal(around(network, output="0")(clips()), network(clips())[0])
    with pytest.raises(Mistake, match=r"say output=0, or another"):
        around(networks.Tuple(), output="2")
    with pytest.raises(Mistake, match="output=logits: the network gives one tensor"):
        around(networks.Mel(5), output="logits")


def test_one_probability_is_a_no_and_a_yes():
    network = networks.Yes().eval()
    model = around(network)
    assert model.classes == ["no", "yes"]
    assert torch.allclose(model(clips()).softmax(1)[:, 1], network(clips()), atol=1e-6)


def test_a_network_may_change_what_it_is_given():
    given = clips()
    model = around(networks.InPlace())
    assert torch.allclose(model(given), model.network.network(given.clone())) and torch.equal(given, clips())


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (networks.Chance, {}, "from one pass to the next; let it draw nothing by chance"),
        (networks.OfOneLength, {}, r"no clips of 0.25 s at 16000 Hz, \(2, 1, 4000\) or \(2, 4000\) \(RuntimeError"),
        (networks.Infinite, {}, "not finite"),
        (networks.Scalar, {}, r"gives a tensor \(\) for 2 clips"),
        (networks.Text, {}, "gives a str without tensors"),
        (lambda: networks.Mel(5), {"classes": list("abc")}, "has 5 outputs and classes=… has 3 names"),
        (lambda: networks.Mel(5), {"inner": "melt"}, "front_end=melt is no front end of ours and no module"),
        (lambda: networks.Residue(5), {"inner": "mel"}, "uses the waveform behind it, too"),
        (lambda: networks.Twice(5), {"inner": "mel"}, "is used 2 times"),
    ],
)  # fmt: skip
def test_what_no_model_is_made_of(network, options, message):
    with pytest.raises(Mistake, match=message):
        around(network(), **options)


def test_a_network_that_mixes_clips_is_said_to(caplog):
    class Mixing(networks.Tuple):
        def forward(self, waveform):
            frames = self.convolution(waveform).mean(2)
            return frames - frames.mean(0)

    around(Mixing())
    assert "mixes clips" in caplog.text and "each clip is explained alone" in caplog.text


@pytest.mark.parametrize("inner", ["mel", "decibels", "norm"])
@pytest.mark.parametrize("kind", [networks.Mel, networks.Flat])
def test_an_inner_module_is_the_front_end(inner, kind):
    network = kind(5).eval()
    model = around(network, inner=inner)
    given = clips() if kind is networks.Mel else clips()[:, 0]
    expected = network(given)
    if kind is networks.Flat:
        expected = expected.clamp(min=1e-30).log()
    assert torch.allclose(model(clips()), expected, atol=1e-5)
    input = model.front_end(clips())
    assert input.shape[2:] == (24, SAMPLES // 160 + 1)
    target = model.logits(input).argmax(1)
    attribution = LRP()
    relevance = attribution(model.network, input, target)
    total = relevance.flatten(1).sum(1) + attribution.biases + attribution.unshared
    assert torch.allclose(total, model.logits(input).gather(1, target[:, None])[:, 0], rtol=1e-3, atol=1e-4)


def test_the_axes_of_a_spectrogram_inside():
    network = networks.Mel(5)
    frequencies, times = axes_of(network, (1, 24, 26), RATE)
    assert times[3] == pytest.approx(0.03)
    peaks = network.mel.mel_scale.fb.argmax(0) * RATE / 512  # (24,)
    assert (frequencies - peaks).abs().max() < 150 and (frequencies.diff() > 0).all()
    assert axes_of(network, (1, 23, 26), RATE) is None
    assert axes_of(networks.Frames(), (1, 24, 26), RATE) is None


@pytest.mark.parametrize(("scale", "is_htk"), [("htk", True), ("slaney", False)])
def test_centres_of_bands_are_those_of_librosa(scale, is_htk):
    expected = librosa.mel_frequencies(66, fmin=20, fmax=8000, htk=is_htk)[1:-1]
    assert centres(20.0, 8000.0, 64, scale).numpy() == pytest.approx(expected, rel=1e-4)


def test_relevance_of_a_probability_is_that_of_its_logit():
    """`log(softmax(x))` is x less a number: relevance of the input is as without the softmax."""
    network = networks.Mel(5).eval()
    input, target = clips(), torch.tensor([0, 1, 2])
    plain = LRP()(Logits(network), input, target)
    behind = LRP()(Logits(torch.nn.Sequential(network, torch.nn.Softmax(1)), head="softmax"), input, target)
    assert torch.allclose(plain, behind, rtol=1e-3, atol=1e-5 * float(plain.abs().max()))
    sigmoid = LRP()(Logits(torch.nn.Sequential(network, torch.nn.Sigmoid()), head="sigmoid"), input, target)
    assert torch.allclose(plain, sigmoid, rtol=1e-3, atol=1e-5 * float(plain.abs().max()))


def test_a_notebook_explains_any_module():
    network = networks.Mel(5)
    parametrizations.weight_norm(network.dense)
    explanation = auscult.explain(network.train(), clips()[0], sample_rate=RATE)
    assert explanation.relevance.shape == (SAMPLES,) and explanation.conservation_error < 1e-3
    assert network.training and network.norm.training
    with pytest.raises(Mistake, match="needs sample_rate"):
        auscult.explain(network, clips()[0])


def test_a_notebook_loads_a_module_with_its_names_and_front_end(tmp_path):
    network = networks.Mel(3)
    model = auscult.load(network=network, sample_rate=RATE, classes=["a", "b", "c"], front_end="decibels")
    for samples in (SAMPLES, 2 * SAMPLES):  # each recording at its own length
        waveform = 0.1 * torch.randn(samples)
        explanation = auscult.explain(model, waveform)
        assert explanation.relevance.shape == (24, samples // 160 + 1) and explanation.target in "abc"
        assert torch.allclose(explanation.logits, network(waveform[None, None])[0], atol=1e-5)
    assert auscult.load(network=networks.Tuple(), sample_rate=RATE, output=0).classes == list("01234")


def test_short_recordings_lie_at_the_start_of_a_clip(tmp_path):
    soundfile.write(tmp_path / "short.wav", 0.1 * torch.randn(2000).numpy(), RATE)
    model = auscult.load(network=networks.Mel(3), sample_rate=RATE, classes=["a", "b", "c"], seconds=0.25)
    waveform = auscult.explain(model, tmp_path / "short.wav").waveform
    assert waveform.shape == (4000,) and waveform[:10].any() and not waveform[2000:].any()


def test_sigmoids_are_tags_each_of_its_own():
    network = torch.nn.Sequential(networks.Mel(5), torch.nn.Sigmoid())
    model, waveform = around(network), 0.1 * torch.randn(2, 1, SAMPLES)
    assert model.kind == "tags"
    assert torch.allclose(model(waveform).sigmoid(), network(waveform), atol=1e-5)
    assert around(network, kind="classes").kind == "classes"


def test_numbers_stay_as_they_are():
    network = torch.nn.Sequential(networks.Mel(1), torch.nn.Sigmoid())
    model, waveform = around(network, kind="number"), 0.1 * torch.randn(2, 1, SAMPLES)
    assert (model.kind, model.classes) == ("number", ["number"])
    assert torch.allclose(model(waveform), network(waveform), atol=1e-6)


@pytest.mark.parametrize(
    ("stretch", "frames"), [(None, slice(None)), ((0.5, 1.0), slice(5, 10)), ((0.31, 0.32), slice(3, 4))]
)
def test_a_stretch_is_the_mean_of_its_frames(stretch, frames):
    values = torch.randn(2, 10, 4)
    logits = Logits(torch.nn.Identity(), stretch=stretch)
    assert torch.allclose(logits(values), values[:, frames].mean(1))


def test_a_stretch_of_a_network_without_frames_is_refused():
    with pytest.raises(
        Mistake, match=r"stretch=… is a part of the frames, and the network gives one answer for a clip"
    ):
        around(networks.Mel(3), stretch=(0.0, 0.5))


def test_what_a_network_says_of_itself_is_taken():
    class Said(networks.Mel):
        sample_rate, classes = RATE, ("a", "b", "c")

    assert auscult.load(network=Said(3)).classes == ["a", "b", "c"]
    assert auscult.load(network=Said(3), classes=["x", "y", "z"]).classes == ["x", "y", "z"]
    numbers = auscult.load(network=Said(3), target="regression:b")
    assert (numbers.kind, numbers.classes) == ("number", ["a", "b", "c"])
    with pytest.raises(Mistake, match="sample_rate has no value; say sample_rate=16000"):
        auscult.load(network=networks.Mel(3))
