"""The parts of MuQ: log-mel spectrogram, convolutions, conformer."""

from typing import Any

import torch
from torch import nn
from transformers import Wav2Vec2ConformerConfig
from transformers.audio_utils import mel_filter_bank
from transformers.models.wav2vec2_conformer.modeling_wav2vec2_conformer import Wav2Vec2ConformerEncoder

FFT_SIZE = 2048
SMALLEST_POWER = 1e-10


class LogMel:
    """Log-mel spectrogram in decibels, standardised with the statistics of the training music. Always float32."""

    def __init__(
        self,
        rate_hz: int,
        hop_samples: int,
        bands: int,
        mean_db: float,
        deviation_db: float,
        device: str | torch.device,
    ) -> None:
        filters = mel_filter_bank(FFT_SIZE // 2 + 1, bands, 0.0, rate_hz / 2, rate_hz, norm=None, mel_scale="htk")
        self.filters = torch.tensor(filters.T, dtype=torch.float32, device=device)
        self.hann = torch.hann_window(FFT_SIZE, device=device)
        self.hop_samples = hop_samples
        self.mean_db = mean_db
        self.deviation_db = deviation_db

    def __call__(self, windows: torch.Tensor) -> torch.Tensor:
        """Return the spectrogram [B, bands, n // hop] of windows [B, n]."""
        with torch.autocast(windows.device.type, enabled=False):
            spectrum = torch.stft(
                windows,
                FFT_SIZE,
                self.hop_samples,
                window=self.hann,
                center=True,
                pad_mode="reflect",
                return_complex=True,
            )[..., :-1]
            power = spectrum.real.square() + spectrum.imag.square()
            decibels = 10 * (self.filters @ power).clamp(min=SMALLEST_POWER).log10()
            return (decibels - self.mean_db) / self.deviation_db


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions, and a third one as the shortcut; halves bands and frames."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.conv3 = nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1)
        self.bn3 = nn.BatchNorm2d(channels_out)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map [B, channels_in, bands, T] to [B, channels_out, bands / 2, T / 2]."""
        main = self.bn2(self.conv2(self.bn1(self.conv1(features)).relu()))
        summed: torch.Tensor = main + self.bn3(self.conv3(features))
        return summed.relu()


class Subsampling(nn.Module):
    """Spectrogram to frames at a quarter of its rate."""

    def __init__(self, channels: int, bands: int, dim: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(ResidualBlock(1, channels), ResidualBlock(channels, channels))
        self.linear = nn.Linear(channels * bands // 4, dim)

    def forward(self, spectrogram: torch.Tensor) -> torch.Tensor:
        """Map [B, bands, T] to [B, T / 4, D]."""
        features: torch.Tensor = self.conv(spectrogram.unsqueeze(1))
        frames: torch.Tensor = self.linear(features.permute(0, 3, 1, 2).flatten(2))
        return frames


class MuqNetwork(nn.Module):
    """Convolutions and conformer, with the names that MuQ's checkpoints have."""

    def __init__(self, channels: int, bands: int, conformer: dict[str, Any]) -> None:
        super().__init__()
        config = Wav2Vec2ConformerConfig(**conformer)
        config._attn_implementation = "sdpa"
        self.conv = Subsampling(channels, bands, config.hidden_size)
        self.conformer = Wav2Vec2ConformerEncoder(config)  # type: ignore[no-untyped-call]
        del self.conformer.pos_conv_embed  # in the class and in the checkpoints, but never used

    def forward(self, spectrogram: torch.Tensor) -> torch.Tensor:
        """Map a spectrogram [B, bands, T] to the last layer's frames [B, T / 4, D], normalised."""
        places: Any = self.conformer.embed_positions
        cached = getattr(places, "cached_rotary_positional_embedding", None)
        if torch.is_grad_enabled() and cached is not None and cached.is_inference():
            places.cached_sequence_length = None  # kept from a run in inference mode, it takes no part in gradients
        frames: torch.Tensor = self.conformer(self.conv(spectrogram)).last_hidden_state
        return frames
