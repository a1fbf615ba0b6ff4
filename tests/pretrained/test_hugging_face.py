"""Classifiers of transformers: their front ends and outputs are those of the library, and LRP goes through them."""

import json

import pytest
import torch
from torch import Tensor

from auscult.explain.attribution.base import attribution_of
from auscult.mistake import Mistake
from auscult.modules.feature_extractors import KaldiMel, UnitVariance, WhisperMel
from auscult.pretrained import hub
from auscult.pretrained.around import model_around
from auscult.pretrained.hugging_face import from_hub
from auscult.program.conf import choice

RATE, SAMPLES = 16000, 8000
LABELS = {number: f"class {number}" for number in range(4)}
SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
TALL = {**SMALL, "conv_dim": (8,) * 13}
WHISPER = {
    "d_model": 32,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 64,
    "decoder_layers": 1,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 64,
    "max_source_positions": 50,
    "num_mel_bins": 40,
    "classifier_proj_size": 16,
}
AST = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_length": 64,
    "num_mel_bins": 64,
}
PLAIN = "Wav2Vec2FeatureExtractor", {}
AS_IT_IS = "Wav2Vec2FeatureExtractor", {"do_normalize": False}
LARGE = {**SMALL, "do_stable_layer_norm": True, "feat_extract_norm": "layer", "use_weighted_layer_sum": True}
# the classifier, its options, its extractor and the options of that; `transformers` takes seconds to import
MODELS = {
    "ast": ("ASTForAudioClassification", AST, "ASTFeatureExtractor", {"max_length": 64, "num_mel_bins": 64}),
    "wav2vec2": ("Wav2Vec2ForSequenceClassification", SMALL, *PLAIN),
    "wavlm": ("WavLMForSequenceClassification", SMALL, *PLAIN),
    "whisper": (
        "WhisperForAudioClassification", WHISPER, "WhisperFeatureExtractor", {"feature_size": 40, "chunk_length": 1},
    ),
    "wav2vec2 large": ("Wav2Vec2ForSequenceClassification", LARGE, *AS_IT_IS),
    "hubert": ("HubertForSequenceClassification", SMALL, *PLAIN),
    "sew": ("SEWForSequenceClassification", TALL, *PLAIN),
    "conformer": (
        "Wav2Vec2ConformerForSequenceClassification", {**SMALL, "position_embeddings_type": "relative"}, *PLAIN,
    ),
    "conformer rotary": (
        "Wav2Vec2ConformerForSequenceClassification", {**SMALL, "position_embeddings_type": "rotary"}, *PLAIN,
    ),
    "unispeech-sat": ("UniSpeechSatForSequenceClassification", SMALL, *PLAIN),
    "data2vec": ("Data2VecAudioForSequenceClassification", SMALL, *PLAIN),
}  # fmt: skip
QUICK = ("ast", "wav2vec2", "wavlm", "whisper")


def saved(folder, name):
    """A model of small size and random weights, in a folder, as its user has it."""
    import transformers as hf

    kind_name, options, extractor_name, of_extractor = MODELS[name]
    kind = getattr(hf, kind_name)
    torch.manual_seed(0)
    numbers = {name: number for number, name in LABELS.items()}
    model = kind(kind.config_class(**options, num_labels=4, id2label=LABELS, label2id=numbers)).eval()
    model.save_pretrained(folder)
    extractor = getattr(hf, extractor_name)(**of_extractor)
    extractor.save_pretrained(folder)
    return model, extractor


def clips() -> Tensor:
    waveform = 0.1 * torch.randn(3, 1, SAMPLES, generator=torch.Generator().manual_seed(0))
    waveform[1] += torch.sin(torch.arange(SAMPLES) * 0.1)
    waveform[2, :, 3000:] = 0
    return waveform


def extracted(extractor, waveform: Tensor) -> Tensor:
    given = extractor([clip.numpy() for clip in waveform[:, 0]], sampling_rate=RATE, return_tensors="pt")
    return given["input_values"] if "input_values" in given else given["input_features"]


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in MODELS]
)
def test_it_gives_what_the_library_gives_and_lrp_goes_through(tmp_path, name):
    model, extractor = saved(tmp_path, name)
    opened = from_hub(f"hf:{tmp_path}")
    expected = extracted(extractor, clips())
    input = opened.front_end(clips())
    flat = input.squeeze(1).transpose(1, 2) if name == "ast" else input.squeeze(1)
    assert (flat - expected).abs().max() < 1e-4
    ours = model_around(
        opened.network,
        front_end=opened.front_end,
        sample_rate=RATE,
        samples=SAMPLES,
        classes=opened.classes,
    )
    logits = ours(clips())
    assert torch.allclose(logits, model(expected).logits, atol=1e-5) and ours.classes == list(LABELS.values())
    target = logits.argmax(1)
    chosen = logits.gather(1, target[:, None])[:, 0].detach()
    epsilon = attribution_of(choice("attribution", "lrp_epsilon"))
    relevance = epsilon(ours.network, input, target)
    total = relevance.flatten(1).sum(1) + epsilon.biases + epsilon.unshared
    assert ((total - chosen).abs() < 0.01 * chosen.abs()).all()
    relevance = attribution_of(choice("attribution", "attnlrp"))(ours.network, input, target)
    assert relevance.shape == input.shape and relevance.isfinite().all() and relevance.any()


@pytest.mark.parametrize("seconds", [0.03, 0.5, 1.7])
@pytest.mark.parametrize("level", [1e-4, 0.3])
@pytest.mark.parametrize(
    ("front_end", "extractor"),
    [
        (KaldiMel(RATE, 128, 100), ("ASTFeatureExtractor", {"max_length": 100})),
        (
            KaldiMel(RATE, 64, 30, None),
            ("ASTFeatureExtractor", {"max_length": 30, "num_mel_bins": 64, "do_normalize": False}),
        ),
        (UnitVariance(), PLAIN),
        (UnitVariance(False), AS_IT_IS),
        (WhisperMel(RATE, 80, 1.0), ("WhisperFeatureExtractor", {"chunk_length": 1})),
    ],
)
def test_front_ends_equal_the_extractors(front_end, extractor, seconds, level):
    waveform = level * torch.randn(2, 1, round(seconds * RATE), generator=torch.Generator().manual_seed(3))
    import transformers

    name, options = extractor
    expected = extracted(getattr(transformers, name)(**options), waveform)
    ours = front_end(waveform).squeeze(1)
    ours = ours.transpose(1, 2) if isinstance(front_end, KaldiMel) else ours
    assert ours.shape == expected.shape and (ours - expected).abs().max() < 1e-4


@pytest.mark.parametrize("front_end", [KaldiMel(RATE, 64, 90), WhisperMel(RATE, 80, 1.0)])
def test_a_tone_lies_on_its_row_and_a_click_in_its_column(front_end):
    for hertz in (500, 1500, 4000):
        tone = torch.sin(2 * torch.pi * hertz * torch.arange(RATE) / RATE).view(1, 1, -1)
        row = int(front_end(tone)[0, 0].mean(-1).argmax())
        assert abs(int((front_end.frequencies - hertz).abs().argmin()) - row) <= 1
    click = torch.zeros(1, 1, RATE)
    click[..., RATE // 2] = 1
    column = front_end(click)[0, 0].mean(0)
    loud = front_end.times[column > (column.max() + column.min()) / 2]
    assert abs(float(loud.mean()) - 0.5) < 0.02


def test_folders_that_are_no_whole_classifier(tmp_path, monkeypatch):
    import transformers as hf

    monkeypatch.setattr(hub, "is_reachable", lambda: False)
    saved(tmp_path / "whole", "wav2vec2")

    def message(name) -> str:
        with pytest.raises(Mistake) as caught:
            from_hub(f"hf:{name}")
        return str(caught.value)

    assert "there is no such folder" in message(tmp_path / "nowhere")
    assert "the hub cannot be reached" in message("somebody/something")
    (tmp_path / "empty").mkdir()
    assert "has no config.json" in message(tmp_path / "empty")
    hf.Wav2Vec2Model(hf.Wav2Vec2Config(**SMALL)).save_pretrained(tmp_path / "bare")
    assert "has no preprocessor_config.json" in message(tmp_path / "bare")
    hf.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path / "bare")
    assert "has no weights for classifier.bias" in message(tmp_path / "bare")
    config = hf.BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=9)
    hf.BertModel(config).save_pretrained(tmp_path / "text")
    hf.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path / "text")
    assert "is no audio classifier" in message(tmp_path / "text")
    (tmp_path / "whole/model.safetensors").write_bytes(b"\x10" * 50)
    assert "cannot be opened" in message(tmp_path / "whole")
    saved(tmp_path / "other", "wav2vec2")
    hf.SeamlessM4TFeatureExtractor().save_pretrained(tmp_path / "other")
    assert "has the feature extractor SeamlessM4TFeatureExtractor" in message(tmp_path / "other")


def test_code_that_a_model_brings_is_not_run(tmp_path):
    saved(tmp_path, "wav2vec2")
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config",
                                                  "AutoModelForAudioClassification": "mine.Model"}}  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Config: pass\nclass Model: pass\n")
    with pytest.raises(Mistake):
        from_hub(f"hf:{tmp_path}")
    assert not (tmp_path / "ran").exists()
