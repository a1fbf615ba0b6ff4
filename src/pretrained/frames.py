"""A network of short frames as a network of waveforms."""

from torch import Tensor, nn

from auscult.mistake import Mistake
from auscult.pretrained.logits import picked


class Frames(nn.Module):
    """Cuts waveforms into frames, and gives what a network gives for each.

    Args:
        network: takes frames (B, window), or (B, 1, window) if it is not `flat`.
        window, hop: length of a frame and from one to the next, in samples.
        output: which of several outputs has the logits, see `picked`.
        flat: whether the network takes frames without the dimension of channels.
    """

    def __init__(
        self, network: nn.Module, window: int, hop: int, output: str | int | None = None, flat: bool = True
    ) -> None:
        super().__init__()
        self.network, self.window, self.hop, self.output, self.flat = network, window, hop, output, flat

    def forward(self, waveform: Tensor) -> Tensor:
        """Outputs (B, frames, C) of waveforms (B, 1, T).

        Raises:
            Mistake: the waveforms are shorter than a frame, or the network gives no (B, C).
        """
        if waveform.shape[-1] < self.window:
            raise Mistake(f"frames=[{self.window},{self.hop}]: clips of {waveform.shape[-1]} samples are shorter.")
        frames = waveform.squeeze(1).unfold(-1, self.window, self.hop)  # (B, N, window)
        each = frames.reshape(-1, self.window) if self.flat else frames.reshape(-1, 1, self.window)
        outputs = picked(self.network(each), self.output)
        if outputs.shape[0] != len(each):
            raise Mistake(f"frames=…: the network gives {tuple(outputs.shape)} for {len(each)} frames.")
        return outputs.reshape(*frames.shape[:2], -1)
