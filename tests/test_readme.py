"""The commands of the README and its documents, run as written: on small corpora, and for a step or two."""

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors.torch import save_file

from auscult.datamodules.audiomnist import FEMALE
from auscult.parts import build_part
from auscult.program.conf import content_of
from tests.conftest import ROOT
from tests.datamodules.test_hugging_face import TEST, TRAIN, parquet, rows_of, table_of
from tests.pretrained import networks
from tests.pretrained.test_hugging_face import saved

TEXTS = [ROOT / "README.md", *(ROOT / f"docs/{name}.md" for name in ("training", "explaining", "pages", "networks"))]
SHORT = [
    "trainer.max_epochs=1", "trainer.limit_train_batches=1", "trainer.limit_val_batches=1",
    "trainer.limit_test_batches=1", "data.batch_size=4",
]  # fmt: skip


def commands() -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", "".join(text.read_text() for text in TEXTS), re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return list(dict.fromkeys(line.split("  #")[0].strip() for line in lines if line.strip() and line[0] != "#"))


def trainings() -> list[str]:
    """All but that of a network of one's own, which is tested in test_extension.py."""
    return [command for command in commands() if command.startswith("python train.py") and "model=mine" not in command]


def recordings(speakers: list[str], takes: int) -> Iterator[tuple[str, str, int, np.ndarray]]:
    random = np.random.default_rng(0)
    for speaker in speakers:
        for digit in "0123456789":
            for take in range(takes):
                yield speaker, digit, take, 0.1 * random.standard_normal(2400)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`~/AudioMNIST`, `my_clips`, `labels.csv` and AudioMNIST_AZ, as the README supposes them."""
    home = tmp_path_factory.mktemp("home")
    speakers = [f"{number:02d}" for number in range(1, 61)]
    people = {
        speaker: {"gender": "female" if speaker in FEMALE else "male", "age": str(20 + number)}
        for number, speaker in enumerate(speakers)
    }
    for speaker, digit, take, samples in recordings(speakers, 1):
        folder = home / "AudioMNIST/data" / speaker
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{digit}_{speaker}_{take}.wav", samples, 8000)
    (home / "AudioMNIST/data/audioMNIST_meta.txt").write_text(json.dumps(people))
    table = ["path,digit,speaker"]
    (home / "work/my_clips").mkdir(parents=True)
    for speaker, digit, take, samples in recordings(["ada", "bela", "cem", "dora", "ege"], 2):
        soundfile.write(home / f"work/my_clips/{digit}_{speaker}_{take}.wav", samples, 8000)
        table.append(f"{digit}_{speaker}_{take}.wav,{digit},{speaker}")
    (home / "work/my_corpus").symlink_to(home / "AudioMNIST")  # whose layout the recording page has
    (home / "work/labels.csv").write_text("\n".join(table) + "\n")
    for number in range(12):
        folder = home / f"work/my_sounds/{('dog', 'rain')[number % 2]}"
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{number}.wav", 0.1 * np.random.default_rng(number).standard_normal(8000), 16000)
    az = home / "shared/data/audiomnist_az"
    for speaker, digit, take, samples in recordings([f"{number:02d}" for number in range(1, 13)], 1):
        (az / "data" / speaker).mkdir(parents=True, exist_ok=True)
        soundfile.write(az / "data" / speaker / f"{digit}_{speaker}_{take}.wav", samples, 8000)
    rows = [f"{number},{'F' if number % 2 else 'M'}" for number in range(1, 13)]
    (az / "metadata.txt").write_text("\n".join(["SPK ID,Gender", *rows]) + "\n")
    (home / "AudioMNIST_AZ").symlink_to(az)
    environmental_sounds(home)
    starts(home / "work")
    return home


def starts(folder: Path) -> None:
    """What trainings start from and on, under the names that the hub has: folders of this machine take precedence."""
    import transformers

    model, extractor = saved(folder / "my_folder", "wav2vec2")
    transformers.Wav2Vec2Model(model.config).save_pretrained(folder / "facebook/wav2vec2-base")
    extractor.save_pretrained(folder / "facebook/wav2vec2-base")
    parquet(folder / "gilkeyio/AudioMNIST", train=table_of(rows_of(TRAIN)), test=table_of(rows_of(TEST)))
    other = build_part("model.network", {**content_of("model/cnn14")["network"], "channels": 1}, classes=7)
    save_file({name: value.clone() for name, value in other.state_dict().items()}, folder / "pretrained.safetensors")


def environmental_sounds(home: Path) -> None:
    """`~/UrbanSound8K`, `~/ESC-50` and its part ESC-10, of a dog and rain."""
    random = np.random.default_rng(0)
    esc, urban = ["filename,fold,target,category,esc10,src_file,take"], ["slice_file_name,fsID,start,end,fold,class"]
    for number in range(20):
        fold, label, samples = number // 2 + 1, ("dog", "rain")[number % 2], 0.1 * random.standard_normal(8000)
        name = f"{number}-{number % 2}-0-0.wav"
        urban.append(f"{name},{number},0,1,{fold},{label}")
        (home / f"UrbanSound8K/audio/fold{fold}").mkdir(parents=True, exist_ok=True)
        soundfile.write(home / f"UrbanSound8K/audio/fold{fold}" / name, samples, 16000)
        fold = fold % 5 + 1
        name = f"{fold}-{number}-A-{number % 2}.wav"
        esc.append(f"{name},{fold},{number % 2},{label},True,{number},A")
        (home / "ESC-50/audio").mkdir(parents=True, exist_ok=True)
        soundfile.write(home / "ESC-50/audio" / name, samples, 16000)
    for table, rows in (("ESC-50/meta/esc50.csv", esc), ("UrbanSound8K/metadata/UrbanSound8K.csv", urban)):
        (home / table).parent.mkdir(parents=True)
        (home / table).write_text("\n".join(rows) + "\n")
    (home / "shared/data/esc10").symlink_to(home / "ESC-50")


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = {command.split()[1] for command in commands() if command.startswith("make ")}
    assert {"demo", "test"} <= used <= targets


def test_every_command_is_of_a_known_kind():
    known = (
        "git clone ",
        "make ",
        ".venv/bin/python serve.py",
        "python train.py",
        "python explain.py",
        "python benchmark.py",
        "python serve.py",
        "python study.py",
        "pip install",
        "docker ",
        "wandb ",
    )
    assert [command for command in commands() if not command.startswith(known)] == []


@pytest.mark.slow
@pytest.mark.parametrize("command", trainings())
def test_command_runs(command, home, train_here, trained, monkeypatch, tmp_path):
    arguments = shlex.split(command)[2:]
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home / "work")
    if "--help" in arguments:
        assert train_here("--help") == ""
        return
    if "data.download=true" in arguments:  # what is there already is not fetched again
        arguments.append(f"data.root={home / 'AudioMNIST'}")
    if any(argument.startswith("model.weights=outputs") for argument in arguments):
        checkpoint = home / "work/outputs/DATE/TIME/checkpoints/best.ckpt"
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(trained("m5", "sex"), checkpoint)
    if any(argument.startswith("ckpt_path") for argument in arguments):
        assert train_here(*SHORT, "hydra.run.dir=outputs/DATE/TIME", "keep_last=true") == ""
        shutil.copytree("outputs/DATE/TIME", "outputs/WHOLE")
        assert train_here(*arguments) == ""
        return
    if "experiment=table1" in arguments:  # 18 runs are more than one table needs
        arguments.append("fold=3,4")
    if "experiment=search" in arguments:
        arguments.append("optimizer.lr=1e-3")
    if "callbacks=explain" in arguments:
        arguments.append("callbacks.perturbation.fractions=[0,0.1]")
    if "hydra/launcher=cores" in arguments or "experiment=audio_lrp" in arguments:
        arguments.append("fold=0,1")
    if not any(argument.startswith("data") for argument in arguments):  # the synthetic corpus, smaller
        arguments.append("data.repetitions=1")
    folder = tmp_path / "sweep"
    assert train_here(*arguments, *SHORT, f"hydra.run.dir={folder}", f"hydra.sweep.dir={folder}") == ""
    done = len([path for path in folder.rglob("metrics.json") if (path.parent / "checkpoints").exists()])
    if "experiment=table1" in arguments:  # of sex, fold 4 is left out
        assert done == 6 and "92.53 ± 2.04" in (folder / "summary.md").read_text()
        return
    if "experiment=audio_lrp" in arguments:
        assert "| lrp_epsilon_plus_flat | 2 |" in (folder / "summary.md").read_text()
        assert len(list(folder.rglob("report.html"))) == 4
    jobs = {"experiment=search": 4, "fold=0,1,2,3": 8, "fold=0,1": 2, "fold=0,1,2,3,4": 5}
    assert done == next((jobs[argument] for argument in reversed(arguments) if argument in jobs), 1)


def own_networks(folder: Path) -> None:
    """A package with a network, its weights and the names of its classes, a model of Hugging Face, and `my_clips`."""
    (folder / "my_package").mkdir()
    (folder / "my_package/nets.py").write_text(Path(networks.__file__).read_text() + "\n\nCNN = Mel\n")
    weights = {name: value.clone() for name, value in networks.Mel(3).state_dict().items()}
    save_file(weights, folder / "best.safetensors")
    (folder / "labels.txt").write_text("cat\ndog\ncow\n")
    saved(folder / "my_model", "ast")
    adapter = re.search(r"```python\n(import importlib.*?)```", (ROOT / "docs/networks.md").read_text(), re.DOTALL)
    assert adapter is not None
    (folder / "torchcrepe_adapter.py").write_text(adapter[1])
    (folder / "my_clips").mkdir()


@pytest.mark.slow
@pytest.mark.parametrize("command", [command for command in commands() if command.startswith("python explain.py")])
def test_explanation_runs(command, trained, explain_here, tmp_path):
    arguments = shlex.split(command)[2:]
    if "--help" in arguments:
        assert explain_here("--help") == ""
        return
    checkpoints = tmp_path / "outputs/DATE/TIME/checkpoints"
    checkpoints.mkdir(parents=True)
    shutil.copy(trained("audionet", "sex"), checkpoints / "best.ckpt")
    (tmp_path / "src").symlink_to(ROOT / "src")  # as in the checkout, where the commands are run
    own_networks(tmp_path)
    for name in ("my_voice.wav", "my_other_voice.wav", "my_clips/one.wav"):
        soundfile.write(tmp_path / name, 0.1 * np.random.default_rng(0).standard_normal(20000), 44100)
    short = ["limit=2", "perturbation.fractions=[0,0.1]", "hydra.run.dir=run", "hydra.sweep.dir=run"]
    assert explain_here(*arguments, *short) == ""
    reports = len(list((tmp_path / "run").rglob("report.html")))
    assert reports == (5 if "-m" in arguments else 1)


@pytest.mark.slow
@pytest.mark.parametrize("command", [command for command in commands() if command.startswith("python benchmark.py")])
def test_benchmark_runs(command, trained, benchmark_here, tmp_path):
    checkpoints = tmp_path / "outputs/DATE/TIME/checkpoints"
    checkpoints.mkdir(parents=True)
    shutil.copy(trained("audionet", "sex"), checkpoints / "best.ckpt")
    own_networks(tmp_path)
    soundfile.write(tmp_path / "my_clips/one.wav", 0.1 * np.random.default_rng(0).standard_normal(20000), 44100)
    short = ["limit=2", "clips=0", "perturbation.fractions=[0,0.1]", "checks=0", "hydra.run.dir=run"]
    if len(shlex.split(command)) > 3:  # the command alone runs all attributions
        short.append("attributions=[lrp_epsilon_plus,gradient,amplitude]")
    assert benchmark_here(*shlex.split(command)[2:], *short) == ""
    assert (tmp_path / "run/leaderboard.html").exists()
