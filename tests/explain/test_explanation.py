"""`python explain.py`, as a user runs it."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from filelock import FileLock

from auscult.machine.lock import LOCK
from tests.conftest import ROOT, SPOKEN_PATTERN, TINY

Here = Callable[..., str]
Trained = Callable[[str, str], Path]
QUICK = [
    "limit=6",
    "clips=1",
    "perturbation.fractions=[0,0.1]",
    "perturbation.random_orders=1",
    "hydra.run.dir=run",
]


def metrics_of(run: Path) -> dict[str, float]:
    return json.loads((run / "metrics.json").read_text())


@pytest.mark.parametrize(
    ("model", "shape"),
    [("audionet", (1, 8000)), pytest.param("alexnet", (1, 227, 227), marks=pytest.mark.slow)],
)
def test_a_checkpoint_is_all_it_needs(
    explain_here: Here, trained: Trained, tmp_path: Path, model: str, shape: tuple[int, ...]
) -> None:
    checkpoint = trained(model, "sex")
    assert explain_here(f"checkpoint={checkpoint}", *QUICK) == ""

    run = tmp_path / "run"
    speakers = torch.load(checkpoint, weights_only=True)["auscult"]["speakers"]["test"]
    with h5py.File(run / "relevance.h5") as file:
        assert file["relevance"].shape == (6, *shape) and file["attribution"] == file["relevance"]
        assert set(file["speaker"].asstr()[:]) <= set(speakers) and list(file.attrs["classes"]) == ["male", "female"]
        logits, target = file["prediction"][:], file["target"][:]
        assert np.array_equal(target, logits.argmax(1)) and np.array_equal(file["logit"][:], logits.max(1))
        # every layer hands on what it is given, to its input and its bias, so that all of it sums to the logit
        assert file["biases"][:].all()
        sums = file["relevance"][:].astype(float).reshape(6, -1).sum(1) + file["biases"][:] + file["unshared"][:]
        assert np.abs(sums - file["logit"][:]).max() < 0.02 * np.abs(file["logit"][:]).max()
        assert file["done"][:].all()
    curves = pd.read_csv(run / "curves.csv")
    assert set(curves["order"]) == {"relevance", "least relevant", "amplitude", "random"}
    metrics = metrics_of(run)
    assert (curves.query("fraction == 0")["accuracy"] - metrics["test/accuracy"]).abs().max() < 1e-6
    assert metrics["conservation_error/highest"] < 0.01 and metrics["biases/median"] > 0
    report = (run / "report.html").read_text()
    assert "<dt>biases</dt>" in report and report.count("<dt>Biases</dt>") == report.count('class="clip"') > 0
    assert metrics["clips/explained"] == 6
    assert metrics["cost/passes"] > 0 and metrics["cost/milliseconds"] > 0
    cards = set(pd.read_csv(run / "typical.csv")["path"])  # shown beside the one of `clips`
    shown = len(list((run / "figures").glob("0*.png")))
    assert len(cards) <= shown <= len(cards) + 1
    assert (run / "curves.png").exists() and (run / "config.yaml").exists()
    links = (run / "report.html").read_text().count(" download=")
    assert links == len(list((run / "audio").glob("*.wav"))) == 5 * shown


def test_relevance_of_recordings_of_ones_own(explain_here: Here, trained: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    tone = 0.3 * np.sin(2 * np.pi * 300 * np.arange(96000) / 96000)
    soundfile.write(folder / "<b>stereo & loud.wav", np.stack([tone, 0.5 * tone], 1), 96000)
    soundfile.write(folder / "long.flac", np.random.default_rng(0).normal(0, 0.1, 16000 * 20), 16000)
    (folder / "broken.wav").write_bytes(b"RIFF")
    soundfile.write(folder / "silent.wav", np.zeros(8000), 8000)
    checkpoint = trained("audionet", "sex")
    assert explain_here(f"checkpoint={checkpoint}", f"input={folder}", *QUICK) == ""

    run = tmp_path / "run"
    with h5py.File(run / "relevance.h5") as file:
        assert file["path"].asstr()[:].tolist() == ["<b>stereo & loud.wav", "long.flac"]
        assert file["label"][:].tolist() == [-1, -1] and "perturbation" not in file
    assert metrics_of(run)["clips/skipped"] == 2
    report = (run / "report.html").read_text()
    assert "&lt;b&gt;stereo &amp; loud.wav" in report and "<b>stereo" not in report
    assert "broken.wav" in report and "silent.wav: silent" in report
    assert not (run / "curves.csv").exists()


@pytest.mark.slow
def test_one_recording(explain_here: Here, trained: Trained, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "voice.wav", np.random.default_rng(0).normal(0, 0.1, 4000), 16000)
    checkpoint = trained("alexnet", "sex")
    assert explain_here(f"checkpoint={checkpoint}", "input=voice.wav", "target=female", "hydra.run.dir=run") == ""
    with h5py.File(tmp_path / "run/relevance.h5") as file:
        assert file["target"][:].tolist() == [1]


@pytest.mark.slow
def test_several_attributions_become_one_table(explain_here: Here, trained: Trained, tmp_path: Path) -> None:
    checkpoint = trained("audionet", "sex")
    sweep = [option for option in QUICK if not option.startswith("hydra")] + ["hydra.sweep.dir=sweep"]
    assert explain_here(f"checkpoint={checkpoint}", "-m", "attribution=gradient_x_input,amplitude,random", *sweep) == ""
    with open(tmp_path / "sweep/summary.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["attribution"] for row in rows] == ["gradient_x_input", "amplitude", "random"]
    assert all(row["perturbation/area/relevance"] for row in rows) and not any(row["error"] for row in rows)
    # amplitude as an attribution is amplitude as a control
    assert float(rows[1]["perturbation/area/amplitude_minus_relevance"]) == 0
    assert "gradient_x_input" in (tmp_path / "sweep/summary.md").read_text()
    curves = pd.read_csv(tmp_path / "sweep/curves.csv")
    controls = ["amplitude (control)", "random (control)"]
    assert list(curves["order"].unique()) == ["gradient_x_input", "amplitude", "random", *controls]
    assert (tmp_path / "sweep/curves.png").exists()


@pytest.mark.slow
def test_an_intervention_is_tested(explain_here: Here, trained: Trained, tmp_path: Path) -> None:
    checkpoint = trained("audionet", "sex")
    options = ["intervention=scale_waveform", "intervention.factors.male=1", "intervention.factors.female=1"]
    assert explain_here(f"checkpoint={checkpoint}", *options, *QUICK) == ""
    metrics = metrics_of(tmp_path / "run")
    assert metrics["intervention/flipped"] == 0
    assert metrics["intervention/accuracy_after"] == pytest.approx(metrics["test/accuracy"])


def assert_alike(found: np.ndarray, expected: np.ndarray) -> None:
    """Equal but for rounding, which depends on how many clips share a batch."""
    assert np.abs(found - expected).max() < 2e-3 * np.abs(expected).max()


def start(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "explain.py"), *arguments]
    return subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.slow
def test_a_killed_run_is_gone_on_with(explain_here: Here, trained: Trained, tmp_path: Path) -> None:
    options = [f"checkpoint={trained('audionet', 'sex')}", "limit=12", "data.batch_size=1", *QUICK[1:]]
    running = start(tmp_path, *options)
    part = tmp_path / "run/relevance.part.h5"
    done: list[bool] = []
    while running.poll() is None and sum(done) < 4:
        time.sleep(0.02)
        if part.exists():
            with h5py.File(part) as file:
                done = file["done"][:].astype(bool).tolist()
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert 0 < sum(done) < 12, "it was killed before or after its work"
    with h5py.File(part) as file:
        before = file["relevance"][: sum(done)]

    assert explain_here(*options) == ""
    assert explain_here(*options[:-1], "hydra.run.dir=uninterrupted") == ""
    with (
        h5py.File(tmp_path / "run/relevance.h5") as resumed,
        h5py.File(tmp_path / "uninterrupted/relevance.h5") as whole,
    ):
        assert np.array_equal(resumed["relevance"][: len(before)], before)
        for name in ("relevance", "prediction", "logit", "perturbation/probability"):
            assert_alike(resumed[name][:], whole[name][:])
    assert "holds an explanation with another target;" in explain_here(*options, "target=true")


@pytest.mark.slow
def test_explanations_from_before_biases_were_kept_apart(explain_here: Here, trained: Trained, tmp_path: Path) -> None:
    """They held LRP that left biases out, and no column for what these get."""
    options = [f"checkpoint={trained('audionet', 'sex')}", *QUICK]
    assert explain_here(*options, "attribution.zero_bias=true") == ""
    whole, part = tmp_path / "run/relevance.h5", tmp_path / "run/relevance.part.h5"
    with h5py.File(whole, "a") as file:
        assert not file["biases"][:].any()
        del file["biases"]
    assert "with another attribution.zero_bias" in explain_here(*options)
    before = metrics_of(tmp_path / "run")
    config = tmp_path / "run/config.yaml"
    config.write_text(config.read_text().replace("smoothing: 0.005\n", ""))  # nor was that an option
    assert "smoothing" not in config.read_text()
    assert explain_here(*options, "attribution.zero_bias=true") == ""  # opens as it is
    assert metrics_of(tmp_path / "run") | {"seconds": 0} == before | {"seconds": 0}
    whole.rename(part)
    assert "relevance.part.h5 is of an earlier version of Auscult; remove it" in explain_here(
        *options, "attribution.zero_bias=true"
    )
    part.unlink()
    assert explain_here(*options, "attribution.zero_bias=true") == "" and whole.exists()


def noise(path: Path, seed: int) -> None:
    soundfile.write(path, np.random.default_rng(seed).normal(0, 0.1, 8000), 8000)


@pytest.mark.slow
def test_what_has_changed_is_not_gone_on_with(explain_here: Here, trained: Trained, tmp_path: Path) -> None:
    shutil.copy(trained("audionet", "sex"), tmp_path / "own.ckpt")
    (tmp_path / "mine").mkdir()
    noise(tmp_path / "mine/a.wav", 0)
    noise(tmp_path / "mine/b.wav", 1)
    options = ["checkpoint=own.ckpt", "input=mine", "attribution=gradient", "clips=1", "hydra.run.dir=run"]
    assert explain_here(*options) == explain_here(*options) == ""  # nothing has
    (tmp_path / "run/relevance.h5").rename(tmp_path / "run/relevance.part.h5")  # as if it were not finished
    changed = "from before its checkpoint or its recordings were changed"
    noise(tmp_path / "mine/b.wav", 2)
    assert changed in explain_here(*options)
    noise(tmp_path / "mine/b.wav", 1)
    assert explain_here(*options) == ""
    (tmp_path / "mine/a.wav").rename(tmp_path / "mine/c.wav")
    assert changed in explain_here(*options)
    (tmp_path / "mine/c.wav").rename(tmp_path / "mine/a.wav")
    checkpoint = torch.load(tmp_path / "own.ckpt", weights_only=True)
    checkpoint["state_dict"]["network.layers.fc3.bias"] += 1
    torch.save(checkpoint, tmp_path / "own.ckpt")
    assert changed in explain_here(*options)


def test_a_folder_in_use_is_left_alone(explain_here: Here, trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with FileLock(tmp_path / "run" / LOCK):  # as another process that explains into it
        assert "another process is at work in" in explain_here(f"checkpoint={trained('audionet', 'sex')}", *QUICK)


def of_number(name: str, value: float) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        values = file[name][:]
        del file[name]
        file[name] = np.full(values.shape, value)

    return change


def in_circles(file: h5py.File) -> None:
    del file["relevance"]
    file["relevance"], file["other"] = h5py.SoftLink("/other"), h5py.SoftLink("/relevance")


def of_many_dimensions(file: h5py.File) -> None:
    shape = (len(file["relevance"]), *([1] * 30))
    del file["relevance"]
    file["relevance"] = np.zeros(shape)


def of_two_rows(file: h5py.File) -> None:
    del file["label"]
    file["label"] = np.zeros(2, int)


@pytest.mark.slow
def test_a_damaged_explanation_is_said_to_be_one(explain_here: Here, trained: Trained, tmp_path: Path) -> None:
    options = [f"checkpoint={trained('audionet', 'sex')}", "attribution=amplitude", *QUICK, "hydra.run.dir=run"]
    assert explain_here(*options) == ""
    honest = (tmp_path / "run/relevance.h5").read_bytes()
    for change in (of_number("label", 1e12), of_number("target", 1e12), in_circles, of_many_dimensions, of_two_rows):
        (tmp_path / "run/relevance.h5").write_bytes(honest)
        with h5py.File(tmp_path / "run/relevance.h5", "r+") as file:
            change(file)
        said = explain_here(*options)
        assert "relevance.h5" in said and "\n" not in said, said


@pytest.mark.slow
def test_a_run_that_could_not_start_leaves_its_folder_free(
    explain_here: Here, trained: Trained, tmp_path: Path
) -> None:
    options = [f"checkpoint={trained('audionet', 'sex')}", "attribution=amplitude", *QUICK]
    assert explain_here(*options, "trainer.strategy=fsdp_nope").startswith("trainer: ")
    assert explain_here(*options) == ""


@pytest.mark.slow
def test_so_many_recordings_of_ones_own(explain_here: Here, trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for number in range(5):
        noise(tmp_path / f"mine/{number}.wav", number)
    (tmp_path / "mine/5.wav").write_text("no audio")
    options = [f"checkpoint={trained('audionet', 'sex')}", "input=mine", "limit=2", "attribution=gradient"]
    assert explain_here(*options, "hydra.run.dir=run") == ""
    assert metrics_of(tmp_path / "run")["clips/explained"] == 2
    assert list(pd.read_csv(tmp_path / "run/skipped.csv")["path"]) == ["5.wav"]


@pytest.mark.slow
def test_a_sweep_has_its_curves_though_a_job_fails(explain_here: Here, trained: Trained, tmp_path: Path) -> None:
    options = [*QUICK[:-1], "attribution=amplitude,random", "target=predicted,child", "hydra.sweep.dir=sweep"]
    said = explain_here("-m", f"checkpoint={trained('audionet', 'sex')}", *options)
    assert said.startswith("2 of 4 jobs failed")
    assert set(pd.read_csv(tmp_path / "sweep/curves.csv")["order"]) >= {"amplitude", "random"}


class Squared:
    """An attribution as a newcomer writes it, without thought for what calls it."""

    def __call__(self, network: torch.nn.Module, input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        input.requires_grad_()
        logit = network(input).gather(1, target[:, None]).sum()
        return torch.autograd.grad(logit, input)[0].square()


class Flat(Squared):
    def __call__(self, network: torch.nn.Module, input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return super().__call__(network, input, target)[:, 0]


@pytest.mark.slow
def test_an_attribution_of_ones_own(explain_here: Here, trained: Trained, tmp_path: Path) -> None:
    options = [f"checkpoint={trained('audionet', 'sex')}", *QUICK, "attribution=gradient"]
    assert explain_here(*options, f"attribution._target_={__name__}.Squared") == ""
    with h5py.File(tmp_path / "run/relevance.h5") as file:
        assert file["relevance"][:].min() >= 0 and file["relevance"][:].any()
    said = explain_here(*options, "hydra.run.dir=other", f"attribution._target_={__name__}.Flat")
    assert "relevance of the shape (1, 8000) for inputs of the shape (1, 1, 8000)" in said
    said = explain_here(*options, "hydra.run.dir=other", "attribution._target_=mine.Method")
    assert said == "attribution._target_=mine.Method cannot be imported (No module named 'mine')."
    assert not (tmp_path / "other/config.yaml").exists()


@pytest.mark.slow
def test_two_processes_write_the_same_file_as_one(trained: Trained, tmp_path: Path) -> None:
    options = [f"checkpoint={trained('audionet', 'sex')}", *QUICK[:-1], "trainer.accelerator=cpu"]
    several = ["trainer.devices=2", "trainer.strategy=ddp"]
    for name, more in (("one", []), ("two", several)):
        running = start(tmp_path, *options, *more, f"hydra.run.dir={name}")
        said, _ = running.communicate(timeout=300)
        assert running.returncode == 0, said
        assert said.count("Report: ") == 1
    with h5py.File(tmp_path / "one/relevance.h5") as one, h5py.File(tmp_path / "two/relevance.h5") as two:
        assert two["done"][:].all() and np.array_equal(one["path"][:], two["path"][:])
        for name in ("relevance", "prediction", "logit", "perturbation/probability"):
            assert_alike(two[name][:], one[name][:])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["attribution=magic"], "attribution=magic is unknown; choose one of amplitude, "),
        (["fill=water"], "fill=water is unknown; choose one of mean, noise, silence, zero."),
        (["target=child"], "target=child is unknown; choose predicted, true, or one of male, female."),
        (["perturbation.fractions=[0,2]"], "perturbation.fractions=[0, 2] is not a list of numbers from 0 to 1"),
        (["limit=0"], "limit=0 is not a whole number of 1 or more or null."),
        (["clisp=3"], "clisp is not an option (did you mean clips?); --help lists them."),
        (["input=gone.wav"], "gone.wav does not exist; name a recording or a folder of recordings."),
        (["input=text.txt"], "text.txt: not audio"),
        (["input=empty.wav"], "empty.wav: empty"),
        (["input=silent.wav"], "silent.wav: silent"),
        (["input=silent.wav", "target=true"], "target=true needs labels, which input=… does not have"),
        (["input=noise.wav", "target=true"], "target=true needs labels, which input=… does not have"),
        (["input=noise.wav", "intervention=scale_waveform"], "intervention=… needs labels"),
        (["intervention=scale_spectrogram"], "needs a network that is given spectrograms"),
        (["trainer.strategy=abacus"], "trainer.strategy=abacus is unknown"),
        (["trainer.max_epochs=1"], "is an option of train.py; here the checkpoint brings it"),
        (["wandb=true"], "say logger=wandb"),
        (["attributions=[random]"], "say attribution=random."),
        (["data=folder"], "leave it out: the checkpoint knows its corpus"),
        (["attributions=[random,amplitude]"], "say -m attribution=random,amplitude."),
        (["input=https://example.org/a.wav"], "is an address; download it, and name the file."),
        (["perturbation.fractions=10"], "perturbation.fractions=10 is not a list of numbers from 0 to 1"),
        (["checkpoint=text.txt"], "text.txt is no checkpoint; name a run folder or its best.ckpt"),
        (["checkpoint=noise.wav"], "noise.wav is a recording; name a run folder"),
        (["target=Female"], "target=Female is unknown; say target=female."),
        (["n=3"], "n is not an option; say limit=3."),
        (["control={checkpoint}"], "is the same as checkpoint; name that of another training"),
        (
            ["data.root=/clips"],
            "data.root is of no use to this checkpoint's corpus, synthetic; leave it out, or say input=",
        ),
    ],
)
def test_mistakes(explain_here: Here, trained: Trained, tmp_path: Path, options: list[str], message: str) -> None:
    (tmp_path / "text.txt").write_text("hello")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 8000)
    soundfile.write(tmp_path / "silent.wav", np.zeros(8000), 8000)
    soundfile.write(tmp_path / "noise.wav", np.random.default_rng(0).normal(0, 0.1, 8000), 8000)
    checkpoint = trained("audionet", "sex")
    options = [option.replace("{checkpoint}", str(checkpoint)) for option in options]
    said = explain_here(f"checkpoint={checkpoint}", *options, "hydra.run.dir=run")
    assert message in said and "\n" not in said.strip()


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch harmed",)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "is not a file"),
        ("truncated", "cannot be read"),
        ("foreign", "was not written by train.py"),
        ("harmful", "is not safe to open"),
        ("flipped", "cannot be read"),
    ],
)
def test_bad_checkpoints(explain_here: Here, trained: Trained, tmp_path: Path, kind: str, message: str) -> None:
    path = tmp_path / "bad.ckpt"
    if kind == "truncated":
        path.write_bytes(trained("audionet", "sex").read_bytes()[:100_000])
    elif kind == "flipped":
        content = bytearray(trained("audionet", "sex").read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif kind == "foreign":
        torch.save({"state_dict": {}}, path)
    elif kind == "harmful":
        torch.save({"state_dict": Harmful()}, path)
    said = explain_here(f"checkpoint={path}")
    assert message in said and said.startswith("checkpoint=") and not (tmp_path / "harmed").exists()


def test_weights_that_are_not_finite(explain_here: Here, trained: Trained, tmp_path: Path) -> None:
    checkpoint = torch.load(trained("audionet", "sex"), weights_only=True)
    checkpoint["state_dict"]["network.layers.fc1.weight"][0, 0] = float("nan")
    torch.save(checkpoint, tmp_path / "bad.ckpt")
    said = explain_here("checkpoint=bad.ckpt", "attribution=amplitude", *QUICK)
    assert said == "the checkpoint's network gives logits that are not finite; choose one with finite weights."
    assert not (tmp_path / "run/relevance.part.h5").exists()


def test_without_a_checkpoint(explain_here: Here) -> None:
    assert explain_here() == "checkpoint has no value; set it with checkpoint=…/checkpoints/best.ckpt, of a run folder."


@pytest.mark.slow
def test_a_corpus_that_is_not_there(explain_here: Here, trained: Trained, tmp_path: Path) -> None:
    checkpoint = torch.load(trained("audionet", "sex"), weights_only=True)
    data = checkpoint["auscult"]["config"]["data"]
    shared = {name: data[name] for name in ("clip", "cache_dir", "batch_size")}
    target = "auscult.datamodules.audiomnist.AudioMNIST"
    gone = {"name": "audiomnist", "_target_": target, "root": str(tmp_path / "gone"), "download": False, **shared}
    checkpoint["auscult"]["config"]["data"] = gone
    torch.save(checkpoint, tmp_path / "moved.ckpt")
    said = explain_here("checkpoint=moved.ckpt", *QUICK)
    assert "data.root" in said and "input=…" in said and "\n" not in said
    soundfile.write(tmp_path / "noise.wav", np.random.default_rng(0).normal(0, 0.1, 8000), 8000)
    assert explain_here("checkpoint=moved.ckpt", "input=noise.wav", *QUICK) == ""


@pytest.mark.slow
def test_a_run_explains_itself_at_the_end(train_here, explain_here, tmp_path, sexes):
    options = ["model=melcnn", "hydra.run.dir=run", *sexes]
    assert train_here("explain_by=[lrp_epsilon,lrp_epsilon_zero_bias,amplitude]", *options) == ""
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    own = ["checkpoint=run/checkpoints/best.ckpt", "attribution=lrp_epsilon", "hydra.run.dir=again"]
    assert explain_here(*own) == ""
    again = json.loads((tmp_path / "again/metrics.json").read_text())
    for name in ("perturbation/area/relevance", "conservation_error/median", "biases/median"):
        assert metrics[f"lrp_epsilon/{name}"] == again[name]
    assert "lrp_epsilon_zero_bias/biases/median" not in metrics
    assert metrics["amplitude/perturbation/area/relevance"] == again["perturbation/area/amplitude"]
    assert (tmp_path / "run/explanation/amplitude/report.html").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "domain", "shape"),
    [
        ("audionet", "frequency", (4001,)),
        pytest.param("audionet", "time_frequency", (229, 72), marks=pytest.mark.slow),
        pytest.param("alexnet", "time", (8000,), marks=pytest.mark.slow),
    ],
)
def test_relevance_in_another_domain(
    explain_here: Here, trained: Trained, tmp_path: Path, model, domain, shape
) -> None:
    options = [f"domain={domain}", "attribution=lrp_epsilon_plus_flat"]
    assert explain_here(f"checkpoint={trained(model, 'sex')}", *QUICK, *options) == ""
    run = tmp_path / "run"
    with h5py.File(run / "relevance.h5") as file:
        assert file["relevance"].shape == (6, 1, *shape)
        total = file["relevance"][:].astype(float).reshape(6, -1).sum(1) + sum(
            file[name][:] for name in ("apart", "biases", "unshared")
        )
        assert np.abs(total - file["logit"][:]).max() < 0.02 * np.abs(file["logit"][:]).max()
    curves, metrics = pd.read_csv(run / "curves.csv"), metrics_of(run)
    assert (curves.query("fraction == 0")["accuracy"] - metrics["test/accuracy"]).abs().max() < 1e-6
    report = (run / "report.html").read_text()
    assert report.count(" download=") == len(list((run / "audio").glob("*.wav")))
    assert f"<dd>{domain}</dd>" in report


@pytest.mark.slow
def test_a_front_end_without_axes_is_refused_before_the_clips_are_explained(train_here, explain_here, tmp_path) -> None:
    front_end = (
        "{_target_: torchaudio.transforms.MelSpectrogram, sample_rate: 8000, n_fft: 512, hop_length: 126, n_mels: 64}"
    )
    options = ["model=melcnn", "~model.front_end", f"+model.front_end={front_end}", "hydra.run.dir=trained", *TINY]
    assert train_here(*options) == ""
    said = explain_here("checkpoint=trained/checkpoints/best.ckpt", "attribution=amplitude", *QUICK)
    assert said.startswith("inputs of MelSpectrogram") and not list(tmp_path.glob("run/relevance*"))


# ---- recordings of one's own, with labels


@pytest.fixture
def labelled(spoken_folder, tmp_path):
    """A table of the folder's recordings: composed, and of one more class than any network knows."""
    paths = sorted(path.name for path in spoken_folder.glob("*.wav"))
    rows = [f"{path};{path[4]};{path.split('-')[3]}" for path in paths]
    (tmp_path / "labels.csv").write_text("\n".join(["path;digit;speaker", *rows]) + "\n")
    return tmp_path / "labels.csv"


@pytest.mark.slow
@pytest.mark.parametrize("by", ["table", "pattern"])
def test_a_network_is_tested_on_other_recordings(explain_here, trained, spoken_folder, labelled, tmp_path, by):
    label = [f"data.csv={labelled}"] if by == "table" else [SPOKEN_PATTERN]
    command = [f"checkpoint={trained('audionet', 'digit')}", f"input={spoken_folder}", *label, "hydra.run.dir=run"]
    short = ["clips=2", "perturbation.fractions=[0,0.1]", "perturbation.random_orders=1"]
    assert explain_here(*command, *short, "attribution=gradient_x_input") == ""
    table = pd.read_csv(tmp_path / "run/predictions.csv", dtype=str)
    assert len(table) == 30
    assert (table["label"] == table["path"].str[4]).all()
    assert (table["speaker"] == table["path"].str.split("-").str[3]).all()
    chances = table[[f"p({digit})" for digit in range(10)]].astype(float)
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-4)
    assert (chances.idxmax(axis=1).str[2] == table["prediction"]).all()
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert metrics["test/accuracy"] == pytest.approx((table["label"] == table["prediction"]).mean())
    assert metrics["speakers/explained"] == 5
    assert {"confusion.png", "curves.csv"} <= {path.name for path in (tmp_path / "run").iterdir()}
    with h5py.File(tmp_path / "run/relevance.h5") as file:
        assert file["label"][:].tolist() == table["label"].astype(int).tolist()


@pytest.mark.slow
def test_without_labels_predictions_are_left_too(explain_here, trained, spoken_folder, tmp_path):
    command = [f"checkpoint={trained('audionet', 'digit')}", f"input={spoken_folder}", "hydra.run.dir=run"]
    assert explain_here(*command, "attribution=gradient_x_input", "limit=3", "clips=1") == ""
    table = pd.read_csv(tmp_path / "run/predictions.csv")
    assert len(table) == 3 and table["label"].isna().all() and table["prediction"].between(0, 9).all()
    assert not (tmp_path / "run/confusion.png").exists()


@pytest.mark.slow
def test_labels_that_the_network_does_not_know(explain_here, trained, spoken_folder, labelled, tmp_path, capfd):
    command = [f"checkpoint={trained('audionet', 'digit')}", f"input={spoken_folder}", f"data.csv={labelled}"]
    short = ["attribution=gradient_x_input", "clips=1", "limit=2"]
    labelled.write_text(labelled.read_text().replace(";2;", ";two;"))
    assert explain_here(*command, *short, "hydra.run.dir=run") == ""
    assert "10 of 30 recordings are left out, as they are labelled two" in capfd.readouterr().out
    labelled.write_text(labelled.read_text().replace("digit", "word"))
    assert "none of the 30 recordings of input=… has a 'digit', which the network tells apart" in explain_here(*command)
    alone = [command[0], f"input={spoken_folder}/say-0-by-ada-0.wav", command[2]]
    assert "data.csv labels the recordings of a folder; name that by input=…" in explain_here(*alone)
    assert "data.pattern labels the recordings of input=…" in explain_here(command[0], SPOKEN_PATTERN)
