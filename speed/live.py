"""How long a visitor of the live page waits, by attribution and domain.

    python -m speed.live --checkpoint outputs/DATE/TIME/checkpoints/best.ckpt

A second of noise at 48 kHz is sent to the application of `serve.py` as the page sends it. The time ends when the whole
answer is there, with its picture and sounds. It does not include what the browser does with the answer.
"""

import argparse
import io
import time
from statistics import median

import numpy as np
import soundfile
import torch
from fastapi.testclient import TestClient
from hydra import compose, initialize_config_dir
from rich.console import Console
from rich.progress import track
from rich.table import Table

from auscult.explain.loading import TrainedModel
from auscult.pretrained.opening import opened
from auscult.program.conf import CONF
from auscult.serve import options as checks
from auscult.serve.live import application
from auscult.serve.live_model import LiveModel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--rounds", type=int, default=5, help="answers of each kind")
    options = parser.parse_args()
    soundfile.write(sent := io.BytesIO(), 0.1 * np.random.default_rng(0).standard_normal(48000), 48000, format="WAV")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        checked = checks.check(compose("serve", [f"checkpoint='{options.checkpoint}'"]))
        model = LiveModel(
            TrainedModel.of_subject(opened(checked)), checked["attributions"], checked["domains"], torch.device("cpu")
        )
        visitor = TestClient(application(model), base_url="http://127.0.0.1:8000")
        table = Table("attribution", *checked["domains"], box=None, title="seconds to an answer, median (most)")
        for attribution in track(checked["attributions"], console=Console(stderr=True), transient=True):
            cells = []
            for domain in checked["domains"]:
                choices = {"attribution": attribution, "domain": domain, "target": "predicted"}
                waits = [wait(visitor, choices, sent.getvalue()) for _ in range(options.rounds)]
                cells.append(f"{median(waits):.2f} ({max(waits):.2f})")
            table.add_row(attribution, *cells)
    Console().print(table)


def wait(visitor: TestClient, choices: dict[str, str], sent: bytes) -> float:
    """Seconds to a whole answer."""
    started = time.perf_counter()
    answer = visitor.post("/explain", params=choices, content=sent)
    passed = time.perf_counter() - started
    assert answer.is_success, answer.text
    return passed


if __name__ == "__main__":
    main()
