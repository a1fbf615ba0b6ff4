"""`import auscult`: a recording is explained in a few lines."""

import inspect
import io
import re
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import soundfile
import torch
from scipy.ndimage import gaussian_filter1d
from torch import nn

import auscult
from auscult.checkpoint.checkpoint import classifier_of, open_checkpoint
from auscult.datamodules.recording import ClipSettings, prepare
from auscult.explain.domain.domains import Frequency
from auscult.mistake import Mistake
from tests.conftest import ROOT

RATE, SAMPLES = 8000, 800


def linear(classes=("low", "high"), samples=SAMPLES) -> auscult.Model:
    """A network whose relevance is known: weight times sample, and the bias apart."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(samples, len(classes)))
    return auscult.Model(network, classes=classes, sample_rate=RATE)


def tone(samples: int = SAMPLES, rate: int = RATE) -> torch.Tensor:
    return 0.3 * torch.sin(2 * torch.pi * 440 * torch.arange(samples) / rate)


def test_importing_it_imports_nothing_heavy():
    heavy = "{'torch', 'numpy', 'hydra', 'pytorch_lightning', 'matplotlib'}"
    code = (
        f"import sys, auscult; assert callable(auscult.explain); auscult.Mistake; print({heavy} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_what_it_offers_is_found():
    assert set(auscult.__all__) <= set(dir(auscult)) and all(hasattr(auscult, name) for name in auscult.__all__)
    assert list(inspect.signature(auscult.explain).parameters)[:3] == ["model", "recording", "sample_rate"]
    with pytest.raises(AttributeError, match="has no attribute 'explian'"):
        auscult.explian  # noqa: B018


@pytest.mark.slow
def test_type_checkers_follow_it(tmp_path):
    (tmp_path / "asks.py").write_text(
        "import auscult\nimport auscult.explain.show.clip\n"
        'reveal_type(auscult.explain(auscult.load("run"), "dog.wav").relevance)\n'
        'auscult.explain(auscult.load("run"), "dog.wav", targt="dog")\nauscult.explian\n'
    )
    command = [sys.executable, "-m", "mypy", "--follow-imports=silent", "--ignore-missing-imports", "asks.py"]
    done = subprocess.run(
        command, cwd=tmp_path, env={"MYPYPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True, check=False
    )
    said = [line.split(": ", 1)[1] for line in done.stdout.splitlines() if line.startswith("asks.py")]
    assert said[0] == 'note: Revealed type is "torch._tensor.Tensor"'
    assert 'Unexpected keyword argument "targt"' in said[1] and any(
        'has no attribute "explian"' in line for line in said
    )


@pytest.mark.parametrize("target", [None, "high", 0, "predicted"])
def test_relevance_of_a_linear_network_is_weight_times_sample(target):
    model, waveform = linear(), tone()
    layer = model.network[1]
    logits = layer(waveform).detach()
    number = {None: int(logits.argmax()), "predicted": int(logits.argmax()), "high": 1, 0: 0}[target]
    explanation = auscult.explain(model, waveform, attribution="lrp_epsilon", target=target)
    torch.testing.assert_close(explanation.relevance, (layer.weight[number] * waveform).detach(), atol=1e-5, rtol=1e-4)
    assert explanation.biases == pytest.approx(float(layer.bias[number].detach()), abs=1e-5)
    torch.testing.assert_close(explanation.logits, logits)
    torch.testing.assert_close(explanation.probabilities, logits.exp() / logits.exp().sum())
    assert explanation.target == model.classes[number]
    assert explanation.prediction == model.classes[int(logits.argmax())]
    assert explanation.conservation_error < 1e-4


def test_the_conservation_error_is_what_relevance_lacks():
    explanation = auscult.explain(linear(), tone(), attribution=lambda network, input, target: torch.ones_like(input))
    logit = float(explanation.logits.max())
    assert explanation.conservation_error == pytest.approx(abs(SAMPLES - logit) / abs(logit), rel=1e-5)
    assert explanation.biases is None


@pytest.mark.parametrize(
    ("domain", "shape"),
    [("input", (800,)), ("time", (800,)), ("frequency", (401,)), ("time_frequency", (229, 8)),
     ({"name": "time_frequency", "window_seconds": 0.02, "hop_seconds": 0.01}, (81, 11))],
)  # fmt: skip
def test_every_domain_is_seen_and_heard(domain, shape):
    explanation = auscult.explain(linear(), tone(), domain=domain)
    assert explanation.relevance.shape == shape and explanation.conservation_error < 1e-3
    assert explanation.plot()._repr_png_().startswith(b"\x89PNG")
    assert set(explanation.sounds) >= {"original", "positive", "negative"}
    assert explanation.sounds["original"].shape == (SAMPLES,) and explanation.sample_rate == RATE


def test_what_is_asked_has_a_name_or_options_or_is_an_object():
    model = linear()
    named = auscult.explain(model, tone(), attribution="gradient_x_input", domain="frequency")
    for attribution in (
        {"name": "gradient_x_input"},
        lambda network, input, target: (model.network[1].weight[target][:, None] * input).detach(),
    ):
        for domain in (Frequency, Frequency(model, SAMPLES), partial(Frequency)):
            other = auscult.explain(model, tone(), attribution=attribution, domain=domain)
            torch.testing.assert_close(other.relevance, named.relevance, atol=1e-6, rtol=1e-4)
    few, many = (
        auscult.explain(model, tone(), attribution={"name": "smoothgrad", "samples": count}).relevance
        for count in (1, 8)
    )
    torch.testing.assert_close(few, many)  # of a linear network, the gradient is the same everywhere


def test_relevance_is_heard_smoothed_or_as_published():
    smoothed, published, by_default = (
        auscult.explain(linear(), tone(), **how) for how in ({"smoothing": 0.005}, {"smoothing": 0}, {})
    )
    relevance = published.relevance.numpy()
    torch.testing.assert_close(smoothed.relevance, published.relevance, rtol=0, atol=0)
    for explanation, gain in (
        (published, relevance),
        (smoothed, gaussian_filter1d(relevance, 40, mode="nearest")),  # 5 ms at 8 kHz
        (by_default, gaussian_filter1d(relevance, 40, mode="nearest")),
    ):
        heard, expected = (
            explanation.sounds["positive"][100:-100],
            (gain.clip(0) * tone().numpy())[100:-100],
        )  # no fades
        np.testing.assert_allclose(heard / np.abs(heard).max(), expected / np.abs(expected).max(), atol=1e-5)


def test_a_model_is_left_as_it_was():
    model = linear()
    model.network.append(nn.Dropout(0.9))
    model.network[1].eval()
    auscult.explain(model, tone())
    assert model.network[2].training and not model.network[1].training
    first, second = (auscult.explain(model, tone()).logits for _ in range(2))
    torch.testing.assert_close(first, second)


def test_samples_with_a_rate_are_resampled_and_mixed():
    stereo = torch.stack([tone(1600, 16000), tone(1600, 16000)])
    whole = auscult.explain(linear(), stereo, sample_rate=16000).waveform
    assert whole.shape == (SAMPLES,)
    torch.testing.assert_close(whole[100:-100], tone()[100:-100], atol=5e-3, rtol=0)
    int16 = (32768 * stereo).to(torch.int16).numpy()
    np.testing.assert_allclose(auscult.explain(linear(), int16, sample_rate=16000).waveform, whole, atol=1e-4)


@pytest.mark.parametrize("scaled", [lambda tone: (9000 * tone).round(), lambda tone: 9000 * tone])
def test_integers_as_floats_are_refused(scaled):
    with pytest.raises(auscult.Mistake, match=r"floats are to lie in .* give samples of 16 bits as int16"):
        auscult.explain(linear(), scaled(tone()), sample_rate=8000)
    auscult.explain(linear(), scaled(tone()))  # a waveform of the user's own network may have any scale


def test_infinite_samples_are_not_blamed_on_their_scale():
    broken = tone()
    broken[3] = torch.inf
    with pytest.raises(auscult.Mistake, match="finite"):
        auscult.explain(linear(), broken, sample_rate=8000)


def test_options_of_an_attribution_are_no_arguments():
    with pytest.raises(auscult.Mistake, match=r'n_steps is no argument of auscult.explain.* as attribution=\{"name"'):
        auscult.explain(linear(), tone(), n_steps=5)
    with pytest.raises(auscult.Mistake, match=r"sampling_rate is no argument of auscult.explain: say sample_rate."):
        auscult.explain(linear(), tone(), sampling_rate=8000)


def test_floats_above_full_scale_are_taken():
    auscult.explain(linear(), 20 * tone(), sample_rate=8000)


@pytest.mark.parametrize("as_folder", [True, False])
@pytest.mark.slow
def test_a_checkpoint_listens_to_a_file_as_to_its_own_recordings(trained, tmp_path, as_folder):
    path = trained("audionet", "sex")
    soundfile.write(tmp_path / "word.wav", np.pad(0.3 * np.sin(np.arange(9000) / 9), 9000), 22050)
    model = auscult.load(path.parent.parent if as_folder else str(path))
    explanation = auscult.explain(model, tmp_path / "word.wav", domain="frequency")
    samples, rate = soundfile.read(tmp_path / "word.wav", dtype="int16", always_2d=True)
    opened = open_checkpoint(path)
    clip = prepare(samples, rate, ClipSettings(**opened["auscult"]["config"]["data"]["clip"])).samples[0] / 32768
    before = (8000 - len(clip)) // 2
    waveform = torch.from_numpy(np.pad(clip, (before, 8000 - len(clip) - before))).float()
    torch.testing.assert_close(explanation.waveform, waveform)
    with torch.no_grad():
        classifier = classifier_of(opened)
        logits = classifier.network(classifier.front_end(waveform.view(1, 1, -1)))[0]
    torch.testing.assert_close(explanation.logits, logits, atol=1e-4, rtol=1e-4)
    assert explanation.relevance.shape == (4001,) and not explanation.cut
    long = torch.cat([tone(8000), tone(8000)])
    assert auscult.explain(model, long, sample_rate=8000).cut
    with pytest.raises(Mistake, match=r"has 16000 samples, but the network's clips have 8000 \(1 s at 8000 Hz\)"):
        auscult.explain(model, long)


def test_without_ipython_nothing_plays(monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", None)
    with pytest.raises(Mistake, match=r"listen\(\) needs IPython"):
        auscult.explain(linear(), tone()).listen()


def test_players_play_what_is_heard(ipython):
    explanation = auscult.explain(linear(), tone())
    html = explanation.listen()
    assert html.count("<audio controls") == len(explanation.sounds) and "<p>original<br>" in html
    heard, rate = soundfile.read(io.BytesIO(explanation.files[0].wav))
    assert rate == RATE
    np.testing.assert_allclose(heard, explanation.sounds["original"], atol=1e-4)


def test_a_notebook_shows_a_mistake_as_a_sentence():
    assert Mistake("say it again.")._render_traceback_() == ["Mistake: say it again."]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"recording": "nothing.wav"}, "nothing.wav is not a file; name a recording."),
        ({"recording": [0.1]}, "a list is no recording; give the path of a file, a tensor or an array."),
        ({"recording": np.zeros((800, 100))}, "samples of the shape (800, 100) are not one recording"),
        ({"recording": np.zeros(800, int)}, "samples of the type int64 have no known scale"),
        ({"recording": np.full(800, np.nan)}, "the waveform is not finite"),
        ({"recording": torch.zeros(2, 800)}, "a waveform of this network has one channel, not 2; add sample_rate=…"),
        ({"sample_rate": 0}, "sample_rate=0 is not a whole number of 100 Hz or more."),
        ({"recording": torch.zeros(800), "sample_rate": 8000}, "the recording cannot be listened to (silent)"),
        ({"recording": tone(80)}, "the model cannot be given 80 samples (0.01 s at 8000 Hz): RuntimeError: mat1"),
        ({"model": nn.Identity()}, "explain(network, recording) needs sample_rate=…"),
        ({"model": [1]}, "a list is no model; give a torch.nn.Module, or auscult.load(…)."),
        ({"model": "dog.wav"}, "explain(model, recording) takes a model first; auscult.load(…) gives"),
        ({"attribution": "gradcam"}, "attribution=gradcam is unknown; choose one of amplitude, "),
        ({"attribution": "lrp"}, "attribution=lrp is unknown; choose one of lrp_alpha2_beta1, lrp_"),
        ({"attribution": "lrp_epsilonplus"}, "attribution=lrp_epsilonplus is unknown; choose one of lrp_epsilon_plus,"),
        ({"attribution": {"name": "lrp_box", "hi": 1}}, "attribution=lrp_box has no option hi; choose high."),
        ({"attribution": {"name": "gradient", "steps": 1}}, "attribution=gradient has no option steps; leave it out."),
        ({"attribution": {"steps": 3}}, "attribution={'steps': 3} has no name of conf/attribution"),
        ({"attribution": 3}, "attribution=3 is no name of conf/attribution, no options of one, and no callable."),
        ({"domain": "frequncy"}, "domain=frequncy is unknown; choose one of frequency, time_frequency."),
        ({"domain": 3}, "domain=3 is no name of conf/domain, no options of one, and no Domain."),
        ({"domain": "frequency", "attribution": "gradient"}, "Gradient says how the logit changes with the input"),
        ({"target": "hihg"}, "target=hihg is no class of the model; choose high."),
        ({"target": 2}, "target=2 is no class of the model; name one, or a number under 2."),
        ({"smoothing": -0.005}, "smoothing=-0.005 is no number from 0 to 1 second."),
        ({"smoothing": "5 ms"}, "smoothing=5 ms is no number from 0 to 1 second."),
    ],
)  # fmt: skip
def test_a_mistake_is_said_in_a_sentence(options, sentence):
    with pytest.raises(Mistake) as mistake:
        auscult.explain(**{"model": linear(), "recording": tone(), **options})
    assert str(mistake.value).startswith(sentence) and "\n" not in str(mistake.value)


def test_a_network_of_other_classes_is_refused():
    model = auscult.Model(linear().network, classes=["a", "b", "c"], sample_rate=RATE)
    with pytest.raises(Mistake, match=r"gives \(1, 2\) for one clip, and has 3 classes; name as many"):
        auscult.explain(model, tone())


def test_a_file_of_another_rate_than_is_said_is_refused(tmp_path):
    soundfile.write(tmp_path / "tone.wav", tone().numpy(), RATE)
    assert auscult.explain(linear(), str(tmp_path / "tone.wav"), sample_rate=RATE).relevance.shape == (SAMPLES,)
    with pytest.raises(Mistake, match=r"tone\.wav has a rate of 8000 Hz, not sample_rate=16000; leave sample_rate out"):
        auscult.explain(linear(), tmp_path / "tone.wav", sample_rate=16000)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"classes": 3}, "classes=3 are no names; name them in the order of the logits"),
        ({"classes": None}, "classes=None are no names"),
        ({"classes": "cat"}, "classes=cat are no names"),
        ({"sample_rate": 16}, "sample_rate=16 is not a whole number of 100 Hz or more."),
        ({"sample_rate": 16e3}, "sample_rate=16000.0 is not a whole number of 100 Hz or more."),
    ],
)
def test_a_model_says_what_it_lacks(options, sentence):
    with pytest.raises(Mistake, match=re.escape(sentence)):
        auscult.Model(nn.Identity(), **{"classes": ["a", "b"], "sample_rate": RATE, **options})


def test_the_rate_may_stand_behind_the_recording():
    torch.testing.assert_close(
        auscult.explain(linear(), tone(), RATE).relevance, auscult.explain(linear(), tone(), sample_rate=RATE).relevance
    )


class Gives(nn.Module):
    """A network that gives what a function makes of two logits (B, 2)."""

    def __init__(self, make) -> None:
        super().__init__()
        self.dense, self.make = nn.Linear(SAMPLES, 2), make

    def forward(self, waveform: torch.Tensor):
        return self.make(self.dense(waveform.flatten(1)))


def explained(network, attribution="integrated_gradients", classes=("low", "high"), **options) -> auscult.Explanation:
    model = auscult.Model(network, classes=classes, sample_rate=RATE, **options)
    return auscult.explain(model, tone(), attribution=attribution)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda logits: {"logits": logits}, r"gives a dict; let it give its logits alone, a tensor \(B, classes\)\."),
        (lambda logits: logits.detach().numpy(), "gives a ndarray; let it give its logits alone"),
        (lambda logits: logits[:, None], r"gives \(1, 1, 2\) for one clip; of waveforms \(B, 1, T\) it has to"),
        (lambda logits: logits[:, :1], r"\(1, 1\) for one clip, and has 2 classes; two or more are needed"),
        (lambda logits: logits.detach(), r"have no gradient, as if its forward ran under torch\.no_grad\(\)"),
    ],
)  # fmt: skip
def test_networks_that_do_not_give_logits(make, says):
    with pytest.raises(auscult.Mistake, match=says):
        explained(Gives(make))


def test_one_class_is_too_few():
    with pytest.raises(auscult.Mistake, match="and has 1 classes; two or more are needed"):
        explained(Gives(lambda logits: logits[:, :1]), classes=["yes"])


def test_one_output_is_made_two_as_the_sentence_says():
    z = Gives(lambda logits: logits[:, :1])
    two = Gives(lambda logits: torch.cat([torch.zeros_like(logits[:, :1]), logits[:, :1]], 1))
    two.load_state_dict(z.state_dict())
    chance = z(tone().view(1, 1, -1)).sigmoid().item()
    assert explained(two).probabilities[1] == pytest.approx(chance, rel=1e-5)


@pytest.mark.parametrize("network", [{"weight": torch.zeros(2)}, lambda waveform: waveform, "audionet", None])
def test_what_is_no_network_is_refused_at_once(network):
    with pytest.raises(auscult.Mistake, match=r"network holds weights only|network=.* is no module"):
        auscult.Model(network, classes=["low", "high"], sample_rate=RATE)


def test_a_front_end_is_a_module():
    with pytest.raises(auscult.Mistake, match="front_end=log_mel is no module"):
        explained(Gives(nn.Identity()), front_end="log_mel")


def test_probabilities_are_warned_of(caplog):
    explained(Gives(lambda logits: logits.softmax(1)))
    assert "as probabilities do: leave its softmax out" in caplog.text
    caplog.clear()
    explained(Gives(nn.Identity()))
    assert not caplog.text


def test_torchscript_is_explained_by_gradients_only():
    network = torch.jit.script(nn.Sequential(nn.Flatten(), nn.Linear(SAMPLES, 2)))
    with pytest.raises(auscult.Mistake, match="LRP cannot look into TorchScript: build the network from its Python"):
        explained(network, "lrp_epsilon_plus")
    assert explained(network).relevance.isfinite().all()


def of_kind(kind: str, classes=("low", "middle", "high")) -> auscult.Model:
    model = linear(classes)
    return auscult.Model(model.network, classes=classes, sample_rate=RATE, kind=kind)


@pytest.mark.parametrize("as_object", [False, True])
@pytest.mark.parametrize("name", ["low", "middle", "high"])
def test_a_tag_is_the_one_that_is_named(as_object, name):
    """A domain that was made before knows nothing of the tag that is asked for."""
    model = of_kind("tags")
    domain = Frequency(model, SAMPLES) if as_object else "frequency"
    explanation = auscult.explain(model, tone(), target=name, domain=domain, attribution="gradient_x_input")
    number = model.classes.index(name)
    share = 1.0 if as_object else 0.5  # of its logit: without an object, there are two answers, no and yes
    expected = share * float(model.network[1].weight.detach()[number] @ tone())
    assert explanation.target == name
    assert float(explanation.relevance.sum()) + explanation.apart == pytest.approx(expected, rel=1e-3)


def test_tags_have_probabilities_of_their_own():
    model = of_kind("tags")
    explanation = auscult.explain(model, tone())
    torch.testing.assert_close(explanation.probabilities, model(tone().view(1, 1, -1))[0].sigmoid().detach())


def test_a_number_has_no_probability():
    model = of_kind("number", ("age",))
    explanation = auscult.explain(model, tone(), target="regression:age")
    assert explanation.prediction == f"{model(tone().view(1, 1, -1)).item():.4g}" and explanation.target == "age"
    assert len(explanation.probabilities) == 0 and "Explanation of age: " in repr(explanation)


def test_one_class_against_another_is_half_the_difference():
    model = linear(("low", "middle", "high"))
    explanation = auscult.explain(model, tone(), target="low", against="high", attribution="gradient_x_input")
    weight = model.network[1].weight.detach()
    torch.testing.assert_close(explanation.relevance, (weight[0] - weight[2]) / 2 * tone(), atol=1e-6, rtol=1e-4)
    assert explanation.target == "low" and explanation.model.classes == ["low", "high"]


def test_groups_want_a_domain_by_its_name():
    model = linear(("low", "middle", "high"))
    with pytest.raises(Mistake, match="make another model, for which domain=… was not made; name the domain instead"):
        auscult.explain(model, tone(), target="low", against="rest", domain=Frequency(model, SAMPLES))


def test_classes_go_by_number_too():
    model = linear(("low", "middle", "high"))
    named = auscult.explain(model, tone(), target=["low", "middle"], against="high")
    numbered = auscult.explain(model, tone(), target=[0, 1], against=2)
    assert torch.equal(named.relevance, numbered.relevance)
    for options in ({"target": []}, {"target": 0, "against": 7}, {"target": [0, 9]}):
        with pytest.raises(Mistake, match=r"names no class|is no class of the model"):
            auscult.explain(model, tone(), **options)


class Mean(nn.Module):
    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        mean = waveform.mean(-1)  # (B, 1)
        return torch.cat([mean, 0.5 - mean], 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int16])
def test_a_network_hears_the_offset_and_the_level_of_a_recording(dtype, tmp_path):
    samples = 0.3 + 0.001 * torch.randn(8000, generator=torch.Generator().manual_seed(0))
    samples = samples if dtype == torch.float32 else (32768 * samples).round().to(dtype)
    explanation = auscult.explain(Mean(), samples, sample_rate=16000, attribution="gradient_x_input")
    torch.testing.assert_close(explanation.logits, torch.tensor([0.3, 0.2]), rtol=0, atol=1e-4)
    soundfile.write(tmp_path / "a.wav", samples.numpy(), 16000)
    model = auscult.Model(Mean(), classes=["up", "down"], sample_rate=16000)
    explanation = auscult.explain(model, tmp_path / "a.wav", attribution="gradient_x_input")
    torch.testing.assert_close(explanation.logits, torch.tensor([0.3, 0.2]), rtol=0, atol=1e-4)
