"""MERT against transformers' own loading and forward pass."""

import json
from pathlib import Path

import pytest
import torch

from tests.embeddings.encoders.tiny import DEPTH, DIM
from unisono.base.errors import DataError
from unisono.embeddings.encoders import audio

RATE = 24_000


def two_windows(seconds: float = 2.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(2, round(seconds * RATE), generator=generator)
    return torch.stack([noise[0] / 4, noise[1].cumsum(0) / 500 + 0.1])


@pytest.mark.parametrize("name", ["mert", "mert_95m"])
def test_all_layers_equal_transformers_own(weights_root: Path, name: str) -> None:
    from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

    folder = weights_root / name
    config = HubertConfig(
        **{k: v for k, v in json.loads((folder / "config.json").read_text()).items() if k != "model_type"}
    )
    reference = HubertModel.from_pretrained(folder, config=config).eval()
    windows = two_windows()
    extractor = Wav2Vec2FeatureExtractor(sampling_rate=RATE, do_normalize=True)
    inputs = extractor(list(windows.numpy()), sampling_rate=RATE, return_tensors="pt").input_values
    with torch.inference_mode():
        expected = reference(inputs, output_hidden_states=True)
    found = audio.build(name, weights=folder, layers="all").embed(windows)
    assert found.shape == (2, DEPTH + 1, DIM)
    for layer in range(DEPTH):
        torch.testing.assert_close(found[:, layer], expected.hidden_states[layer].mean(dim=1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[:, DEPTH], expected.last_hidden_state.mean(dim=1), rtol=1e-4, atol=1e-5)
    last = audio.build(name, weights=folder).embed(windows)
    assert torch.equal(last, found[:, DEPTH])


def test_single_layers_equal_those_among_all(weights_root: Path) -> None:
    windows = two_windows()
    every = audio.build("mert", weights=weights_root / "mert", layers="all").embed(windows)
    for layer in (0, 1, DEPTH):
        encoder = audio.build("mert", weights=weights_root / "mert", layers=(layer,))
        assert torch.equal(encoder.embed(windows), every[:, layer])


def test_loudness_and_offset_do_not_matter(weights_root: Path) -> None:
    encoder = audio.build("mert", weights=weights_root / "mert")
    windows = two_windows()
    torch.testing.assert_close(encoder.embed(windows / 3 + 0.2), encoder.embed(windows), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"feature_extractor_cqt": True}, "feature_extractor_cqt"),
        ({"deepnorm": True}, "deepnorm"),
        ({"model_type": "wav2vec2"}, "'wav2vec2'"),
        ({"hidden_size": 64}, "expected"),
        ({"num_hidden_layers": DEPTH + 1}, "lacks"),
    ],
)
def test_a_mert_of_another_kind_is_refused(
    weights_root: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes((weights_root / "mert" / "pytorch_model.bin").read_bytes())
    config = json.loads((weights_root / "mert" / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(DataError, match=message):
        audio.build("mert", weights=tmp_path)


def test_the_network_has_as_many_numbers_as_the_published_file() -> None:
    from transformers import HubertModel

    from unisono.embeddings.encoders.audio import mert_95m
    from unisono.embeddings.encoders.audio.mert import hubert_config

    published = {
        "model_type": "mert_model",
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_attention_heads": 12,
        "num_hidden_layers": 12,
        "conv_bias": False,
        "feat_extract_norm": "group",
        "feat_proj_layer_norm": True,
        "do_stable_layer_norm": False,
    }
    with torch.device("meta"):
        network = HubertModel(hubert_config(published, Path("mert_95m")))
    numbers = sum(tensor.numel() for tensor in network.state_dict().values())
    names_and_frame = mert_95m.WEIGHTS.weights.size - 4 * numbers
    assert 0 < names_and_frame < 100_000
