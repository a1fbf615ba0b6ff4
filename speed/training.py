"""Training as `python train.py` does it against a bare PyTorch loop, and the loader alone against training.

    python -m speed.training
    python -m speed.training --options model=alexnet task=sex --rounds 7 --threads 1

Both sides train the same network from the same start with the same front end, augmentation, loss, optimizer, schedule,
gradient clipping, batch size and precision, for whole epochs, in turns. The program's side is Lightning's Trainer with
the data module, metrics, callbacks and `metrics.csv` of a real run. The bare side's batches lie ready in memory, on the
device. Neither side validates; the time of the program's checkpoints is measured apart.
"""

import argparse
import tempfile
import time
import warnings
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import torch
from hydra import compose, initialize_config_dir
from pytorch_lightning import Callback, LightningModule, Trainer
from rich.console import Console
from rich.table import Table

from auscult.datamodules.datamodule import AudioDataModule
from auscult.datamodules.dataset import Batch
from auscult.machine import memory
from auscult.modules.classifier import Classifier
from auscult.program import config
from auscult.program.conf import CONF
from auscult.run import training
from auscult.run.trainer import make_trainer

PROGRAM, BARE, LOADER = "program, clips/s", "bare loop, clips/s", "loader alone, clips/s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--options", nargs="*", default=["model=audionet", "task=sex"], help="as for train.py")
    parser.add_argument("--rounds", type=int, default=7, help="turns of both sides")
    parser.add_argument("--epochs", type=int, default=1, help="epochs of each turn")
    parser.add_argument("--batches", type=int, help="batches of each epoch; all by default")
    parser.add_argument("--threads", type=int, help="threads of PyTorch; 1 where other programs use the machine")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    options = [*arguments.options, f"trainer.max_epochs={arguments.epochs}"]
    if arguments.batches:
        options.append(f"trainer.limit_train_batches={arguments.batches}")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        run = config.check(compose("train", overrides=options))
    run["trainer"]["limit_val_batches"] = 0
    training.hush()
    memory.keep_freed()  # as train.py does; the bare loop gains as much
    warnings.filterwarnings("ignore", ".*could not find the monitored key.*")  # there is no validation
    rounds = [measure(run, program_first=number % 2 == 0) for number in range(arguments.rounds)]
    table = Table("", "median", "least to most", title=" ".join(arguments.options), box=None)
    for name in rounds[0]:
        values = [values[name] for values in rounds]
        table.add_row(name, f"{median(values):.3g}", f"{min(values):.3g} to {max(values):.3g}")
    Console(width=100).print(table)


def measure(run: dict[str, Any], program_first: bool) -> dict[str, float]:
    """One turn of each side, from the same start."""
    datamodule = AudioDataModule.from_config(run)
    datamodule.setup()
    sides = [train_as_program, train_bare]
    values: dict[str, float] = {}
    for side in sides if program_first else sides[::-1]:
        torch.manual_seed(run["seed"])
        values |= side(run, datamodule, Classifier.from_config(run, datamodule.classes))
    values[LOADER] = load_only(datamodule)
    values["program / bare loop"] = values[PROGRAM] / values[BARE]
    values["loader / program"] = values[LOADER] / values[PROGRAM]
    return {name: values[name] for name in sorted(values)}


class Stopwatch(Callback):
    """Times all epochs of a fit, and counts the clips."""

    def __init__(self) -> None:
        self.clips, self.seconds = 0, 0.0

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.seconds -= now()

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Batch, i: int) -> None:
        self.clips += len(batch["label"])

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        self.seconds += now()


def train_as_program(run: dict[str, Any], datamodule: AudioDataModule, classifier: Classifier) -> dict[str, float]:
    """Clips per second, and the seconds that an epoch's two checkpoints take."""
    stopwatch = Stopwatch()
    card = {"config": run, "classes": datamodule.classes, "speakers": datamodule.speakers()}
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(run, Path(folder), None, datamodule, card)
        trainer.callbacks.append(stopwatch)  # type: ignore[attr-defined]
        with mock.patch.object(trainer, "save_checkpoint"):
            trainer.fit(classifier, datamodule)
        started = now()
        trainer.save_checkpoint(Path(folder) / "last.ckpt")
        trainer.save_checkpoint(Path(folder) / "best.ckpt", weights_only=True)
        checkpoints = now() - started
    return {PROGRAM: stopwatch.clips / stopwatch.seconds, "checkpoints, seconds per epoch": checkpoints}


def train_bare(run: dict[str, Any], datamodule: AudioDataModule, classifier: Classifier) -> dict[str, float]:
    """Clips per second of the loop that one would write by hand."""
    device = torch.device("cuda" if torch.cuda.is_available() and run["trainer"]["accelerator"] != "cpu" else "cpu")
    batches = [{name: part.to(device) for name, part in batch.items()} for batch in datamodule.train_dataloader()]
    batches = batches[: run["trainer"]["limit_train_batches"]]
    classifier = classifier.to(device).train()
    steps = len(batches) * run["trainer"]["max_epochs"]
    with mock.patch.object(Classifier, "trainer", mock.Mock(estimated_stepping_batches=steps)):
        optimizers = classifier.configure_optimizers()
    optimizer, schedule = optimizers["optimizer"], optimizers["lr_scheduler"]["scheduler"]
    front_end, network, augmentation = classifier.front_end, classifier.network, classifier.augmentation
    half, largest_norm = run["trainer"]["precision"] == "bf16-mixed", run["trainer"]["gradient_clip_val"]
    clips, started = 0, now()
    for _ in range(run["trainer"]["max_epochs"]):
        for batch in batches:
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                logits = network(front_end(augmentation(batch["waveform"]))).float()
                loss = classifier.answers.training_loss(logits, batch["label"])
            optimizer.zero_grad()
            loss.backward()
            if largest_norm:
                torch.nn.utils.clip_grad_norm_(network.parameters(), largest_norm)
            optimizer.step()
            schedule.step()
            clips += len(batch["label"])
    return {BARE: clips / (now() - started)}


def load_only(datamodule: AudioDataModule) -> float:
    """Clips per second of the training loader, over at least a second."""
    started, clips = now(), 0
    while now() - started < 1:
        clips += sum(len(batch["label"]) for batch in datamodule.train_dataloader())
    return clips / (now() - started)


def now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
