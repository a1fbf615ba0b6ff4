"""AudioNet, on waveforms (Becker et al., AudioMNIST, arXiv 1807.03418)."""

from collections import OrderedDict
from itertools import pairwise

from torch import Tensor, nn

from auscult.mistake import Mistake

FILTERS = (100, 64, 128, 128, 128, 128)  # of each block


class AudioNet(nn.Module):
    """Six blocks of convolution, ReLU and max-pooling, then three dense layers.

    Every activation is a module of its own, and modules are registered in the order of the forward pass: attribution
    rules belong to modules, and their first layer is the first one that is registered.

    Args:
        classes: number of logits.
        published: start from the published Gaussian weights (standard deviation 0.1, biases 0), which suit the
            published solver. Without it, start from He's (arXiv 1502.01852) in the convolutions and from PyTorch's in
            the dense layers.
        dense_relu: put ReLUs between the dense layers. The published network has none.
        dropout: probability of dropping an output of the first two dense layers.
        samples: length of the input; 8000 is one second at 8 kHz.
        channels: of the input, as data.clip.channels.
    """

    def __init__(
        self,
        classes: int,
        published: bool = False,
        dense_relu: bool = False,
        dropout: float = 0.5,
        samples: int = 8000,
        channels: int = 1,
    ) -> None:
        super().__init__()
        self.samples = samples
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for number, (before, after) in enumerate(pairwise((channels, *FILTERS)), start=1):
            layers[f"conv{number}"] = nn.Conv1d(before, after, kernel_size=3, padding=1)
            layers[f"relu{number}"] = nn.ReLU()
            # Caffe rounds lengths up. Only the windows of the first pool overlap.
            layers[f"pool{number}"] = nn.MaxPool1d(3, stride=2, ceil_mode=True) if number == 1 else nn.MaxPool1d(2)
        layers["flatten"] = nn.Flatten()
        layers["fc1"] = nn.Linear(128 * (samples // 2**6), 1024)  # each of the six pools halves the length
        if dense_relu:
            layers["relu7"] = nn.ReLU()
        layers["dropout1"] = nn.Dropout(dropout)
        layers["fc2"] = nn.Linear(1024, 512)
        if dense_relu:
            layers["relu8"] = nn.ReLU()
        layers["dropout2"] = nn.Dropout(dropout)
        layers["fc3"] = nn.Linear(512, classes)
        self.layers = nn.Sequential(layers)

        for layer in self.layers:
            if published and isinstance(layer, nn.Conv1d | nn.Linear):
                nn.init.normal_(layer.weight, std=0.1)
                nn.init.zeros_(layer.get_parameter("bias"))
            elif isinstance(layer, nn.Conv1d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.get_parameter("bias"))

    def forward(self, waveform: Tensor) -> Tensor:
        """Logits (B, classes) of normalised waveforms (B, channels, samples).

        Raises:
            Mistake: the waveforms have another length.
        """
        if waveform.shape[-1] != self.samples:
            raise Mistake(
                f"AudioNet was built for clips of {self.samples} samples, not {waveform.shape[-1]}: "
                f"say model.network.samples={waveform.shape[-1]}, or another data.clip.seconds."
            )
        return self.layers(waveform)
