"""Makes what a newcomer meets first: the checkpoint that comes along, its report, and the picture of the README.

    python -m docs.example [RUN_FOLDER]

trains MelCNN on synthetic digits for some minutes, or takes a run that did; its weights are kept in half precision. The
picture needs Chromium.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from auscult.checkpoint.checkpoint import KEY, open_checkpoint
from auscult.program.paths import EXAMPLE

ROOT = Path(__file__).parents[1]
TRAINED = ["model=melcnn", "task=digit"]
EXPLAINED = [
    f"checkpoint={ROOT / 'src/checkpoint' / EXAMPLE.name}", "clips=4",
    "perturbation.fractions=[0,0.01,0.02,0.05,0.1,0.2]",
]  # fmt: skip
REPORT, PICTURE = ROOT / "docs/example.html", ROOT / "docs/report.png"


def program(name: str, *options: str) -> None:
    subprocess.run([sys.executable, ROOT / f"{name}.py", *options], cwd=ROOT, check=True)


def kept(run: Path) -> dict[str, object]:
    """What explaining needs of a checkpoint, with weights in half precision."""
    checkpoint = open_checkpoint(run / "checkpoints/best.ckpt")
    weights = {name: values.half() for name, values in checkpoint["state_dict"].items() if values.is_floating_point()}
    return {"state_dict": {**checkpoint["state_dict"], **weights}, KEY: checkpoint[KEY]}


def main(run: Path | None) -> None:
    with tempfile.TemporaryDirectory() as made:
        if run is None:
            run = Path(made) / "training"
            program("train", *TRAINED, f"hydra.run.dir={run}")
        torch.save(kept(run), EXAMPLE)
        program("explain", *EXPLAINED, f"hydra.run.dir={made}/explanation")
        report = (Path(made) / "explanation/report.html").read_text(encoding="utf-8")
        REPORT.write_text(report.replace(f"{ROOT}/", ""), encoding="utf-8")  # without this machine's folders
    if browser := shutil.which("chromium"):
        shot = ["--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1200,800"]
        subprocess.run([browser, *shot, f"--screenshot={PICTURE}", REPORT.as_uri()], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else None)
