"""Hundreds of mutated checkpoints: none runs code, reads or writes elsewhere, hangs, or ends in a traceback."""

import copy
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auscult.checkpoint.card import trained_config
from auscult.checkpoint.checkpoint import KEY, classifier_of, open_checkpoint
from auscult.datamodules.datamodule import AudioDataModule
from auscult.mistake import Mistake
from auscult.program import config
from auscult.run.resume import resumed
from tests.attacks import with_pickle
from tests.conftest import ROOT
from tests.program.test_config import composed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

EVIL = "/tmp/auscult-evil"  # what mutations name: nobody may look for it
MOST_SECONDS = 10
DEEDS = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "socket.connect", "os.mkdir",
         "os.remove", "os.rename", "os.symlink", "os.rmdir", "os.chmod", "shutil.rmtree", "urllib.Request")  # fmt: skip
# where Python itself and this program may read while they work
READ = (
    str(ROOT),
    str(Path(torch.__file__).parents[1]),
    sys.prefix,
    sys.base_prefix,
    "/proc/",
    "/sys/",
    "/usr/",
    "/etc/localtime",
)


class Watch:
    """Notes what this process does while it watches: writing, deleting, connecting, running, and reading elsewhere."""

    def __init__(self) -> None:
        self.allowed: tuple[str, ...] | None = None
        self.deeds: list[str] = []
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.allowed is None:
            return
        looks = event in ("os.listdir", "os.scandir") and self.is_foreign(arguments[0], None, 0)
        if looks or event.startswith(DEEDS) or (event == "open" and self.is_foreign(*arguments)):
            self.deeds.append(f"{event} {arguments!r}"[:300])

    def is_foreign(self, path: Any, mode: Any, flags: Any) -> bool:
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        return isinstance(path, str) and (bool(writes) or not path.startswith(self.allowed or ()))


watch = Watch()
NODES = [
    {"_target_": "os.system", "command": f"touch {EVIL}"},
    {"_target_": "torch.utils.collect_env.run", "command": f"touch {EVIL}"},
    {"_target_": "auscult.checkpoint.keeping.KeepBest", "folder": EVIL},
    {"_target_": "torch.hub.load_state_dict_from_url", "url": "http://127.0.0.1:9/x"},
    {"_target_": "builtins.open", "file": EVIL, "mode": "w"},
    {"_target_": "pytorch_lightning.callbacks.ModelCheckpoint", "dirpath": EVIL},
]
TARGETS = ["os.system", "builtins.eval", "torch.load", "auscult.explain.relevance.file.RelevanceFile",
           "torch.nn.Linear", "src.explain.relevance_file.RelevanceFile", "src.modules.alexnet.AlexNet",
           "auscult.datamodules.folder.Folder", "auscult.modules.networks.alexnet.AlexNet", "torch.optim.SGD",
           "pytorch_lightning.Trainer", "auscult.datamodules.source.Recordings", "auscult.modules.constant_q.ConstantQ",
           "auscult.datamodules.synthetic.Synthetic"]  # fmt: skip
PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70),
    st.sampled_from([0, -1, 1, 2, 10**9, 10**12, 2**63, 10**30]),
    st.floats(), st.sampled_from([1e9, 1e300, -1e-9, 0.5]), st.text(max_size=20), st.sampled_from(TARGETS),
    st.sampled_from([EVIL, f"{EVIL}/x.csv", "/etc/shadow", "~/x", "../x", "http://127.0.0.1:9/x.zip", "${oc.env:HOME}",
                     "(a+)+$", "a\0b", "\x1b[31m", "a" * 30_000]),
)  # fmt: skip
VALUES = st.one_of(
    PLAIN, st.sampled_from(NODES), st.sampled_from([[node] for node in NODES]),
    st.sampled_from([(node,) for node in NODES]),
    st.just([[]] * 10), st.just(torch.zeros(3)), st.just(torch.zeros(1).expand(10**6)), st.just(torch.Size([2])),
    st.lists(PLAIN, max_size=4), st.dictionaries(st.text(max_size=8), PLAIN, max_size=4),
    st.dictionaries(st.integers(), PLAIN, max_size=2),
)  # fmt: skip


def places(node: Any, within: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value of nested dicts and lists."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [way for key, value in inner for way in [(*within, key), *places(value, (*within, key))]]


def ask(path: Path, folder: Path, root: str | None) -> None:
    """All that is done with a checkpoint before hours are spent: opened, built, its corpus looked up, resumed."""
    opened = open_checkpoint(path, "checkpoint")
    data = {"root": root, "csv": None, "speakers": None, "cache_dir": str(folder / "cache"), "batch_size": 4}
    trained = trained_config(opened[KEY], data, str(path))
    AudioDataModule.from_config(trained, opened[KEY]["speakers"]).corpus.clips()
    classifier = classifier_of(opened)
    settings_of = opened[KEY]["config"]["data"]["clip"]
    with torch.no_grad():
        classifier(torch.zeros(1, 1, round(settings_of["seconds"] * settings_of["sample_rate"])))


def ask_to_resume(path: Path, folder: Path) -> None:
    resumed({**GIVEN, "ckpt_path": str(path)}, [f"ckpt_path={path}"])


def survives(path: Path, folder: Path) -> None:
    """Asks everything of a checkpoint, and looks at what was done meanwhile."""
    watch.deeds, watch.allowed = [], (str(path), str(folder), *READ)
    started = time.monotonic()
    try:
        for question in (
            lambda: ask(path, folder, None),
            lambda: ask(path, folder, str(folder)),
            lambda: ask_to_resume(path, folder),
        ):
            try:
                question()
            except Mistake as mistake:
                assert len(str(mistake)) < 2000  # what cannot be printed in it is left out where it is printed
    finally:
        watch.allowed = None
    assert not watch.deeds
    assert not Path(EVIL).exists()
    assert time.monotonic() - started < 3 * MOST_SECONDS


def test_the_watch_sees(tmp_path):
    watch.deeds, watch.allowed = [], (str(tmp_path),)
    try:
        (tmp_path / "x").write_text("written")
        os.listdir("/etc")
        os.system("true")
        with open("/etc/hostname"):
            pass
    finally:
        watch.allowed = None
    assert [deed.split()[0] for deed in watch.deeds] == ["open", "os.listdir", "os.system", "open"]


GIVEN: dict[str, Any] = {}  # what the command line says that resumes


@pytest.fixture(scope="module")
def content(trained, tmp_path_factory):
    """Of a run's `last.ckpt`, with the optimizer's state."""
    GIVEN.update(config.check(composed("model=melcnn")))
    best = trained("melcnn", "digit")
    content = torch.load(best, weights_only=True)
    return {**content, "optimizer_states": [{"state": {}, "param_groups": []}]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@settings(max_examples=200, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_values_of_the_card(content, folder, data):
    changed = {**content, KEY: copy.deepcopy(content[KEY])}
    for _ in range(data.draw(st.integers(1, 3))):
        *way, last = data.draw(st.sampled_from(places(changed[KEY])))
        node = changed[KEY]
        for key in way:
            node = node[key]
        if data.draw(st.integers(0, 9)) == 0 and isinstance(node, dict):
            del node[last]
        else:
            node[last] = copy.deepcopy(data.draw(VALUES))  # what is drawn may be one object each time
        if data.draw(st.booleans()) and isinstance(node, dict):
            name = data.draw(st.sampled_from(["_target_", "_args_", "download", "url", "root", "more"]))
            node[name] = copy.deepcopy(data.draw(VALUES))
    torch.save(changed, folder / "x.ckpt")
    survives(folder / "x.ckpt", folder)


@settings(max_examples=100, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_values_beside_the_card(content, folder, data):
    changed = {**content, "state_dict": dict(content["state_dict"])}
    for _ in range(data.draw(st.integers(1, 3))):
        node = data.draw(st.sampled_from([changed, changed["state_dict"]])) or changed
        node[data.draw(st.sampled_from([*node, "more"]))] = data.draw(VALUES)
        if not isinstance(changed.get("state_dict"), dict):
            break
    torch.save(changed, folder / "x.ckpt")
    survives(folder / "x.ckpt", folder)


def mutated(bytes_: bytes, draw: random.Random) -> bytes:
    """Some bytes flipped, taken out, doubled, or replaced by opcodes that pickles have."""
    content = bytearray(bytes_)
    for _ in range(draw.choice([1, 1, 2, 5, 20])):
        place, length = draw.randrange(max(1, len(content))), draw.choice([1, 1, 4, 16, 200])
        kind = draw.randrange(4)
        if kind == 0 and content:
            content[place] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del content[place : place + length]
        elif kind == 2:
            content[place:place] = content[place : place + length]
        else:
            content[place:place] = draw.choice(
                [b"cos\nsystem\n", b"cbuiltins\nbytearray\n", b"R", b"Q", b"b", b"}", b"]", b"\x85", b"\x86", b"(",
                 b"t", b"s", b"u", b"h\0", b"0", b"\x81", b"\x8a\xff" + b"\x7f" * 255, b"Vx\n", b"I9\n", b"."]
            )  # fmt: skip
    return bytes(content)


@pytest.mark.parametrize("seed", range(300))
def test_bytes_of_the_pickle(content, folder, seed):
    """In an archive that is whole, so that nothing but the bytes themselves tells."""
    if seed == 0 or not (folder / "honest.ckpt").exists():
        torch.save(content, folder / "honest.ckpt")
    draw = random.Random(seed)
    with_pickle(folder / "honest.ckpt", folder / "x.ckpt", lambda pickled: mutated(pickled, draw))
    survives(folder / "x.ckpt", folder)


@pytest.mark.parametrize("seed", range(100))
def test_bytes_of_the_file(content, folder, seed):
    torch.save({**content, "state_dict": {}}, folder / "light.ckpt")
    draw, whole = random.Random(seed), (folder / "light.ckpt").read_bytes()
    (folder / "x.ckpt").write_bytes(mutated(whole, draw) if seed % 2 else whole[: draw.randrange(len(whole))])
    survives(folder / "x.ckpt", folder)
