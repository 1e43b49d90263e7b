"""CLAP against transformers' own feature extractor and model, both towers loaded."""

import json
from pathlib import Path

import pytest
import torch

from tests.making import make_record
from unisono.base.errors import DataError
from unisono.embeddings.encoders import audio
from unisono.embeddings.encoders.weights import UNTRAINED
from unisono.embeddings.file import create_embeddings, open_embeddings
from unisono.tracks.track import SPLITS

RATE = 48_000


def test_embeddings_equal_transformers_own(weights_root: Path) -> None:
    folder = weights_root / "clap"
    from transformers import ClapFeatureExtractor, ClapModel  # only the process that runs this test loads it

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


@pytest.mark.parametrize("tower", ["audio", "text"])
def test_a_clap_that_was_never_trained_is_refused(weights_root: Path, tmp_path: Path, tower: str) -> None:
    for path in (weights_root / "clap").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tensors = torch.load(tmp_path / "pytorch_model.bin", weights_only=True)
    for name, tensor in tensors.items():
        if name.startswith(f"{tower}_projection.linear1") and name.endswith("bias"):
            tensor.zero_()
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    audio.build("clap", weights=tmp_path)  # one of two biases is not zero
    for name, tensor in tensors.items():
        if name.startswith(f"{tower}_projection") and name.endswith("bias"):
            tensor.zero_()
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    with pytest.raises(DataError, match=rf"never trained: the biases of its {tower} projection are all exactly 0"):
        audio.build("clap", weights=tmp_path)


@pytest.mark.parametrize("revision", UNTRAINED)
def test_embeddings_of_the_untrained_clap_are_refused_with_the_reason(tmp_path: Path, revision: str) -> None:
    record = make_record("clap", 4, weights="laion/larger_clap_music", revision=revision)
    with create_embeddings(tmp_path / "embeddings.h5", {}, 0) as writer:
        for split in SPLITS:
            writer.add_split(split, [])
            writer.add_embeddings(split, record, iter([]))
    with open_embeddings(tmp_path) as file:
        assert "clap" in repr(file)
        for read in (lambda: file["clap"], lambda: file.read("train"), lambda: file.embeddings("test", "clap")):
            with pytest.raises(DataError, match=r"larger_clap_music, which is a network that was never trained"):
                read()
