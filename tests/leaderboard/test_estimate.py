"""How long a leaderboard will take."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir

from auscult.explain.options import check_explanation
from auscult.leaderboard.estimate import CHANGED, DRAWING, ORDERS, OTHERS, estimated, forward_seconds, of_explanation
from auscult.pretrained.opening import opened
from auscult.program.conf import CONF


def options(checks: int = 0, fractions: list[float] | None = None, energies: list[float] | None = None) -> dict:
    removed = {"random_orders": 1, "fractions": fractions, "energies": energies}
    return {"checks": checks, "perturbation": removed}


def test_what_a_leaderboard_costs_by_hand():
    """20 clips of 1 s each to explain, 0.1 s per forward pass; a network of nine layers."""
    bare = of_explanation(options(), 20, 1.0, 0.1, layers=9)
    assert bare == pytest.approx(20 + 20 * OTHERS * 0.1 + DRAWING)
    curves = (ORDERS + 1) * 3 + 2 * 2
    full = of_explanation(options(3, [0, 0.1, 0.5], [0, 0.5]), 20, 1.0, 0.1, layers=9)
    assert full == pytest.approx(bare + 3 * (9 + CHANGED) + 20 * curves * 0.1)
    assert of_explanation(options(3), 20, 0.0, 0.1, layers=9) == 0, "what is impossible takes no time"


def test_a_pass_is_timed_per_clip():
    asked = []

    class Slow(torch.nn.Module):
        def forward(self, waveform):
            asked.append(tuple(waveform.shape))
            return waveform.mean(-1)

    assert 0 < forward_seconds(Slow(), torch.zeros(1, 1, 100), clips=4) < 1
    assert asked == [(4, 1, 100)] * 2


def test_masking_is_not_tried_and_what_fails_takes_no_time(
    trained: Callable[[str, str], Path], cache_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    """RISE alone would take a minute of a page that says nothing."""
    checkpoint = trained("audionet", "sex")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        configs = [
            check_explanation(
                compose("explain", [f"checkpoint={checkpoint}", f"attribution={name}", f"domain={domain}", "limit=4"])
            )
            for name, domain in (
                ("lrp_epsilon", "input"),
                ("gradient", "frequency"),
                ("rise", "input"),
                ("amplitude", "input"),
            )
        ]
    monkeypatch.setattr("auscult.explain.attribution.rise.RISE.__call__", lambda *_: pytest.fail("it was asked"))
    for config in configs:
        config["data"]["cache_dir"] = str(cache_dir)
    possible, impossible, masked, control = estimated(configs, opened(configs[0]))
    assert possible > DRAWING and impossible == 0 and masked > possible
    assert DRAWING < control < masked, "a control does not ask the network"
