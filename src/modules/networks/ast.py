"""A small Audio Spectrogram Transformer (Gong et al., arXiv 2104.01778)."""

import torch
from torch import Tensor, nn

from auscult.mistake import Mistake


class AST(nn.Module):
    """Patches of the spectrogram become tokens, a class token is put before them, and a transformer's encoder follows.

    Args:
        classes: number of logits.
        rows, columns: size of the spectrogram.
        patch: rows and columns of a patch.
        stride: from one patch to the next; less than `patch` lets them overlap, as in the original (16 and 10).
        width: length of a token.
        depth: layers of the encoder.
        heads: of attention, in each layer.
        dropout: of the encoder's layers.
        channels: of the input, as data.clip.channels.

    Raises:
        Mistake: no patch fits the spectrogram, or a token cannot be shared among the heads.
    """

    def __init__(
        self,
        classes: int,
        rows: int = 64,
        columns: int = 64,
        patch: int = 16,
        stride: int = 8,
        width: int = 96,
        depth: int = 4,
        heads: int = 3,
        dropout: float = 0.1,
        channels: int = 1,
    ) -> None:
        super().__init__()
        if patch > min(rows, columns):
            raise Mistake(f"model.network.patch={patch} is above the spectrogram's {rows} x {columns}; lower it.")
        if width % heads:
            raise Mistake(f"model.network.width={width} is no multiple of model.network.heads={heads}; choose one.")
        self.size = rows, columns
        count = ((rows - patch) // stride + 1) * ((columns - patch) // stride + 1)
        self.patches = nn.Conv2d(channels, width, patch, stride)
        self.token, self.place = nn.Parameter(torch.zeros(1, 1, width)), nn.Parameter(torch.zeros(1, count + 1, width))
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, depth, norm=nn.LayerNorm(width), enable_nested_tensor=False)
        self.dense = nn.Linear(width, classes)
        for start in (self.token, self.place):
            nn.init.trunc_normal_(start, std=0.02)

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Logits (B, classes) of spectrograms (B, channels, rows, columns).

        Raises:
            Mistake: the spectrograms have another size.
        """
        if spectrogram.shape[2:] != self.size:
            rows, columns = spectrogram.shape[2:]
            raise Mistake(
                f"AST was built for spectrograms of {self.size[0]} x {self.size[1]}, not {rows} x {columns}; say"
                f" model.network.rows={rows} and model.network.columns={columns}."
            )
        tokens = self.patches(spectrogram).flatten(2).transpose(1, 2)  # (B, count, width)
        tokens = torch.cat([self.token.expand(len(tokens), -1, -1), tokens], 1) + self.place
        return self.dense(self.encoder(tokens)[:, 0])
