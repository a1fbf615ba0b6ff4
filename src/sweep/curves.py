"""The perturbation curves of a multirun's jobs in one figure: which attribution finds what the network uses?"""

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from auscult.sweep.summary import read_jobs, varied


class CurvesOfSweep(Callback):
    """Ends a multirun with `curves.csv` and `curves.png`: each job's relevance, and the first job's controls."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Draws the curves of all jobs into one figure."""
        compare(Path(config.hydra.sweep.dir).absolute())


def compare(folder: Path) -> None:
    """Writes the curves of a multirun, if two or more of its jobs have any."""
    import pandas as pd  # only now: every `python explain.py` reads this file, also for --help

    from auscult.explain.measures.perturbation import write_curves
    from auscult.explain.show import plots

    rows = [row for row in read_jobs(folder) if (folder / row["folder"] / "curves.csv").exists()]
    if len(rows) < 2:
        return
    names, tables = varied(rows), []
    for number, row in enumerate(rows):
        table = pd.read_csv(folder / row["folder"] / "curves.csv")
        own = ", ".join(str(row["overrides"].get(name, "")) for name in names) or f"job {row['job']}"
        tables.append(table[table["order"] == "relevance"].assign(order=own))
        if number == 0:
            controls = table[table["order"].isin(["amplitude", "random"])]
    table = pd.concat([*tables, controls.assign(order=controls["order"] + " (control)")], ignore_index=True)
    write_curves(folder / "curves.csv", table)
    (folder / "curves.png").write_bytes(plots.png(plots.plot_curves(table, "features"), dpi=200))
