"""The program as a user runs it, from the command line to the run folder."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from omegaconf import OmegaConf
from PIL import Image

from auscult.checkpoint.checkpoint import classifier_of, open_checkpoint
from tests.conftest import SPOKEN_PATTERN, TINY


def only_run(folder: Path) -> Path:
    (metrics,) = folder.glob("outputs/*/*/metrics.json")
    return metrics.parent


@pytest.mark.slow
def test_the_run_folder_holds_everything(train_here, tmp_path, capsys):
    assert train_here("model=alexnet", "task=sex", *TINY, "trainer.max_epochs=2", "keep_last=true") == ""
    run = only_run(tmp_path)
    printed = capsys.readouterr().out
    assert str(run) in printed.replace("\n", "") and "validation" in printed

    metrics = json.loads((run / "metrics.json").read_text())
    predictions = pd.read_csv(run / "predictions.csv", dtype={"speaker": str})
    right = predictions["label"] == predictions["prediction"]
    assert metrics["test/accuracy"] == pytest.approx(right.mean())
    assert metrics["test/balanced_accuracy"] == pytest.approx(right.groupby(predictions["label"]).mean().mean())
    probabilities = predictions[["p(male)", "p(female)"]].to_numpy()
    assert probabilities.sum(1) == pytest.approx(1, abs=1e-5)
    assert (predictions["prediction"] == np.array(["male", "female"])[probabilities.argmax(1)]).all()
    cross_entropy = -np.log(np.where(predictions["label"] == "male", *probabilities.T)).mean()
    assert metrics["test/loss"] == pytest.approx(cross_entropy, abs=1e-4)
    assert set(predictions["speaker"]) <= {"58", "59", "60", "07", "23", "38"}  # the published test fold 0
    assert metrics["speakers/train"] == 12 and metrics["clips/test"] == len(predictions) == 16 and metrics["fold"] == 0

    config = OmegaConf.load(run / "config.yaml")
    assert config.task.name == "sex" and config.data.batch_size == 8
    epochs = pd.read_csv(run / "metrics.csv")
    assert list(epochs["epoch"]) == [0, 1] and epochs["val/accuracy"].max() == metrics["val/accuracy"]
    assert Image.open(run / "confusion.png").size[0] > 300
    assert "epoch 2/2" in (run / "train.log").read_text()
    for name in ("best", "last"):
        checkpoint = torch.load(run / f"checkpoints/{name}.ckpt", weights_only=True)
        assert checkpoint["auscult"]["classes"] == ["male", "female"]
        assert checkpoint["auscult"]["config"] == yaml.safe_load((run / "config.yaml").read_text())
    classifier = classifier_of(open_checkpoint(run / "checkpoints/best.ckpt"))
    assert classifier(torch.zeros(1, 1, 8000)).shape == (1, 2)


@pytest.mark.slow
def test_best_is_the_latest_of_equals(train_here, tmp_path):
    """Without learning, every epoch's val/accuracy is the same."""
    assert train_here(*TINY, "optimizer.lr=0", "trainer.max_epochs=3", "hydra.run.dir=run") == ""
    kept = torch.load(tmp_path / "run/checkpoints/best.ckpt", weights_only=True)
    assert kept["epoch"] == 2


@pytest.mark.slow
def test_foreign_recordings_train_at_the_first_try(train_here, tmp_path, spoken_folder):
    said = train_here(
        "data=folder", f"data.root={spoken_folder}", SPOKEN_PATTERN, "task=label", "task.label=digit",
        "data.batch_size=6", "trainer.max_epochs=1",
    )  # fmt: skip
    assert said == ""
    metrics = json.loads((only_run(tmp_path) / "metrics.json").read_text())
    assert metrics["clips/train"] == 18 and metrics["clips/validation"] == metrics["clips/test"] == 6


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["model=alexnet", "data.clip.seconds=2"], "takes clips of 8000 samples, not 16000"),
        (["model=alexnet", "fold=99"], "fold=99 does not exist"),
        (["model=alexnet", "task.classes=[0,1]"], "has the classes 0, 1, but"),
        (["model=audionet", "model.network._target_=their_own.Wide", "allow=their_own"], "gives (1, 5) for one clip"),
    ],
)
def test_no_recording_is_read_for_what_is_refused(train_here, tmp_path, spoken_folder, monkeypatch, options, says):
    code = "from torch import nn\nclass Wide(nn.Module):\n    def __init__(self, **options): super().__init__()\n"
    (tmp_path / "their_own.py").write_text(code + "    def forward(self, x): return x[:, 0, :5]\n")
    monkeypatch.syspath_prepend(tmp_path)
    said = train_here(
        "data=folder", f"data.root={spoken_folder}", SPOKEN_PATTERN, "task=label", "task.label=digit",
        "data.cache_dir=cache", *options,
    )  # fmt: skip
    assert says in said and "\n" not in said
    assert not (tmp_path / "cache").exists()


@pytest.mark.slow
def test_a_reader_that_goes_ends_nothing(start_training, tmp_path):
    run = start_training(*TINY, "model=melcnn", "task=sex", "hydra.run.dir=run", "explain_by=[random]")
    run.stdout.readline()
    run.stdout.close()
    assert run.wait(120) == 0
    assert (tmp_path / "run/explanation/random/metrics.json").exists()
    assert not (tmp_path / "run/checkpoints/last.ckpt").exists()


def test_bad_recordings_are_listed_in_the_run_folder(train_here, tmp_path, spoken_folder):
    root = tmp_path / "clips"
    root.mkdir()
    for path in spoken_folder.iterdir():
        (root / path.name).write_bytes(path.read_bytes())
    (root / "say-0-by-ada-9.wav").write_bytes(b"")
    (root / "say-1-by-ada-9.wav").write_text("this is not audio")
    said = train_here(
        "data=folder", f"data.root={root}", SPOKEN_PATTERN, "task=label", "task.label=digit",
        "data.batch_size=6", "trainer.max_epochs=1", "model=alexnet", "trainer.limit_train_batches=1",
    )  # fmt: skip
    assert said == ""
    skipped = pd.read_csv(only_run(tmp_path) / "skipped.csv")
    assert set(skipped["path"]) == {"say-0-by-ada-9.wav", "say-1-by-ada-9.wav"}
    assert json.loads((only_run(tmp_path) / "metrics.json").read_text())["clips/skipped"] == 2


@pytest.mark.slow
def test_a_multirun_survives_a_failed_job_and_sums_up(train_here, tmp_path, capsys):
    said = train_here("-m", "task=sex", "fold=0,7,1", "model=alexnet", *TINY)
    assert said == "1 of 3 jobs failed; summary.csv says why."
    (sweep,) = tmp_path.glob("multirun/*/*")
    table = pd.read_csv(sweep / "summary.csv")
    assert list(table["fold"]) == [0, 7, 1]
    assert table["error"].notna().tolist() == [False, True, False]
    assert "fold=7" in table["error"][1]
    accuracies = 100 * table["test/accuracy"].dropna()
    assert f"{accuracies.mean():.2f} ± {accuracies.std(ddof=1):.2f}" in (sweep / "summary.md").read_text()


@pytest.mark.slow
def test_table1_leaves_out_folds_that_sex_does_not_have(train_here, tmp_path):
    said = train_here("-m", "experiment=table1", "fold=3,4", "task=sex", "model=alexnet", *TINY)
    assert said == ""
    (sweep,) = tmp_path.glob("multirun/*/*")
    assert list(pd.read_csv(sweep / "summary.csv")["fold"]) == [3]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["model=foo"], "model=foo is unknown; choose one of alexnet, ast, audionet, cnn14, crnn, ds_cnn, hf, m5, "),
        (["model=melcnn", "optimizer=paper"], "model=melcnn has no published solver; choose optimizer=adamw."),
        (["model=melcnn", "model.network.channels=3", *TINY], "choose model.network.channels=1"),
        (["model=melcnn", "model/front_end=constant_q"], "choose fewer rows"),
        (["explain_by=[lrp_epsilon,lrp]"], "names lrp; choose among amplitude, "),
        (["data.cache_dir=[a]"], "data.cache_dir=['a'] is no path."),
        (["data.cache_dir=null"], "data.cache_dir has no value"),
        (["data.cache_dir="], "data.cache_dir has no value"),
        (["data.cache_dir=~nobodyatall"], "begins with the home folder of nobody"),
        (["ckpt_path=[a]"], "ckpt_path=['a'] is no path."),
        (["+callbacks.x=3", *TINY], "callbacks.x is no callback of Lightning's"),
        (["+callbacks.x={{_target_: builtins.dict}}", *TINY], "callbacks.x is no callback of Lightning's"),
        (
            ["+callbacks.x={{_target_: pytorch_lightning.callbacks.EarlyStopping, monitor: a, mode: b}}", *TINY],
            "callbacks.x cannot be built (",
        ),
        (["model.network.samples=16000"], "=16000 is not the length of a clip, 8000 samples: leave it out, as it"),
        (["optimizer.schedule.total_steps=5"], "optimizer.schedule.total_steps is filled in with all steps of the run"),
        (["augmentation.speed=[0.9,1.1]"], "augmentation.speed=[0.9, 1.1] is not a number from 0 to 0.5."),
        (["-m", "optimizer.lr=loguniform(1e-5,1e-2)"], "no values are drawn here; list them, as in -m optimizer.lr=1"),
        (["task.classes=[0,1]"], "': name it in task.classes, too, as this corpus is learnt with all its classes."),
        (["task.label=sex"], "task.label=sex does not fit task=digit, which has the classes 0, 1,"),
        (
            ["task.classes=[a,b]"],
            "but all recordings are labelled otherwise (0, 1, 2, 3, 4, …): write the names of the",
        ),
        (["--epochs", "5"], "--epochs is not a flag; say trainer.max_epochs=5"),
        (["--cfg", "nope"], "--cfg needs one of job, hydra, all behind it."),
        (["--experimental-rerun", "job.pickle"], "--experimental-rerun is not a flag"),
        (["callbacks={{}}"], "callbacks is given by the name of a choice: one of explain, intervention, none."),
        (["experiment={{a:1}}"], "experiment is given by the name of a choice: one of "),
        (["hydra.run.dir=${{nope}}"], "hydra.run.dir refers to nope, which is no option"),
        (["fodl=1"], "fodl is not an option (did you mean fold?)"),
        (["task=sex", "fold=9"], "fold=9 does not exist: there are folds 0 to 3"),
        (["data.sex_cue=hair"], "data.sex_cue is 'hair'; choose one of"),
        (["data.root=clips"], "data.root needs data=audiomnist or data=audiomnist_az or data=esc50 or data=folder or"),
        (["fold"], "fold is not of the form option=value"),
        (["+optimizer.foo=1"], "optimizer.foo is no option of AdamW"),
        (["optimizer.schedule.max_lr=a"], "the options of optimizer, or of optimizer.schedule, do not fit its class ("),
        (["optimizer.schedule.max_lr=[1,2]"], "of optimizer.schedule, do not fit its class ("),
        (["optimizer.betas=[0.9,0.99]"], "other arguments of its class take a plus: +optimizer.betas=…."),
        (["explain_by=[freqrise]"], "explain_by has freqrise, which masks frequencies, and a training explains its"),
        (["augmentation.shift=0,5"], "has a comma; say augmentation.shift=0.5"),
        (["-m", "data.clip.trim_db=[25,null]"], "is a list, and as such one value; say -m data.clip.trim_db=25,null."),
        (["-m", "data.shuffle_labels=[true,false]"], "as such one value; say -m data.shuffle_labels=true,false."),
        (["model=melcnn", "+model.network.kernel=-1"], "model.network.kernel is no option of MelCNN"),
        (["optimizer.lr=[1e-3,1e-4]"], "is a list, and as such one value; say -m optimizer.lr=1e-3,1e-4."),
        (["-m", "optimizer.lr=[1e-3,1e-4]"], "is a list, and as such one value; say -m optimizer.lr=1e-3,1e-4."),
        (["optimizer.schedule.max_lr='{{'"], "of optimizer.schedule, do not fit its class ("),
        (["optimizer.schedule.pct_start=a"], "optimizer.schedule.pct_start=a is not a number from 0 to 1."),
        (["optimizer.schedule.pct_start=25"], "optimizer.schedule.pct_start=25 is not a number from 0 to 1."),
        (["explain_by=3"], "explain_by=3 is not a list of attributions"),
        (
            ["trainer.max_epochs=${{oc.env:NOPE}}"],
            "trainer.max_epochs refers to the environment variable NOPE, which is",
        ),
        (["optimizer.published=${{oc.env:NOPE}}"], "refers to the environment variable NOPE, which is not set."),
        (["data.batch_size=${{nope}}"], "data.batch_size refers to nope, which is no option"),
        (["trainer.limit_train_batches=0", "data.repetitions=1"], "trainer.limit_train_batches=0 would"),
        (["trainer.strategy=ddp_spawn"], "use ddp"),
        (["seed=nan"], "seed=nan is not a whole number"),
        (["hydra.run.dir=/proc/run"], "hydra.run.dir"),
        (["ckpt_path=occupied"], "occupied is no checkpoint; name a run folder"),
        (["data=folder", SPOKEN_PATTERN], "data.root has no value; say data.root=… to set it."),
        (["data=folder", "data.root=nowhere", SPOKEN_PATTERN], "nowhere"),
        (["data=folder", "data.root=empty", SPOKEN_PATTERN], "empty"),
        (["data=folder", "data.root={spoken}"], "data.pattern"),
        (["data=folder", "data.root={spoken}", "'data.pattern=x(y'"], "data.pattern"),
        (["data=folder", "data.root={spoken}", 'data.pattern="nothing(?P<digit>\\d)"'], "data.pattern"),
        (["data=folder", "data.root={spoken}", 'data.pattern="by-(?P<speaker>[a-z]+)"'], "has only unlabelled clips"),
        (["data=folder", "data.root={spoken}", SPOKEN_PATTERN, "task=sex"], "task=sex needs clips labelled 'sex'"),
        (["data=folder", "data.root={spoken}", SPOKEN_PATTERN, 'task.classes=["0","1"]'], "is labelled '2'"),
        (["data=folder", "data.root={spoken}", 'data.pattern="(?P<speaker>say)-(?P<digit>\\d)"'], "too few speakers"),
        (["data=folder", "data.root={bad}", 'data.pattern="(?P<digit>\\d)(?P<speaker>.)"'], "none of the 9 recordings"),
        (["data=audiomnist", "data.root=nowhere"], "data.download=true"),
        (["data=audiomnist_az", "data.root=nowhere"], "data.root"),
        (["ckpt_path=nowhere.ckpt"], "ckpt_path=nowhere.ckpt is not a file"),
        (["hydra.run.dir=occupied/run"], "hydra.run.dir"),
        (["data.cache_dir=occupied/cache"], "occupied/cache cannot hold"),
        (["trainer.accelerator=abacus"], "trainer.accelerator=abacus is not one of auto, cpu,"),
        (["trainer.accelerator=gpu"], "this machine has no GPU that PyTorch finds; leave it out"),
        (["trainer.devices=4"], "trainer.devices=4: this machine has no GPU that PyTorch finds; leave it out"),
        (["trainer.strategy=magic"], "trainer.strategy=magic is unknown; choose auto, ddp or another"),
        (["~model"], "~model takes away what a run needs; leave it out, or set a value: model=…."),
        (["~seeds"], "~seeds takes away"),
        (
            ["~trainer.max_time"],
            "~trainer.max_time takes away an option that does not exist, or is null anyway; leave it out.",
        ),
        (["+foo=bar"], "foo is not an option; --help lists them."),
        (["+augmentation.foo=1"], "augmentation.foo is not an option"),
        (["+data.root=x"], "data.root needs data="),
        (["+callbacks=explain"], "callbacks is chosen twice; say it once, without a plus."),
        (["hydra.run.dir="], "hydra.run.dir has no value"),
        (["-m", "hydra.sweep.dir="], "hydra.sweep.dir has no value"),
        (["model=audionet,alexnet"], "model=audionet,alexnet has several values; add -m to run with each of them."),
        (["explain_by=random,amplitude"], "is a list, which takes brackets: say 'explain_by=[random,amplitude]'."),
        (["task=[sex,digit]"], "task=[sex,digit] is a list, and one is to be chosen; say task=sex,digit with -m."),
        (["-m", "fold=[0,1]"], "fold=[0,1] is a list, and as such one value; say -m fold=0,1."),
        (["optimizer.lr=0,001"], "optimizer.lr=0,001 has a comma; say optimizer.lr=0.001, or -m to run with both."),
        (
            ["augmentation=none"],
            "augmentation is a group of options; say augmentation.NAME=…, such as augmentation.shift=….",
        ),
        (["model=melcnn", "model.front_end=constant_q"], "; say model/front_end=constant_q."),
        (["model=alexnet", "model/front_end=log_mel"], "model/front_end needs model=ast or model=cnn14 or "),
        (["data.clip.sample_rate=8k"], "data.clip.sample_rate=8k is not a whole number of 100 or more."),
        (["data.clip.short=loop"], "data.clip.short=loop is neither pad"),
        (["trainer=gpu"], "trainer=gpu is unknown; say trainer.accelerator=gpu."),
        (["trainer=ddp"], "trainer=ddp is unknown; say trainer.strategy=ddp."),
        (["hydra/sweeper=optuna"], "hydra/sweeper=optuna is not installed; leave it out."),
        (["hydra.run.dir=occupied"], "hydra.run.dir=occupied is a file; name a folder."),
        (["data.cache_dir=occupied"], "occupied is no folder; name one, also in AUSCULT_CACHE"),
        (["data=folder", "data.root={spoken}", "data.pattern=*.wav"], "it is a shell's pattern"),
        (
            ["data=folder", "data.root={spoken}", "data.pattern=(?<digit>.)"],
            "names of groups are written (?P<digit>…), with a P",
        ),
        (
            ["data=folder", "data.root={spoken}", "data.pattern=(?P<word>.)"],
            "give data.pattern a group (?P<digit>…)",
        ),
        (["data=folder", "data.root={spoken}", "data.csv=gone.csv"], "gone.csv does not exist: say its full path"),
        (["task=label", "task.label=emotion"], "task.label=emotion needs clips labelled 'emotion'"),
        (["fold=0..4"], "fold=0..4 is not one value; say -m fold=0,1,2,3,4 to run with each."),
        (["-m", "fold=0-3"], "fold=0-3 is not one value; say -m fold=0,1,2,3 to run with each."),
        (["logger=[csv,wandb]"], "say logger=wandb: metrics.csv comes anyway."),
        (["trainer.precision=fp16"], "trainer.precision=fp16 is not known; say bf16-mixed, 16-mixed (on a GPU)"),
        (["task==sex"], "task==sex has two equal signs; say task=sex."),
        (["fold=range(0,3"], "fold=range(0,3 cannot be read; close its brackets and quotes"),
        (["model.network=alexnet"], "is not a group of options; choose it by its name: model=…."),
        (["data=/home/me/clips"], "data=/home/me/clips is unknown; choose one of audiomnist, "),
        (
            ["attribution=random"],
            "attribution is an option of explain.py and benchmark.py, not of train.py; explain_by=",
        ),
        (
            ["attribution.zero_bias=true"],
            "by files of conf/attribution such as lrp_epsilon_zero_bias; --help lists them.",
        ),
        (["lr=0.1"], "lr is not an option; say optimizer.lr=0.1."),
        (["data.dir=clips"], "data.dir is not an option; say data.root=clips, with data=folder"),
        (["hydra/launcher=cores"], "hydra/launcher=cores is for the jobs of a multirun; add -m, or leave it out."),
        (["-m", "hydra/launcher=slurm"], "needs SLURM, and this machine has no srun"),
    ],
)
def test_mistakes_end_in_one_sentence(train_here, tmp_path, spoken_folder, arguments, says, caplog):
    (tmp_path / "empty").mkdir()
    (tmp_path / "occupied").write_text("a file where a folder should be")
    bad = tmp_path / "bad"
    bad.mkdir()
    for digit in range(3):
        for speaker in "abc":
            (bad / f"{digit}{speaker}.wav").write_text("no audio")
    said = train_here(*(argument.format(spoken=spoken_folder, bad=bad) if "{" in argument else argument
                        for argument in arguments))  # fmt: skip
    assert says in said
    assert "\n" not in said and "Traceback" not in caplog.text
