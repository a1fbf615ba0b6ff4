"""What comes along: the small checkpoint, and its report in docs, are what the program makes today."""

import logging
import re

import numpy as np
import pytest
import soundfile
from hydra import compose, initialize_config_dir

import auscult
from auscult.checkpoint.checkpoint import KEY, open_checkpoint
from auscult.datamodules.clips import Clip
from auscult.datamodules.synthetic import Synthetic
from auscult.program.conf import CONF
from auscult.program.paths import EXAMPLE
from auscult.serve import options
from tests.browser import CHROMIUM, Browser
from tests.conftest import ROOT
from tests.explain.report.test_html import Page

REPORT = ROOT / "docs/example.html"
MOST_BYTES = 4e6


def test_both_are_small():
    assert EXAMPLE.stat().st_size <= MOST_BYTES and REPORT.stat().st_size <= MOST_BYTES


def test_it_knows_the_digits_of_speakers_it_never_met(tmp_path):
    model, heard = auscult.load(), []
    speaker = open_checkpoint(EXAMPLE)[KEY]["speakers"]["test"][0]
    for digit in range(10):
        samples, rate = Synthetic(1, 0, "both").read(Clip(f"{speaker}/{digit}_{speaker}_0.wav", speaker))
        soundfile.write(tmp_path / "digit.wav", samples, rate)
        heard.append(auscult.explain(model, tmp_path / "digit.wav").prediction)
    assert np.mean([name == str(digit) for digit, name in enumerate(heard)]) >= 0.8


def test_the_live_page_takes_it_and_says_so(caplog):
    with initialize_config_dir(str(CONF), version_base="1.3"), caplog.at_level(logging.INFO):
        checked = options.check(compose("serve", overrides=["port=0"]))
    assert checked["checkpoint"] == str(EXAMPLE)
    assert caplog.messages == [
        "No checkpoint is given: the page has the network that comes along, MelCNN on synthetic digits."
    ]


@pytest.mark.slow
def test_its_report_is_drawn_by_this_version(explain_here, tmp_path):
    """But for figures, which differ by a little between machines. If it is not: `python -m docs.example RUN_FOLDER`."""
    options = ["clips=4", "perturbation.fractions=[0,0.01,0.02,0.05,0.1,0.2]", "hydra.run.dir=run"]
    assert explain_here(f"checkpoint={EXAMPLE}", *options) == ""
    kept, now = (Page(path) for path in (REPORT, tmp_path / "run/report.html"))

    def words(page: Page) -> list[str]:
        return [re.sub(r"[\d.,−]+", "#", text) for tag in ("h1", "h2", "p") for text in page.texts[tag]]

    assert words(kept) == words(now)
    for tag in ("style", "script"):
        assert kept.texts[tag] == now.texts[tag]


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on the PATH")
@pytest.mark.parametrize("width", [390, 1280])
def test_its_report_suits_phones_and_everybody(tmp_path, request, width):
    browser = Browser(CHROMIUM, tmp_path / "profile")
    request.addfinalizer(browser.process.wait)
    request.addfinalizer(browser.process.kill)  # before it is waited for
    browser("Emulation.setDeviceMetricsOverride", width=width, height=844, deviceScaleFactor=1, mobile=width < 1000)
    browser.open(REPORT)
    assert browser.violations() == []
    assert browser.run("return document.documentElement.scrollWidth") <= width, "no scrolling sideways"
    assert browser.run("return [...document.querySelectorAll('.answers .clip')].length") == 20
