"""AlexNet without normalisation layers, on spectrograms (Becker et al., AudioMNIST, arXiv 1807.03418)."""

from collections import OrderedDict

from torch import Tensor, nn

PUBLISHED_START = {  # layer: standard deviation of its Gaussian weights, its constant bias
    "conv1": (0.01, 0.0),
    "conv2": (0.01, 0.1),
    "conv3": (0.01, 0.0),
    "conv4": (0.01, 0.1),
    "conv5": (0.01, 0.1),
    "fc1": (0.005, 0.1),
    "fc2": (0.005, 0.1),
    "fc3": (0.01, 0.0),
}


class AlexNet(nn.Module):
    """Five convolutions, three of them in two groups as in 2012, and three dense layers.

    Every activation is a module of its own, and modules are registered in the order of the forward pass: attribution
    rules belong to modules, and their first layer is the first one that is registered.

    Args:
        classes: number of logits.
        published: start from the published Gaussian weights, which suit spectrograms in raw decibels and the published
            solver. Without it, start from He's (arXiv 1502.01852): these keep the size of the signal through eight
            layers without normalisation, so that training rises above chance at once.
        dropout: probability of dropping an output of the first two dense layers.
        channels: of the input, as data.clip.channels.
    """

    def __init__(self, classes: int, published: bool = False, dropout: float = 0.5, channels: int = 1) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(channels, 96, kernel_size=11, stride=4),  # 227 -> 55
                relu1=nn.ReLU(),
                pool1=nn.MaxPool2d(kernel_size=3, stride=2),  # 27
                conv2=nn.Conv2d(96, 256, kernel_size=5, padding=2, groups=2),
                relu2=nn.ReLU(),
                pool2=nn.MaxPool2d(kernel_size=3, stride=2),  # 13
                conv3=nn.Conv2d(256, 384, kernel_size=3, padding=1),
                relu3=nn.ReLU(),
                conv4=nn.Conv2d(384, 384, kernel_size=3, padding=1, groups=2),
                relu4=nn.ReLU(),
                conv5=nn.Conv2d(384, 256, kernel_size=3, padding=1, groups=2),
                relu5=nn.ReLU(),
                pool5=nn.MaxPool2d(kernel_size=3, stride=2),  # 6
                flatten=nn.Flatten(),
                fc1=nn.Linear(256 * 6 * 6, 1024),
                relu6=nn.ReLU(),
                dropout1=nn.Dropout(dropout),
                fc2=nn.Linear(1024, 1024),
                relu7=nn.ReLU(),
                dropout2=nn.Dropout(dropout),
                fc3=nn.Linear(1024, classes),
            )
        )
        for name, (std, bias) in PUBLISHED_START.items():
            layer = self.layers.get_submodule(name)
            weight = layer.get_parameter("weight")
            if published or name == "fc3":  # small logits at first
                nn.init.normal_(weight, std=std)
            else:
                nn.init.kaiming_normal_(weight, nonlinearity="relu")
            nn.init.constant_(layer.get_parameter("bias"), bias if published else 0.0)

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Logits (B, classes) of decibel spectrograms (B, channels, 227, 227)."""
        return self.layers(spectrogram)
