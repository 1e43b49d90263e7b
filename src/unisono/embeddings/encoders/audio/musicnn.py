"""musicnn: a music tagger trained on the Million Song Dataset (Pons and Serra, 2019, arXiv 1909.06654).

A small convolutional network (0.8 million parameters) over 3 s of log-mel spectrogram at 16 kHz. Its first layer has
filters for timbre (short, tall) and for rhythm (long, one band high). The features of this layer and of three further ones
are pooled by maximum and mean over time; a hidden layer leads from them to 50 tags. The embedding is the pooled vector
(1506) and the hidden layer (200), each standardised with the means and variances that the network's batch normalisation
learned from its training music.

Weights: ISC licence, inside the package `musicnn` on PyPI (29 MB). This package requires TensorFlow and an old numpy; only
its data files are read here, so it is installed without its dependencies.

The network was trained on power spectrograms rounded to float16 and then `log10(10000 m + 1)`; here all of it is
float32, because float16 overflows on loud bass.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from unisono.embeddings.encoders.audio import EncoderSpec
from unisono.embeddings.encoders.audio._taggers import (
    BATCH_NORM_EPSILON,
    HIDDEN_DIM,
    MSD,
    POOLED_DIM,
    find_weights,
    read_variables,
)

if TYPE_CHECKING:
    import torch

__all__ = ["FILES", "SPEC", "Musicnn", "build", "find_weights"]

RATE_HZ = 16_000
FFT_SIZE = 512
HOP_SAMPLES = 256
MEL_BANDS = 96
FRAMES = 187
"""Frames in 3 s, as in training."""
FILES = MSD.files

SPEC = EncoderSpec(
    name="musicnn",
    title="musicnn, a tagger trained on the Million Song Dataset",
    rate_hz=RATE_HZ,
    window_s=3.0,
    hop_s=3.0,
    dim=POOLED_DIM + HIDDEN_DIM,
    weights_license="ISC",
    source="PyPI musicnn 0.1.0, MSD_musicnn",
    revision=MSD.revision,
)


def build(device: str = "cpu", weights: Path | None = None) -> "Musicnn":
    """Build the encoder from the installed package, or from a folder with its two files.

    Raises:
        WeightsAbsentError: the package is not installed, or the folder lacks a file.
        DataError: a file is cut short or altered.
    """
    import torch

    variables = read_variables(MSD, SPEC.name, weights)
    return Musicnn({name: torch.tensor(value) for name, value in variables.items()}, device)


class Musicnn:
    """The network, for inference, from its TensorFlow variables."""

    spec = SPEC

    def __init__(self, variables: "dict[str, torch.Tensor]", device: str) -> None:
        import torch
        from transformers.audio_utils import mel_filter_bank

        # TensorFlow's kernels are [time, band, in, out]; torch wants [out, in, time, band].
        self._variables = {
            name: (value.permute(3, 2, 0, 1) if value.dim() == 4 else value).contiguous().to(device)
            for name, value in variables.items()
        }
        filters = mel_filter_bank(
            FFT_SIZE // 2 + 1, MEL_BANDS, 0, RATE_HZ / 2, RATE_HZ, norm="slaney", mel_scale="slaney"
        )
        self._mel_filters = torch.tensor(filters, dtype=torch.float32, device=device)
        self._hann = torch.hann_window(FFT_SIZE, device=device)

    def embed(self, windows: "torch.Tensor") -> "torch.Tensor":
        """Embed windows [B, 48000] as [B, 1706]: the pooled vector and the hidden layer, both standardised."""
        import torch

        with torch.inference_mode():
            pooled = self.pool(self.log_mel(windows))
            hidden = self.hidden(pooled)
            return torch.cat([self._standardise(pooled, 9), self._standardise(hidden, 10)], dim=1)

    def tags(self, windows: "torch.Tensor") -> "torch.Tensor":
        """Return the probabilities [B, 50] of the tags that the network was trained on."""
        import torch

        return torch.sigmoid(self.log_odds(windows))

    def log_odds(self, windows: "torch.Tensor") -> "torch.Tensor":
        """Return the log-odds [B, 50] of the tags."""
        return self.log_odds_of(self.log_mel(windows))

    def log_odds_of(self, log_mel: "torch.Tensor") -> "torch.Tensor":
        """Return the log-odds [B, 50] of the tags of log-mel spectrograms [B, T, 96]."""
        import torch

        with torch.inference_mode():
            hidden = self._batch_norm(self.hidden(self.pool(log_mel)), 10)
            return self._dense(hidden, "dense_1")

    def log_mel(self, windows: "torch.Tensor") -> "torch.Tensor":
        """Return the log-mel spectrogram [B, 187, 96] of windows [B, 48000], with the defaults of librosa at that time."""
        import torch

        spectrum = torch.stft(
            windows, FFT_SIZE, HOP_SAMPLES, window=self._hann, center=True, pad_mode="reflect", return_complex=True
        )
        power = spectrum.real.square() + spectrum.imag.square()
        mel = power[:, :, :FRAMES].transpose(1, 2) @ self._mel_filters
        return torch.log10(10_000 * mel + 1)

    def pool(self, log_mel: "torch.Tensor") -> "torch.Tensor":
        """Return the features of log-mel spectrograms [B, T, 96], pooled over time: [B, 1506], maximum and mean in turn."""
        import torch

        normalised = self._batch_norm(log_mel.unsqueeze(1), 0)
        front = torch.cat([self._front(normalised, number) for number in range(5)], dim=1)
        first = self._middle(front, 5)
        second = self._middle(first, 6) + first
        third = self._middle(second, 7) + second
        features = torch.cat([front, first, second, third], dim=1)  # [B, 753, T]
        return torch.stack([features.amax(dim=2), features.mean(dim=2)], dim=2).flatten(1)

    def hidden(self, pooled: "torch.Tensor") -> "torch.Tensor":
        """Return the hidden layer [B, 200] of pooled features [B, 1506], before its batch normalisation."""
        return self._dense(self._batch_norm(pooled, 9), "dense").relu()

    def _front(self, spectrogram: "torch.Tensor", number: int) -> "torch.Tensor":
        """Apply a filter over time and bands, and keep each frame's strongest band: [B, 1, T, 96] -> [B, C, T]."""
        from torch.nn.functional import conv2d, pad

        kernel, bias = self._convolution(number)
        length = kernel.shape[2]
        padded = pad(spectrogram, (0, 0, (length - 1) // 2, length // 2))
        return self._batch_norm(conv2d(padded, kernel, bias).relu(), number + 1).amax(dim=3)

    def _middle(self, features: "torch.Tensor", number: int) -> "torch.Tensor":
        """Apply a layer over time: [B, C, T] -> [B, 64, T]."""
        from torch.nn.functional import conv1d

        kernel, bias = self._convolution(number)  # [64, 1, 7, C]
        return self._batch_norm(conv1d(features, kernel[:, 0].transpose(1, 2), bias, padding=3).relu(), number + 1)

    def _dense(self, features: "torch.Tensor", name: str) -> "torch.Tensor":
        from torch.nn.functional import linear

        return linear(features, self._variables[f"{name}/kernel"].T, self._variables[f"{name}/bias"])

    def _convolution(self, number: int) -> tuple["torch.Tensor", "torch.Tensor"]:
        name = f"conv2d_{number}" if number else "conv2d"
        return self._variables[f"{name}/kernel"], self._variables[f"{name}/bias"]

    def _batch_norm(self, features: "torch.Tensor", number: int) -> "torch.Tensor":
        from torch.nn.functional import batch_norm

        mean, variance, gamma, beta = self._statistics(number)
        return batch_norm(features, mean, variance, gamma, beta, eps=BATCH_NORM_EPSILON)

    def _standardise(self, features: "torch.Tensor", number: int) -> "torch.Tensor":
        mean, variance, _, _ = self._statistics(number)
        return (features - mean) / (variance + BATCH_NORM_EPSILON).sqrt()

    def _statistics(self, number: int) -> tuple["torch.Tensor", ...]:
        name = f"batch_normalization_{number}" if number else "batch_normalization"
        return tuple(self._variables[f"{name}/{part}"] for part in ("moving_mean", "moving_variance", "gamma", "beta"))
