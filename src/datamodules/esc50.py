"""ESC-50: 2 000 environmental sounds of 5 s in 50 classes (Piczak, ACM Multimedia 2015), and ESC-10 in it."""

from pathlib import Path

from auscult.datamodules.excerpts import Excerpts


class ESC50(Excerpts):
    """Reads `<root>/meta/esc50.csv` and `<root>/audio/<fold>-<source>-<take>-<target>.wav` (or another ending).

    In the published folds, four sources (src_file 131943, 134049, 209698, 234879; 9 of 2 000 clips: hens and roosters,
    ticks and alarms of clocks) lie in two folds each: see `split`. No source of ESC-10 does.

    Args:
        root: the repository's folder.
        esc10: only the 400 recordings of the ten classes that are easy to tell apart.
        random_split: see `Excerpts`.
    """

    table = "meta/esc50.csv"
    columns = ("filename", "src_file", "fold", "category")
    folds = 5
    home = "a copy of github.com/karolpiczak/ESC-50"

    def __init__(self, root: str | Path, esc10: bool = False, random_split: bool = False) -> None:
        super().__init__(root, random_split)
        self.esc10 = esc10
        self.name = "ESC-10" if esc10 else "ESC-50"

    def folder(self, fold: int) -> str:
        """See `Excerpts.folder`: all folds lie in one folder."""
        return "audio"

    def includes(self, row: dict[str, str]) -> bool:
        """See `Excerpts.includes`: with `esc10`, only the rows of ESC-10."""
        return not self.esc10 or row.get("esc10", "").lower() == "true"

    def identity(self) -> dict[str, object]:
        """See `Corpus.identity`: ESC-50 and ESC-10 have caches of their own."""
        return {**super().identity(), "esc10": self.esc10}
