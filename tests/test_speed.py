import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.slow


def measured(*command: str) -> str:
    """What a benchmark prints at its smallest size."""
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, timeout=300
    ).stdout


@pytest.mark.parametrize("model", ["audionet", "alexnet"])
def test_training(model: str) -> None:
    options = [f"model={model}", "task=sex", "data.repetitions=1", "data.batch_size=4"]
    shown = measured("speed.training", "--rounds", "1", "--batches", "2", "--options", *options)
    for name in ("program / bare loop", "loader / program"):
        [ratio] = re.findall(rf"{name} +(\S+)", shown)
        assert float(ratio) > 0


def test_cache() -> None:
    shown = measured("speed.cache", "--clips", "20", "--rounds", "1")
    for resampler in ("soxr_hq", "scipy"):
        [ratio] = re.findall(rf"audiomnist +{resampler}.* ([\d.]+) \(", shown)
        assert float(ratio) > 0


def test_opening() -> None:
    shown = measured("speed.opening", "--clips", "100", "--rounds", "1")
    for name in ("opening the cache, seconds", "peak memory above baseline, MB"):
        [value] = re.findall(rf"{name} +(\S+)", shown)
        assert float(value) > 0


@pytest.mark.parametrize("network", ["audionet", "alexnet"])
def test_explaining(network: str) -> None:
    size = ["--clips", "2", "--batch", "1", "--rounds", "1", "--threads", "1"]
    shown = measured("speed.explaining", "--networks", network, *size)
    expected = ["LRP over zennit by hand", "curves over bare passes"]
    if network == "alexnet" and "Quantus cannot be measured" not in shown:
        expected.append("LRP and a curve over Quantus")
    for name in expected:
        [ratio] = re.findall(rf"{network} +{name}.* ([\d.]+) \(", shown)
        assert float(ratio) > 0


def test_fourier() -> None:
    shown = measured("speed.fourier", "--samples", "501", "--batch", "2", "--rounds", "1")
    [difference] = re.findall(r"largest difference: (\S+)", shown)
    assert float(difference) < 1e-5


def test_curves() -> None:
    size = ["--clips", "3", "--batch", "2", "--orders", "2", "--fractions", "2", "--threads", "1"]
    shown = measured("speed.curves", *size)
    [ratio] = re.findall(r"2 orders x 2 fractions x 3 clips .* ([\d.]+) \(", shown)
    assert float(ratio) > 0


def test_live(trained) -> None:
    shown = measured("speed.live", "--checkpoint", str(trained("audionet", "sex")), "--rounds", "1")
    for attribution in ("lrp_epsilon_plus", "random"):
        [row] = re.findall(rf"^ {attribution} +(.*)$", shown, re.MULTILINE)
        assert all(float(wait) > 0 for wait in re.findall(r"([\d.]+) \(", row)) and row.count("(") == 4


def test_lrp() -> None:
    shown = measured("speed.lrp", "--networks", "crnn", "audionet", "--batch", "2", "--rounds", "1", "--threads", "1")
    assert re.search(r"crnn( +[\d.]+){6}", shown) and re.search(r"audionet( +[\d.]+){7}", shown)
