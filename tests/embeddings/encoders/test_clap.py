"""CLAP against transformers' own feature extractor and model, both towers loaded."""

import json
from pathlib import Path

import pytest
import torch
from transformers import ClapFeatureExtractor, ClapModel

from unisono.base.errors import DataError
from unisono.embeddings.encoders import audio

RATE = 48_000


def test_embeddings_equal_transformers_own(weights_root: Path) -> None:
    folder = weights_root / "clap"
    model = ClapModel.from_pretrained(folder).eval()
    extractor = ClapFeatureExtractor.from_pretrained(folder)
    generator = torch.Generator().manual_seed(1)
    windows = torch.randn(2, 10 * RATE, generator=generator) / 8
    windows[1] = windows[1].cumsum(0) / 100
    inputs = extractor(list(windows.double().numpy()), sampling_rate=RATE, return_tensors="pt")
    with torch.inference_mode():
        expected = model.get_audio_features(input_features=inputs.input_features.float()).pooler_output
    encoder = audio.build("clap", weights=folder)
    found = encoder.embed(windows)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(2))
    assert (found[0] - found[1]).abs().max() > 1e-3


@pytest.mark.filterwarnings("ignore:At least one mel filter")
@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("config.json", {"model_type": "bert"}, "'bert'"),
        ("config.json", {"audio_config": {"enable_fusion": True}}, "fusion"),
        ("preprocessor_config.json", {"sampling_rate": 16000}, "16000 Hz"),
        ("config.json", {"projection_dim": 99}, "expected"),
    ],
)
def test_a_clap_of_another_kind_is_refused(
    weights_root: Path, tmp_path: Path, file: str, change: dict[str, object], message: str
) -> None:
    for path in (weights_root / "clap").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    content = json.loads((tmp_path / file).read_text())
    (tmp_path / file).write_text(json.dumps(content | change))
    with pytest.raises(DataError, match=message):
        audio.build("clap", weights=tmp_path)
