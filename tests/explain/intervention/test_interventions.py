import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from auscult.build import build
from auscult.explain.intervention.effect import compare
from auscult.explain.intervention.interventions import (
    Intervention,
    KeepBand,
    RemoveBand,
    ScaleSpectrogram,
    ScaleWaveform,
    stretched,
)
from auscult.intervals import DIFFERENCE, SpeakerIntervals
from auscult.mistake import Mistake
from auscult.modules.audiomnist_front_ends import DecibelSpectrogram, NormalizedWaveform
from auscult.modules.model import Model
from auscult.program.conf import CONF

RATE = 8000
TIME = torch.arange(RATE) / RATE
SEX = {"male": 1.5, "female": 0.66}
MEN, WOMEN = torch.tensor([0]), torch.tensor([1])


def model(front_end: nn.Module | None = None, classes: tuple[str, ...] = ("male", "female")) -> Model:
    return Model(nn.Identity(), front_end=front_end or DecibelSpectrogram(), classes=classes, sample_rate=8000)


def hears_waveforms(classes: tuple[str, ...] = ("male", "female")) -> Model:
    return model(nn.Identity(), classes)


def tone(hertz: float) -> Tensor:
    envelope = torch.exp(-(((TIME - 0.5) / 0.15) ** 2))
    return (0.5 * envelope * torch.sin(2 * torch.pi * hertz * TIME)).view(1, 1, -1)


def loudest_row_hertz(spectrogram: Tensor) -> float:
    row = spectrogram[0, 0].mean(-1).argmax()
    return DecibelSpectrogram().frequencies[row].item()


@pytest.mark.parametrize("path", sorted((CONF / "intervention").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_intervention_of_the_configuration_builds_and_gives_an_input(path):
    node = yaml.safe_load(path.read_text())
    assert node.pop("name") == path.stem
    intervention = build(node, "intervention", RATE)
    assert isinstance(intervention, Intervention)
    waveform, label = torch.cat([tone(200), tone(300), torch.zeros(1, 1, RATE)]), torch.tensor([0, 1, 0])
    asked = model()
    input = intervention(asked, waveform, label)
    assert input.shape == (3, 1, 227, 227)
    assert not torch.equal(input[:2], asked.front_end(waveform[:2]))
    assert not input[2].any()  # silence has nothing to change


@settings(max_examples=20, deadline=None)
@given(factor=st.floats(0.1, 10), seed=st.integers(0, 1000))
def test_stretching_is_numpys_interpolation_of_each_column(factor: float, seed: int) -> None:
    frequencies = DecibelSpectrogram().frequencies
    spectrogram = torch.rand(1, 1, 227, 5, generator=torch.Generator().manual_seed(seed))
    result = stretched(spectrogram, frequencies, torch.tensor([factor]), torch.full((1, 1, 227, 5), -1.0))
    rows = np.arange(227)
    for column in range(5):
        expected = np.interp(rows / factor, rows, spectrogram[0, 0, :, column].double(), right=-1)
        at_the_end = np.isclose(rows / factor, 226)  # where rounding decides what is beyond it
        np.testing.assert_allclose(result[0, 0, ~at_the_end, column], expected[~at_the_end], atol=2e-4)


@pytest.mark.parametrize("label, expected", [(MEN, 660), (WOMEN, 290.4)])
def test_a_tone_moves_to_the_row_of_its_new_frequency(label, expected):
    asked = model()
    spectrogram = ScaleSpectrogram(RATE, SEX)(asked, tone(440), label)
    assert loudest_row_hertz(asked.front_end(tone(440))) == pytest.approx(440, abs=9)
    assert loudest_row_hertz(spectrogram) == pytest.approx(expected, abs=9)  # half a row, of 17.6 Hz


@pytest.mark.parametrize("raw_decibels, floor", [(False, 0.0), (True, -80.0)])
def test_above_the_highest_row_there_is_the_floor(raw_decibels, floor):
    asked = model(DecibelSpectrogram(raw_decibels=raw_decibels))
    noise = torch.randn(1, 1, RATE, generator=torch.Generator().manual_seed(0))
    spectrogram = ScaleSpectrogram(RATE, SEX)(asked, noise, WOMEN)
    highest = int(0.66 * 226)
    assert (spectrogram[:, :, highest + 1 :] == floor).all()
    assert (spectrogram[:, :, highest].mean() - floor) > 0.5 * (asked.front_end(noise).mean() - floor)


@pytest.mark.parametrize("intervention", [ScaleSpectrogram, ScaleWaveform])
def test_each_clip_has_the_factor_of_its_class_and_one_changes_no_bit(intervention):
    asked = model(classes=("low", "same", "high"))
    factors = {"high": 2.0, "same": 1, "low": 0.5}
    waveform = torch.cat([tone(600)] * 4)
    inputs = intervention(RATE, factors)(asked, waveform, torch.tensor([2, 1, 0, 1]))
    assert [loudest_row_hertz(input[None]) for input in inputs] == pytest.approx([1200, 600, 300, 600], abs=9)
    assert torch.equal(inputs[[1, 3]], asked.front_end(waveform[:2]))


def test_scaled_waveforms_reach_networks_that_hear_them():
    scaled = ScaleWaveform(RATE, SEX)(hears_waveforms(), torch.cat([tone(440)] * 2), torch.tensor([0, 1]))
    spectrum = torch.fft.rfft(scaled[:, 0], 10 * RATE).abs()
    assert (spectrum.argmax(-1) / 10).tolist() == pytest.approx([660, 290.4], abs=1)
    asked = model(NormalizedWaveform())
    assert ScaleWaveform(RATE, SEX)(asked, tone(440), MEN).abs().max() > 1  # normalised after the change


def test_waveform_and_spectrogram_agree_on_where_a_tone_goes():
    asked = model()
    for label in (MEN, WOMEN):
        one, other = (make(RATE, SEX)(asked, tone(700), label) for make in (ScaleSpectrogram, ScaleWaveform))
        assert loudest_row_hertz(one) == pytest.approx(loudest_row_hertz(other), abs=18)


def test_spectrograms_of_a_network_without_one_are_refused():
    asked = model(NormalizedWaveform())
    with pytest.raises(Mistake, match=r"intervention=scale_spectrogram needs .*intervention=scale_waveform"):
        ScaleSpectrogram(RATE, SEX)(asked, tone(440), MEN)


@pytest.mark.parametrize("intervention", [ScaleSpectrogram, ScaleWaveform])
def test_a_class_without_a_factor_is_refused(intervention):
    asked = model(classes=("male", "child", "dog"))
    with pytest.raises(Mistake, match=r"no factor for the classes child, dog .*\+intervention\.factors\.child=1"):
        intervention(RATE, SEX)(asked, tone(440), MEN)


@pytest.mark.parametrize("intervention", [ScaleSpectrogram, ScaleWaveform])
def test_a_factor_without_a_class_is_refused_but_for_the_papers(intervention):
    asked = model(classes=("child", "dog"))
    own = {"child": 1.0, "dog": 1.0}
    intervention(RATE, own | SEX)(asked, tone(440), MEN)
    with pytest.raises(Mistake, match=r"intervention\.factors\.men is no class .*; its classes are child, dog\."):
        intervention(RATE, own | {"men": 1.5})(asked, tone(440), MEN)


def test_classes_may_have_numbers_for_names():
    asked = hears_waveforms(("0", "1"))
    assert ScaleWaveform(RATE, {0: 1.0, 1: 2.0})(asked, tone(440), MEN).equal(tone(440))


@pytest.mark.parametrize("intervention", ["ScaleSpectrogram", "ScaleWaveform"])
@pytest.mark.parametrize("factor", [0, -1, "loud", None, float("nan"), 1000, True])
def test_factors_that_are_none_are_refused(intervention, factor):
    node = {"_target_": f"auscult.explain.intervention.interventions.{intervention}", "factors": {"male": factor}}
    with pytest.raises(Mistake, match=r"intervention\.factors\.male=.* is not a number from 0\.1 to 10"):
        build(node, "intervention", RATE)


def test_factors_without_names_are_refused():
    node = {"_target_": "auscult.explain.intervention.interventions.ScaleWaveform", "factors": [1.5, 0.66]}
    with pytest.raises(Mistake, match=r"intervention\.factors=.* does not name a factor for each class"):
        build(node, "intervention", RATE)


def gain(intervention: Intervention, place: int = 4000) -> tuple[np.ndarray, Tensor]:
    """Gain at each hertz of 0..4000, and the response to an impulse at a place."""
    impulse = torch.zeros(1, 1, RATE)
    impulse[..., place] = 1
    response = intervention(hears_waveforms(), impulse, MEN).flatten()
    return np.abs(np.fft.rfft(response.double().numpy())), response


def test_a_band_is_kept_as_described():
    level, response = gain(KeepBand(RATE, low_hz=500, high_hz=2000, edge_hz=100))
    hertz = np.arange(4001)
    expected = np.zeros(4001)
    expected[(hertz >= 550) & (hertz <= 1950)] = 1
    expected[450:550] = 0.5 - 0.5 * np.cos(np.pi * np.arange(100) / 100)
    expected[1950:2050] = 0.5 + 0.5 * np.cos(np.pi * np.arange(100) / 100)
    np.testing.assert_allclose(level, expected, atol=2e-3)
    np.testing.assert_allclose(response[4000:4500], response[3501:4001].flip(0), atol=1e-6)  # moves nothing in time


@pytest.mark.parametrize("low_hz, high_hz", [(None, 300), (300, None), (300, 3400)])
def test_what_is_kept_and_what_is_removed_make_the_whole(low_hz, high_hz):
    options = {"low_hz": low_hz, "high_hz": high_hz, "edge_hz": 40}
    waveform = torch.randn(2, 1, RATE, generator=torch.Generator().manual_seed(0))
    parts = [make(RATE, **options)(hears_waveforms(), waveform, MEN) for make in (KeepBand, RemoveBand)]
    torch.testing.assert_close(parts[0] + parts[1], waveform, rtol=0, atol=1e-5)
    for level, inside in ((gain(KeepBand(RATE, **options))[0], 1), (gain(RemoveBand(RATE, **options))[0], 0)):
        assert level[200] == pytest.approx(inside if low_hz is None else 1 - inside, abs=1e-3)
        assert level[1000] == pytest.approx(inside if high_hz != 300 else 1 - inside, abs=1e-3)
        assert level[3900] == pytest.approx(inside if high_hz is None else 1 - inside, abs=1e-3)


def test_what_rings_beyond_the_end_does_not_come_in_at_the_start():
    _, response = gain(KeepBand(RATE, low_hz=300, high_hz=3400), place=RATE - 1)
    assert response[:4000].abs().max() < 1e-3 * response.abs().max()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"low_hz": 500, "high_hz": 300}, r"intervention\.low_hz=500 is not below intervention\.high_hz=300"),
        ({"low_hz": None, "high_hz": None}, r"both null"),
        ({"low_hz": 300, "high_hz": 4000}, r"intervention\.high_hz=4000 is neither null nor .* 4000 Hz"),
        ({"low_hz": -1, "high_hz": None}, r"intervention\.low_hz=-1 is neither"),
        ({"low_hz": "deep", "high_hz": None}, r"intervention\.low_hz=deep is neither"),
        ({"low_hz": 300, "high_hz": None, "edge_hz": 0}, r"intervention\.edge_hz=0 is not a width above 0 Hz"),
    ],
)
@pytest.mark.parametrize("intervention", ["KeepBand", "RemoveBand"])
def test_bands_that_are_none_are_refused(intervention, options, message):
    with pytest.raises(Mistake, match=message):
        build(
            {"_target_": f"auscult.explain.intervention.interventions.{intervention}", **options}, "intervention", RATE
        )


def test_comparison_counts_and_has_intervals_over_speakers():
    label = np.array([0, 0, 1, 1, 1, 0])
    before, after = np.array([0, 0, 1, 1, 0, 1]), np.array([1, 0, 0, 1, 0, 0])
    intervals = SpeakerIntervals(["a", "a", "b", "b", "c", "c"])
    metrics = compare(label, before, after, intervals)
    shares = {name: metrics[f"intervention/{name}"] for name in ("accuracy_before", "accuracy_after", "flipped")}
    assert shares == pytest.approx({"accuracy_before": 4 / 6, "accuracy_after": 3 / 6, "flipped": 3 / 6})
    assert 0 < metrics["intervention/accuracy_before_low"] < 4 / 6 < metrics["intervention/accuracy_before_high"] < 1
    # each speaker was right in half of the changed clips, by luck: that says nothing of how far speakers differ
    assert "intervention/accuracy_after_low" not in metrics


def test_the_shams_of_a_stretched_spectrogram():
    """The opposite moves a tone the other way; the artefact empties what the change would empty or lose."""
    shams, asked = ScaleSpectrogram(RATE, SEX).shams(), model()
    assert loudest_row_hertz(shams["opposite"](asked, tone(440), MEN)) == pytest.approx(440 / 1.5, abs=9)
    assert loudest_row_hertz(shams["opposite"](asked, tone(440), WOMEN)) == pytest.approx(440 / 0.66, abs=9)
    noise = torch.randn(2, 1, RATE, generator=torch.Generator().manual_seed(0))
    whole, label = asked.front_end(noise), torch.tensor([0, 1])
    assert torch.equal(shams["unchanged"](asked, noise, label), whole)
    damaged = shams["artefact"](asked, noise, label)
    for clip, share in enumerate((1 / 1.5, 0.66)):  # of the rows: the rest leaves at the top, or nothing comes into it
        kept = int(share * 226) + 1
        assert torch.equal(damaged[clip, :, :kept], whole[clip, :, :kept]) and not damaged[clip, :, kept:].any()


def test_the_shams_of_a_scaled_waveform():
    """There and back, a tone is where it was, and what has left at the top does not return."""
    shams, asked = ScaleWaveform(RATE, SEX).shams(), hears_waveforms()
    both = tone(440) + tone(3000)
    spectra = {name: torch.fft.rfft(sham(asked, both, MEN)[0, 0]).abs() for name, sham in shams.items()}
    assert spectra["opposite"][:1000].argmax().item() == pytest.approx(440 / 1.5, abs=2)
    assert spectra["artefact"][:1000].argmax().item() == pytest.approx(440, abs=2)
    assert spectra["artefact"][2900:3100].max() < 0.02 * spectra["artefact"].max()
    assert torch.equal(shams["unchanged"](asked, both, MEN), both)


@pytest.mark.parametrize("intervention", [KeepBand, RemoveBand])
def test_the_shams_of_a_band(intervention):
    """The artefact is a band of the same width at the other end, if there is room; the opposite, the rest."""
    noise = torch.randn(1, 1, RATE, generator=torch.Generator().manual_seed(0))
    own = intervention(RATE, 500, 1000)
    asked, label = hears_waveforms(), MEN
    if intervention is KeepBand:
        torch.testing.assert_close(own(asked, noise, label) + own.shams()["opposite"](asked, noise, label), noise)
    assert ("opposite" in own.shams()) == own.spares == (intervention is KeepBand)
    spectrum = torch.fft.rfft(own.shams()["artefact"](asked, noise, label)[0, 0]).abs()
    top, rest = spectrum[3600:].mean(), spectrum[:3400].mean()
    assert top > 20 * rest if intervention is KeepBand else rest > 20 * top
    assert "artefact" not in intervention(RATE, 1000, None).shams()


def test_shams_are_compared_clip_by_clip():
    label, before = np.zeros(8, int), np.zeros(8, int)
    after, sham = np.array([1, 1, 1, 1, 1, 0, 1, 1]), np.array([0, 0, 1, 0, 0, 0, 1, 0])
    intervals = SpeakerIntervals(list("aabbccdd"))
    metrics = compare(label, before, after, intervals, {"opposite": sham})
    assert metrics["intervention/accuracy_after"] == 1 / 8 and metrics["intervention/opposite/accuracy_after"] == 6 / 8
    further = intervals.described("x", np.array([1, 1, 0, 1, 1, 0, 0, 1.0]), DIFFERENCE)
    found = [metrics[f"intervention/opposite/minus_intervention{end}"] for end in ("", "_low", "_high")]
    assert found == [further["x"], further["x_low"], further["x_high"]]
