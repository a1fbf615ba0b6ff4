"""What an explanation leaves for people: curves, pictures, sounds, and the report that holds them all."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.progress import track

from auscult.explain.intervention.interventions import paper_of
from auscult.explain.measures.catalogue import explanations
from auscult.explain.measures.perturbation import write_curves
from auscult.explain.relevance.results import Results
from auscult.explain.report.class_examples import Example
from auscult.explain.report.class_section import class_section
from auscult.explain.report.findings import curve_findings, intervention_findings
from auscult.explain.report.html import ClipPanel, Note, Section, write_report
from auscult.explain.show import plots
from auscult.explain.show.clip import View, audible, file_name, picture
from auscult.explain.show.media import Picture

ENDS = ("low", "high")
GUIDE = (
    "Red is relevance for the explained class, blue against it. The positive sound is the clip as far as it speaks for"
    " that class, the negative one as far as it speaks against it; the blend has the quiet original underneath. All"
    " sounds of a clip are equally loud: compare what is heard, not how much of it there is."
)
OF_SPECTRUM = (
    "Relevance is of the frequencies of the whole clip; it is drawn and heard averaged over a Gaussian of 8 hertz. When"
    " in the clip the network listens to them it does not say: domain=time_frequency shows that."
)


def write(folder: Path, results: Results, view: View, facts: Callable[[], Mapping[str, object]], clips: int) -> None:
    """Writes `curves.csv`, `curves.png`, `typical.csv`, `figures/`, `audio/` and `report.html`.

    Args:
        folder: the run folder.
        results: of the run.
        view: how the network's input lies in time and frequency.
        facts: says what was explained, by name.
        clips: how many clips to show, those that stand out in their class first; these are shown in any case.
    """
    (folder / "figures").mkdir(exist_ok=True)
    (folder / "audio").mkdir(exist_ok=True)
    sections, findings = [], []
    classes: list[Section] = []
    examples: list[Example] = []
    if results.labelled:  # first: it goes through all relevance, whose sums the metrics are then made of
        section, examples = class_section(folder, results, view)
        classes.append(section)
    if results.curves is not None:
        write_curves(folder / "curves.csv", results.curves)
        asked = results.question.perturbation
        assert asked is not None
        features, unit = asked.of(view.features), results.source.unit
        findings += curve_findings(results.curves, features, results.metrics, unit=unit, scale=asked.scale)
        sections.append(curves(folder, results, view))
    if results.measured:
        sections.append(measures(results))
    if results.changed is not None:
        findings += intervention_findings(
            results.metrics, results.label, results.predicted, results.changed, results.classes, results.source.unit
        )
        sections.append(intervention(folder, results))
    standing_out = {example.row for example in examples}
    chosen = results.chosen(max(1, clips - len(standing_out)) if clips else 0)  # the same of any attribution
    rows = results.in_order({*chosen, *standing_out})
    remarks = {row: [example.remark(results) for example in examples if example.row == row] for row in rows}
    console = Console(stderr=True)
    shown = track(rows, "drawing clips", console=console, disable=not console.is_terminal, transient=True)
    write_report(
        folder / "report.html",
        title="What the network listens to",
        facts=facts(),
        findings=findings,
        sections=[*sections, *classes],
        notes=notes(results),
        guide=[GUIDE, OF_SPECTRUM] if view.features == "frequencies" else [GUIDE],
        clips=[panel(folder, results, view, row, remarks[row]) for row in shown],
        unit=results.source.unit,
    )


def curves(folder: Path, results: Results, view: View) -> Section:
    """`curves.png`, the paper's figure, and the numbers behind it."""
    asked = results.question.perturbation
    assert results.curves is not None and asked is not None
    fill, features = type(asked.fill).__name__.lower(), asked.of(view.features)
    chance = 1 / len(results.classes)
    png = plots.png(plots.plot_curves(results.curves, features, chance=chance), dpi=150)
    (folder / "curves.png").write_bytes(png)
    text = (
        f"A fraction of the {features} is replaced ({fill}), the most relevant first, and the network is asked again."
        " The sooner accuracy falls, the more of what the network uses was among them. Shaded are 95 % intervals over"
        f" {results.source.unit}s."
    )
    if asked.definition == "sounding":
        text += " In every order silence goes last, and no fraction counts it: to remove it removes nothing."
    if asked.seeds:
        text += " Random removal spares silence, and is averaged over its seeds."
    alt = "Accuracy over the fraction of the input that is removed, by relevance and in the control orders"
    return Section("Removing what is relevant", [text], [Picture(png, alt)], results.curves)


def measures(results: Results) -> Section:
    """What was measured of the relevance, a row each."""
    rows = [
        {"measure": name, "mean": results.metrics[name], **{end: results.metrics.get(f"{name}_{end}") for end in ENDS}}
        for name in results.measured
        if name in results.metrics
    ]
    text = [f"They compare attributions of one checkpoint. Intervals of 95 % are over {results.source.unit}s."]
    text += explanations(results.measured)
    return Section("Measures", text, table=pd.DataFrame(rows))


def intervention(folder: Path, results: Results) -> Section:
    """`figures/intervention.png`: what the changed clips were taken for."""
    name = type(results.question.intervention).__name__
    paper = paper_of(results.question.intervention, results.classes)
    png = plots.png(plots.plot_intervention({name: results.metrics}, paper=paper, chance=1 / len(results.classes)))
    (folder / "figures/intervention.png").write_bytes(png)
    text = (
        f"All clips are changed as the hypothesis has it ({name}, see the options above), and the network is asked"
        " again. Lines are 95 % intervals; those of the paper's figures, where they are shown, are a standard deviation"
        " over folds. Grey are its controls, which damage clips alike and do not do what the hypothesis has."
    )
    return Section("Intervention", [text], [Picture(png, f"Accuracy before and after {name}")])


def panel(folder: Path, results: Results, view: View, row: int, remarks: Sequence[str]) -> ClipPanel:
    """One clip's card, with remarks on it; its picture and sounds lie in the run folder, too."""
    clip, classes = results.source.clips[row], results.classes
    label = classes[results.label[row]] if results.label[row] >= 0 else None
    prediction, target = classes[results.predicted[row]], classes[results.target[row]]
    waveform, relevance = results.waveform(row), results.relevance(row)
    title = f"{clip.path}: relevance for {target}"
    drawn, heard = picture(view, waveform, relevance, title), audible(view, waveform, relevance)
    name = f"{row:05d}-{file_name(clip.path)}"
    (folder / f"figures/{name}.png").write_bytes(drawn.png)
    for sound in heard:
        (folder / f"audio/{name}-{file_name(sound.name)}.wav").write_bytes(sound.wav)
    return ClipPanel(
        clip.path, clip.speaker, label, prediction, target,
        dict(zip(classes, results.probabilities[row].tolist(), strict=True)),
        float(results.conservation_error[row]), float(results.share_of_biases[row]),
        [drawn], heard, [*remarks, *cut(results, view, row)],
    )  # fmt: skip


def cut(results: Results, view: View, row: int) -> list[str]:
    """Which part of its recording the clip is, if the recording is longer."""
    dataset = results.source.dataset
    clip, rate = dataset.clips[row], view.sample_rate
    if not dataset.cache.cut[clip]:
        return []
    return [f"{dataset.length / rate:g} s of a longer recording, from {dataset.cache.starts[clip] / rate:.2f} s on"]


def notes(results: Results) -> list[Note]:
    """What a reader must know of."""
    skipped, dataset = results.source.skipped, results.source.dataset
    found = []
    if skipped:
        lines = [f"{path}: {reason}" for path, reason in skipped]
        found.append(Note(f"{len(skipped)} recordings could not be used and were skipped.", lines))
    if longer := int(dataset.cache.cut[dataset.clips].sum()):
        found.append(Note(f"{longer} recordings are longer than a clip: the part with the most energy was explained."))
    return found
