"""UrbanSound8K: 8 732 sounds of the city, up to 4 s, in 10 classes (Salamon et al., ACM Multimedia 2014)."""

from auscult.datamodules.excerpts import Excerpts


class UrbanSound8K(Excerpts):
    """Reads `<root>/metadata/UrbanSound8K.csv` and `<root>/audio/fold<1 to 10>/<name>.wav` (or another ending).

    In the published folds, five sources (fsID 77751, 106905, 132016, 176638, 180937; 152 of 8 732 excerpts), each cut
    for two classes, lie in two folds each: see `split`.
    """

    name = "UrbanSound8K"
    home = "a copy of it (urbansounddataset.weebly.com), with the folders audio and metadata"
    table = "metadata/UrbanSound8K.csv"
    columns = ("slice_file_name", "fsID", "fold", "class")
    folds = 10

    def folder(self, fold: int) -> str:
        """See `Excerpts.folder`."""
        return f"audio/fold{fold}"
