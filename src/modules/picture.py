"""Constant-Q spectrograms as Audio-LRP draws them, without colours."""

import torch
from nnAudio.features import CQT
from torch import Tensor
from torch.nn.functional import interpolate

from auscult.mistake import Mistake
from auscult.modules.columns import ColumnSpectrogram

LOWEST = 440 * 2 ** (-45 / 12)  # hertz, the note C1
LEAST_POWER = 1e-10  # librosa's lower bound of power, for waveforms in [-1, 1]


class ConstantQPicture(ColumnSpectrogram):
    """The picture that librosa's `cqt`, `amplitude_to_db(ref=np.max)` and `specshow` make of a clip, scaled to 64 x 64.

    It follows the public code of Audio-LRP (github.com/warpcut/Audio-LRP, `feature_extraction.py`). There are 84 rows
    from C1 up, 12 per octave, and a frame every 512 samples. Decibels reach down to 80 below the loudest; the clip's
    lowest and highest are the ends of the colour map. 64 rows and 64 frames are picked at equal distances, as Keras
    picks the nearest neighbours when it loads a picture. It is assumed that the axes fill the picture. The first row is
    the lowest frequency, which pictures show at the bottom. `times` are evenly spaced, to half a frame. Colours are the
    network's first layer, see `Colours`.

    nnAudio computes the transform. On eight clips of ESC-10, its colours (from 0 to 1) differed from those of librosa
    by less than 0.03 on average, and by less than 0.07 in 95 % of the values.

    Args:
        sample_rate, seconds: see `ColumnSpectrogram`.
        size: number of rows, and of columns, that are picked.

    Raises:
        Mistake: clips are too short, or their rate is too low.
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
        """Frequency of each row that is picked, (size,), in hertz."""
        row = ((torch.arange(self.columns) + 0.5) * self.rows / self.columns).floor()
        return LOWEST * 2 ** (row / self.rows_per_octave)

    def power(self, waveform: Tensor) -> Tensor:
        """See `ColumnSpectrogram.power`."""
        return self.transform(waveform).square()

    def scaled(self, power: Tensor) -> Tensor:
        """Decibels of power (B, C, F, frames) at the picked places, where the clip's lowest is 0 and its highest is 1.

        A clip of digital silence is 0 everywhere.
        """
        decibels = 10 * torch.log10(power.clamp(min=LEAST_POWER))
        high = decibels.amax(dim=(1, 2, 3), keepdim=True)
        decibels = torch.maximum(decibels, high + self.floor)
        low = decibels.amin(dim=(1, 2, 3), keepdim=True)
        level = (decibels - low) / (high - low).clamp(min=torch.finfo(power.dtype).tiny)
        return interpolate(level, size=(self.columns, self.columns), mode="nearest-exact")
