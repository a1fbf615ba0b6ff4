"""ResNet-18, on spectrograms (He et al., arXiv 1512.03385)."""

from torch import Tensor, nn
from torchvision.models import resnet


class ResNet(nn.Module):
    """torchvision's ResNet of basic blocks, with as many input channels as there are.

    Args:
        classes: number of logits.
        blocks: of each of the four stages; 2 of each make ResNet-18.
        channels: of the input, as data.clip.channels.
    """

    def __init__(self, classes: int, blocks: tuple[int, int, int, int] = (2, 2, 2, 2), channels: int = 1) -> None:
        super().__init__()
        self.layers = resnet.ResNet(resnet.BasicBlock, list(blocks), num_classes=classes)
        first = self.layers.conv1
        self.layers.conv1 = nn.Conv2d(channels, first.out_channels, 7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(self.layers.conv1.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Logits (B, classes) of spectrograms (B, channels, F, N) of any size."""
        return self.layers(spectrogram)
