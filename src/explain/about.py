"""What a report says of the network, the clips and the question, in words."""

import json
from typing import Any

import numpy as np

from auscult.explain.relevance.results import Results
from auscult.explain.relevance.target import name_of
from auscult.explain.report.findings import cautions
from auscult.plain_data import counted
from auscult.program.paths import HUB

ANY_SOUND = (
    " It takes any sound for one of its classes: of a sound unlike those of its corpus, its answer means little."
)
FEW = 3  # recordings of one's own, whose predictions the report says first


def lead(config: dict[str, Any], trained: dict[str, Any], results: Results) -> str:
    """What was asked of which network, in a sentence."""
    clips = counted(len(results.label), "clip")
    speakers = counted(len({clip.speaker for clip in results.source.clips}), f"test {results.source.unit}")
    corpus = trained["data"]["name"]
    trained_on = "" if corpus is None else f", trained on the corpus {corpus},"
    any_sound = ANY_SOUND if config["input"] and results.kind == "classes" else ""
    return (
        f"{trained['model']['name']}{trained_on} was asked for the {trained['task']['name']} in {clips} of"
        f" {config['input'] or speakers}{how_right(trained, results)}. Red is what speaks for"
        f" {whose(config, results)}, by {config['attribution']['name']}.{heard(config, trained, results)}{any_sound}"
        f"{''.join(f' {caution}' for caution in cautions(results.metrics, results.kind))}"
    )


def whose(config: dict[str, Any], results: Results) -> str:
    """What red speaks for."""
    if results.kind == "number":
        return "a higher number, and blue for a lower one"
    target = name_of(config["target"], config.get("against"))
    return {"predicted": "its answer", "true": "the true class"}.get(target, target)


def how_right(trained: dict[str, Any], results: Results) -> str:
    """How often the network was right, or how far from it; empty without labels."""
    if results.errors is not None:
        return f"; its mean error is {np.abs(results.errors).mean():.3g}{unit_of(trained)}"
    if results.labelled:
        return f"; it was right in {accuracy(results)} of them"
    return ""


def accuracy(results: Results) -> str:
    """The accuracy in %, and its interval for other speakers, if that is known."""
    found = results.tested_figures
    ends = [f"{100 * found[name]:.1f}" for name in ("test/accuracy_low", "test/accuracy_high") if name in found]
    return f"{100 * found['test/accuracy']:.1f} %" + (f" [{', '.join(ends)}]" if ends else "")


def heard(config: dict[str, Any], trained: dict[str, Any], results: Results) -> str:
    """What the network answers for each of a few recordings of one's own; empty for others."""
    if not config["input"] or len(results.label) > FEW:
        return ""
    clips = [clip.path for clip in results.source.clips]
    if results.numbers is not None:
        pairs = zip(clips, results.numbers, strict=True)
        return "".join(f" For {path} it says {number:.4g}{unit_of(trained)}." for path, number in pairs)
    answers = zip(clips, results.predicted, results.probabilities, strict=True)
    return "".join(
        f" It takes {path} for {results.classes[said]} with {100 * chances[said]:.0f} %."
        for path, said, chances in answers
    )


def unit_of(trained: dict[str, Any]) -> str:
    """The unit of a number, with a space before it; empty if it has none."""
    unit = trained["task"].get("unit")
    return f" {unit}" if unit else ""


def origin(config: dict[str, Any], trained: dict[str, Any]) -> dict[str, object]:
    """Where the network comes from, for the head of the report."""
    if trained["data"]["name"] is None:
        clip = trained["data"]["clip"]
        weights = (
            {} if config["network"].startswith(HUB) else {"weights": config["weights"] or "those that it is built with"}
        )
        taken = f"{clip['seconds']:g} s at {clip['sample_rate']} Hz"
        return {"network": config["network"], **weights, "input of": taken}
    return {
        "checkpoint": config["checkpoint"],
        "network": trained["model"]["name"],
        "task": trained["task"]["name"],
        "trained on": f"{trained['data']['name']}, fold {trained['fold']}",
    }


def facts(config: dict[str, Any], trained: dict[str, Any], results: Results) -> dict[str, object]:
    """Describes what was explained, for the head of the report."""
    about: dict[str, object] = origin(config, trained) | {
        "clips": f"{len(results.label)}"
        + (f" of {config['input']}" if config["input"] else f" of test {results.source.unit}s"),
        "attribution": config["attribution"]["name"],
        "domain": config["domain"]["name"],
        "target": name_of(config["target"], config.get("against")),
    }
    if trained["model"].get("head") == "softmax":
        about["logit"] = "the logarithm of the probability, as the network ends in a softmax; near 0 where it is sure"
    if config.get("intervention"):
        options = {name: value for name, value in config["intervention"].items() if name not in ("name", "_target_")}
        about["intervention"] = f"{config['intervention']['name']} {json.dumps(options)}"
    dataset = results.source.dataset
    if dataset.confound is not None:
        about["planted"] = (
            f"{dataset.confound.kind} in {dataset.planted.sum()} clips; it goes with {dataset.confound.label}"
        )
    if results.errors is not None:
        about["mean error"] = f"{results.metrics['test/mae']:.3g}{unit_of(trained)}"
    if results.labelled:
        about["accuracy"] = accuracy(results)
    if (error := results.metrics.get("conservation_error/median")) is not None:
        about["conservation error"] = (
            f"{error:.2g} in the median (0: relevance and what is kept apart sum to the logit)"
        )
    elif results.question.attribution.loses_relevance:
        about["conservation"] = results.question.attribution.loses_relevance
    if (share := results.metrics.get("apart/median")) is not None:
        about["kept apart"] = f"{of_logit(share)}: relevance of silence"
    if (share := results.metrics.get("biases/median")) is not None:
        about["biases"] = f"{of_logit(share)}: the network's own, kept apart from the input's"
    if (share := results.metrics.get("unshared/median")) is not None:
        about["unshared"] = f"{of_logit(share)}: nothing contributed where it was to be shared out, as in silence"
    return about


def of_logit(share: float) -> str:
    """A share of the logit as a text of two digits, also above 100 %."""
    return f"{float(f'{100 * share:.2g}'):g} % of the logit in the median"
