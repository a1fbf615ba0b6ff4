"""What a checkpoint says of places is not followed: neither where to read from, nor to write, download, log or run."""

import http.server
import threading
from contextlib import suppress
from pathlib import Path

import pytest
import soundfile
import torch

from auscult.checkpoint.card import check_config, trained_config
from auscult.checkpoint.checkpoint import KEY, open_checkpoint
from auscult.mistake import Mistake
from auscult.program import config
from auscult.run.resume import resumed
from tests.attacks import with_card
from tests.conftest import SPOKEN_PATTERN, TINY
from tests.program.test_config import composed

ATTRIBUTION = {"name": "lrp_epsilon", "_target_": "auscult.explain.attribution.lrp.LRP", "composite": "epsilon"}
PANEL = {"_target_": "auscult.explain.callbacks.RelevancePanel", "_recursive_": False, "every_n_epochs": 1, "clips": 1}


@pytest.fixture(scope="session")
def spoken_run(spoken_folder: Path, cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `best.ckpt` of a run on a folder of recordings, with a table of labels beside it."""
    from tests.conftest import run_program

    folder = tmp_path_factory.mktemp("spoken-run") / "run"
    options = ["data=folder", f"data.root={spoken_folder}", SPOKEN_PATTERN, "task=label", "task.label=digit"]
    sizes = [option for option in TINY if "repetitions" not in option]
    options += ["model=melcnn", f"data.cache_dir={cache_dir}", f"hydra.run.dir={folder}"]
    assert run_program("train", *options, *sizes) == ""
    return folder / "checkpoints/best.ckpt"


def data_of(cache_dir: Path, **given: str) -> dict[str, object]:
    return {"root": None, "csv": None, "speakers": None, "cache_dir": str(cache_dir), "batch_size": 8, **given}


@pytest.mark.slow
def test_recordings_are_read_where_this_machine_read_them_before(spoken_run, cache_dir, tmp_path):
    card = open_checkpoint(spoken_run)[KEY]
    known = trained_config(card, data_of(cache_dir), "x.ckpt")
    assert known["data"]["root"] == card["config"]["data"]["root"]
    with pytest.raises(Mistake, match=r"no file decides what is read.* data\.root=.*spoken"):
        trained_config(card, data_of(tmp_path), "x.ckpt")
    given = trained_config(card, data_of(tmp_path, root=known["data"]["root"]), "x.ckpt")
    assert given["data"]["root"] == known["data"]["root"]
    trained_config(card, data_of(tmp_path), "x.ckpt", reads_corpus=False)


@pytest.mark.parametrize(
    ("option", "value"),
    [("root", "/etc"), ("root", "."), ("root", "~"), ("csv", "/etc/shadow"), ("speakers", "/etc/passwd"),
     ("csv", "../secret.csv"), ("csv", "~/secret.csv"), ("pattern", "(?P<digit>.)")],
)  # fmt: skip
def test_a_card_does_not_lead_elsewhere(explain_here, spoken_run, tmp_path, option, value):
    path = with_card(spoken_run, tmp_path / "x.ckpt", f"config.data.{option}", value)
    said = explain_here(f"checkpoint={path}", "attribution=amplitude", "hydra.run.dir=run")
    assert "no file decides what is read" in said and "\n" not in said
    root = open_checkpoint(spoken_run)[KEY]["config"]["data"]["root"]
    if option in ("csv", "speakers"):
        said = explain_here(f"checkpoint={path}", f"data.root={root}", "attribution=amplitude", "hydra.run.dir=run")
        assert "no file decides what is read" in said and "\n" not in said


def test_a_table_in_the_root_moves_with_it(spoken_run, cache_dir, tmp_path):
    card = open_checkpoint(spoken_run)[KEY]
    before = card["config"]["data"]["root"]
    for table in ("labels.csv", f"{before}/labels.csv"):
        card["config"]["data"] |= {"pattern": None, "csv": table}
        moved = trained_config(card, data_of(cache_dir, root=str(tmp_path)), "x.ckpt")
        assert moved["data"]["csv"] == str(tmp_path / "labels.csv")


@pytest.mark.parametrize("given", [{}, {"root": "/somewhere"}])
@pytest.mark.parametrize(
    "places",
    [{"root": None}, {"root": ""}, {"root": "~nobody-here/x"}, {"csv": ""}, {"csv": "."}, {"csv": "~nobody-here/x.csv"},
     {"root": None, "csv": "x.csv"}, {"speakers": "~nobody-here"}, {"root": "a\0b"}],
)  # fmt: skip
def test_odd_places_end_in_a_sentence_if_at_all(spoken_run, cache_dir, given, places):
    card = open_checkpoint(spoken_run)[KEY]
    card["config"]["data"] |= places
    with suppress(Mistake):
        trained_config(card, data_of(cache_dir, **given), "x.ckpt")


def test_nothing_is_downloaded(explain_here, spoken_run, tmp_path):
    asked: list[str] = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

    with http.server.HTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/x.zip"
        node = {"name": "x", "_target_": "auscult.datamodules.audiomnist.AudioMNIST", "download": True, "url": url}
        node |= {"root": str(tmp_path / "hydra_plugins")}
        held = open_checkpoint(spoken_run)[KEY]["config"]["data"]
        shared = {name: held[name] for name in ("clip", "cache_dir", "batch_size", "epochs", "shift", "confound")}
        path = with_card(spoken_run, tmp_path / "x.ckpt", "config.data", node | shared)
        for given in ([], [f"data.root={tmp_path / 'hydra_plugins'}"]):
            assert explain_here(f"checkpoint={path}", "hydra.run.dir=run", *given) != ""
        server.shutdown()
    assert not asked and not (tmp_path / "hydra_plugins").exists()


def test_a_hostile_cache_dir_is_neither_made_nor_filled(explain_here, spoken_run, tmp_path):
    path = with_card(spoken_run, tmp_path / "x.ckpt", "config.data.cache_dir", str(tmp_path / "elsewhere"))
    soundfile.write(tmp_path / "voice.wav", torch.rand(8000).numpy() - 0.5, 8000)
    options = ["attribution=amplitude", "input=voice.wav", "hydra.run.dir=run"]
    assert explain_here(f"checkpoint={path}", *options) == ""
    assert not (tmp_path / "elsewhere").exists()


# Resuming


def saved(own, path, **more):
    speakers = {"train": [], "validation": [], "test": []}
    card = {"config": own, "classes": ["male", "female"], "speakers": speakers}
    torch.save({KEY: card, "optimizer_states": [], "state_dict": {}, **more}, path)
    return path


@pytest.fixture
def going_on(tmp_path):
    """The configuration of a resumed run, given the overrides of its start, changes of its card, and new overrides."""

    def start(started, changes, *overrides):
        own = config.check(composed(*started))
        for option, value in changes.items():
            *within, last = option.split(".")
            node = own
            for name in within:
                node = node[name]
            node[last] = value
        path = saved(own, tmp_path / "last.ckpt")
        given = config.check(composed(*overrides, f"ckpt_path={path}"))
        return own, resumed(given, [*overrides, f"ckpt_path={path}"])

    return start


@pytest.mark.slow
def test_resume_takes_the_checkpoints_configuration_and_refuses_another(going_on, tmp_path):
    started = ["model=alexnet", "task=sex", "fold=2", "optimizer=paper", "trainer.max_epochs=3"]
    own, again = going_on(started, {}, "model=alexnet", "fold=2")
    assert again == own | {"ckpt_path": str(tmp_path / "last.ckpt")}
    assert going_on(started, {}, "trainer.max_epochs=7")[1]["trainer"]["max_epochs"] == 7
    for override in ("model=audionet", "task=digit", "fold=1", "optimizer.lr=0.5", "experiment=table1"):
        name, value = override.split("=")
        with pytest.raises(Mistake, match=f"was trained with {name}=.*, not {value}"):
            going_on(started, {}, override)


def test_resume_cannot_outlast_a_one_cycle_schedule(going_on):
    with pytest.raises(Mistake, match=r"trainer\.max_epochs=7 cannot change when resuming"):
        going_on(["trainer.max_epochs=3"], {}, "trainer.max_epochs=7")


@pytest.mark.parametrize("name", ["max_epochs", "max_steps"])
@pytest.mark.parametrize("value", ["many", [3], {}, True])
def test_a_card_whose_length_is_no_number(going_on, name, value):
    with pytest.raises(Mistake, match=rf"^trainer\.{name}="):
        going_on([], {f"trainer.{name}": value})


@pytest.mark.slow
def test_a_card_decides_neither_where_to_run_nor_where_to_log(going_on, tmp_path):
    elsewhere = str(tmp_path / "elsewhere")
    hostile = {
        "trainer.default_root_dir": elsewhere, "trainer.accelerator": "cuda", "trainer.devices": 99,
        "trainer.strategy": "deepspeed", "trainer.profiler": "advanced", "trainer.plugins": ["x"],
        "data.cache_dir": elsewhere, "logger": {"name": "csv", "settings": {"base_url": "http://127.0.0.1:9"}},
    }  # fmt: skip
    _, again = going_on([], hostile, "trainer.devices=1")
    defaults = config.check(composed("trainer.devices=1"))
    assert again["trainer"] == defaults["trainer"] and again["logger"] == {"name": "csv"}
    assert again["data"]["cache_dir"] == defaults["data"]["cache_dir"]
    wandb = {"logger": {"name": "wandb", "entity": "thief", "settings": {"base_url": "http://127.0.0.1:9"}}}
    with pytest.raises(Mistake, match="no file decides where to log: say logger=wandb"):
        going_on([], wandb)
    assert going_on([], wandb, "logger=wandb")[1]["logger"] == config.check(composed("logger=wandb"))["logger"]
    assert going_on([], wandb, "logger=csv")[1]["logger"] == {"name": "csv"}


@pytest.mark.parametrize(
    "node",
    [
        {"_target_": "pytorch_lightning.callbacks.EarlyStopping", "monitor": "val/loss"},
        PANEL | {"attribution": ATTRIBUTION},
        {"attribution": ATTRIBUTION, "fractions": [0, 0.1]},
    ],
)
def test_harmless_callbacks_go_on(going_on, node):
    assert going_on([], {"callbacks": {"mine": node}})[1]["callbacks"] == {"mine": node}


@pytest.mark.slow
@pytest.mark.parametrize(
    "node",
    [
        {"_target_": "os.system", "command": "true"},
        {"_target_": "auscult.checkpoint.keeping.KeepBest", "folder": "/tmp/x"},
        {"_target_": "pytorch_lightning.callbacks.ModelCheckpoint", "dirpath": "/tmp/x"},
        {"_target_": "pytorch_lightning.callbacks.LambdaCallback"}, {"_target_": "own.Callback"}, "os.system", 3,
        {"_target_": "pytorch_lightning.callbacks.EarlyStopping", "monitor": {"_target_": "os.getcwd"}},
        PANEL | {"attribution": ATTRIBUTION | {"_target_": "os.system"}},
        PANEL | {"attribution": ATTRIBUTION | {"composite": {"_target_": "os.getcwd"}}},
        {"attribution": ATTRIBUTION | {"_target_": "os.system"}}, {"attribution": ATTRIBUTION, "_args_": [1]},
        PANEL | {"attribution": ATTRIBUTION, "_recursive_": True}, PANEL | {"attribution": ATTRIBUTION, "_args_": [1]},
    ],
)  # fmt: skip
def test_other_callbacks_are_named_again(going_on, node):
    with pytest.raises(Mistake, match="name it again with callbacks=…"):
        going_on([], {"callbacks": {"mine": node}})
    assert going_on([], {"callbacks": {"mine": node}}, "callbacks=none")[1]["callbacks"] == {}


def test_what_no_checkpoint_may_name_is_refused_before_the_training(train_here, tmp_path):
    said = train_here("model=melcnn", "+model.network.encoder={_target_: torch.nn.ReLU}", *TINY)
    assert said.startswith("model.network holds parts of its own")
    (tmp_path / "own_nets.py").write_text(
        "from auscult.modules.networks.melcnn import MelCNN\nclass Net(MelCNN): pass\n"
    )
    run = ["model=melcnn", "model.network._target_=own_nets.Net", "hydra.run.dir=run", *TINY]
    said = train_here(*run)
    assert "say allow=own_nets" in said and not list(tmp_path.glob("run/*.yaml"))


@pytest.mark.slow
def test_what_conf_can_name_a_checkpoint_may(tmp_path):
    for model in ("audionet", "alexnet", "melcnn"):
        for data in ("synthetic", "audiomnist", "audiomnist_az", "speech_commands", "esc50", "urbansound8k"):
            check_config(config.check(composed(f"model={model}", f"data={data}", "task=sex")), [])
