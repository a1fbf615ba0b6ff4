"""Writes the results of an explanation for readers: curves, pictures, sounds, and the report with all of them."""

import math
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from auscult.datamodules.clips import Segment
from auscult.datamodules.source import Source
from auscult.explain.attribution.controls import Amplitude, Random
from auscult.explain.intervention.interventions import paper_of
from auscult.explain.measures.catalogue import label_of, measure_of
from auscult.explain.measures.cost import COST
from auscult.explain.measures.localisation import beginning, is_moved
from auscult.explain.measures.perturbation import write_curves
from auscult.explain.relevance.results import Results
from auscult.explain.report.audit import audit_section
from auscult.explain.report.channels import channels_section, has_channels
from auscult.explain.report.class_findings import headline
from auscult.explain.report.class_section import Classes, class_section, how_sure, ranged
from auscult.explain.report.findings import curve_findings, fall_verdict, intervention_findings, removal_verdict
from auscult.explain.report.html import Answer, ClassAnswer, ClipPanel, Note, Section, Value, write_report
from auscult.explain.report.similar import most_similar
from auscult.explain.show import plots
from auscult.explain.show.clip import View, audible, file_name, picture
from auscult.explain.show.media import Picture
from auscult.explain.show.plate import plate
from auscult.plain_data import counted
from auscult.progress import tracked

ENDS = ("low", "high")
CURVES = {"accuracy": "accuracy falls", "fall": "the answer falls"}
GUIDE = (
    "Red is relevance for the explained class, blue against it. The positive sound is the part of the clip that speaks"
    " for that class, the negative sound the part that speaks against it; the blend has the quiet original underneath."
    " All sounds of a clip are equally loud: compare what is heard, not how loud it is. A click in a picture plays from"
    " that place; the arrow keys lead from clip to clip."
)
SPECTRUM_GUIDE = (
    "The figures show the relevance of frequencies over the whole clip. It is drawn and heard averaged over a Gaussian"
    " of 8 hertz. It does not show when the network listens to them; domain=time_frequency shows that."
)


def write(
    folder: Path, results: Results, view: View, facts: Callable[[], Mapping[str, object]], clips: int, lead: str = "",
    audited: pd.DataFrame | None = None
) -> None:  # fmt: skip
    """Writes `curves.csv`, `curves.png`, `typical.csv`, `figures/`, `audio/` and `report.html`.

    Args:
        folder: the run folder.
        results: results of the run.
        view: axes of the network's input.
        facts: gives the facts on the run, by name.
        clips: number of clips to show, including the examples of each class, which are always shown.
        lead: what was asked of which network, in a sentence.
        audited: the table of `audit`, if there is one.
    """
    (folder / "figures").mkdir(exist_ok=True)
    (folder / "audio").mkdir(exist_ok=True)
    sections, findings = [], []
    classes: Classes | None = None
    if results.labelled:  # first, as it reads all relevance and notes the sums for the metrics
        classes = class_section(folder, results, view)
        sections.append(classes.section)
    if results.curves is not None:
        write_curves(folder / "curves.csv", results.curves)
        perturbation = results.question.perturbation
        assert perturbation is not None
        features, unit = perturbation.counted(view.features), results.source.unit
        if not results.falls:
            findings += curve_findings(results.curves, features, results.metrics, unit=unit, scale=perturbation.scale)
        sections.append(curves(folder, results, view))
    if results.measured:
        sections.append(measures(results))
    if has_channels(results):
        sections.append(channels_section(results))
    if audited is not None:
        sections.append(audit_section(audited))
    if results.changed is not None:
        assert results.question.intervention is not None
        findings += intervention_findings(
            results.metrics, results.label, results.predicted, results.changed, results.classes,
            results.source.unit, results.question.intervention.spares,
        )  # fmt: skip
        sections.append(intervention(folder, results))
    standing_out = {example.row for example in classes.examples} if classes else set()
    rows = results.in_order(shown_rows(results, clips, standing_out))
    panels = drawn(folder, results, view, rows, classes)
    write_report(
        folder / "report.html",
        title="What the network listens to",
        facts=facts(),
        answer=answer(results, view, classes, panels, lead),
        findings=findings,
        sections=sections,
        notes=notes(results),
        guide=[GUIDE, SPECTRUM_GUIDE] if view.features == "frequencies" else [GUIDE],
        clips=[panels[row] for row in rows if row not in standing_out],
        unit=results.source.unit,
        total=len(results.label),
    )


def drawn(
    folder: Path, results: Results, view: View, rows: Sequence[int], classes: Classes | None
) -> dict[int, ClipPanel]:
    """The cards of clips, by row, drawn with a progress bar; those that stand out are marked."""
    examples = classes.examples if classes else ()
    remarks = {row: [example.remark(results) for example in examples if example.row == row] for row in rows}
    shown = tracked(rows, "drawing clips", len(rows))
    panels = {row: panel(folder, results, view, row, remarks[row]) for row in shown}
    for row, others in most_similar(results, view, rows).items():
        panels[row] = replace(panels[row], similar=[panels[other].path for other in others])
    if classes:
        for row in {example.row for example in examples}:
            panels[row] = ranged(panels[row], results, view, classes, row)
    return panels


def shown_rows(results: Results, clips: int, standing_out: Set[int]) -> set[int]:
    """The clips of the report: those that stand out, and others, up to so many; at least one other, unless none.

    The others are the same for any attribution, but for their number.
    """
    wanted = max(1, clips - len(standing_out)) if clips else 0
    drawn = results.drawn(max(clips, wanted))
    shown = {*drawn[:wanted], *standing_out}
    for row in drawn[wanted:]:
        if len(shown) >= clips:
            break
        shown.add(row)
    return shown


def answer(results: Results, view: View, classes: Classes | None, panels: Mapping[int, ClipPanel], lead: str) -> Answer:
    """What the page says first: what each class that has examples is recognised by, and whether removal confirms it."""
    answers, examples = [], classes.examples if classes else ()
    for part in classes.section.parts if classes else ():
        own = [panels[example.row] for example in examples if results.classes[example.label] == part.name]
        if own:
            answers.append(ClassAnswer(part.title, part.text[:1], own))
    unit = results.source.unit
    removed = results.question.perturbation
    verdict = ""
    if removed is not None:
        said = fall_verdict if results.falls else removal_verdict
        verdict = said(results.metrics, removed.counted(view.features), unit)
    if results.is_constant:
        alike = f"The network gives the same answer for all {len(results.label)} clips: there is nothing to explain."
        return Answer(lead, answers, alike, how_sure(unit) if answers else "")
    is_blind = isinstance(results.question.attribution, Amplitude | Random)  # they know nothing of the network
    of_own_class = isinstance(results.question.target, str)  # and not of one that was chosen for all clips
    found = headline(classes.places) if classes and of_own_class and not is_blind else ""
    return Answer(lead, answers, verdict, how_sure(unit) if answers else "", found)


def curves(folder: Path, results: Results, view: View) -> Section:
    """Writes `curves.png`, the figure of the paper, and makes its section with the numbers behind it."""
    perturbation = results.question.perturbation
    assert results.curves is not None and perturbation is not None
    fill, features = type(perturbation.fill).__name__.lower(), perturbation.counted(view.features)
    value = "fall" if results.falls else "accuracy"
    chance = None if results.falls else 1 / len(results.classes)
    figure = plots.plot_curves(results.curves, features, value=value, chance=chance)
    (folder / "curves.png").write_bytes(plots.png(figure, dpi=200))
    text = (
        f"A fraction of the {features} is replaced ({fill}), the most relevant first, and the network predicts again."
        f" The sooner {CURVES[value]}, the better relevance shows what the network uses. Shaded areas are 95 %"
        f" intervals over {results.source.unit}s."
    )
    if perturbation.definition == "sounding":
        text += (
            " In every order silence comes last, and no fraction counts it, as the removal of silence changes nothing."
        )
    if not results.tested.all():
        text += f" Only the {counted(int(results.tested.sum()), 'clip')} of the explained class are tested."
    if perturbation.seeds:
        text += " Random removal spares silence; its curve is a mean over several seeds."
    alt = f"{value.capitalize()} over the fraction of the input that is removed, by relevance and in the control orders"
    return Section("Removing what is relevant", [text], [Picture(plots.svg(figure), alt)], results.curves)


def measures(results: Results) -> Section:
    """The section on measures: their values, by the questions that they answer."""
    values: dict[str, list[Value]] = {}
    for column in sorted(results.measured, key=lambda column: measure_of(column).topic.place):
        if column in results.metrics:
            measure, mean = measure_of(column), results.metrics[column]
            low, high = (results.metrics.get(f"{column}_{end}", math.nan) for end in ENDS)
            says = f"{measure.says}{measure.unit and f', in {measure.unit}'}"
            value = Value(label_of(column), mean, low, high, says, measure.direction, column)
            values.setdefault(f"{measure.topic.name.capitalize()}: {measure.topic.asks}", []).append(value)
    has_ends = any(value.low == value.low for each in values.values() for value in each)
    sure = f", with 95 % intervals over {results.source.unit}s" if has_ends else ""
    text = (
        f"Means over clips{sure}. They serve to compare attributions of one checkpoint, as benchmark.py does, and say"
        " little alone."
    )
    return Section("Measures", [text], values=values)


def intervention(folder: Path, results: Results) -> Section:
    """Writes `figures/intervention.png` and makes the section on the intervention."""
    name = type(results.question.intervention).__name__
    paper = paper_of(results.question.intervention, results.classes)
    figure = plots.plot_intervention({name: results.metrics}, paper=paper, chance=1 / len(results.classes))
    (folder / "figures/intervention.png").write_bytes(plots.png(figure, dpi=200))
    text = (
        f"All clips are changed according to the hypothesis ({name}, see how this was made), and the network predicts"
        " again. Lines are 95 % intervals; for the figures of the paper, if shown, they are a standard deviation over"
        " folds."
    )
    if results.shams:
        text += " Grey bars are the controls: changes that harm clips, too, but not as the hypothesis has it."
    return Section("Intervention", [text], [Picture(plots.svg(figure), f"Accuracy before and after {name}")])


def panel(folder: Path, results: Results, view: View, row: int, remarks: Sequence[str]) -> ClipPanel:
    """Makes the card of a clip, with remarks. Also writes its picture and sounds into the run folder."""
    clip, classes = results.source.clips[row], results.classes
    label = None
    if results.source.is_labelled or (results.kind == "classes" and results.label[row] >= 0):
        label = f"{results.label[row]:.4g}" if results.kind == "number" else classes[results.label[row]]
    if results.source.tags is not None:
        label = "; ".join(classes[number] for number in np.flatnonzero(results.source.tags[row])) or "none"
    prediction, target = classes[results.predicted[row]], classes[results.target[row]]
    if results.numbers is not None:
        prediction = f"{results.numbers[row]:.4g}"
    waveform, relevance = results.waveform(row), results.relevance(row)
    title = f"{clip.path}: relevance for {target}"
    drawn, heard = picture(view, waveform, relevance, title), audible(view, waveform, relevance)
    measured = {
        label_of(name): float(values[row])
        for name, values in results.measured.items()
        if measure_of(name).topic is not COST
    }
    dataset = results.source.dataset
    begins = math.nan if is_moved(dataset) else beginning(dataset, row, view.sample_rate)
    name = f"{row:05d}-{file_name(clip.path)}"
    (folder / f"figures/{name}.png").write_bytes(drawn.content)
    for sound in heard:
        (folder / f"audio/{name}-{file_name(sound.name)}.wav").write_bytes(sound.wav)
    return ClipPanel(
        clip.path, clip.speaker, label, prediction, target,
        {} if results.kind == "number" else dict(zip(classes, results.probabilities[row].tolist(), strict=True)),
        float(results.conservation_error[row]), float(results.share_of_biases[row]),
        plate(view, waveform, relevance, target, said(results.source, row, view.sample_rate)), heard,
        waveform.shape[1] / view.sample_rate, begins, [*remarks, *cut(results, view, row)], measured,
    )  # fmt: skip


def said(source: Source, row: int, sample_rate: int) -> list[Segment]:
    """What is said when in a clip, in seconds from its start; empty if that is not known."""
    if source.segments is None or is_moved(source.dataset):
        return []
    begins = beginning(source.dataset, row, sample_rate)
    segments = source.segments(source.clips[row])
    return [replace(each, start=each.start - begins, stop=each.stop - begins) for each in segments]


def cut(results: Results, view: View, row: int) -> list[str]:
    """Says which part of its recording the clip is; empty if it is the whole recording."""
    dataset = results.source.dataset
    clip, rate = dataset.clips[row], view.sample_rate
    if not dataset.cache.cut[clip]:
        return []
    return [f"{dataset.length / rate:g} s of a longer recording, from {dataset.cache.starts[clip] / rate:.2f} s on"]


def notes(results: Results) -> list[Note]:
    """Notes on skipped recordings and on recordings that are longer than a clip."""
    skipped, dataset = results.source.skipped, results.source.dataset
    remarks = []
    if skipped:
        lines = [f"{path}: {reason}" for path, reason in skipped]
        remarks.append(Note(f"{counted(len(skipped), 'recording')} could not be used, and left out.", lines))
    if longer := int(dataset.cache.cut[dataset.clips].sum()):
        is_longer = "is longer" if longer == 1 else "are longer"
        words = f"{counted(longer, 'recording')} {is_longer} than a clip: the part with the most energy was explained."
        remarks.append(Note(words))
    return remarks
