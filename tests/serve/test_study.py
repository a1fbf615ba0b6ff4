"""The study's page: what participants are shown and not told, and that no answer is lost."""

import json
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hydra import compose, initialize_config_dir

from auscult.program.conf import CONF
from auscult.serve import options
from auscult.serve.study import Study, application
from auscult.study.analysis import timed
from auscult.study.plan import Trial
from auscult.study.store import Store
from tests.browser import CHROMIUM, Browser
from tests.conftest import ROOT, full_disk
from tests.serve.served import served
from tests.study.pilot import ATTENTION, CLIPS, CONDITIONS, TRAINING, TRIALS


@pytest.fixture
def study(materials, tmp_path) -> Study:
    """A study with the materials of all tests and answers of its own."""
    own = Study(materials, CONDITIONS, TRAINING, ATTENTION, 0)
    own.store = Store(tmp_path / "answers.sqlite")
    return own


@pytest.fixture
def visitor(study) -> TestClient:
    return TestClient(application(study), base_url="http://127.0.0.1:8000")


def trials_of(study: Study, participant: int) -> list[Trial]:
    """All trials of a participant. Their turn is chosen now."""
    return study.trials(participant, TRIALS)


def join(visitor: TestClient) -> str:
    told = visitor.post("/participants")
    assert told.status_code == 201
    return told.json()["link"]


def given(trial: int, **changed: Any) -> dict[str, Any]:
    return {"trial": trial, "guess": "male", "rating": 3, "seconds": 1.5} | changed


def fitting(told: dict[str, Any]) -> dict[str, Any]:
    """An answer to a trial, without a rating if nothing is explained."""
    return given(told["number"], rating=None if told["parts"] == ["signal"] else 3)


def test_a_participant_is_told_nothing_but_what_the_condition_allows(visitor, study):
    link = join(visitor)
    secret = {clip.path for clip in study.materials.clips} | {"prediction", "label", "gradient", "random"}
    for number, trial in enumerate(trials_of(study, 0)):
        told = visitor.get(f"{link}/trial")
        assert told.json()["number"] == number and told.json()["trials"] == TRIALS
        assert not any(word in told.text for word in secret)
        form = trial.condition.form
        expected = ["signal"] + ["picture"] * (form in ("visual", "both")) + ["sound"] * (form in ("audible", "both"))
        assert told.json()["parts"] == expected
        for part in ("signal", "picture", "sound", "label"):
            shown = visitor.get(f"{link}/trial/{number}/{part}")
            assert shown.status_code == (200 if part in expected else 404)
            if part in expected:
                assert shown.content == study.file(trial, part).read_bytes()
                assert not {"etag", "last-modified", "content-disposition"} & shown.headers.keys()
        for other in (number - 1, number + 1, TRIALS, 10**6):
            assert visitor.get(f"{link}/trial/{other}/signal").status_code == 404
        assert bool(told.json()["time_axis"]) == ("picture" in expected)
        answered = visitor.post(f"{link}/answer", json=fitting(told.json())).json()
        assert ("feedback" in answered) == (trial.block == "training")
    assert visitor.get(f"{link}/trial").json()["finished"]
    assert visitor.post(f"{link}/answer", json=given(TRIALS)).status_code == 422
    answers = study.store.answers()
    assert answers["trial"].tolist() == list(range(TRIALS))
    assert (answers["rating"].isna() == (answers["condition"] == "none")).all() and set(answers["rating"].dropna()) == {
        3
    }
    for column, values in (("block", [trial.block for trial in trials_of(study, 0)]),
                           ("clip", [trial.clip for trial in trials_of(study, 0)]),
                           ("condition", [trial.condition.name for trial in trials_of(study, 0)])):  # fmt: skip
        assert answers[column].tolist() == values


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a filled form"), (b"[]", "not a filled form"), (b'{"trial": 0}', "not an answer"),
        (b"\xff", "not a filled form"), (b"[" * 90_000, "not a filled form"), (b" " * 200_000, "larger than 0.1 MB"),
        (b'{"trial": Infinity, "guess": "male", "rating": 3, "seconds": 1}', "not an answer"),
        (json.dumps(given(0, seconds=10**400)).encode(), "not an answer"),
        (json.dumps(given(0, guess="child")).encode(), "Name one of male, female."),
        (json.dumps(given(0, rating=6)).encode(), "Rate the explanation from 1 to 5."),
        (json.dumps(given(0, rating=None)).encode(), "An explanation is to be rated, and nothing else"),
        (json.dumps(given(0, seconds=-1)).encode(), "not an answer"),
        (b'{"trial": 0, "guess": "male", "rating": 3, "seconds": NaN}', "not an answer"),
        (json.dumps(given(-1)).encode(), "not an answer"),
        (json.dumps(given(3)).encode(), "not the trial whose turn it is"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_refused(visitor, study, content, message):
    told = visitor.post(f"{join(visitor)}/answer", content=content)
    assert told.status_code == (413 if "larger" in message else 422) and message in told.json()["error"]
    assert study.store.answers().empty


def test_a_double_click_is_one_answer(visitor, study):
    link = join(visitor)
    first = visitor.post(f"{link}/answer", json=given(0))
    again = visitor.post(f"{link}/answer", json=given(0, guess="female"))
    assert again.json() == first.json()
    assert study.store.answers()["guess"].tolist() == ["male"]


def test_time_is_the_servers_and_begins_when_a_trial_is_first_handed_out(visitor, study, monkeypatch):
    clock = 1000.0
    monkeypatch.setattr("auscult.study.store.time", SimpleNamespace(time=lambda: clock))
    link = join(visitor)
    told = visitor.get(f"{link}/trial").json()
    clock += 7
    visitor.get(f"{link}/trial")  # once more: its time goes on
    clock += 1
    told = visitor.post(f"{link}/answer", json=fitting(told) | {"seconds": 1e6}).json()  # which hands out the next
    clock += 3
    visitor.get(f"{link}/trial")
    visitor.post(f"{link}/answer", json=fitting(told) | {"seconds": 0})
    assert timed(study.store.answers(), study.store.handed_out())["seconds"].tolist() == [8, 3]
    other = join(visitor)
    visitor.post(f"{other}/answer", json=given(0, seconds=60))  # without having asked for it
    assert timed(study.store.answers(), study.store.handed_out())["seconds"].tolist() == [8, 3, 0]


def test_nobody_answers_for_somebody_else(visitor, study):
    mine, yours = join(visitor), join(visitor)
    visitor.post(f"{mine}/answer", json=given(0))
    assert visitor.get(f"{yours}/trial").json()["number"] == 0
    for link in ("/participant/nobody", "/participant/0", "/participant/..%2f..%2fetc"):
        assert visitor.get(link).status_code == visitor.get(f"{link}/trial").status_code == 404
        assert visitor.post(f"{link}/answer", json=given(0)).status_code == 404
    headers = {"origin": "http://evil.example"}
    assert visitor.post(f"{mine}/answer", json=given(1), headers=headers).status_code == 403
    assert len(study.store.answers()) == 1


def test_a_full_disk_loses_no_earlier_answer(visitor, study):
    link = join(visitor)
    visitor.post(f"{link}/answer", json=given(0))
    with full_disk():
        for place, sent in ((f"{link}/answer", given(1)), ("/participants", None)):
            told = visitor.post(place, json=sent)
            assert told.status_code == 507 and "Your earlier answers are safe" in told.json()["error"]
    assert study.store.answers()["trial"].tolist() == [0]
    assert visitor.get(f"{link}/trial").json()["number"] == 1
    assert visitor.post(f"{link}/answer", json=given(1)).status_code == 200


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "study.name has no value; say study.name=… to set it."),
        (["study.name=../up"], "study.name=../up is not made of letters, digits, hyphens and underscores."),
        (
            ["study.name=pilot", "study.conditions=[visual/magic]"],
            "study.conditions has visual/magic; say none, or visual, audible or both",
        ),
        (
            ["study.name=pilot", "study.conditions=[smell/random]"],
            "study.conditions has smell/random; say none, or",
        ),
        (["study.name=pilot", "study.conditions=[]"], "study.conditions=[] is not a list of one or more different"),
        (
            ["study.name=pilot", "study.primary.pairs=[[none,both/random]]"],
            "study.primary.pairs=[['none', 'both/random']] is not a list of pairs of study.conditions",
        ),
        (["study.name=pilot", "study.primary.pairs=[[none,none]]"], "is not a list of pairs of study.conditions"),
        (["study.name=pilot", "study.primary.pairs=[]"], "study.primary.pairs=[] names nothing to compare"),
        (
            ["study.name=pilot", "study.primary.pairs=[[none,audible/random],[audible/random,none]]"],
            "has a pair twice.",
        ),
        (
            ["study.name=pilot", "study.primary.pairs=[none,audible/random]", "study.primary.measure=rating"],
            "study.primary.measure=rating cannot compare the condition none",
        ),
        (["study.name=pilot", "study.primary.measure=love"], "is unknown; choose one of correct, rating."),
        (["study.name=pilot", "study.primary.clips=some"], "is unknown; choose one of all, right, wrong."),
        (["study.name=pilot", "study.primary=first"], "study.primary"),
        (["study.name=pilot", "study.clips=1"], "study.clips=1 is not a whole number of 2 or more"),
        (["study.name=pilot", "checkpoint_2=no.ckpt"], "; name the checkpoints/best.ckpt of a run folder"),
    ],
)
def test_mistakes_end_in_a_sentence(options, message, trained, serve_here):
    said = serve_here("page=study", f"checkpoint={trained('audionet', 'sex')}", *options)
    assert message in said and "\n" not in said


@pytest.fixture
def study_options(trained) -> list[str]:
    """Options of serve.py for a small study; they serve the same one each time."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return ["page=study", "study.name=pilot", f"checkpoint={trained('audionet', 'sex')}", f"port={port}",
            f"study.clips={CLIPS}", f"study.training={TRAINING}", f"study.attention={ATTENTION}",
            "study.conditions=[visual/gradient_x_input,both/random,none]"]  # fmt: skip


def address_of(options: list[str], has_ended: Callable[[], bool]) -> str:
    """The address of the page, once it is served."""
    (port,) = (option.partition("=")[2] for option in options if option.startswith("port="))
    address = f"http://127.0.0.1:{port}"
    for _ in range(1200):
        assert not has_ended()
        try:
            urllib.request.urlopen(address, timeout=1)
            return address
        except OSError:
            time.sleep(0.1)
    pytest.fail("the server does not start")


@pytest.fixture
def start(study_options, tmp_path) -> Iterator[Callable[[], tuple[subprocess.Popen[str], str]]]:
    """Starts `python serve.py page=study` in a folder."""
    programs = []

    def started() -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, str(ROOT / "serve.py"), *study_options]
        program = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        programs.append(program)
        return program, address_of(study_options, lambda: program.poll() is not None)

    yield started
    for program in programs:
        program.kill()
        program.wait(10)


def post(address: str, content: object = None) -> Any:
    request = urllib.request.Request(address, data=json.dumps(content).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=30) as told:
        return json.load(told)


def get(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=30) as told:
        return json.load(told)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_fifty_participants_at_once_finish(start, tmp_path):
    _, address = start()

    def take_part(_: int) -> str:
        link = post(f"{address}/participants")["link"]
        while not (told := get(f"{address}{link}/trial"))["finished"]:
            for _ in range(2):  # an impatient one
                post(f"{address}{link}/answer", fitting(told))
        return link

    with ThreadPoolExecutor(50) as pool:
        links = list(pool.map(take_part, range(50)))
    store = Store(tmp_path / "studies/pilot/answers.sqlite")
    answers = store.answers()
    assert len(set(links)) == 50 and len(answers) == 50 * TRIALS
    assert (answers.groupby("participant")["trial"].apply(sorted).map(len) == TRIALS).all()
    turns = Counter(store.turn(person, 3) for person in range(50))
    assert sorted(turns.values()) == [16, 17, 17]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twenty_kills_of_the_server_lose_no_answer(study_options, tmp_path):
    chance, confirmed = random.Random(0), set()
    for participant in range(20):
        program = served(study_options, tmp_path)
        address = address_of(study_options, lambda program=program: not program.is_alive())
        link = post(f"{address}/participants")["link"]
        last = time.monotonic() + chance.uniform(0, 0.4)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(
                lambda program=program, last=last: (time.sleep(max(0, last - time.monotonic())), program.kill())
            )
            try:
                for trial in range(TRIALS):
                    post(f"{address}{link}/answer", fitting(get(f"{address}{link}/trial")))
                    confirmed.add((participant, trial))
            except (OSError, HTTPException):
                pass
        program.join(10)
        assert program.exitcode == -signal.SIGKILL
    answers = Store(tmp_path / "studies/pilot/answers.sqlite").answers()
    kept = set(zip(answers["participant"].tolist(), answers["trial"].tolist(), strict=True))
    assert confirmed <= kept and len(kept - confirmed) <= 20 and len(confirmed) > 20


TAKE_PART = """
    const until = async (met) => { while (!met()) await new Promise((done) => setTimeout(done, 20)); };
    const status = () => document.getElementById("status").textContent;
    const step = async () => {
        const before = status(), wanted = document.getElementById("wanted");
        for (const player of document.querySelectorAll("audio")) await player.play();
        if (!document.getElementById("figure").hidden) {
            await document.getElementById("picture").decode();
            await until(() => !document.getElementById("cursor").hidden);
        }
        const guess = wanted.hidden ? "male" : wanted.textContent.match(/network said (\\w+)\\./)[1];
        document.querySelector(`input[name=guess][value=${guess}]`).click();
        const rating = document.getElementById("rating");
        if (!rating.disabled) rating.querySelector("[value='4']").click();
        const button = document.querySelector("#answer button");
        button.click();
        await until(() => status() !== before);
        if (status().startsWith("The network had said")) button.click();
        await until(() => /Step|All/.test(status()) && status() !== before);
    };
    await until(() => status() !== "");
"""


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on the PATH")
def test_one_finishes_and_another_leaves_and_comes_back(start, tmp_path, request):
    _, address = start()
    browser = Browser(CHROMIUM, tmp_path / "profile")
    request.addfinalizer(browser.process.wait)
    request.addfinalizer(browser.process.kill)  # before it is waited for

    def begin() -> str:
        browser.open(f"{address}/")
        loaded = len(browser.of("Page.loadEventFired"))
        browser.run("document.getElementById('begin').click(); document.getElementById('begin').click()")
        while len(browser.of("Page.loadEventFired")) == loaded:
            browser.events.append(browser.receive())
        return browser.run("return location.href")

    begin()
    deaf = """
        document.querySelectorAll("[value='male'], [value='4']").forEach((choice) => choice.click());
        document.querySelector("#answer button").click();
        return status();
    """
    assert browser.run(TAKE_PART + deaf) == "Listen to every sound first."
    browser.open(browser.run("return location.href"))
    finished = (
        f"for (let step_ = 0; step_ < {TRIALS}; step_ += 1) await step(); return [status(), heading.textContent];"
    )
    assert browser.run(TAKE_PART + finished) == ["All your answers are kept. You can close this page.", "Thank you!"]
    link = begin()
    assert (
        browser.run(TAKE_PART + "await step(); await step(); await step(); return status();") == f"Step 4 of {TRIALS}."
    )
    browser.open(f"{address}/")
    browser.open(link)
    assert browser.run(TAKE_PART + "return status();") == f"Step 4 of {TRIALS}."
    rest = f"for (let number = 3; number < {TRIALS}; number += 1) await step(); return heading.textContent;"
    assert browser.run(TAKE_PART + rest) == "Thank you!"
    answers = Store(tmp_path / "studies/pilot/answers.sqlite").answers()
    assert answers.groupby("participant").size().tolist() == [TRIALS, TRIALS]
    assert (answers["seconds"] > 0).all() and set(answers["rating"].dropna()) == {4}
    assert browser.of("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded") == []
    asked = {sent["request"]["url"] for sent in browser.of("Network.requestWillBeSent")}
    assert all(url.startswith((address, "data:")) for url in asked)


@pytest.mark.parametrize(
    ("given", "pairs"),
    [
        ([], [("audible/lrp_epsilon_plus", "visual/lrp_epsilon_plus")]),
        (["study.primary.pairs=[audible/random,none]"], [("audible/random", "none")]),
        (
            ["study.primary.pairs=[[audible/random,none],[none,visual/lrp_epsilon_plus]]"],
            [("audible/random", "none"), ("none", "visual/lrp_epsilon_plus")],
        ),
        (["study.conditions=[none]"], []),
    ],
)
def test_primary_comparisons_are_pairs_of_conditions(given, pairs, tmp_path):
    (tmp_path / "best.ckpt").write_bytes(b"PK\x03\x04")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("serve", ["page=study", "study.name=pilot", f"checkpoint={tmp_path}/best.ckpt", *given])
    named = options.check(cfg)["study"]["primary"]
    assert named == [{"one": one, "other": other, "measure": "correct", "clips": "all"} for one, other in pairs]


def test_a_name_of_digits_is_a_name(tmp_path):
    (tmp_path / "best.ckpt").write_bytes(b"PK\x03\x04")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("serve", ["page=study", "study.name=2026", f"checkpoint={tmp_path}/best.ckpt"])
    assert options.check(cfg)["study"]["name"] == "2026"
