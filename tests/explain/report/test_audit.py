"""A table of what becomes of relevance in each operation, in the run folder and in the report."""

import pandas as pd
import pytest

from auscult.explain.options import check_audit
from auscult.mistake import Mistake


@pytest.mark.slow
def test_an_explanation_with_an_audit(explain_here, trained, tmp_path):
    """Of a recurrent network with batch normalisation and attention over time."""
    options = [f"checkpoint={trained('crnn', 'sex')}", "limit=4", "clips=1", "perturbation.fractions=null"]
    assert explain_here(*options, "audit=true", "hydra.run.dir=run") == ""
    table = pd.read_csv(tmp_path / "run/audit.csv").set_index("operation")
    assert {"layers.1.batch_norm", "gru.gru", "dense.linear"} <= set(table.index)
    assert "attention.1.tanh" not in table.index  # the weights of attention are constants, and get nothing
    assert 0 < abs(table.loc["dense.linear", "reaches it"]) <= 1.001  # the logits; some may be negative
    parts = table[["inputs", "constants", "nothing", "missing"]].sum(axis=1)
    assert (parts - table["reaches it"]).abs().max() < 1e-4 and table["missing"].abs().max() < 1e-2
    assert table.loc["gru.gru", "line"].startswith("networks/crnn.py:")
    report = (tmp_path / "run/report.html").read_text()
    assert "Relevance in each operation" in report and "layers.1.batch_norm" in report


@pytest.mark.parametrize(
    ("audit", "attribution", "says"),
    [
        ("yes please", {"name": "lrp_epsilon", "composite": "epsilon"}, "audit=yes please is neither true nor false"),
        (True, {"name": "rise"}, "audit=true follows LRP through the network, and attribution=rise is no LRP; leave"),
    ],
)
def test_what_cannot_be_audited(audit, attribution, says):
    with pytest.raises(Mistake, match=says):
        check_audit({"audit": audit, "attribution": attribution})
    check_audit({"audit": False, "attribution": attribution})
    check_audit({"attribution": attribution})
