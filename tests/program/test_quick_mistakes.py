"""Mistakes are named at once: before PyTorch is imported, which takes seconds, and long before a recording is read."""

import pytest
import torch

from tests.attacks import changed, with_card
from tests.conftest import SPOKEN_PATTERN


@pytest.mark.parametrize(
    ("program", "words", "says"),
    [
        ("train", ["fold=9"], "fold=9 does not exist: there are folds 0 to 4"),
        ("train", ["task.label=emotion"], "task=digit needs clips labelled 'emotion'"),
        ("train", ["data=folder", "data.root={spoken}", "data.pattern=x(y"], "is not a regular expression"),
        ("train", ["data=folder", "data.root={spoken}", SPOKEN_PATTERN, "fold=7"], "fold=7 does not exist"),
        ("train", ["+data.clip.rate=8000"], "data.clip.rate is not an option"),
        ("train", ["+data.confound.level=1"], "data.confound.level is not an option"),
        ("train", ["+logger.dir=logs"], "logger.dir is not an option"),
        ("train", ["trainer.devices=-1"], "trainer.devices=-1: this machine has no GPU that PyTorch finds"),
        ("train", ["data=folder", "data.root="], "data.root has no value"),
        ("train", ["task.classes=dog,cat"], "is a list, which takes brackets: say 'task.classes=[dog,cat]'."),
        ("train", ["logger=csv,wandb"], "say logger=wandb, as metrics.csv is written in any case."),
        ("train", ["optimizer.schedule=cosine"], "name its class: optimizer.schedule._target_="),
        ("train", ["logger=wandb", "+logger.project=a"], "say it without a plus: logger.project=a."),
        ("train", ["class_weight=balanced"], "say class_weights=balanced"),
        ("train", ["class_weights=uneven"], "class_weights=uneven is unknown; choose balanced."),
        (
            "train",
            ["best_by=mae"],
            "best_by=mae does not go with task.kind=classes; choose accuracy, balanced_accuracy",
        ),
        ("train", ["task=age", "class_weights=balanced"], "class_weights=balanced goes with classes or tags"),
        ("train", ["task=number", "task.label=pitch", "task.balance=true"], "task.balance=true goes with classes"),
        ("train", ["task=age", "task.low=120"], "task.low=120 is above task.high=110; exchange them."),
        ("train", ["task.kind=sets"], "task.kind=sets is unknown; choose classes or tags or number."),
        (
            "train",
            ["data=folder", "data.root={spoken}", "hydra.run.dir={spoken}"],
            "is data.root, the folder of the rec",
        ),
        (
            "train",
            ["-m", "optimizer.lr=interval(1e-5,1e-3)"],
            "is no list of values; say them, with commas in between: a=1,2,3.",
        ),
        ("train", ["data.clip.min_seconds=50"], "data.clip.min_seconds=50 must lie between 0 and data.clip.seconds=1"),
        ("train", ["data.clip.highpass_hz=5000"], "data.clip.highpass_hz=5000 must lie between 0 and half"),
        ("train", ["model.network._target_=mine.Net"], "if the package is yours, say allow=mine."),
        ("train", ["allow=nets_of_nobody"], "Python finds no package nets_of_nobody; install it, or start the program"),
        ("train", ["optimizer._target_=SGD"], "is a name only; say its module, too: torch.optim.SGD."),
        ("train", ["optimizer.schedule=null"], "is missing: your command takes it away; leave optimizer.schedule as"),
        ("train", ["~optimizer.schedule"], "optimizer.schedule is missing: your command takes it away; leave"),
        ("train", ["data={spoken}"], "is no corpus; say data=folder data.root={spoken}."),
        ("train", ["data=folder", "data.root={spoken}", "data.csv=[a.csv,b.csv]"], "; name one table, which holds the"),
        ("train", ["task=digit", "task.classes=[0,1]"], "is labelled '2': name it in task.classes, too"),
        ("explain", ["input={spoken}", "{spoken}"], "names two; say -m input={spoken},{spoken} to run with each, or"),
        ("explain", ["intervention=keep_band", "intervention.low=9"], "intervention has edge_hz, high_hz, low_hz."),
        ("explain", ["domain=time_frequency", "domain.n_fft=512"], "domain.n_fft is not an option; domain has "),
        ("explain", ["perturbation=null"], "say perturbation.fractions=null, which removes nothing."),
        (
            "explain",
            ["checkpoint=a", "smoothing=5"],
            "smoothing=5 is not a number from 0 to 1 (seconds, such as 0.005).",
        ),
        ("benchmark", ["checkpoint=a", "attributions=[freqrise,lrp_epsilon]"], "frequencies: say domains=[frequency,"),
        ("study", ["results={spoken}"], "holds no study; name the folder of one"),
        ("train", ["ckpt_path=nowhere.ckpt"], "ckpt_path=nowhere.ckpt is not a file"),
        ("explain", ["fold=1"], "fold is an option of train.py; here the checkpoint brings it: leave it out."),
        ("benchmark", ["checkpoint=nowhere.ckpt"], "checkpoint=nowhere.ckpt is not a file"),
        ("benchmark", ["experiment=table1"], "experiment=table1 is one of python train.py, not of benchmark.py"),
        ("serve", ["checkpoint=nowhere.ckpt"], "checkpoint=nowhere.ckpt is not a file"),
    ],
)
def test_it_is_named_without_pytorch(said, program, words, says, spoken_folder, tmp_path):
    sentence = said(program, *(word.replace("{spoken}", str(spoken_folder)) for word in words), cwd=tmp_path)
    assert says.replace("{spoken}", str(spoken_folder)) in sentence and sentence.count("\n") == 1
    assert not list(tmp_path.glob("*/*/*/config.yaml"))


@pytest.mark.parametrize(
    ("program", "words", "says"),
    [
        ("explain", ["target=woman"], "target=woman is unknown; choose predicted, true, or one of 0, 1, 2"),
        ("explain", ["attribution=integrated_gradients", "attribution.steps=0"], "attribution.steps=0 is not a whole"),
        ("explain", ["attribution=lrp_epsilon", "attribution.composite=Flat"], "choose one of epsilon, epsilon_plus, "),
        (
            "explain",
            ["attribution=lrp_epsilon", "attribution.composite=[epsilon,box]"],
            "is unknown; choose one of eps",
        ),
        ("explain", ["attribution=occlusion", "attribution.window=0.05", "attribution.stride=0.2"], "leaves gaps"),
        (
            "explain",
            ["input=.", "data.csv=a.csv", "data.pattern=x"],
            "data.pattern and data.csv are both set: keep one",
        ),
        ("explain", ["attribution=rise", "attribution.cells=[5,0]"], "attribution.cells=0 is not a whole number of 1"),
        ("explain", ["attribution=freqrise", "attribution.keep=50"], "attribution.keep=50 is not a number from 0 to 1"),
        ("explain", ["intervention=keep_band", "intervention.low_hz=4e3"], "4000.0 is not below intervention.high_hz"),
        ("explain", ["intervention=scale_waveform", "intervention.factors.male=0"], "factors.male=0 is not a number"),
        (
            "explain",
            ["data.root=."],
            "is of no use to this checkpoint's corpus, synthetic; leave it out, or say input=",
        ),
        ("explain", ["checkpoint={foreign}"], "if the package is yours, say allow=nets_of_mine."),
        ("explain", ["checkpoint={cut}"], "cut.ckpt cannot be read (truncated, damaged or not a checkpoint)"),
        ("explain", ["checkpoint={other}"], "other.ckpt was not written by train.py"),
        ("explain", ["control={other}"], "control={other} was not written by train.py"),
        ("benchmark", ["target=Predicted"], "target=Predicted is unknown; choose predicted, true"),
        ("serve", ["checkpoint={cut}"], "cut.ckpt cannot be read"),
        ("serve", ["page=study", "study.name=a", "checkpoint_2={other}"], "checkpoint_2={other} was not written by"),
        ("train", ["ckpt_path={resumable}", "model=alexnet"], "was trained with model=melcnn, not alexnet"),
        ("train", ["ckpt_path={weights}"], "holds weights only; resume from the last.ckpt beside it."),
        ("explain", ["attribution=freqrise", "domain=input"], "attribution=freqrise masks frequencies: add domain=fr"),
        ("explain", ["attribution=smoothgrad", "attribution.noise=15"], "attribution.noise=15 is not a number from 0"),
        ("explain", ["intervention=keep_band", "intervention.low_hz=0.3", "intervention.high_hz=3.4"], "is narrower"),
        ("explain", ["intervention=scale_waveform"], "has no factor for the classes 0, 1"),
        ("explain", ["input=.", "target=true"], "target=true needs labels, which input=… does not have"),
        ("explain", ["input=.", "intervention=keep_band"], "intervention=… needs labels, which input=… does not have"),
        ("train", ["ckpt_path={cut}"], "cut.ckpt cannot be read"),
        ("explain", ["input=.", "data.pattern=(?P<speaker>.)"], "data.pattern has no group for the 'digit', which"),
        (
            "explain",
            ["domain=time_frequency", "domain.window_seconds=57"],
            "than the checkpoint's clips of 1 s; choose",
        ),
        ("serve", ["page=record", "record.root={cut}"], "cut.ckpt is not a folder; name another one."),
    ],
)
def test_what_is_wrong_with_a_checkpoint_is_named_without_pytorch(said, program, words, says, trained, tmp_path):
    checkpoint = trained("melcnn", "digit")
    places = {name: tmp_path / f"{name}.ckpt" for name in ("cut", "other", "resumable", "weights", "foreign")}
    places["weights"].write_bytes(checkpoint.read_bytes())
    changed(checkpoint, places["resumable"], lambda content: content.update(optimizer_states=[]))
    with_card(checkpoint, places["foreign"], "config.model.network._target_", "nets_of_mine.Net")
    places["cut"].write_bytes(checkpoint.read_bytes()[:-100])
    torch.save({"state_dict": {"a": torch.zeros(2)}}, places["other"])
    if program != "train" and not any(word.startswith(("checkpoint=", "page=record")) for word in words):
        words = [f"checkpoint={checkpoint}", *words]
    sentence = said(program, *(word.format(**places) for word in words), cwd=tmp_path)
    assert says.format(**places) in sentence and sentence.count("\n") == 1


YAMLS = {
    "experiment/text.yaml": '# @package _global_\ntrainer:\n  max_epochs: "1"\n',
    "experiment/unread.yaml": "# @package _global_\nepochs: 1\n",
    "experiment/read.yaml": "# @package _global_\nbase: 2\ndata:\n  clip:\n    min_seconds: ${base}\n",
    "experiment/within.yaml": "data:\n  batch_size: 4\n",
    "experiment/elsewhere.yaml": "defaults:\n  - override /data: folder\n",
    "experiment/colon.yaml": "# @package _global_\ndefaults:\n  - override /data: folder\n  - override /task:label\n",
    "experiment/escape.yaml": '# @package _global_\ndata:\n  pattern: "(?P<digit>\\d)"\n',
    "model/bare.yaml": "name: bare\nnetwork:\n  _target_: auscult.modules.networks.audionet.AudioNet\n",
    "data/bare.yaml": "_target_: auscult.datamodules.folder.Folder\nroot: clips\n",
    "optimizer/bare.yaml": "name: bare\n_target_: torch.optim.SGD\nlr: 0.1\n",
}


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ("experiment=text", "trainer.max_epochs='1' (a text, by its quotes) is not a whole number"),
        ("experiment=unread", "has an option that nothing reads: epochs is not an option; say trainer.max_epochs=1."),
        ("experiment=read", "data.clip.min_seconds=2 must lie between 0 and"),
        ("experiment=within", "the YAML of experiment=within has to begin with the line # @package _global_"),
        ("experiment=elsewhere", "the YAML of experiment=elsewhere lacks its first line: # @package _global_."),
        ("experiment=colon", "`- override /task: label` wants a space behind its colon."),
        ("experiment=escape", "escape.yaml, line 3: found unknown escape character 'd'; put what has a backslash"),
        ("model=bare", "model.front_end is missing"),
        ("data=bare", "data.name is missing"),
        ("optimizer=bare", "the YAML of optimizer=bare lacks published; begin with a copy of another one"),
    ],
)
def test_what_a_yaml_of_ones_own_lacks_is_named(said, choice, says, tmp_path):
    for name, content in YAMLS.items():
        (tmp_path / "conf" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "conf" / name).write_text(content)
    assert says in said("train", "--config-dir=conf", choice, cwd=tmp_path)
