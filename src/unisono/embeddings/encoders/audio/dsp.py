"""dsp: descriptors of timbre, harmony and rhythm by signal processing alone; no weights, no training.

A description of 10 s of audio by formulas: a baseline for learned encoders, and an encoder that needs no download. At
22.05 kHz, from one spectrogram (2048 samples every 512):

    log-mel     128 bands, mean and standard deviation over time                       256
    MFCC        20 coefficients: mean, standard deviation, mean absolute change          60
    chroma      12 pitch classes, mean and standard deviation                            24
    shape       spectral centroid, bandwidth and flatness, mean and standard deviation    6
    onsets      strength, mean and standard deviation                                     2
    rhythm      autocorrelation of the onset strength at lags of 23 ms to 3 s           128

Each group is scaled to the order of one.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from unisono.embeddings.encoders.audio import EncoderSpec

if TYPE_CHECKING:
    import torch

RATE_HZ = 22_050
FFT_SIZE = 2048
HOP_SAMPLES = 512
MEL_BANDS = 128
MFCC = 20
CHROMA = 12
LAGS = 128
POWER_FLOOR = 1e-10
"""Power below which a mel band counts as silent: -100 dB."""

SPEC = EncoderSpec(
    name="dsp",
    title="Log-mel, MFCC, chroma and onset statistics",
    rate_hz=RATE_HZ,
    window_s=10.0,
    hop_s=10.0,
    dim=2 * MEL_BANDS + 3 * MFCC + 2 * CHROMA + 6 + 2 + LAGS,
    weights_license="none needed",
    source="formulas",
    revision="1",
)


def build(device: str = "cpu", weights: Path | None = None) -> "Dsp":
    """Build the encoder; there are no weights to load."""
    return Dsp(device)


class Dsp:
    """The descriptors, as batched tensor operations."""

    spec = SPEC

    def __init__(self, device: str) -> None:
        import torch
        from transformers.audio_utils import chroma_filter_bank, mel_filter_bank

        bins = FFT_SIZE // 2 + 1
        mel = mel_filter_bank(bins, MEL_BANDS, 0, RATE_HZ / 2, RATE_HZ, norm="slaney", mel_scale="slaney")
        chroma = chroma_filter_bank(FFT_SIZE, CHROMA, RATE_HZ).T
        self._mel_filters = torch.tensor(mel, dtype=torch.float32, device=device)  # [bins, 128]
        self._chroma_filters = torch.tensor(chroma, dtype=torch.float32, device=device)  # [bins, 12]
        self._cosines = _dct_matrix(MEL_BANDS, MFCC).to(device)  # [128, 20]
        self._hann = torch.hann_window(FFT_SIZE, device=device)
        self._frequencies = torch.linspace(0, 1, bins, device=device)

    def embed(self, windows: "torch.Tensor") -> "torch.Tensor":
        """Embed windows [B, 220500] as [B, 476]."""
        import torch

        with torch.inference_mode():
            spectrum = torch.stft(windows, FFT_SIZE, HOP_SAMPLES, window=self._hann, return_complex=True)
            power = (spectrum.real.square() + spectrum.imag.square()).transpose(1, 2)  # [B, T, bins]
            log_mel = 10 * torch.log10((power @ self._mel_filters).clamp_min(POWER_FLOOR))  # dB
            mfcc = log_mel @ self._cosines
            onsets = self._onset_strength(log_mel)
            return torch.cat(
                [
                    log_mel.mean(1) / 20,
                    log_mel.std(1) / 10,
                    mfcc.mean(1) / 50,
                    mfcc.std(1) / 20,
                    mfcc.diff(dim=1).abs().mean(1) / 10,
                    *_mean_std(self._chroma(power)),
                    *_mean_std(self._shape(power)),
                    *_mean_std(onsets.unsqueeze(2)),
                    _autocorrelation(onsets),
                ],
                dim=1,
            )

    def _chroma(self, power: "torch.Tensor") -> "torch.Tensor":
        """Return the pitch classes [B, T, 12] of each frame, scaled so that the strongest is 1."""
        chroma = power @ self._chroma_filters
        return chroma / chroma.amax(dim=2, keepdim=True).clamp_min(POWER_FLOOR)

    def _shape(self, power: "torch.Tensor") -> "torch.Tensor":
        """Return spectral centroid and bandwidth (as shares of half the rate) and flatness: [B, T, 3]."""
        import torch

        floored = power + POWER_FLOOR
        share = floored / floored.sum(dim=2, keepdim=True)
        centroid = (share * self._frequencies).sum(dim=2)
        spread = (self._frequencies - centroid.unsqueeze(2)).square()
        bandwidth = (share * spread).sum(dim=2).sqrt()
        flatness = floored.log().mean(dim=2).exp() / floored.mean(dim=2)
        return torch.stack([centroid, bandwidth, flatness], dim=2)

    def _onset_strength(self, log_mel: "torch.Tensor") -> "torch.Tensor":
        """Return how much louder the bands become from frame to frame, on average: [B, T - 1], in units of 10 dB."""
        return log_mel.diff(dim=1).relu().mean(dim=2) / 10


def _mean_std(frames: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor"]:
    return frames.mean(dim=1), frames.std(dim=1)


def _autocorrelation(onsets: "torch.Tensor") -> "torch.Tensor":
    """Correlate the onset strength [B, T] with itself at lags of 1 to 128 frames: [B, 128], 1 where it repeats exactly."""
    import torch

    centred = onsets - onsets.mean(dim=1, keepdim=True)
    length = onsets.shape[1]
    spectrum = torch.fft.rfft(centred, n=2 * length)
    correlation = torch.fft.irfft(spectrum.real.square() + spectrum.imag.square(), n=2 * length)
    at_no_lag = correlation[:, :1].clamp_min(POWER_FLOOR)
    normalised: torch.Tensor = correlation[:, 1 : LAGS + 1] / at_no_lag
    return normalised


def _dct_matrix(bands: int, coefficients: int) -> "torch.Tensor":
    """Return the orthonormal discrete cosine transform (type II) as a matrix [bands, coefficients]."""
    import torch

    band = torch.arange(bands, dtype=torch.float64).unsqueeze(1)
    order = torch.arange(coefficients, dtype=torch.float64).unsqueeze(0)
    matrix: torch.Tensor = torch.cos(torch.pi / bands * (band + 0.5) * order) * (2 / bands) ** 0.5
    matrix[:, 0] /= 2**0.5
    return matrix.to(torch.float32)
