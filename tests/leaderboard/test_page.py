import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from auscult.leaderboard.figures import plot_cascade, plot_energy, styles_of
from auscult.leaderboard.page import answers, figures, findings, side_by_side, write
from auscult.leaderboard.ranking import Entry
from tests.browser import CHROMIUM, Browser
from tests.explain.report.test_html import HOSTILE, picture, sound

CLIPS = ["a.wav", HOSTILE, "c.wav", "d.wav"]


def entry(
    folder: Path, attribution: str, domain: str = "input", level: float = 0.5, drawn: tuple[int, ...] = (1,)
) -> Entry:
    own = folder / domain / attribution
    for name in ("figures", "audio"):
        (own / name).mkdir(parents=True)
    for row in drawn:
        (own / f"figures/{row:05d}-clip.png").write_bytes(picture().content)
        for name in ("original", "positive", "negative", "blend"):
            (own / f"audio/{row:05d}-clip-{name}.wav").write_bytes(sound(name).wav)
    values = {"deletion/accuracy": np.full(4, level), "sanity/all_layers": np.array([level, np.nan, level, level])}
    values |= {f"faithfulness/energy_{name}": np.full(4, level) for name in ("deletion", "insertion")}
    curves = {name: ([0, 0.5, 1], np.full((4, 3), level)) for name in ("energy/deletion", "energy/insertion")}
    curves["cascade"] = (range(3), np.array([[1, level, 0], [1, np.nan, np.nan]] * 2))
    return Entry(domain, attribution, values, ["s", "s", "t", "t"], curves, CLIPS, own)


@pytest.mark.parametrize(
    ("definition", "words"),
    [("sounding", "over the logarithm of the share of what sounds that"), ("paper", "over the share of all that is")],
)
def test_the_page_says_what_deletion_is_an_area_over(tmp_path, definition, words):
    write(tmp_path, [replace(entry(tmp_path, "one"), definition=definition)], [], "a network")
    assert words in (tmp_path / "leaderboard.html").read_text(encoding="utf-8")


def test_the_first_clip_that_all_show_is_shown(tmp_path):
    entries = [entry(tmp_path, "one", drawn=(0, 1, 3)), entry(tmp_path, "two", drawn=(1, 2, 3))]
    clip, original, panels = side_by_side(entries)
    assert clip == CLIPS[1] and original is not None and original.name == "original"
    assert [(panel.attribution, [each.name for each in panel.sounds]) for panel in panels] == [
        ("one", ["positive", "negative"]),
        ("two", ["positive", "negative"]),
    ]
    assert side_by_side([*entries, entry(tmp_path, "three", drawn=())]) == ("", None, [])


def test_a_line_per_attribution_and_axes_per_curve(tmp_path):
    entries = [entry(tmp_path, "mine"), entry(tmp_path, "amplitude", level=0.2)]
    styles = styles_of(["mine", "amplitude"])
    for figure, rows in ((plot_energy(entries, styles), 2), (plot_cascade(entries, styles), 1)):
        assert len(figure.axes) == rows
        lines = [[line for line in axes.lines if not line.get_label().startswith("_")] for axes in figure.axes]
        assert [len(of) for of in lines] == [2] * rows
        assert len({line.get_color() for of in lines for line in of if line.get_label() == "mine"}) == 1
        [legend] = figure.legends
        assert [text.get_text() for text in legend.get_texts()] == ["mine", "amplitude"]
    curves = figures([*entries, entry(tmp_path, "mine", "time")])
    assert [[picture.alt.split(", ")[1] for picture in pictures] for pictures in curves.values()] == 2 * [
        ["input", "time"]
    ]
    [similar] = (line for line in plot_cascade(entries, styles).axes[0].lines if line.get_label() == "mine")
    np.testing.assert_allclose(similar.get_ydata(), [1, 0.5, 0])  # clips that were not checked count for none


def test_measures_that_all_domains_share_stand_in_one_table_of_their_own(tmp_path):
    def tables() -> list[str]:
        return re.findall(r'<h2 id="table-\d+">(.*?)</h2>', (tmp_path / "leaderboard.html").read_text())

    entries = [entry(tmp_path, "one"), entry(tmp_path, "one", "time", level=0.4)]
    assert "across/energy_deletion" in set(write(tmp_path, entries, [], "a network")["measure"])
    assert tables() == ["input", "time", "all domains together"]
    assert (tmp_path / "leaderboard.html").read_text().count("<small>time</small>") == 1, "a row says its domain"
    write(tmp_path, entries[:1], [], "a network")
    assert tables() == ["input"], "one domain has nothing to be compared with"


def test_measures_without_curves_or_clips_make_a_page(tmp_path):
    bare = Entry("input", "mine", {"complexity/gini": np.ones(4)}, ["s", "s", "t", "t"])
    table = write(tmp_path, [bare], ["yours: <b>no</b>"], "about <i>it</i>")
    pd.testing.assert_frame_equal(
        table, pd.read_csv(tmp_path / "leaderboard.csv", keep_default_na=False), check_dtype=False
    )
    page = (tmp_path / "leaderboard.html").read_text()
    assert "<img" not in page and "<audio" not in page
    assert "yours: &lt;b&gt;no" in page and "about &lt;i&gt;it" in page


def test_who_finds_a_confound_is_said_in_words(tmp_path):
    def measured(name: str, share: float, control: float) -> Entry:
        places = {
            "localisation/mass/confound": share,
            "localisation/chance/confound": 0.1,
            "control/mass/confound": control,
        }
        values = {place: value + 0.01 * np.array([1, -1, 1, -1, 2, -2]) for place, value in places.items()}
        return Entry("frequency", name, values, ["s", "t", "u", "v", "w", "x"])

    entries = [measured("loud", 0.3, 0.3), measured("blind", 0.1, 0.05), measured("keen", 0.4, 0.12)]
    table = write(tmp_path, entries, [], "about")
    [said] = findings(table)
    assert "found by keen (40.0 %, otherwise 12.0 %); not by loud (30.0 %, otherwise 30.0 %), blind (10.0 %," in said
    assert said in (tmp_path / "leaderboard.md").read_text() and said in (tmp_path / "leaderboard.html").read_text()
    assert findings(table[table["measure"] != "localisation/mass/confound"]) == []


def test_the_answer_is_said_in_words():
    def row(domain: str, attribution: str, mean: float, rank: str) -> dict[str, object]:
        return {
            "domain": domain,
            "attribution": attribution,
            "measure": "deletion/accuracy",
            "mean": mean,
            "rank": rank,
        }

    rows = [row("input", "a", 0.5, "best"), row("input", "b", 0.6, "tied"), row("input", "c", 0.9, "")]
    rows += [
        row("input", "amplitude", 0.55, "tied"),
        row("time", "a", 0.5, "best"),
        row("time", "random", 0.4, "ahead"),
    ]
    rows += [row("frequency", "a", 0.5, "")]
    rows += [row("alone", "a", 0.5, "best")]
    rows += [row("alike", "a", 0.0, "best"), row("alike", "b", 0.0, "tied"), row("alike", "random", 0.0, "tied")]
    most = (
        "removing what a finds lowers accuracy most of all attributions, to 50.0 % on average over the shares removed"
    )
    none = "no attribution is shown to be better than amplitude, which knows nothing of the network"
    assert answers(pd.DataFrame(rows)) == [
        f"In the domain input, {none}: {most}; amplitude cannot be told apart from it; b cannot be told apart from it"
        " either.",
        f"In the domain time, {most}; random, which knows nothing of the network, lowers it more.",
        "In the domain frequency, too few speakers say which attribution is best.",
        f"In the domain alone, {most}.",
        "In the domain alike, accuracy during removal is 0.0 % by all attributions alike, and says nothing of them: the"
        " network may know none of these clips.",
    ]


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on the PATH")
def test_page_in_a_browser(tmp_path, request):
    entries = [entry(tmp_path, "amplitude", level=0.9), entry(tmp_path, "mine", level=0.1)]
    entries += [entry(tmp_path, "yours", level=0.2), entry(tmp_path, "mine", "time", level=0.3)]
    write(tmp_path, entries, [], HOSTILE)
    browser = Browser(CHROMIUM, tmp_path / "profile")
    request.addfinalizer(browser.process.wait)
    request.addfinalizer(browser.process.kill)  # before it is waited for
    browser.open(tmp_path / "leaderboard.html")
    assert browser.run("""
        const table = document.querySelector("table"), button = table.querySelectorAll("button")[1];
        const order = () => [...table.tBodies[0].rows].map((row) => row.cells[0].textContent.trim());
        const controls = [...table.tBodies[1].rows].map((row) => row.cells[0].textContent.trim());
        button.click();
        const up = order();
        button.click();
        return [button.innerText, up, order(), controls, button.closest("th").getAttribute("aria-sort")];
    """) == ["Accuracy during removal", ["mine", "yours"], ["yours", "mine"], ["controls", "amplitude"], "descending"]
    assert browser.run("""
        const failed = document.querySelector("td.fails");
        const [first, second] = document.querySelectorAll("audio");
        await first.play();
        await second.play();
        await Promise.all([...document.images].map((image) => image.decode()));
        return [failed.closest("tr").cells[0].innerText, getComputedStyle(failed, "::after").content,
                [first.paused, second.paused], document.images.length, typeof injected];
    """) == ["amplitude", '"fails"', [True, False], 8, "undefined"]  # fmt: skip
    assert browser.violations() == []
    assert browser.of("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded") == []
    asked = [request["request"]["url"] for request in browser.of("Network.requestWillBeSent")]
    assert [url for url in asked if not url.startswith("data:")] == [(tmp_path / "leaderboard.html").as_uri()]
