"""AudioMNIST_AZ: 3 082 recordings of the Azerbaijani digits by 59 speakers, in AudioMNIST's layout."""

import csv
import logging
from pathlib import Path

from auscult.datamodules.audiomnist import spoken_digits, with_labels
from auscult.datamodules.clips import OTHERS, Clip, Corpus
from auscult.datamodules.labels.table import require_table
from auscult.mistake import Mistake

log = logging.getLogger(__name__)

SEXES = {"M": "male", "F": "female"}


class AudioMNISTAz(Corpus):
    """Reads `<root>/data/<speaker>/<digit>_<speaker>_<number>.wav` (or `.flac`) and `metadata.txt` (CSV).

    The metadata's columns are `SPK ID` (1 for speaker 01), recordings per digit, and `Gender` (M or F).

    Args:
        root: the repository's folder.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).expanduser()

    def clips(self) -> list[Clip]:
        """See `Corpus.clips`. Also raises a Mistake if `metadata.txt` has another format."""
        clips = spoken_digits(self.root)
        if not clips:
            raise Mistake(
                f"no AudioMNIST_AZ recordings under data.root={self.root}: point data.root to a copy of "
                f"github.com/Natavan-A/AudioMNIST_AZ; {OTHERS}."
            )
        return with_labels(clips, {speaker: {"sex": sex} for speaker, sex in self._sexes().items()})

    def _sexes(self) -> dict[str, str]:
        path = self.root / "metadata.txt"
        try:
            require_table(path)
            with open(path, newline="", encoding="utf-8-sig") as file:
                return {row["SPK ID"].strip().zfill(2): SEXES[row["Gender"].strip()] for row in csv.DictReader(file)}
        except OSError:
            log.warning("there is no readable %s: the sex of the speakers is unknown.", path)
            return {}
        except (KeyError, AttributeError, ValueError, csv.Error) as error:
            raise Mistake(
                f"{path} is not the CSV file of AudioMNIST_AZ, with columns 'SPK ID' and 'Gender' (M or F): fetch it "
                "again, or remove it to train tasks that need no metadata."
            ) from error
