"""The words of a command line: what Hydra is given, and what is said of those that it could not take."""

import re
import subprocess
import sys
import tomllib

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from auscult.mistake import Mistake
from auscult.program.arguments import FLAGS, arranged
from auscult.program.overrides import check_changed, check_experiment, check_sweep
from tests.conftest import ROOT


def value_of(override: str):
    return OverridesParser.create().parse_override(override).value()


def said_of(words: list[str], program: str = "train") -> str:
    with pytest.raises(Mistake) as caught:
        arranged(words, program)
    return str(caught.value)


def test_words_in_any_order_and_home_folders(monkeypatch):
    monkeypatch.setenv("HOME", "/home/a b")
    words = arranged(["experiment=table1", "-m", "data.root=~/AudioMNIST", "--cfg", "job"], "train")
    assert words == ["experiment=table1", 'data.root="/home/a b/AudioMNIST"', "-m", "--cfg", "job"]
    monkeypatch.setenv("HOME", "/home/ada")
    assert arranged(["data.root=~", "model.name=a~b"], "train") == ["data.root=/home/ada", "model.name=a~b"]


def test_flags_are_hydras():
    from hydra._internal.utils import get_args_parser

    own = {flag for action in get_args_parser()._actions for flag in action.option_strings}
    assert set(FLAGS) == own - {"--experimental-rerun"}
    for action in get_args_parser()._actions:
        for flag in set(action.option_strings) & set(FLAGS):
            assert (FLAGS[flag] == ()) == (action.nargs == 0), flag
            assert not action.choices or set(action.choices) == set(FLAGS[flag]) - {""}, flag


@pytest.mark.parametrize("typed", [["--config-name", "train"], ["--config-name=train"], ["-cn", "train.yaml"]])
def test_flags_with_values(typed):
    assert arranged([*typed, "fold=1"], "train")[0] == "fold=1"
    assert arranged([*typed, "fold=1"], "train")[2] == "train"


def test_a_flag_that_may_stand_alone():
    assert arranged(["-i", "fold=1"], "train") == ["fold=1", "-i"]
    assert arranged(["-i", "defaults"], "train") == ["-i", "defaults"]


@pytest.mark.parametrize(
    "path",
    [
        "a b.wav",
        "müller größe.wav",
        'it\'s "me".wav',
        "<b>&x.wav",
        "a=b/c.wav",
        "b\\.wav",
        'b\\"x.wav',
        "x\\",
        "100% (1)#2.wav",
    ],
)
def test_any_path_reaches_hydra_as_it_was_typed(path):
    (override,) = arranged([f"input={path}"], "explain")
    assert OverridesParser.create().parse_override(override).value() == path


@pytest.mark.parametrize("option", ["checkpoint_2", "results", "record.root", "study.root", "data.speakers"])
def test_every_option_that_names_a_path_takes_any(option):
    (override,) = arranged([f"{option}=Größe (1)/a b"], "serve")
    assert OverridesParser.create().parse_override(override).value() == "Größe (1)/a b"


@pytest.mark.parametrize(
    ("typed", "words"),
    [("[bir,dörd, beş]", ["bir", "dörd", "beş"]), ("dörd", ["dörd"]), ("[ja,nein]", ["ja", "nein"]), ("[0,1]", [0, 1]),
     ('["dörd"]', ["dörd"]), ("[नमस्ते]", ["नमस्ते"])],
)  # fmt: skip
def test_words_of_any_language_are_read_as_typed(typed, words):
    (override,) = arranged([f"record.words={typed}"], "serve")
    value = OverridesParser.create().parse_override(override).value()
    assert [str(word) for word in value] == [str(word) for word in words]


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?P<digit>\d)_(?P<speaker>[^_]+)_(?P<take>\d+)",
        r"^(?P<label>[a-zа-яё]{2,8}), (?P<speaker>\w+)\.wav$",
        r"[0-9]=(?P<a>.)",
        r"it's (?P<a>\"x\")\\",
        r"(?P<label>日本|中国)",
    ],
)
def test_a_pattern_needs_one_pair_of_quotes(pattern):
    (override,) = arranged([f"data.pattern={pattern}"], "train")
    assert value_of(override) == pattern
    if '"' not in pattern:  # two pairs, as they were needed once
        assert value_of(arranged([f'data.pattern="{pattern}"'], "train")[0]) == pattern
    assert arranged(["data.pattern=null"], "train") == ["data.pattern=null"]


@pytest.mark.parametrize("word", ["task.label=Größe", "target=ё", "data.confound.class=はい"])
def test_values_in_any_script(word):
    (override,) = arranged([word], "train")
    assert value_of(override) == word.partition("=")[2]


def test_what_is_more_than_one_value_is_left_alone(tmp_path, monkeypatch):
    for override in ('input="ä.wav"', "checkpoint=a,b", "input=${oc.env:HÖRE}", "seed=a b"):
        assert arranged([override], "explain") == [override]
    assert arranged(["task.classes=[männlich, woman]"], "train") == ['task.classes=["männlich",woman]']
    monkeypatch.chdir(tmp_path)
    assert arranged(["input=hello, world.wav"], "explain") == ["input=hello, world.wav"]
    (tmp_path / "hello, world.wav").touch()
    assert value_of(arranged(["input=hello, world.wav"], "explain")[0]) == "hello, world.wav"
    assert arranged(["-m", "task.label=ja,nö"], "train") == ['task.label="ja","nö"', "-m"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["model=", "alexnet"], "model= alexnet has a space in it; say model=alexnet."),
        (["model", "=", "alexnet"], "model = alexnet has a space in it; say model=alexnet."),
        (["model", "=alexnet"], "model =alexnet has a space in it; say model=alexnet."),
        (["task=sex", "model", "=alexnet"], "model =alexnet has a space in it; say model=alexnet."),
        (["fold=0,", "1"], "fold=0, 1 has a space in it; say -m fold=0,1."),
        (["-m", "fold=0,", "1,", "2"], "fold=0, 1, 2 has a space in it; say fold=0,1,2."),
        (["fold=0", ",1"], "fold=0 ,1 has a space in it; say -m fold=0,1."),
        (["explain_by=[a,", "b]"], "explain_by=[a, b] has a space in it; say 'explain_by=[a,b]'."),
        (["-m", "fold=range(0,", "3)"], "fold=range(0, 3) has a space in it; say 'fold=range(0,3)'."),
        (["fold=", "-1"], "fold= -1 has a space in it; say fold=-1."),
        (["model=audionet task=sex"], "holds several options in one pair of quotes; say model=audionet task=sex"),
        (["'model=audionet'"], "'model=audionet' is in quotes twice; say model=audionet."),
        (["--model", "alexnet"], "--model is not a flag; say model=alexnet; --help lists them."),
        (["--model=alexnet"], "--model is not a flag; say model=alexnet; --help lists them."),
        (["--epochs", "5"], "--epochs is not a flag; say trainer.max_epochs=5; --help lists them."),
        (["--learning-rate", "0.1"], "say optimizer.lr=0.1"),
        (["--nothing"], "--nothing is not a flag; options are said as name=value, without dashes; --help"),
        (["--config", "my.yaml"], "--config is not a flag; say experiment=NAME for a YAML in conf/experiment"),
        (["-e", "5"], "-e is not a flag; say trainer.max_epochs=5"),
        (["--dry-run"], "say trainer.max_epochs=1 trainer.limit_train_batches=1"),
        (["config.yaml"], "put it into conf/experiment/ and say experiment=config"),
        (["task=sex,"], "task=sex, ends with a comma; say task=sex."),
        (["--multirun=yes"], "--multirun takes no value; say --multirun."),
        (["--cfg"], "--cfg needs one of job, hydra, all behind it."),
        (["--config-dir"], "--config-dir needs a value behind it."),
        (["--config-name", "explain"], "--config-name explain is the configuration of python explain.py; run that"),
        (["--config-name", "nope"], "--config-name nope names no file in conf/; leave it out, or add conf/nope.yaml."),
        (["--experimental-rerun", "job.pickle"], "--experimental-rerun is not a flag"),
        (["audionet"], "audionet is not of the form option=value; say model=audionet; --help lists them."),
        (["task:sex"], "task:sex is not of the form option=value; say task=sex; --help lists them."),
        (
            ["input=my", "voice.wav"],
            "input=my voice.wav has a space in it; put quotes around it: 'input=my voice.wav'.",
        ),
        (["help"], "help is not of the form option=value; say --help; --help lists them."),
        (["fold"], "fold is not of the form option=value; --help lists them."),
        (["runs/best.ckpt"], "say ckpt_path=runs/best.ckpt"),
    ],
)
def test_what_hydra_could_not_take_is_said_in_one_sentence(words, says):
    said = said_of(words)
    assert says in said and "\n" not in said


@pytest.mark.parametrize(
    "word", ["trainer.devices=[0,3]", "explain_by=[random,amplitude]", "augmentation.noise_snr_db=[10,30]",
             "task.classes=[a,b]", "callbacks=[explain,intervention]", "fold=0,1", "+trainer.limit_predict_batches=2",
             "+optimizer.betas=[0.9,0.99]", "~model.front_end"],
)  # fmt: skip
def test_what_a_multirun_may_be_given(word):
    check_changed([word], "train"), check_sweep([word], "train"), check_experiment([word], "train")


def test_a_page_is_served_once():
    assert (
        said_of(["-m", "checkpoint=a,b"], "serve")
        == "serve.py has no -m, as it serves until it is ended; start it once for each value."
    )
    assert "say results=studies/pilot;" in said_of(["studies/pilot"], "study")


def test_a_file_is_what_an_explanation_takes(tmp_path):
    (tmp_path / "a.wav").touch()
    assert "say checkpoint=best.ckpt;" in said_of(["best.ckpt"], "explain")
    assert f"say input={tmp_path}/a.wav;" in said_of([f"{tmp_path}/a.wav"], "explain")


@pytest.mark.parametrize(
    "words",
    [["trainer.max_time=", "fold=1"], ["fold=0,1", "-m"], ["explain_by=[a,b]", "fold=1"], ["-m", "fold=0,1,2"],
     ["data.pattern=(?P<a>x) y=z"], ["hydra.run.dir=my runs/a=1 b=2"]],
)  # fmt: skip
def test_what_is_whole_is_not_taken_for_torn(words):
    arranged(words, "train")


def test_version_is_ours():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    ended = subprocess.run([sys.executable, ROOT / "train.py", "--version"], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, f"Auscult {version}\n")


def test_a_reader_of_the_help_may_go():
    program = [sys.executable, ROOT / "train.py", "--help"]
    running = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    running.stdout.close()
    assert running.stderr.read() == b""


@pytest.mark.parametrize("program", ["train", "explain", "benchmark", "serve", "study"])
def test_without_the_packages_a_sentence_says_how_to_get_them(program):
    ended = subprocess.run(
        [sys.executable, "-S", ROOT / f"{program}.py", "fold=1"], capture_output=True, text=True, env={}
    )  # -S: without what is installed
    assert ended.returncode == 1 and ended.stderr.count("\n") == 1
    assert re.search(rf"lacks hydra, .*say {ROOT}/.venv/bin/python {program}\.py to start it\.", ended.stderr)
