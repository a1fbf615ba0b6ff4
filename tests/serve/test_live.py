"""The live page: what it answers, what it refuses, and what a visitor with a microphone sees."""

import base64
import io
import re
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile
import torch
from fastapi.testclient import TestClient
from hydra import compose, initialize_config_dir

from auscult.checkpoint.checkpoint import classifier_of, open_checkpoint
from auscult.datamodules.recording import ClipSettings, prepare
from auscult.datamodules.synthetic import Synthetic
from auscult.explain.loading import load
from auscult.program.complaint import options
from auscult.program.conf import CONF, content_of
from auscult.serve import options as checks
from auscult.serve.live import application
from auscult.serve.live_model import LiveModel
from auscult.serve.server import UPLOADS
from auscult.serve.upload import MOST_BYTES, BadUpload
from tests.browser import CHROMIUM, Browser
from tests.conftest import ROOT

CHOICES = {"attribution": "gradient_x_input", "domain": "input", "target": "predicted"}


@pytest.fixture(scope="module")
def live_model(trained):
    path = str(trained("audionet", "sex"))
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return LiveModel(load(path), ["gradient_x_input", "gradient"], ["input", "frequency"], torch.device("cpu"))


@pytest.fixture
def visitor(live_model):
    return TestClient(application(live_model), base_url="http://127.0.0.1:8000")


def word(rate: int = 48000) -> bytes:
    """A synthetic digit, embedded in a second of silence, at another rate than the network's."""
    corpus = Synthetic(1, 0, "both")
    samples, own = corpus.read(corpus.clips()[7])
    long = np.repeat(np.asarray(samples, np.float32) / (32768 if samples.dtype == np.int16 else 1), rate // own, 0)
    soundfile.write(file := io.BytesIO(), long, rate, format="WAV")
    return file.getvalue()


def test_an_answer_is_the_networks_own(visitor, live_model, trained):
    content = word()
    told = visitor.post("/explain", params=CHOICES, content=content)
    assert told.status_code == 200
    answer = told.json()
    opened = open_checkpoint(trained("audionet", "sex"))
    settings = ClipSettings(**live_model.trained["data"]["clip"])
    clip = prepare(soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)[0], 48000, settings).samples[0]
    waveform = torch.zeros(1, 1, 8000)
    before = (8000 - len(clip)) // 2
    waveform[0, 0, before : before + len(clip)] = torch.from_numpy(clip / np.float32(32768))
    classifier = classifier_of(opened)
    with torch.no_grad():
        expected = classifier.network(classifier.front_end(waveform)).softmax(1)[0]
    assert [name for name, _ in answer["probabilities"]] == live_model.classes
    np.testing.assert_allclose([share for _, share in answer["probabilities"]], expected, atol=1e-5)
    assert answer["prediction"] == answer["target"] == live_model.classes[int(expected.argmax())]
    layers = re.findall(r'<image href="data:image/png;base64,([^"]+)"', answer["clip"])
    assert len(layers) == 3 and all(base64.b64decode(layer)[:4] == b"\x89PNG" for layer in layers), "time and frequency"
    link = r'<a href="data:audio/wav;base64,([^"]+)" download="[^"]+" data-name="([^"]+)"'
    sounds = dict(re.findall(link, answer["clip"]))
    assert list(sounds.values()) == ["original", "positive", "negative", "both", "blend"] and answer["length"] == 1
    for sound in sounds:
        heard, rate = soundfile.read(io.BytesIO(base64.b64decode(sound)))
        assert rate == 8000 and len(heard) == 8000 and np.abs(heard).max() < 1


def test_targets_and_domains_are_the_visitors_choice(visitor):
    content = word()
    for target in ("female", "male"):
        told = visitor.post("/explain", params=CHOICES | {"target": target, "domain": "frequency"}, content=content)
        assert told.json()["target"] == target and "data-plays" not in told.json()["clip"]


@pytest.mark.parametrize(
    ("options", "content", "status", "message"),
    [
        ({}, b"hello", 422, "This is not a recording that can be read"),
        ({}, bytes(MOST_BYTES + 1), 413, "larger than 20 MB"),
        ({"attribution": "lrp_box"}, b"", 422, "Attribution is to be one of gradient_x_input, gradient."),
        ({"domain": "../../etc"}, b"", 422, "Domain is to be one of input, frequency."),
        ({"target": "child"}, b"", 422, "Target is to be one of predicted, male, female."),
        ({"attribution": "gradient", "domain": "frequency"}, word(), 422, "Gradient says how the logit changes"),
    ],
)
def test_what_cannot_be_answered_gets_a_sentence(visitor, options, content, status, message):
    told = visitor.post("/explain", params=CHOICES | options, content=content)
    assert told.status_code == status and message in told.json()["error"]


def test_silence_is_nothing_to_listen_to(visitor):
    soundfile.write(file := io.BytesIO(), np.zeros(8000), 8000, format="WAV")
    told = visitor.post("/explain", params=CHOICES, content=file.getvalue())
    assert told.status_code == 422 and "There is nothing to listen to (silent)" in told.json()["error"]


@pytest.mark.parametrize(
    "headers",
    [{"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "http://127.0.0.1:9999"},
     {"origin": "null"}],
)  # fmt: skip
def test_other_sites_may_not_ask(visitor, headers):
    assert visitor.post("/explain", params=CHOICES, content=word(), headers=headers).status_code == 403
    assert visitor.post(
        "/explain", params=CHOICES, content=word(), headers={"origin": "http://127.0.0.1:8000"}
    ).is_success


def test_other_names_for_this_machine_are_refused(visitor, live_model):
    assert visitor.get("/", headers={"host": "evil.example"}).status_code == 400
    told = visitor.post("/explain", params=CHOICES, headers={"host": "evil.example", "origin": "http://evil.example"})
    assert told.status_code == 400 and "content-security-policy" in told.headers
    named = TestClient(application(live_model, ["localhost", "lab.example"]), base_url="http://lab.example")
    assert named.get("/").is_success and named.get("/", headers={"host": "evil.example"}).status_code == 400


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ([], ["127.0.0.1", "localhost", "127.0.0.1"]),
        (["host=0.0.0.0"], ["*"]),
        (["host=0.0.0.0", "names=[localhost]"], ["127.0.0.1", "localhost", "0.0.0.0", "localhost"]),
        (["names=lab.example"], ["127.0.0.1", "localhost", "127.0.0.1", "lab.example"]),
    ],
)
def test_the_names_it_may_be_called_by(options, names, tmp_path):
    (tmp_path / "best.ckpt").write_bytes(b"PK\x03\x04")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        checked = checks.check(compose("serve", [f"checkpoint={tmp_path}/best.ckpt", *options]))
    assert checked["names"] == names


@pytest.mark.parametrize(
    ("page", "own"),
    [
        ("live", {"attributions", "domains", "smoothing", *content_of("pretrained")}),
        ("record", {"record.root", "record.words", "record.repetitions"}),
        ("study", {"checkpoint_2", "input", "data.root", "data.cache_dir", "study.name", "study.primary.pairs",
                   *content_of("pretrained")}),
    ],
)  # fmt: skip
def test_each_page_has_its_own_options_and_those_of_all(page, own):
    assert own | {"checkpoint", "host", "names", "port", "allow", "trainer.accelerator", "page"} <= set(
        options([f"page={page}"], "serve")
    )
    with initialize_config_dir(str(CONF), version_base="1.3"):
        groups = set(compose("serve", [f"page={page}"]))
    shared = {"checkpoint", "host", "names", "port", "allow", "trainer", "page"}
    assert groups == shared | {name.partition(".")[0] for name in own}


def test_a_loud_recording_is_no_crash(visitor):
    soundfile.write(
        file := io.BytesIO(), 3e38 * np.sign(np.sin(np.arange(44100))), 44100, format="WAV", subtype="FLOAT"
    )
    told = visitor.post("/explain", params=CHOICES, content=file.getvalue())
    assert told.status_code == 422 and "not finite" in told.json()["error"]


def test_few_recordings_are_worked_on_at_once(live_model, monkeypatch):
    app, at_once, most = application(live_model), 0, 0

    def slowly(*_):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        time.sleep(0.05)
        at_once -= 1
        raise BadUpload("enough")

    monkeypatch.setattr("auscult.serve.live.decode", slowly)
    with TestClient(app, base_url="http://127.0.0.1:8000") as visitor, ThreadPoolExecutor(20) as pool:
        told = list(pool.map(lambda _: visitor.post("/explain", params=CHOICES, content=b"").status_code, range(20)))
    assert told == 20 * [422] and 1 < most <= UPLOADS


def test_nothing_may_run_that_is_not_ours(visitor):
    for place in ("/", "/static/live.js", "/nowhere"):
        headers = visitor.get(place).headers
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    page = visitor.get("/").text
    assert "<script>" not in page and "<style" not in page and " style=" not in page and "onclick" not in page
    assert visitor.get("/static/../server.py").status_code == visitor.get("/docs").status_code == 404


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["page=party"], "page=party is unknown; choose one of live, record"),
        (["host=5"], "host=5 is not the name or address of a machine, such as 127.0.0.1."),
        (["host=null"], "host=None is not the name or address of a machine"),
        (["host=nowhere.invalid"], "host=nowhere.invalid is no name that this machine knows; choose"),
        (["names=[a b]"], "names=a b is not the name or address of a machine"),
        (["trainer.accelerator=magic"], "trainer.accelerator=magic is not one of auto, cpu,"),
        (["port=many"], "port=many is not a whole number from 0 to 65535."),
        (["domains=[]"], "domains is empty; name at least one."),
        (["attributions=[magic]"], "attributions has magic, which is unknown; choose from amplitude, "),
        (["checkpoint=nothing.ckpt"], "; name the checkpoints/best.ckpt of a run folder."),
        (["prot=8001"], "prot is not an option (did you mean port?); --help lists them."),
    ],
)
def test_mistakes_end_in_a_sentence(options, message, trained, serve_here):
    said = serve_here(f"checkpoint={trained('audionet', 'sex')}", *options)
    assert message in said and "\n" not in said


def test_a_port_that_is_taken_is_named(trained, serve_here):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        few = ["attributions=[gradient]", "domains=[input]"]
        said = serve_here(f"checkpoint={trained('audionet', 'sex')}", f"port={port}", *few)
    assert said == f"host=127.0.0.1 port={port} cannot be served (Address already in use); choose another port."


@contextmanager
def serving(folder, *options):
    """Yields the address of `python serve.py`, started in a folder as a user does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(ROOT / "serve.py"), *options, f"port={port}"]
    program = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    address = f"http://127.0.0.1:{port}/"
    try:
        for _ in range(600):
            assert program.poll() is None, program.stdout.read()
            try:
                urllib.request.urlopen(address, timeout=1)
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        program.terminate()
        program.wait(10)
    assert not list(folder.glob("*.log")) and not (folder / "outputs").exists()


@pytest.fixture
def served(trained, tmp_path):
    choices = ["attributions=[lrp_epsilon_plus,gradient_x_input,gradient]", "domains=[input,frequency]"]
    with serving(tmp_path, f"checkpoint={trained('audionet', 'sex')}", *choices) as address:
        yield address


UNTIL = "const until = async (met) => { while (!met()) await new Promise((done) => setTimeout(done, 50)); };"


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on the PATH")
def test_a_visitor_speaks_and_hears_why(served, tmp_path, request):
    (tmp_path / "speech.wav").write_bytes(word())
    microphone = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
                  f"--use-file-for-fake-audio-capture={tmp_path / 'speech.wav'}")  # fmt: skip
    browser = Browser(CHROMIUM, tmp_path / "profile", *microphone)
    request.addfinalizer(browser.process.wait)
    request.addfinalizer(browser.process.kill)  # before it is waited for
    browser.open(served)
    said = browser.run(UNTIL + """
        const speak = document.getElementById("speak"), answer = document.getElementById("answer");
        speak.focus();
        speak.click();
        speak.click(); // an impatient one opens no second microphone
        await until(() => speak.getAttribute("aria-pressed") === "true");
        await new Promise((done) => setTimeout(done, 1500));
        const level = !document.getElementById("level").hidden && document.activeElement === speak; // Enter stops it
        speak.click();
        await until(() => !answer.hidden);
        const status = document.getElementById("status").textContent;
        const verdict = document.getElementById("verdict").textContent;
        return [level, verdict, status, document.querySelectorAll("progress").length];
    """)  # fmt: skip
    assert said[0] and said[1] in ("It hears: female", "It hears: male") and "seconds" in said[2] and said[3] == 2
    assert browser.run(UNTIL + """
        const cursor = document.querySelector(".cursor");
        document.querySelector(".player button").click();
        await until(() => parseFloat(cursor.style.left) > 12);
        document.querySelectorAll(".player [type=radio]")[1].click();
        const sounding = () => [...document.querySelectorAll("audio")].map((sound) => !sound.paused);
        await until(() => document.querySelectorAll("audio")[1]?.currentTime > 0.2);
        return [!cursor.hidden, ...sounding()];
    """) == [True, False, True]  # fmt: skip
    assert browser.run(UNTIL + """
        const [attribution, domain] = document.querySelectorAll("select");
        const picture = () => document.querySelector("#clip image").getAttribute("href"), before = picture();
        domain.focus();
        domain.value = "frequency";
        domain.dispatchEvent(new Event("change", { bubbles: true }));
        await until(() => picture() !== before);
        if (document.activeElement !== domain) return "the keyboard was led away";
        attribution.value = "gradient";
        attribution.dispatchEvent(new Event("change", { bubbles: true }));
        await until(() => document.getElementById("status").classList.contains("wrong"));
        return document.getElementById("status").textContent.startsWith("Gradient says how the logit changes")
            && document.getElementById("answer").hidden;
    """)  # fmt: skip
    refused = [entry for entry in browser.of("Log.entryAdded") if "422" not in entry["entry"]["text"]]
    assert browser.of("Runtime.consoleAPICalled", "Runtime.exceptionThrown") == refused == []
    asked = {sent["request"]["url"] for sent in browser.of("Network.requestWillBeSent")}
    assert all(url.startswith((served, "data:")) for url in asked)
