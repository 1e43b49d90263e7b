"""musicnn in torch equals the network written out in numpy, and its mel spectrogram equals the textbook's formulas."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view

from unisono.base.errors import DataError
from unisono.embeddings.encoders.audio import WeightsAbsentError, _tf_bundle, build, musicnn

_found = musicnn.find_weights()
if _found is None:
    pytest.skip("the package musicnn is not installed", allow_module_level=True)
FOLDER = _found

Array = np.ndarray


@pytest.fixture(scope="module")
def encoder() -> musicnn.Musicnn:
    return musicnn.build()


@pytest.fixture(scope="module")
def variables() -> dict[str, Array]:
    contents = [(FOLDER / name).read_bytes() for name in musicnn.FILES]
    return {name: value.astype(np.float64) for name, value in _tf_bundle.read_bundle(*contents).items()}


@pytest.fixture(scope="module")
def windows() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    time_s = torch.arange(48_000) / 16_000
    tones = torch.stack([torch.sin(2 * torch.pi * hertz * time_s) for hertz in (110, 440, 1234.5)])
    return 0.3 * tones + 0.05 * torch.randn(3, 48_000, generator=generator)


def test_the_checkpoint_holds_the_published_number_of_parameters(variables: dict[str, Array]) -> None:
    model = [value for name, value in variables.items() if "Adam" not in name and "power" not in name]
    assert len(model) == 64
    assert sum(value.size for value in model) == 792_079


def numpy_batch_norm(x: Array, variables: dict[str, Array], number: int) -> Array:
    """Over the last axis, as TensorFlow does at inference."""
    name = "batch_normalization" + (f"_{number}" if number else "")
    mean, variance = variables[f"{name}/moving_mean"], variables[f"{name}/moving_variance"]
    return (x - mean) / np.sqrt(variance + 0.001) * variables[f"{name}/gamma"] + variables[f"{name}/beta"]


def numpy_convolution(x: Array, variables: dict[str, Array], number: int) -> Array:
    """A "valid" convolution of [time, band] with kernels [time, band, 1, out], and ReLU: [time, band, out]."""
    name = "conv2d" + (f"_{number}" if number else "")
    kernel = variables[f"{name}/kernel"][:, :, 0]
    patches = sliding_window_view(x, kernel.shape[:2])
    return np.maximum(np.tensordot(patches, kernel, axes=([2, 3], [0, 1])) + variables[f"{name}/bias"], 0)


def numpy_network(log_mel: Array, variables: dict[str, Array]) -> tuple[Array, Array, Array]:
    """The network on one log-mel spectrogram [187, 96]: pooled [1506], hidden [200] before its norm, tags [50]."""
    x = numpy_batch_norm(log_mel[:, :, None], variables, 0)[:, :, 0]
    front = []
    for number, length in enumerate((7, 7, 128, 64, 32)):
        before = (length - 1) // 2
        padded = np.pad(x, ((before, length - 1 - before), (0, 0)))
        filtered = numpy_batch_norm(numpy_convolution(padded, variables, number), variables, number + 1)
        front.append(filtered.max(axis=1))
    features = [np.concatenate(front, axis=1)]  # [187, 561]
    for number in (5, 6, 7):
        padded = np.pad(features[-1], ((3, 3), (0, 0)))
        layer = numpy_batch_norm(numpy_convolution(padded, variables, number), variables, number + 1)[:, 0]
        features.append(layer if number == 5 else layer + features[-1])
    every_frame = np.concatenate(features, axis=1)
    pooled = np.stack([every_frame.max(axis=0), every_frame.mean(axis=0)], axis=1).reshape(-1)
    dense = numpy_batch_norm(pooled, variables, 9) @ variables["dense/kernel"] + variables["dense/bias"]
    hidden = np.maximum(dense, 0)
    logits = numpy_batch_norm(hidden, variables, 10) @ variables["dense_1/kernel"] + variables["dense_1/bias"]
    return pooled, hidden, 1 / (1 + np.exp(-logits))


def test_the_network_equals_its_definition_in_numpy(
    encoder: musicnn.Musicnn, variables: dict[str, Array], windows: torch.Tensor
) -> None:
    log_mel = encoder.log_mel(windows)
    pooled = encoder.network.pool(log_mel)
    hidden = encoder.network.hidden(pooled)
    embeddings = encoder.embed(windows)
    tags = torch.sigmoid(encoder.log_odds(embeddings))
    for row in range(len(windows)):
        expected = numpy_network(log_mel[row].double().numpy(), variables)
        for found, wanted in zip((pooled[row], hidden[row], tags[row]), expected, strict=True):
            np.testing.assert_allclose(found.numpy(), wanted, atol=2e-5, rtol=1e-4)
        parts = []
        for number, values in ((9, expected[0]), (10, expected[1])):
            name = f"batch_normalization_{number}"
            spread = np.sqrt(variables[f"{name}/moving_variance"] + 0.001)
            parts.append((values - variables[f"{name}/moving_mean"]) / spread)
        np.testing.assert_allclose(embeddings[row].numpy(), np.concatenate(parts), atol=2e-4, rtol=1e-3)


def slaney_mel_filters() -> Array:
    """Slaney's mel scale (linear below 1 kHz, logarithmic above), triangles of unit area: [257, 96]."""

    def to_hertz(mel: Array) -> Array:
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))

    highest = 15 + np.log(8000 / 1000) / np.log(6.4) * 27
    corners = to_hertz(np.linspace(0, highest, 98))
    bins = np.arange(257) * 16_000 / 512
    filters = np.zeros((257, 96))
    for band in range(96):
        low, centre, high = corners[band : band + 3]
        rise, fall = (bins - low) / (centre - low), (high - bins) / (high - centre)
        filters[:, band] = np.maximum(0, np.minimum(rise, fall)) * 2 / (high - low)
    return filters


def test_the_log_mel_spectrogram_equals_its_formula(encoder: musicnn.Musicnn, windows: torch.Tensor) -> None:
    samples = windows[1].double().numpy()
    padded = np.pad(samples, 256, mode="reflect")
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(512) / 512)
    frames = np.stack([padded[256 * frame : 256 * frame + 512] * hann for frame in range(187)])
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    expected = np.log10(10_000 * power @ slaney_mel_filters() + 1)
    np.testing.assert_allclose(encoder.log_mel(windows)[1].numpy(), expected, atol=1e-4)


def test_an_altered_file_is_refused(tmp_path: Path) -> None:
    for name in musicnn.FILES:
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes()[:-1])
    with pytest.raises(DataError, match="is not the file of musicnn: sha256"):
        build("musicnn", weights=tmp_path)


def test_absent_weights_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(WeightsAbsentError) as caught:
        build("musicnn", weights=tmp_path)
    assert "pip install --no-deps musicnn==0.1.0" in caught.value.hint


def test_a_damaged_index_is_refused() -> None:
    index, data = ((FOLDER / name).read_bytes() for name in musicnn.FILES)
    with pytest.raises(DataError, match="Not the index"):
        _tf_bundle.read_bundle(index[:-1], data)
    with pytest.raises(DataError, match="Cannot read the variable"):
        _tf_bundle.read_bundle(index, data[:1000])
