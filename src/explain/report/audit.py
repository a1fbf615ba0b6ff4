"""Where relevance is lost, kept or blown up on its way through the network: a table with a row per operation."""

from pathlib import Path

import pandas as pd
import torch

from auscult.explain.attribution.lrp import LRP
from auscult.explain.relevance.results import Results
from auscult.explain.report.html import Section
from auscult.modules.model import Model

CLIPS = 16  # of the run, at most
NUMBERS = ["reaches it", "inputs", "constants", "nothing", "missing", "amplification"]
GUIDE = (
    "Relevance goes from the last row to the first. All numbers are shares of the logits, summed over some clips. What"
    " reaches an operation is what its inputs, its constants (such as biases) and nothing get (nothing contributed);"
    " missing is the rest: what epsilon absorbs, or what a softmax of AttnLRP keeps. Amplification is the sum of the"
    " magnitudes of what inputs get: far above 1, parts cancel and relevance is noise. Operations that only move"
    " values, and maxima, are left out."
)


def audit(folder: Path, model: Model, results: Results) -> pd.DataFrame:
    """Follows the relevance of some of the clips through the network of the trained model. Writes `audit.csv`.

    Returns:
        Columns `operation`, `line` of source code, `reaches it`, `inputs`, `constants`, `nothing`, `missing` and
        `amplification`; a row per operation that has a rule, in the order of the forward pass.
    """
    attribution = results.question.attribution
    assert isinstance(attribution, LRP)  # check_audit
    rows = range(min(CLIPS, len(results.label)))
    waveform = torch.from_numpy(results.waveforms(rows)).to(model.device)  # (B, C, T)
    target = torch.from_numpy(results.target[rows.start : rows.stop]).to(model.device)
    with torch.no_grad():
        input = model.front_end(waveform)
        logits = model.logits(input).gather(1, target[:, None])
    unit = float(logits.abs().sum())
    lines = []
    for node in attribution.audit(model.network, input, target):
        if node.sums:
            reaches, inputs, kept, lost, size = (
                node.sums[name] / unit for name in ("output", "inputs", "kept", "unshared", "size")
            )
            line = [node.name, short(node.place), reaches, inputs, kept, lost, reaches - inputs - kept - lost, size]
            lines.append(line)
    table = pd.DataFrame(lines, columns=["operation", "line", *NUMBERS])
    table.to_csv(folder / "audit.csv", index=False, float_format="%.6g")
    return table


def audit_section(table: pd.DataFrame) -> Section:
    """The section of the report with the table of `audit`."""
    return Section("Relevance in each operation", [GUIDE], table=table)


def short(place: str) -> str:
    """A line of source code by the name of its file and the folder above."""
    return "/".join(Path(place).parts[-2:])
