"""wav2vec 2.0, on waveforms (Baevski et al., arXiv 2006.11477), as torchaudio builds it."""

from torch import Tensor, nn
from torchaudio.models import wav2vec2_model

from auscult.modules.front_end import check_one

LAYERS = [(512, 10, 5), *[(512, 3, 2)] * 4, *[(512, 2, 2)] * 2]  # channels, kernel and stride of the original


class Wav2Vec2(nn.Module):
    """A waveform's features by convolutions, a transformer's encoder, the mean over time, and one dense layer.

    Args:
        classes: number of logits.
        width: length of a token; wav2vec2-base has 768, -large 1024.
        depth: layers of the encoder; 12 and 24.
        heads: of attention; 12 and 16.
        channels: of the convolutions; 512.
        mode: `group_norm` (base) or `layer_norm` (large): how features are normalised.
        dropout: of the encoder.
    """

    def __init__(
        self,
        classes: int,
        width: int = 96,
        depth: int = 3,
        heads: int = 3,
        channels: int = 64,
        mode: str = "group_norm",
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.encoder = wav2vec2_model(
            extractor_mode=mode,
            extractor_conv_layer_config=[(channels, kernel, stride) for _, kernel, stride in LAYERS],
            extractor_conv_bias=mode == "layer_norm",
            encoder_embed_dim=width,
            encoder_projection_dropout=dropout,
            encoder_pos_conv_kernel=128,
            encoder_pos_conv_groups=16,
            encoder_num_layers=depth,
            encoder_num_heads=heads,
            encoder_attention_dropout=dropout,
            encoder_ff_interm_features=4 * width,
            encoder_ff_interm_dropout=dropout,
            encoder_dropout=dropout,
            encoder_layer_norm_first=mode == "layer_norm",
            encoder_layer_drop=0.0,
            aux_num_out=None,
        )
        self.dense = nn.Linear(width, classes)

    def forward(self, waveform: Tensor) -> Tensor:
        """Logits (B, classes) of waveforms (B, 1, T).

        Raises:
            Mistake: the waveforms have several channels.
        """
        check_one(waveform, "model=wav2vec2")
        features, _ = self.encoder(waveform[:, 0])  # (B, frames, width)
        return self.dense(features.mean(1))
