"""Constant-Q spectrograms as Audio-LRP draws them, before they are coloured."""

import torch
from nnAudio.features import CQT
from torch import Tensor
from torch.nn.functional import interpolate

from auscult.mistake import Mistake
from auscult.modules.columns import ColumnSpectrogram

LOWEST = 440 * 2 ** (-45 / 12)  # hertz, the note C1
LEAST_POWER = 1e-10  # what counts as no power, of waveforms in [-1, 1]: librosa's


class ConstantQPicture(ColumnSpectrogram):
    """What is drawn of a clip by librosa's `cqt`, `amplitude_to_db(ref=np.max)` and `specshow`, scaled to 64 x 64.

    After the public code of Audio-LRP (github.com/warpcut/Audio-LRP, `feature_extraction.py`): 84 rows from C1 on, 12
    an octave, frames every 512 samples, decibels down to 80 below the loudest, of which the clip's lowest and highest
    are the ends of the colour map; of rows and frames, 64 each are picked at equal distances, as the nearest neighbours
    that Keras takes when it loads a picture. Assumed is that axes fill the picture. The first row is the lowest, which
    pictures have at the bottom. `times` are evenly spaced, to half a frame. Colours are the network's first layer, see
    `Colours`.

    nnAudio computes the transform. On eight clips of ESC-10, the colours of each (from 0 to 1) were off those by
    librosa by less than 0.03 on average, and by less than 0.07 in 95 % of the values.

    Args:
        sample_rate, seconds: see `ColumnSpectrogram`.
        size: rows and columns that are picked.

    Raises:
        Mistake: there is no such spectrogram.
    """

    rows, rows_per_octave, samples_per_frame = 84, 12, 512

    def __init__(self, sample_rate: int, seconds: float, size: int = 64) -> None:
        highest = LOWEST * 2 ** ((self.rows - 1) / self.rows_per_octave)
        if highest >= sample_rate / 2 or round(seconds * sample_rate) < size * self.samples_per_frame:
            raise Mistake(
                f"model/front_end=constant_q_picture needs clips of {size * self.samples_per_frame} samples or more, at"
                f" {2 * highest:.0f} Hz or more; choose data.clip.sample_rate=22050 data.clip.seconds=4."
            )
        super().__init__(sample_rate, seconds, size, self.samples_per_frame / sample_rate, floor=-80.0)
        self.transform = CQT(
            sr=sample_rate,
            hop_length=self.hop,
            fmin=LOWEST,
            n_bins=self.rows,
            bins_per_octave=self.rows_per_octave,
            pad_mode="constant",
            verbose=False,
        )

    @property
    def frequencies(self) -> Tensor:
        """Of each row that is picked, (size,), in hertz."""
        row = ((torch.arange(self.columns) + 0.5) * self.rows / self.columns).floor()
        return LOWEST * 2 ** (row / self.rows_per_octave)

    def power(self, waveform: Tensor) -> Tensor:
        """See `ColumnSpectrogram.power`."""
        return self.transform(waveform).square()

    def scaled(self, power: Tensor) -> Tensor:
        """Decibels of power (B, F, frames), the clip's lowest as 0 and its highest as 1, at the places that are picked.

        A clip of digital silence is 0 everywhere.
        """
        decibels = 10 * torch.log10(power.clamp(min=LEAST_POWER))
        high = decibels.amax(dim=(-2, -1), keepdim=True)
        decibels = torch.maximum(decibels, high + self.floor)
        low = decibels.amin(dim=(-2, -1), keepdim=True)
        level = (decibels - low) / (high - low).clamp(min=torch.finfo(power.dtype).tiny)
        return interpolate(level.unsqueeze(1), size=(self.columns, self.columns), mode="nearest-exact")[:, 0]
