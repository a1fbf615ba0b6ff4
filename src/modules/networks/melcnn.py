"""The small convolutional network of the Audio-LRP project, on spectrograms."""

from collections import OrderedDict

from torch import Tensor, nn

from auscult.mistake import Mistake
from auscult.modules.colours import Colours


class MelCNN(nn.Module):
    """Six convolutions in pairs, a pool after each pair, and two dense layers.

    With 3 channels and 10 classes, it has the 1 958 730 parameters of the original, whose pools have TensorFlow's
    padding "same". For an even length, the last window then reaches beyond the end; the length of 9 before the last
    pool is padded on both sides.

    Every activation is a module of its own, and modules are registered in the order of the forward pass: attribution
    rules belong to modules, and their first layer is the first one that is registered.

    Args:
        classes: number of logits.
        channels: input channels of the first convolution. The original has 3, as its spectrograms are pictures in
            colour; others need 1.
        colours: a colour map that first turns spectrograms (B, 1, 64, 64) into pictures; None: the input is used as it
            is.
        published: start from Keras's weights (Glorot's uniform ones), as in the original; False: He's.

    Raises:
        Mistake: the colour map does not exist, or is named without 3 channels.
    """

    size = 64  # rows and columns of the input

    def __init__(self, classes: int, channels: int = 1, colours: str | None = None, published: bool = False) -> None:
        super().__init__()
        if colours is not None and channels != 3:
            raise Mistake(
                f"model.network.colours={colours} makes 3 channels, not {channels}; say model.network.channels=3, too."
            )
        self.channels = 1 if colours is not None else channels  # of the input
        self.layers = nn.Sequential(
            OrderedDict(
                **({} if colours is None else {"colours": Colours(colours)}),
                conv1=nn.Conv2d(channels, 32, kernel_size=3),  # 64 -> 62
                relu1=nn.ReLU(),
                conv2=nn.Conv2d(32, 64, kernel_size=3),  # 60
                relu2=nn.ReLU(),
                pool1=nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True),  # 30
                dropout1=nn.Dropout(0.25),
                conv3=nn.Conv2d(64, 64, kernel_size=3),  # 28
                relu3=nn.ReLU(),
                conv4=nn.Conv2d(64, 64, kernel_size=3),  # 26
                relu4=nn.ReLU(),
                pool2=nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True),  # 13
                dropout2=nn.Dropout(0.5),
                conv5=nn.Conv2d(64, 128, kernel_size=3),  # 11
                relu5=nn.ReLU(),
                conv6=nn.Conv2d(128, 128, kernel_size=3),  # 9
                relu6=nn.ReLU(),
                pool3=nn.MaxPool2d(kernel_size=3, stride=2, padding=1),  # 5
                dropout3=nn.Dropout(0.5),
                flatten=nn.Flatten(),
                fc1=nn.Linear(128 * 5 * 5, 512),
                relu7=nn.ReLU(),
                dropout4=nn.Dropout(0.5),
                fc2=nn.Linear(512, classes),
            )
        )
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                if published:
                    nn.init.xavier_uniform_(layer.weight)
                else:
                    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.get_parameter("bias"))
        if not published:
            nn.init.normal_(self.layers.get_submodule("fc2").get_parameter("weight"), std=0.01)  # small logits at first

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Logits (B, classes) of spectrograms (B, channels, 64, 64).

        Raises:
            Mistake: the spectrograms have another shape.
        """
        shape = (self.channels, self.size, self.size)
        if spectrogram.shape[1:] != shape:
            channels, *size = spectrogram.shape[1:]
            way_out = f"choose model.network.channels={channels}, or another model/front_end"
            if size != [self.size, self.size]:
                way_out = f"leave bands, rows, size and columns of model.front_end at {self.size}"
            raise Mistake(
                f"MelCNN takes spectrograms of the shape {shape}, and model.front_end gives {(channels, *size)};"
                f" {way_out}."
            )
        return self.layers(spectrogram)
