"""Music2Latent against the package's own `encode`."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from music2latent.inference import encode_audio_inference

from tests.embeddings.encoders.tiny import tiny_music2latent
from unisono.embeddings.encoders import audio

RATE = 44_100


@pytest.mark.filterwarnings("ignore:CUDA is not available")
def test_features_equal_the_packages_own(weights_root: Path) -> None:
    content = torch.load(weights_root / "latent" / "music2latent.pt", weights_only=False)["gen_state_dict"]
    encoder = tiny_music2latent()
    encoder.load_state_dict({n.removeprefix("encoder."): t for n, t in content.items() if n.startswith("encoder.")})
    generator = torch.Generator().manual_seed(1)
    windows = torch.randn(2, 2 * RATE, generator=generator) / 8

    class Generator(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

    trainer = SimpleNamespace(gen=Generator())
    expected = torch.cat(
        [
            encode_audio_inference(window.numpy(), trainer, 60 * RATE, 1, device="cpu", extract_features=True).mean(
                dim=2
            )
            for window in windows
        ]
    )
    found = audio.build("latent", weights=weights_root / "latent").embed(windows)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert (found[0] - found[1]).abs().max() > 0.01


def test_the_published_width_is_asked_of_the_package_unless_the_weights_are_narrower(weights_root: Path) -> None:
    from music2latent import models

    audio.build("latent", weights=weights_root / "latent")
    assert models.base_channels == 64
    features = 4 * 64 * 32  # channels of the last level times bands left
    assert audio.spec("latent").dim == features


def test_nothing_is_written_into_the_package(weights_root: Path) -> None:
    import music2latent

    audio.build("latent", weights=weights_root / "latent")
    assert not (Path(music2latent.__file__).parent / "models").exists()
