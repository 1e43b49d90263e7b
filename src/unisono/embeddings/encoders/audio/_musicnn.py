"""The network of musicnn as torch modules, filled from its TensorFlow variables."""

from collections.abc import Mapping
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import pad
from transformers.audio_utils import mel_filter_bank

from unisono.embeddings.encoders.audio._taggers import BATCH_NORM_EPSILON

RATE_HZ = 16_000
FFT_SIZE = 512
HOP_SAMPLES = 256
MEL_BANDS = 96
FRAMES = 187
"""Frames in 3 s, as in training."""
AT_A_TIME = 2
"""Windows in the first layer at a time on a CPU: more make blocks of over 32 MB, which glibc returns to the kernel."""

Variables = Mapping[str, NDArray[np.float32]]


class MusicnnMel:
    """Log-mel spectrogram with the defaults of librosa at that time. Always float32."""

    def __init__(self, device: str) -> None:
        filters = mel_filter_bank(
            FFT_SIZE // 2 + 1, MEL_BANDS, 0, RATE_HZ / 2, RATE_HZ, norm="slaney", mel_scale="slaney"
        )
        self.filters = torch.tensor(filters, dtype=torch.float32, device=device)
        self.hann = torch.hann_window(FFT_SIZE, device=device)

    def __call__(self, windows: torch.Tensor) -> torch.Tensor:
        """Return the spectrogram [B, 187, 96] of windows [B, 48000]."""
        with torch.autocast(windows.device.type, enabled=False):
            spectrum = torch.stft(
                windows, FFT_SIZE, HOP_SAMPLES, window=self.hann, center=True, pad_mode="reflect", return_complex=True
            )
            power = spectrum.real.square() + spectrum.imag.square()
            mel = power[:, :, :FRAMES].transpose(1, 2) @ self.filters
            return torch.log10(10_000 * mel + 1)


class Front(nn.Module):
    """The first layer: filters over time and bands, of each of which every frame keeps its strongest band."""

    def __init__(self, variables: Variables) -> None:
        super().__init__()
        kernels = [_kernel(variables, number) for number in range(5)]
        self.filters = nn.ModuleList(
            _filled(nn.Conv2d(1, kernel.shape[0], (kernel.shape[2], kernel.shape[3])), kernel, _bias(variables, number))
            for number, kernel in enumerate(kernels)
        )
        self.lengths = [kernel.shape[2] for kernel in kernels]
        self.norms = nn.ModuleList(_norm(variables, number + 1, nn.BatchNorm1d) for number in range(5))

    def forward(self, spectrogram: torch.Tensor) -> torch.Tensor:
        """Map normalised spectrograms [B, 1, T, 96] to [B, 561, T].

        The strongest band is that after rectifier and norm. Both are monotonous, so it is found before them, where there is
        much less to compute; it is the weakest band where the norm turns a channel over.
        """
        if spectrogram.device.type == "cpu" and len(spectrogram) > AT_A_TIME:
            return torch.cat([self(part) for part in torch.split(spectrogram, AT_A_TIME)])
        found = []
        graded = torch.is_grad_enabled()  # then `max` is the faster one, as it knows where the value was; else `amax`
        for convolution, length, norm in zip(self.filters, self.lengths, self.norms, strict=True):
            sign = torch.where(cast("nn.BatchNorm1d", norm).weight < 0, -1.0, 1.0)[:, None]
            filtered = convolution(pad(spectrogram, (0, 0, (length - 1) // 2, length // 2))).mul_(sign[..., None])
            strongest = filtered.max(dim=3).values if graded else filtered.amax(dim=3)
            found.append(norm((strongest * sign).relu()))
        return torch.cat(found, dim=1)


class Middle(nn.Module):
    """A layer over time."""

    def __init__(self, variables: Variables, number: int) -> None:
        super().__init__()
        kernel = _kernel(variables, number)[:, 0].transpose(1, 2)  # [64, C, 7]
        convolution = nn.Conv1d(kernel.shape[1], kernel.shape[0], kernel.shape[2], padding=3)
        self.convolution = _filled(convolution, kernel, _bias(variables, number))
        self.norm = _norm(variables, number + 1, nn.BatchNorm1d)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map [B, C, T] to [B, 64, T]."""
        found: torch.Tensor = self.norm(self.convolution(features).relu())
        return found


class MusicnnNetwork(nn.Module):
    """From log-mel spectrograms to pooled features and the hidden layer, and from that to tags."""

    def __init__(self, variables: Variables) -> None:
        super().__init__()
        self.norm = _norm(variables, 0, nn.BatchNorm2d)
        self.front = Front(variables)
        self.middle = nn.ModuleList(Middle(variables, number) for number in (5, 6, 7))
        self.pooled_norm = _norm(variables, 9, nn.BatchNorm1d)
        self.dense = _linear(variables, "dense")
        self.hidden_norm = _norm(variables, 10, nn.BatchNorm1d)
        self.tags = _linear(variables, "dense_1")
        self.requires_grad_(False).eval()

    def pool(self, log_mel: torch.Tensor) -> torch.Tensor:
        """Return the features of spectrograms [B, T, 96], pooled over time: [B, 1506], maximum and mean in turn."""
        front = self.front(self.norm(log_mel.unsqueeze(1)))
        first = self.middle[0](front)
        second = self.middle[1](first) + first
        third = self.middle[2](second) + second
        features = torch.cat([front, first, second, third], dim=1)  # [B, 753, T]
        return torch.stack([features.amax(dim=2), features.mean(dim=2)], dim=2).flatten(1)

    def hidden(self, pooled: torch.Tensor) -> torch.Tensor:
        """Return the hidden layer [B, 200] of pooled features [B, 1506], before its batch normalisation."""
        found: torch.Tensor = self.dense(self.pooled_norm(pooled)).relu()
        return found

    def forward(self, log_mel: torch.Tensor) -> torch.Tensor:
        """Return the embedding [B, 1706]: the pooled vector and the hidden layer, both standardised."""
        pooled = self.pool(log_mel)
        parts = (self.pooled_norm, pooled), (self.hidden_norm, self.hidden(pooled))
        return torch.cat([_standardised(norm, features) for norm, features in parts], dim=1)

    def tags_of(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the log-odds [B, 50] of the tags from the hidden layer [B, 200] as an embedding has it, standardised."""
        norm = cast("nn.BatchNorm1d", self.hidden_norm)
        found: torch.Tensor = self.tags(hidden * norm.weight + norm.bias)
        return found


def _standardised(norm: nn.Module, features: torch.Tensor) -> torch.Tensor:
    assert isinstance(norm.running_mean, torch.Tensor) and isinstance(norm.running_var, torch.Tensor)
    return (features - norm.running_mean) / (norm.running_var + BATCH_NORM_EPSILON).sqrt()


def _norm(variables: Variables, number: int, kind: type[nn.BatchNorm1d | nn.BatchNorm2d]) -> nn.Module:
    name = f"batch_normalization_{number}" if number else "batch_normalization"
    parts = ("moving_mean", "moving_variance", "gamma", "beta")
    mean, variance, gamma, beta = (torch.tensor(variables[f"{name}/{part}"]) for part in parts)
    norm = kind(len(mean), eps=BATCH_NORM_EPSILON)
    norm.load_state_dict({"running_mean": mean, "running_var": variance, "weight": gamma, "bias": beta}, strict=False)
    return norm


def _kernel(variables: Variables, number: int) -> torch.Tensor:
    """Return a kernel as torch wants it, [out, in, time, band]; TensorFlow's are [time, band, in, out]."""
    value = torch.tensor(variables[f"conv2d_{number}/kernel" if number else "conv2d/kernel"])
    return value.permute(3, 2, 0, 1).contiguous()


def _bias(variables: Variables, number: int) -> torch.Tensor:
    return torch.tensor(variables[f"conv2d_{number}/bias" if number else "conv2d/bias"])


def _linear(variables: Variables, name: str) -> nn.Module:
    kernel, bias = (torch.tensor(variables[f"{name}/{part}"]) for part in ("kernel", "bias"))
    return _filled(nn.Linear(*kernel.shape), kernel.T, bias)


def _filled(layer: nn.Conv1d | nn.Conv2d | nn.Linear, weight: torch.Tensor, bias: torch.Tensor) -> nn.Module:
    """Set the weights as they lie in memory, on which the last bits of a product depend."""
    layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
    return layer
