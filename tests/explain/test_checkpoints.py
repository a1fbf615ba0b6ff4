"""What a checkpoint's configuration says of the options, before its network is built."""

import pytest

from auscult.explain.checkpoints import check_fit
from auscult.mistake import Mistake

WAVEFORM = {"model": {"front_end": {"_target_": "auscult.modules.audiomnist_front_ends.NormalizedWaveform"}}}
SCALED = {"intervention": {"_target_": "auscult.explain.intervention.interventions.ScaleSpectrogram"}}
SEX = {"task": {"label": "sex"}}


def test_a_waveform_has_no_spectrogram_to_scale():
    with pytest.raises(Mistake, match=r"needs a network that is given spectrograms, such as AlexNet; choose"):
        check_fit(SCALED, WAVEFORM)
    check_fit(SCALED, {"model": {"front_end": {"_target_": "my_package.Spectrogram"}}})


@pytest.mark.parametrize("group", ["sex", "gender"])
def test_a_pattern_names_the_label(group):
    check_fit({"input": "clips", "data": {"pattern": f"(?P<{group}>.)_"}}, SEX)
    check_fit({"input": "clips", "data": {"pattern": "(?P<speaker>.)_", "speakers": "people.csv"}}, SEX)
    check_fit({"input": None, "data": {"pattern": "(?P<digit>.)_"}}, SEX)
    with pytest.raises(Mistake, match=r"data\.pattern has no group for the 'sex', which the checkpoint tells apart"):
        check_fit({"input": "clips", "data": {"pattern": "(?P<digit>.)_"}}, SEX)


def test_what_a_card_holds_may_be_anything():
    check_fit({"domain": {"window_seconds": 2.0}}, {"data": {"clip": {"seconds": "long"}}, "task": None, "model": [1]})
