"""The recording page as speakers see it: from consent to a network that was trained on what they said."""

import io
import json
import urllib.request

import pytest
import soundfile

from auscult.datamodules.audiomnist import AudioMNIST
from tests.browser import CHROMIUM, Browser
from tests.conftest import TINY
from tests.serve.record.test_take import spoken
from tests.serve.test_live import UNTIL, serving

READY = UNTIL + "const part = (id) => document.getElementById(id);"
CONSENT = """
    const answers = document.getElementById("form").elements;
    [answers.pseudonym.value, answers.age.value, answers.gender.value] = ["Ada <b>", "36", "female"];
    answers.consent.click();
    document.querySelector("[type=submit]").click();
"""
CHECK_AND_BEGIN = READY + """
    await until(() => part("count").textContent && !part("open").hidden);
    const welcome = part("welcome").textContent;
    part("open").click();
    await until(() => part("verdict").textContent.startsWith("Good"));
    part("begin").click();
    await until(() => !part("keep").hidden);
    return welcome;
"""  # fmt: skip
KEEP = READY + """
    const before = part("count").textContent;
    const drawn = document.querySelector("#wave path").getAttribute("d").length > 1000;
    if (document.activeElement !== part("keep")) throw new Error("Enter would not keep it");
    const word = part("prompt").textContent;
    update({ ...state, next: [...state.next].reverse() }); // what was asked for stays, whatever is next by now
    document.activeElement.click();
    await until(() => part("count").textContent !== before);
    return [drawn, part("player").duration > 0.2, part("count").textContent, part("welcome").textContent, word];
"""  # fmt: skip


def speaking_browser(tmp_path, request):
    """A browser whose microphone hears one word every 1.5 seconds."""
    soundfile.write(tmp_path / "speech.wav", spoken(of=1.5), 48000)
    microphone = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
                  f"--use-file-for-fake-audio-capture={tmp_path / 'speech.wav'}")  # fmt: skip
    browser = Browser(CHROMIUM, tmp_path / "profile", *microphone)
    request.addfinalizer(browser.process.wait)
    request.addfinalizer(browser.process.kill)  # before it is waited for
    return browser


def enter(browser, served):
    """Fills the form, and arrives at the session's page."""
    browser.open(served)
    loaded = len(browser.of("Page.loadEventFired"))
    browser.run(CONSENT)
    while len(browser.of("Page.loadEventFired")) == loaded:
        browser.events.append(browser.receive())


def say_without_a_browser(served):
    """Adds one more speaker, as data=folder needs three."""

    def ask(path, content):
        with urllib.request.urlopen(urllib.request.Request(served + path, content), timeout=10) as response:
            return json.load(response)

    link = ask("sessions", json.dumps({"consent": True, "pseudonym": "Cem", "gender": "male"}).encode())["link"][1:]
    soundfile.write(file := io.BytesIO(), spoken(), 48000, format="WAV")
    for place in range(2):
        assert ask(f"{link}/keep?place={place}", file.getvalue())["done"] == place + 1


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on the PATH")
def test_speakers_record_pause_and_a_network_learns_from_them(tmp_path, request, train_here):
    browser = speaking_browser(tmp_path, request)
    root = tmp_path / "corpus"
    with serving(
        tmp_path, "page=record", f"record.root={root}", "record.words=[0,1]", "record.repetitions=1"
    ) as served:
        for speaker in (1, 2):
            enter(browser, served)
            assert browser.run(CHECK_AND_BEGIN) == "Check your microphone"
            *told, _, word = browser.run(KEEP)
            assert told == [True, True, "1 of 2 recorded"]
            assert [path.name for path in root.glob(f"data/{speaker:02d}/*")] == [f"{word}_{speaker:02d}_0.wav"]
            browser.open(browser.run("return location.href"))  # in the middle of the next word
            assert browser.run(CHECK_AND_BEGIN) == "Welcome back"
            browser.run(READY + """
                document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "a", bubbles: true }));
                await until(() => part("keep").hidden);
                await until(() => !part("keep").hidden);
            """)  # fmt: skip
            assert browser.run(KEEP)[2:4] == ["2 of 2 recorded", "All words are recorded"]
            assert len(list(root.glob("data/*/*.wav"))) == 2 * speaker
        assert "Ada <b>" in browser.run("return document.body.textContent")
        say_without_a_browser(served)
    quiet = browser.of("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
    assert quiet == []
    asked = {sent["request"]["url"] for sent in browser.of("Network.requestWillBeSent")}
    assert all(url.startswith((served, "data:")) for url in asked)
    clips = AudioMNIST(root).clips()
    assert [(clip.path, clip.labels["sex"]) for clip in clips] == [
        (f"data/{speaker}/{digit}_{speaker}_0.wav", sex)
        for speaker, sex in (("01", "female"), ("02", "female"), ("03", "male"))
        for digit in (0, 1)
    ]
    pattern = r'data.pattern="(?P<digit>\d)_(?P<speaker>\d+)_(?P<take>\d+)"'
    assert train_here("data=folder", f"data.root={root}", pattern, "task=digit", *TINY[1:]) == ""


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on the PATH")
def test_a_speaker_says_a_series_and_deletes_everything(tmp_path, request):
    browser = speaking_browser(tmp_path, request)
    root = tmp_path / "corpus"
    with serving(tmp_path, "page=record", f"record.root={root}") as served:
        enter(browser, served)
        count, kept, status = browser.run(READY + """
            await until(() => part("count").textContent);
            part("series").open = true;
            part("record").click();
            await until(() => part("record").getAttribute("aria-pressed") === "true");
            await new Promise((done) => setTimeout(done, 4000));
            part("record").click();
            await until(() => !part("keep_pieces").hidden);
            const count = part("pieces").children.length;
            const shown = [...part("pieces").querySelectorAll("audio")].map((player) => player.src);
            await cutSeries(new File(["no sound"], "x.wav")); // refused: what was cut before stays
            if (!part("status").classList.contains("wrong")) return "not refused";
            const still = [...part("pieces").querySelectorAll("audio")].map((player) => player.src);
            if (String(still) !== String(shown)) return "replaced";
            part("pieces").querySelector("select").value = "";
            part("keep_pieces").click();
            await until(() => part("keep_pieces").hidden);
            return [count, part("count").textContent, part("status").textContent];
        """)  # fmt: skip
        assert count >= 2 and kept == f"{count - 1} of 100 recorded" and status == f"{count - 1} words are kept."
        assert len(list(root.glob("data/01/*.wav"))) == count - 1
        said = browser.run(READY + """
            const link = location.href;
            part("delete").click();
            await until(() => document.querySelector("h1").textContent.startsWith("Everything"));
            return (await fetch(link)).status;
        """)  # fmt: skip
        assert said == 404 and not list(root.glob("sessions/*.json")) and not list(root.glob("data/*/"))
    assert browser.of("Runtime.consoleAPICalled", "Runtime.exceptionThrown") == []
