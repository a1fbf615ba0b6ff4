"""Opening a checkpoint runs nothing, makes nothing, and ends in a sentence."""

import io
import json
import os
import pickle
import resource
import struct
import sys
import time
import zipfile

import pytest
import torch

from auscult.checkpoint import file as checkpoint_file
from auscult.checkpoint.checkpoint import KEY, classifier_of, open_checkpoint
from auscult.mistake import Mistake
from tests.attacks import changed, with_card, with_pickle

RUN = "torch.utils.collect_env.run"  # a function of PyTorch's that runs a command


class RunsCode:
    """Unpickling it makes a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.fixture
def honest(trained):
    return trained("melcnn", "digit")


@pytest.fixture(scope="module")
def light(trained, tmp_path_factory):
    """The same, without its weights: for what is refused before it comes to them."""
    path = tmp_path_factory.mktemp("light") / "light.ckpt"
    return changed(trained("melcnn", "digit"), path, lambda content: content.update(state_dict={}))


def saved(path, content):
    torch.save(content, path)
    return path


def refused(path, allow=()):
    """What is said of a checkpoint that cannot be opened, or not be built from."""
    with pytest.raises(Mistake) as caught:
        classifier_of(open_checkpoint(path, "checkpoint", allow))
    assert str(caught.value).isprintable() and len(str(caught.value)) < 1000
    return str(caught.value)


def test_an_honest_one_is_opened(honest):
    opened = open_checkpoint(honest)
    assert opened[KEY].keys() == {"config", "classes", "speakers"}
    for name, value in classifier_of(opened).state_dict().items():
        assert torch.equal(value, opened["state_dict"][name])


def test_a_pickle_that_runs_code_is_refused_and_does_not_run(tmp_path):
    path = saved(tmp_path / "evil.ckpt", {"auscult": RunsCode(tmp_path / "ran")})
    assert "not safe to open" in refused(path)
    path.write_bytes(pickle.dumps(RunsCode(tmp_path / "ran")))
    assert "not safe to open" in refused(path)
    assert not (tmp_path / "ran").exists()


PARTS = ["data", "model.network", "model.front_end", "optimizer", "optimizer.schedule"]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    "target",
    [RUN, "os.system", "auscult.machine.processes.os.kill", "auscult.checkpoint.checkpoint.torch.load", "src.nothing.X",
     "auscult.checkpoint.keeping.KeepBest", "auscult.explain.relevance.file.RelevanceFile", "builtins.exec",
     "auscult..modules.audionet.AudioNet", "src..modules.audionet.AudioNet", "torch.hub.load",
     "src.checkpoint.KeepBest", "torch.nn.functional.relu", "torchaudio.pipelines.WAV2VEC2_BASE", "src", "auscult", "",
     7],
)  # fmt: skip
def test_no_part_is_another_callable(light, tmp_path, part, target):
    path = with_card(light, tmp_path / "x.ckpt", f"config.{part}._target_", target)
    assert refused(path).startswith(f"checkpoint={path} is not opened: {part}")


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("wrap", [lambda node: node, lambda node: [node], lambda node: {"deep": [[node]]}])
def test_no_part_has_parts_within(light, tmp_path, part, wrap):
    node = {"_target_": RUN, "command": f"touch {tmp_path / 'ran'}"}
    path = with_card(light, tmp_path / "x.ckpt", f"config.{part}.more", wrap(node))
    assert "holds parts of its own" in refused(path)
    path = with_card(light, tmp_path / "x.ckpt", f"config.{part}._args_", [])
    assert "holds parts of its own" in refused(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "option", ["config.model.network.published", "config.data.clip", "config.more", "classes", "more"]
)
@pytest.mark.parametrize(
    "value",
    [({"_target_": RUN},), torch.Size([1]), torch.zeros(1), 10**30, {1: 2}, {(1, 2): 3}, float("nan"), "a" * 10**6,
     [[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]],
)  # fmt: skip
def test_a_card_holds_plain_data_only(light, tmp_path, option, value):
    path = with_card(light, tmp_path / "x.ckpt", option, value)
    said = refused(path)
    assert "plain data" in said or "not safe" in said or "cannot be read" in said


def test_a_configuration_is_neither_a_text_nor_resolved(light, tmp_path):
    content = torch.load(light, weights_only=True)
    text = json.dumps(content[KEY]["config"])
    assert "is not as train.py writes it" in refused(with_card(light, tmp_path / "x.ckpt", "config", text))
    for value in ("${oc.env:HOME}", "${oc.decode:'{_target_: os.getcwd}'}", "???"):
        path = with_card(light, tmp_path / "x.ckpt", "config.model.network.published", value)
        assert "unresolved" in refused(path)


def test_lists_within_lists_take_no_time(light, tmp_path):
    lists, tuples = [], ()
    for _ in range(300):
        lists, tuples = [lists, lists], (tuples, tuples)
    started = time.monotonic()
    for value in (lists, {"callbacks": lists}, tuples):
        refused(with_card(light, tmp_path / "x.ckpt", "config.more", lists))
        said = refused(changed(light, tmp_path / "x.ckpt", lambda content, v=value: content.update(loops=v)))
        assert "without end" in said or "tuples of tuples" in said
    # a key whose hash takes longer than the universe
    key = b"N\x85q\xff" + b"".join(b"h\xffh\xff\x86q\xff" for _ in range(300))
    said = refused(with_pickle(light, tmp_path / "x.ckpt", lambda content: b"\x80\x02}" + key + b"Ns."))
    assert "tuples of tuples" in said
    assert time.monotonic() - started < 10


@pytest.mark.slow
def test_more_than_any_checkpoint_has_takes_no_time(light, tmp_path):
    started = time.monotonic()
    content = b"\x80\x02](" + b"}" * 30_000_000 + b"e."
    assert "more values than" in refused(with_pickle(light, tmp_path / "x.ckpt", lambda _: content))
    with zipfile.ZipFile(light) as archive, zipfile.ZipFile(tmp_path / "x.ckpt", "w") as written:
        for entry in archive.infolist():
            written.writestr(entry.filename, archive.read(entry.filename))
        for number in range(checkpoint_file.MOST_RECORDS):
            written.writestr(f"best/{number}", b"")
    assert "more records than" in refused(tmp_path / "x.ckpt")
    assert time.monotonic() - started < 60  # on a busy machine, and with their making


@pytest.mark.slow
def test_a_file_of_holes_is_not_read(light, tmp_path, monkeypatch):
    with zipfile.ZipFile(light) as archive, zipfile.ZipFile(tmp_path / "whole.ckpt", "w") as written:
        for entry in archive.infolist():
            written.writestr(entry.filename, archive.read(entry.filename))
        written.writestr("best/zeros", bytes(2**28))
    content = (tmp_path / "whole.ckpt").read_bytes()
    with open(tmp_path / "sparse.ckpt", "wb") as file:
        for start in range(0, len(content), 4096):
            page = content[start : start + 4096]
            if any(page) or start + 4096 >= len(content):
                file.seek(start)
                file.write(page)
    assert (tmp_path / "sparse.ckpt").read_bytes() == content
    if (tmp_path / "sparse.ckpt").stat().st_blocks * 512 > len(content) / 20:
        pytest.skip("this file system keeps no holes")
    monkeypatch.setattr("zipfile.ZipFile.testzip", lambda archive: pytest.fail("it was read"))
    assert "nothing, nearly everywhere" in refused(tmp_path / "sparse.ckpt")


def test_nothing_is_made_that_is_larger_than_the_file(honest, tmp_path):
    size = b"\x8a\x05" + (4 * 2**30).to_bytes(5, "little")
    bomb = b"\x80\x02cbuiltins\nbytearray\n" + size + b"\x85R."  # weights_only lets it pass
    assert "not safe" in refused(with_pickle(honest, tmp_path / "x.ckpt", lambda _: bomb))
    path = tmp_path / "x.ckpt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", b"\x80\x02}.")
        archive.writestr("x/data/0", bytes(10**7))
    assert "compressed" in refused(path)
    stretched = torch.zeros(1).expand(10**6, 10**6)
    path = changed(honest, path, lambda content: content["state_dict"].update(weight=stretched))
    assert "larger than what they are made of" in refused(path)


@pytest.mark.parametrize(
    ("option", "value"),
    [("data.clip.sample_rate", 10**9), ("data.clip.sample_rate", 8000.5), ("data.clip.seconds", 1e9),
     ("data.clip", {"sample_rate": 10**6, "seconds": 3600}),
    
     ("data.clip.seconds", "1"), ("data.clip.more", 1), ("data.clip", None), ("model.network.channels", 10**9),
     ("model.network.channels", "1"), ("model.network.channels", 2), ("model.network.more", 1),
     ("model.front_end.bands", 10**9), ("model.front_end.columns", 10**9), ("model.front_end.window_seconds", 1e300),
     ("model.front_end.hop_seconds", 0), ("model.front_end.sample_rate", None), ("model", []), ("task", "digit"),
     ("task.label", 1), ("task.folds", None), ("task.balance", "yes"), ("fold", [0]), ("seed", -1), ("augmentation", 3),
     ("augmentation.more", 0), ("augmentation.noise_snr_db", {}), ("optimizer.schedule", 1), ("trainer", None),
     ("data.root", {}), ("data.csv", ["a"]), ("data.confound", 1), ("data.confound", {}),
     ("data.confound", {"kind": "hum", "class": "1"}), ("data.confound.kind", 1), ("explain_by", 3),
     ("missing_fold", 1), ("missing_fold", "\x1b[31m"), ("data.clip.short", "\x1b[2J\n")],
)  # fmt: skip
def test_values_that_cannot_be_are_said_at_once(honest, tmp_path, option, value):
    path = with_card(honest, tmp_path / "x.ckpt", f"config.{option}", value)
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(path)
    assert time.monotonic() - started < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2 * 2**20  # kB


@pytest.mark.parametrize(
    ("option", "value"),
    [("classes", []), ("classes", ["0"]), ("classes", ["0", "0"]), ("classes", "0123456789"), ("classes", [1, 2]),
     ("classes", None), ("speakers", {}), ("speakers", []), ("speakers.test", "01"), ("speakers.test", [1])],
)  # fmt: skip
def test_names_on_the_card(light, tmp_path, option, value):
    refused(with_card(light, tmp_path / "x.ckpt", option, value))


@pytest.mark.parametrize("weights", [None, [], {}, {"a": 1}, {"network.a": torch.zeros(1)}])
def test_weights_that_do_not_fit(honest, tmp_path, weights):
    refused(changed(honest, tmp_path / "x.ckpt", lambda content: content.update(state_dict=weights)))


def test_what_is_not_a_checkpoint_of_ours(honest, tmp_path):
    assert "is not a file" in refused(tmp_path / "nowhere.ckpt")
    assert "is not a file" in refused(tmp_path)
    assert "was not written by" in refused(saved(tmp_path / "other.ckpt", {"state_dict": {}}))
    whole = honest.read_bytes()
    for name, content in {"empty": b"", "text": b"hello", "truncated": whole[: len(whole) // 2]}.items():
        (tmp_path / name).write_bytes(content)
        assert refused(tmp_path / name).startswith("checkpoint=")
    torch.save(torch.load(honest, weights_only=True), tmp_path / "old", _use_new_zipfile_serialization=False)
    assert "not safe to open" in refused(tmp_path / "old")
    content = bytearray((tmp_path / "old").read_bytes())
    content[len(content) // 2] ^= 16
    (tmp_path / "old").write_bytes(content)
    assert "not safe to open" in refused(tmp_path / "old")


def test_a_flipped_bit_is_noticed(honest, tmp_path):
    whole = honest.read_bytes()
    for place in (len(whole) // 3, len(whole) // 2, len(whole) - 30):
        content = bytearray(whole)
        content[place] ^= 1
        (tmp_path / "x.ckpt").write_bytes(content)
        assert "cannot be read" in refused(tmp_path / "x.ckpt")


def test_a_package_of_ones_own_is_named_by_its_user(honest, tmp_path, monkeypatch):
    (tmp_path / "own").mkdir()
    (tmp_path / "own/__init__.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')")
    (tmp_path / "own/nets.py").write_text(
        "from auscult.modules.networks.melcnn import MelCNN\nclass Mine(MelCNN): pass\n"
    )
    path = with_card(honest, tmp_path / "x.ckpt", "config.model.network._target_", "own.nets.Mine")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for allow in ([], ["own.net", "ow"]):
        assert "say allow=own" in refused(path, allow)
    assert not (tmp_path / "imported").exists()
    assert type(classifier_of(open_checkpoint(path, allow=["own"])).network).__name__ == "Mine"


def test_two_directories_in_one_archive_are_refused(light, tmp_path):
    """PyTorch reads the one that the end names, Python the one before the end: only one was looked through."""
    evil = io.BytesIO()
    with zipfile.ZipFile(evil, "w") as archive:
        archive.writestr(
            "x/data.pkl", b"\x80\x02cbuiltins\nbytearray\n\x8a\x05" + (10**9).to_bytes(5, "little") + b"\x85R."
        )
    content = evil.getvalue()
    honest = light.read_bytes()
    _, where = struct.unpack("<LL", content[-10:-2])
    joined = content[:-22] + honest[:-6] + struct.pack("<L", where) + honest[-2:]
    (tmp_path / "x.ckpt").write_bytes(joined)
    assert "cannot be read" in refused(tmp_path / "x.ckpt")
    (tmp_path / "x.ckpt").write_bytes(content + honest)  # the usual way to put something before an archive
    assert "cannot be read" in refused(tmp_path / "x.ckpt")
    (tmp_path / "x.ckpt").write_bytes(honest + b"more")
    assert refused(tmp_path / "x.ckpt").startswith("checkpoint=")


def test_a_front_end_that_needs_more_than_there_is(honest, tmp_path):
    for node in (
        {"_target_": "torch.nn.Upsample", "scale_factor": 500_000.0},
        {"_target_": "torchaudio.transforms.Spectrogram", "n_fft": 2**14, "hop_length": 1, "pad": 10**6},
    ):
        path = with_card(honest, tmp_path / "x.ckpt", "config.model.front_end", node)
        started = time.monotonic()
        assert "do not fit" in refused(path)
        assert time.monotonic() - started < 30
