import base64
import hashlib
import io
import math
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import matplotlib.figure
import matplotlib.image
import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auscult.explain.report.html import Answer, ClassAnswer, ClipPanel, Note, Part, Section, Value, write_report
from auscult.explain.show import plots
from auscult.explain.show.media import Picture, Sound
from auscult.explain.show.plate import Layer, Panel, Plate, coloured, greyed
from auscult.tables import any_names
from tests.browser import CHROMIUM, Browser

HOSTILE = "<script>injected = 1</script>\"'&amp;\udcff\n.wav"
HOSTILE_AS_TEXT = "<script>injected = 1</script>\"'&amp;\\udcff\\n.wav"
TEXT_TAGS = (
    "title",
    "h1",
    "h2",
    "h3",
    "dt",
    "dd",
    "a",
    "li",
    "td",
    "th",
    "summary",
    "p",
    "span",
    "script",
    "style",
    "option",
    "text",
    "b",
    "small",
)


def picture(**options) -> Picture:
    file = io.BytesIO()
    matplotlib.figure.Figure((4, 1)).savefig(file, dpi=50)
    return Picture(file.getvalue(), "a waveform", **options)


def sound(name: str) -> Sound:
    file = io.BytesIO()
    soundfile.write(file, np.random.default_rng(len(name)).uniform(-0.1, 0.1, 8000), 8000, format="WAV")
    return Sound(name, file.getvalue())


def plate(axis="s", alt="a waveform") -> Plate:
    colours = Layer(coloured(np.linspace(-1, 1, 6).reshape(2, 3)))
    above = Panel(colours, outline="M0 0L400 100Z", scale="Colours end.")
    below = Panel(colours, Layer(greyed(np.eye(2, 3))), ticks=((25.0, "100"), (75.0, "200")))
    marks = ((10.0, 20.0, "f"), (20.0, 50.0, "aɪ")) if axis == "s" else ()
    return Plate((above, below), ((0.0, "0"), (100.0, "1")), axis, alt, axis == "s", marks)


def panel(path="a.wav", label: str | None = "yes", prediction="yes", **options) -> ClipPanel:
    return ClipPanel(path, "ada", label, prediction, prediction, {"yes": 0.75, "no": 0.25}, **options)


class Page(HTMLParser):
    """What a browser would find: elements with their attributes, and the text in each of them."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.open, self.source = [], [], path.read_text(encoding="utf-8")
        self.texts = {tag: [] for tag in TEXT_TAGS}
        self.feed(self.source)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag in self.texts:
            self.open.append(tag)
            self.texts[tag].append("")

    def handle_endtag(self, tag):
        if tag in self.texts:
            assert self.open.pop() == tag

    def handle_data(self, data):
        for tag in self.open:
            self.texts[tag][-1] += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def write(folder: Path, **changes) -> Page:
    write_report(folder / "report.html", **{"title": "A report", "facts": {"Task": "answers"}} | changes)
    return Page(folder / "report.html")


def content(uri: str, kind: str) -> io.BytesIO:
    return io.BytesIO(base64.b64decode(uri.removeprefix(f"data:{kind};base64,"), validate=True))


def test_pictures_and_sounds_come_back_as_they_were_given(tmp_path):
    sounds = [sound("original"), sound("positive ")]
    clips = [panel(plate=plate(), sounds=sounds), panel("b.wav", plate=plate("Hz"))]
    page = write(tmp_path, clips=clips, sections=[Section("Curves", pictures=[picture()])])
    assert len(page.all("img")) == 1 and len(page.all("path")) == 2
    for image in page.all("img"):
        pixels = matplotlib.image.imread(content(image["src"], "image/png"))
        assert pixels.shape[:2] == (int(image["height"]), int(image["width"])) == (50, 200)
        assert image["alt"] == "a waveform"
    layers = [matplotlib.image.imread(content(image["href"], "image/png")) for image in page.all("image")]
    assert [layer.shape for layer in layers] == [(2, 3, 4)] * 6, (
        "relevance above; below it, what was heard and relevance"
    )
    assert len([part for part in page.all("div") if "data-plays" in part]) == 1, "no sound moves along hertz"
    assert [figure["aria-label"] for figure in page.all("figure") if "aria-label" in figure] == ["a waveform"] * 2
    assert page.texts["text"] == ["100", "200", "f", "aɪ", "0", "1 s", "100", "200", "0", "1 Hz"]
    links = [link for link in page.all("a") if "download" in link]
    assert not page.all("audio"), "a browser needs a second to build a hundred of them"
    for link, expected in zip(links, sounds, strict=True):
        found, rate = soundfile.read(content(link["href"], "audio/wav"), dtype="int16")
        given, given_rate = soundfile.read(io.BytesIO(expected.wav), dtype="int16")
        assert rate == given_rate and found.shape == (8000,) and np.array_equal(found, given)
        assert expected.name in link["aria-label"] and link["download"].endswith(f"wav-{expected.name}.wav")


def test_page_asks_nobody_for_anything(tmp_path):
    page = write(tmp_path, clips=[panel(plate=plate(), sounds=[sound("original")])], findings=["It works."])
    assert "http:" not in page.source and "https:" not in page.source
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    for _, attributes in page.elements:
        assert (attributes.get("src") or "data:").startswith("data:")
        target = attributes.get("href") or "data:"
        assert target.startswith("data:") or target.removeprefix("#") in ids
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "srcset", "action")]
    policy = next(meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
    allowed = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert allowed["default-src"] == "'none'" and allowed["img-src"] == allowed["media-src"] == "data:"
    for kind in ("script", "style"):
        [text] = page.texts[kind]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert allowed[f"{kind}-src"] == f"'sha256-{digest}'"


def test_hostile_names_appear_as_text_wherever_they_stand(tmp_path):
    def page_of(name):
        drawing, heard, measures = plate(alt=name), [sound(name)], {name: 1.0}
        clip = ClipPanel(
            name, name, name, name, name, {name: 1.0}, plate=drawing, sounds=heard, remarks=[name], measures=measures
        )
        part, drawn = Part(name, [name], [(name, name)]), [replace(picture(), alt=name)]
        section = Section(name, [name], drawn, any_names(pd.DataFrame)({name: [name]}), [part])
        about = {"title": name, "facts": {name: name}, "findings": [name], "sections": [section]}
        first = Answer(name, [ClassAnswer(name, [name], [replace(clip, path=f"{name} 2")])], name, name)
        return write(tmp_path, **about, answer=first, notes=[Note(name, [name])], guide=[name], clips=[clip])

    page, plain = page_of(HOSTILE), page_of("plain")
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in plain.elements]
    for tag in set(TEXT_TAGS) - {"script", "style"}:
        assert page.texts[tag] == [text.replace("plain", HOSTILE_AS_TEXT) for text in plain.texts[tag]], tag
    for (_, attributes), (_, expected) in zip(page.elements, plain.elements, strict=True):
        for name in ("alt", "aria-label", "data-label", "data-prediction", "data-speaker", "data-name", "value"):
            assert attributes.get(name) == (expected.get(name) and expected[name].replace("plain", HOSTILE_AS_TEXT))


@pytest.mark.slow
@given(st.text(st.characters(exclude_categories=["Cc"]), min_size=1))  # with halves of surrogate pairs
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_name_is_shown_as_it_is(tmp_path, name):
    page = write(tmp_path, clips=[panel(name)])
    assert page.texts["h3"] == [name.encode("utf-8", "backslashreplace").decode()]


def test_each_clip_has_a_card_that_says_whether_it_was_recognised(tmp_path):
    clips = [panel("a.wav"), panel("b.wav", prediction="no"), panel("c.wav", label=None)]
    page = write(tmp_path, clips=clips)
    assert page.texts["h3"] == ["a.wav", "b.wav", "c.wav"]
    assert page.texts["span"] == ["✓ right", "✗ wrong", "predicted: yes"]
    cards = page.all("article")
    assert [card["data-confidence"] for card in cards] == ["0.75", "0.25", "0.75"]
    assert [card["data-verdict"] for card in cards] == ["right", "wrong", "no label"]
    assert [card["data-prediction"] for card in cards] == ["yes", "no", "yes"]
    assert page.texts["option"][:4] == ["any", "no label (1)", "right (1)", "wrong (1)"]
    # there is one label and one speaker: nothing to choose from
    assert page.texts["option"][4:-3] == ["any", "no (1)", "yes (2)"]
    assert page.texts["option"][-3:] == ["as chosen", "most confident first", "least confident first"]


def test_the_answer_comes_first_and_its_clips_are_shown_once(tmp_path):
    answers = [
        ClassAnswer("dog: 2 right, 0 wrong", ["Barks between 1 and 2 kHz."], [panel("a.wav", remarks=["typical"])])
    ]
    first = Answer("A network was asked.", answers, "Removal confirms it.", "In brackets: intervals.")
    part = Part("dog", links=[("typical", "a.wav")])
    page = write(tmp_path, answer=first, clips=[panel("b.wav")], sections=[Section("Classes", parts=[part])])
    assert page.texts["p"][0] == "A network was asked. Removal confirms it."
    assert page.texts["h2"] == ["dog: 2 right, 0 wrong", "More clips", "Classes", "How this was made"]
    assert page.texts["h3"] == ["a.wav", "b.wav", "dog"] and "Barks between 1 and 2 kHz." in page.texts["p"]
    [card] = [card for card in page.all("article") if card["aria-labelledby"] == "clip-1-name"]
    assert card["id"] == "clip-1" and "#clip-1" in [link["href"] for link in page.all("a")]


@pytest.mark.parametrize(
    ("begins", "says"), [(0.174, "0 s here is at its 0.17 s"), (-0.19, "begins at 0.19 s here"), (math.nan, None)]
)
def test_where_a_clip_lies_in_its_recording_is_said(tmp_path, begins, says):
    page = write(tmp_path, clips=[panel(begins=begins)])
    assert (says in page.texts["dd"]) if says else "Recording" not in page.texts["dt"]


def test_parts_show_and_lead_to_their_clips(tmp_path):
    links = [("typical of dog", "b.wav"), ("odd", "a.wav")]
    parts = [Part("dog", ["It barks.", "Loudly."], links, [("2 right", plate()), ("1 wrong", plate())]), Part("rain")]
    clips = [panel("a.wav"), panel("b.wav", remarks=["typical", "first"])]
    page = write(tmp_path, sections=[Section("Class averages", parts=parts)], clips=clips)
    assert page.texts["h3"][2:] == ["dog", "rain"] and len(page.all("image")) == 6
    assert page.texts["p"][:4] == ["2 right", "1 wrong", "It barks.", "Loudly."]
    links = {link["href"] for link in page.all("a") if link["href"].startswith("#clip-")}
    names = dict(zip([card["id"] for card in page.all("article")], page.texts["h3"], strict=False))
    assert [names[link.removeprefix("#")] for link in sorted(links)] == ["a.wav", "b.wav"]
    assert page.texts["a"][3:] == ["typical of dog", "odd"]
    assert page.texts["span"] == ["✓ right", "✓ right", "typical", "first"]


def test_a_drawing_is_as_large_as_it_says(tmp_path):
    drawn = Picture(plots.svg(matplotlib.figure.Figure((3, 2))), "a drawing")
    page = write(tmp_path, sections=[Section("Curves", pictures=[drawn])])
    [image] = page.all("img")
    assert (image["width"], image["height"]) == ("288", "192"), "96 pixels of a page are an inch"
    assert content(image["src"], "image/svg+xml").read() == drawn.content


def test_values_stand_under_the_question_that_they_answer(tmp_path):
    gini = Value(
        "Concentration (Gini)", 0.91234, 0.9, 0.92, "how few", "higher is better, 1 at best", "complexity/gini"
    )
    alone = replace(gini, name="Spread", low=math.nan, high=math.nan)
    page = write(tmp_path, sections=[Section("Measures", values={"On how few features?": [gini, alone]})])
    assert page.texts["h3"] == ["On how few features?"]
    assert page.texts["b"] == ["0.9123"] * 2 and page.texts["span"] == ["[0.9, 0.92]"]
    assert page.texts["small"][:2] == ["how few complexity/gini", "higher is better, 1 at best"]


@pytest.mark.parametrize(("options", "word"), [({}, "Speaker"), ({"unit": "source"}, "Source")])
def test_cards_say_what_a_speaker_is(tmp_path, options, word):
    page = write(tmp_path, clips=[panel()], **options)
    assert page.texts["dt"][0] == word and page.texts["dd"][0] == "ada"


def test_numbers_that_are_none_are_dashes(tmp_path):
    table = pd.DataFrame({"paper": [math.nan, 0.2034567], "fold": [0, 1], "speaker": ["ada", None]})
    clip = replace(panel(conservation_error=math.nan), probabilities={"yes": math.nan, "no": 0.25})
    page = write(tmp_path, facts={"a": None, "b": np.float32("nan")}, sections=[Section("", table=table)], clips=[clip])
    assert page.texts["dd"][-2:] == ["–", "–"] and page.texts["dd"][-3] == "–", "facts come last"
    assert page.texts["td"][-6:] == ["–", "0", "ada", "0.2035", "1", "–"]
    assert [text for text in page.texts["td"][:-6] if text.strip()] == ["–", "0.250"]
    assert [bar["width"] for bar in page.all("rect")] == ["0", "25"]


def test_of_many_classes_the_likeliest_and_the_clips_own_are_shown():
    probabilities = {f"class {number}": 0.01 + 0.0001 * number for number in range(50)}
    bars = ClipPanel("a.wav", "", "class 3", "class 49", "class 7", probabilities).bars
    assert [name for name, _, _ in bars] == [f"class {number}" for number in (3, 7, *range(45, 50))]
    assert [name for name, _, named in bars if named] == ["class 3", "class 7", "class 49"]


def test_a_page_that_cannot_be_written_leaves_the_earlier_one(tmp_path):
    write(tmp_path, title="Earlier")
    with pytest.raises(ElementTree.ParseError):
        write(tmp_path, title="Later", sections=[Section("Curves", pictures=[Picture(b"not a picture", "")])])
    assert Page(tmp_path / "report.html").texts["h1"] == ["Earlier"]
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on the PATH")
def test_page_in_a_browser(tmp_path, request):
    sounds = [sound("original"), sound("positive")]
    clips = [panel(HOSTILE, plate=plate(), sounds=sounds), panel("b.wav", prediction="no", sounds=sounds)]
    clips.append(replace(panel("c.wav", sounds=sounds), probabilities={"yes": 0.9, "no": 0.1}))
    parts = [Part("dog", links=[("most typical", HOSTILE)])]
    write(tmp_path, clips=clips, sections=[Section("Curves", pictures=[picture()], parts=parts)])
    browser = Browser(CHROMIUM, tmp_path / "profile")
    request.addfinalizer(browser.process.wait)
    request.addfinalizer(browser.process.kill)  # before it is waited for
    browser.open(tmp_path / "report.html")
    assert browser.run("""
        const sounding = () => [...document.querySelectorAll("audio")].filter((sound) => !sound.paused);
        const [play, other] = document.querySelectorAll(".player button");
        play.click();
        const line = document.querySelector(".cursor");
        while (!(parseFloat(line.style.left) > 10)) await new Promise(requestAnimationFrame);
        const [, positive] = document.querySelectorAll(".player [type=radio]");
        const [first] = sounding(), place = first.currentTime;
        positive.click();
        while (!sounding().length) await new Promise(requestAnimationFrame);
        const [second] = sounding();
        while (!(second.currentTime > place) && !second.error) await new Promise(requestAnimationFrame);
        const said = play.getAttribute("aria-label").startsWith("Pause positive");
        const goes_on = [first.paused, second.error === null, said];
        other.click();
        while (!sounding().length || sounding()[0] === second) await new Promise(requestAnimationFrame);
        const alone = second.paused && sounding().length === 1;
        return [...goes_on, alone, document.querySelector(".sounds").checkVisibility()];
    """) == [True, True, True, True, False], "a sound goes on where another one was; two clips never play"  # fmt: skip
    assert browser.run("""
        const panels = document.querySelector("[data-plays]"), { left, width, top } = panels.getBoundingClientRect();
        panels.dispatchEvent(new MouseEvent("click", { clientX: left + width / 2, clientY: top + 5, bubbles: true }));
        const place = Number(document.querySelector(".player [type=range]").value);
        const sounding = () => [...document.querySelectorAll("audio")].find((sound) => !sound.paused);
        while (!(sounding()?.currentTime > 0.55) && !sounding()?.error) await new Promise(requestAnimationFrame);
        document.querySelector(".player button").click();
        return [Math.abs(place - 0.5) < 0.05, [...document.querySelectorAll("audio")].every((sound) => sound.paused)];
    """) == [True, True], "a click goes to that place"  # fmt: skip
    assert browser.run("""
        const select = document.querySelector("select[name=verdict]"), cards = [...document.querySelectorAll(".clip")];
        cards[0].querySelector("button").click();
        select.value = "wrong";
        select.dispatchEvent(new Event("change", { bubbles: true }));
        const playing = [...document.querySelectorAll("audio")].some((player) => !player.paused);
        return [cards.map((card) => card.checkVisibility()), document.querySelector("output").value, playing];
    """) == [[False, True, False], "1 of 3 clips", False]  # fmt: skip
    assert browser.run("""
        const card = document.querySelector(".clip"), again = document.querySelector("select[name=verdict]");
        document.querySelector(".links a").click();
        again.value = "wrong";
        again.dispatchEvent(new Event("change", { bubbles: true }));
        document.querySelector(".links a").click();
        return [card.checkVisibility(), document.querySelector("output").value];
    """) == [True, "3 of 3 clips"], "a link shows the clip that the filters hid"  # fmt: skip
    assert browser.run("""
        const order = document.querySelector("select[name=order]"), found = [];
        for (const [words] of [["confidence -1"], ["confidence 1"], [""]]) {
            order.value = words;
            order.dispatchEvent(new Event("change", { bubbles: true }));
            found.push([...document.querySelectorAll(".clip h3")].map((name) => name.textContent[0]).join(""));
        }
        return found;
    """) == ["c<b", "b<c", "<bc"], "by confidence, and back"  # fmt: skip
    assert browser.run("""
        const press = (name) => document.activeElement.dispatchEvent(
            new KeyboardEvent("keydown", { key: `Arrow${name}`, bubbles: true }));
        document.activeElement.blur();
        const at = () => [...document.querySelectorAll(".clip")].indexOf(document.activeElement);
        const places = ["Right", "Right", "Right", "Right", "Left"].map((name) => (press(name), at()));
        document.querySelector("select").focus();
        press("Right");
        return [...places, document.activeElement.tagName];
    """) == [0, 1, 2, 2, 1, "SELECT"], "arrow keys lead from clip to clip"  # fmt: skip
    image = "const image = document.images[0]; await image.decode();"
    assert browser.run(f"{image} return [image.naturalWidth, typeof injected]") == [200, "undefined"]
    assert browser.of("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded") == []
    asked = [request["request"]["url"] for request in browser.of("Network.requestWillBeSent")]
    assert [url for url in asked if not url.startswith("data:")] == [(tmp_path / "report.html").as_uri()]

    browser("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(tmp_path / "report.html")
    visible = "return [...document.querySelectorAll('.clip, #filters')].map((part) => part.checkVisibility())"
    assert browser.run(visible) == [False, True, True, True], "all cards, and no filters that would do nothing"
    assert browser.run("return document.querySelector('.sounds').checkVisibility()"), "each sound is a link"
