"""MuQ against its formulas, written out here in float64 from the checkpoint's tensors."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from tests.embeddings.encoders.tiny import DEPTH, DIM
from unisono.base.errors import DataError, UsageError
from unisono.embeddings.encoders import audio
from unisono.embeddings.encoders.audio._muq import LogMel

RATE = 24_000
HEADS = 4


def mel_decibels(windows: np.ndarray) -> np.ndarray:
    """Spectrogram in decibels [B, 128, n // 240]: 2048-point Hann frames, triangles on the HTK mel scale, not normalised."""
    padded = np.pad(windows, ((0, 0), (1024, 1024)), mode="reflect")
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(2048) / 2048)
    starts = range(0, windows.shape[1] // 240 * 240, 240)
    frames = np.stack([padded[:, start : start + 2048] * hann for start in starts], axis=1)
    power = np.abs(np.fft.rfft(frames, axis=2)) ** 2
    top = 2595 * np.log10(1 + 12_000 / 700)
    corners = 700 * (10 ** (np.linspace(0, top, 130) / 2595) - 1)
    hertz = np.linspace(0, 12_000, 1025)
    rising = (hertz[:, None] - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - hertz[:, None]) / (corners[2:] - corners[1:-1])
    triangles = np.maximum(0, np.minimum(rising, falling))
    return 10 * np.log10(np.maximum(power @ triangles, 1e-10)).transpose(0, 2, 1)


def reference_states(folder_tensors: dict[str, torch.Tensor], windows: torch.Tensor) -> list[torch.Tensor]:
    """All hidden states [B, T, D], in float64."""
    t = {name: tensor.double() for name, tensor in folder_tensors.items()}
    x = (torch.tensor(mel_decibels(windows.double().numpy())) - 6.768444971712967) / 18.4179

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return F.layer_norm(x, (DIM,), t[f"{name}.weight"], t[f"{name}.bias"], 1e-5)

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]

    def batch_norm(x: torch.Tensor, name: str) -> torch.Tensor:
        shape = (1, -1) + (1,) * (x.dim() - 2)
        mean, variance, weight, bias = (
            t[f"{name}.{part}"].view(shape) for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (variance + 1e-5).sqrt() * weight + bias

    def conv(x: torch.Tensor, name: str, stride: int) -> torch.Tensor:
        return F.conv2d(x, t[f"{name}.weight"], t[f"{name}.bias"], stride=stride, padding=1)

    x = x[:, None]
    for block in ("conv.conv.0", "conv.conv.1"):
        main = batch_norm(conv(x, f"{block}.conv1", 2), f"{block}.bn1").relu()
        main = batch_norm(conv(main, f"{block}.conv2", 1), f"{block}.bn2")
        x = (main + batch_norm(conv(x, f"{block}.conv3", 2), f"{block}.bn3")).relu()
    x = linear(torch.einsum("bcft->btcf", x).flatten(2), "conv.linear")

    size = DIM // HEADS
    angles = torch.arange(x.shape[1]).double()[:, None] * 10_000 ** (-torch.arange(0, size, 2).double() / size)
    angles = torch.cat([angles, angles], dim=1)[:, None]  # [T, 1, size]

    def attend(x: torch.Tensor, name: str) -> torch.Tensor:
        heads = x.unflatten(2, (HEADS, size))
        turned = torch.cat([-heads[..., size // 2 :], heads[..., : size // 2]], dim=3)
        rotated = (heads * angles.cos() + turned * angles.sin()).flatten(2)
        q, k, v = (
            linear(source, f"{name}.linear_{part}").unflatten(2, (HEADS, size))
            for part, source in (("q", rotated), ("k", rotated), ("v", x))
        )
        weights = (torch.einsum("bihd,bjhd->bhij", q, k) / size**0.5).softmax(dim=3)
        return linear(torch.einsum("bhij,bjhd->bihd", weights, v).flatten(2), f"{name}.linear_out")

    def feed_forward(x: torch.Tensor, name: str) -> torch.Tensor:
        inner = linear(x, f"{name}.intermediate_dense")
        return linear(inner * inner.sigmoid(), f"{name}.output_dense")

    def convolve(x: torch.Tensor, name: str) -> torch.Tensor:
        y = norm(x, f"{name}.layer_norm").transpose(1, 2)
        first, gate = F.conv1d(y, t[f"{name}.pointwise_conv1.weight"]).chunk(2, dim=1)
        y = F.conv1d(first * gate.sigmoid(), t[f"{name}.depthwise_conv.weight"], padding=15, groups=DIM)
        y = batch_norm(y, f"{name}.batch_norm")
        return F.conv1d(y * y.sigmoid(), t[f"{name}.pointwise_conv2.weight"]).transpose(1, 2)

    states = [x]
    for number in range(DEPTH):
        layer = f"conformer.layers.{number}"
        x = x + feed_forward(norm(x, f"{layer}.ffn1_layer_norm"), f"{layer}.ffn1") / 2
        x = x + attend(norm(x, f"{layer}.self_attn_layer_norm"), f"{layer}.self_attn")
        x = x + convolve(x, f"{layer}.conv_module")
        x = x + feed_forward(norm(x, f"{layer}.ffn2_layer_norm"), f"{layer}.ffn2") / 2
        x = norm(x, f"{layer}.final_layer_norm")
        states.append(x)
    states[-1] = norm(x, "conformer.layer_norm")
    return states


def two_windows(seconds: float = 1.5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    time = torch.arange(round(seconds * RATE)) / RATE
    return torch.stack([torch.randn(len(time), generator=generator) / 4, torch.sin(2 * torch.pi * 440 * time) / 2])


def test_the_spectrogram_equals_its_formula() -> None:
    windows = two_windows()
    found = LogMel(RATE, 240, 128, 0.0, 1.0, "cpu")(windows)
    expected = torch.tensor(mel_decibels(windows.double().numpy()))
    assert found.shape == (2, 128, 150)
    # Where a pure tone leaves a band almost empty, single precision has only its own rounding to show.
    audible = expected > -50
    torch.testing.assert_close(found[audible].double(), expected[audible], rtol=0, atol=0.05)
    assert audible.float().mean() > 0.6


def test_all_layers_equal_the_formulas(weights_root: Path) -> None:
    tensors = {n.removeprefix("model."): t for n, t in load_file(weights_root / "muq" / "model.safetensors").items()}
    windows = two_windows()
    expected = torch.stack([state.mean(dim=1) for state in reference_states(tensors, windows)], dim=1)
    found = audio.build("muq", weights=weights_root / "muq", layers="all").embed(windows)
    assert found.shape == (2, DEPTH + 1, DIM)
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-3)
    last = audio.build("muq", weights=weights_root / "muq").embed(windows)
    torch.testing.assert_close(last, found[:, -1], rtol=0, atol=0)


def test_single_layers_equal_those_among_all(weights_root: Path) -> None:
    windows = two_windows()
    every = audio.build("muq", weights=weights_root / "muq", layers="all").embed(windows)
    for layer in (0, 1, DEPTH):
        encoder = audio.build("muq", weights=weights_root / "muq", layers=(layer,))
        assert encoder.spec.layers == 1
        assert torch.equal(encoder.embed(windows), every[:, layer])
    pair = audio.build("muq", weights=weights_root / "muq", layers=(2, 1))
    assert torch.equal(pair.embed(windows), every[:, [2, 1]])


def test_rows_are_the_same_bit_for_bit_in_any_batch(weights_root: Path) -> None:
    encoder = audio.build("muq", weights=weights_root / "muq")
    windows = two_windows()
    together = encoder.embed(torch.cat([windows, windows, windows[:1]]))
    assert torch.equal(together[:2], torch.cat([encoder.embed(windows[:1]), encoder.embed(windows[1:])]))
    assert torch.equal(together[4], together[0])


@pytest.mark.parametrize("layers", [(DEPTH + 1,), (-1,), ()])
def test_a_layer_that_is_not_there_is_refused(weights_root: Path, layers: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="0 to 3"):
        audio.build("muq", weights=weights_root / "muq", layers=layers)


def test_mulan_equals_its_formula(weights_root: Path) -> None:
    tensors = torch.load(weights_root / "muq_mulan" / "pytorch_model.bin", weights_only=True)
    windows = two_windows()
    muq = {name.removeprefix("mulan.audio.model.model."): tensor for name, tensor in tensors.items()}
    frames = reference_states(muq, windows)[-1]
    t = {name: tensor.double() for name, tensor in tensors.items()}
    projected = (frames @ t["mulan.audio.proj.weight"].T + t["mulan.audio.proj.bias"]).mean(dim=1)
    shared = projected @ t["mulan.audio_to_latents.weight"].T + t["mulan.audio_to_latents.bias"]
    expected = shared / shared.norm(dim=1, keepdim=True)
    found = audio.build("muq_mulan", weights=weights_root / "muq_mulan").embed(windows)
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label_rate": 50}, "25 frames a second"),
        ({"encoder_dim": 64}, "expected"),
        ({"stat": {}}, "melspec_2048_mean"),
    ],
)
def test_a_muq_of_another_kind_is_refused(
    weights_root: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    (tmp_path / "model.safetensors").write_bytes((weights_root / "muq" / "model.safetensors").read_bytes())
    config = json.loads((weights_root / "muq" / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(DataError, match=message):
        audio.build("muq", weights=tmp_path)


def test_a_mulan_with_layers_of_its_own_is_refused(weights_root: Path, tmp_path: Path) -> None:
    for path in (weights_root / "muq_mulan").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config["audio_transformer"]["tf_depth"] = 8
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(DataError, match="without layers of its own"):
        audio.build("muq_mulan", weights=tmp_path)
