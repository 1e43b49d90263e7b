"""The projection heads: they map text and audio embeddings into one space, where cosines are compared.

    caption -> text encoder [T] -> text head ----------------------------> [D] unit vector
    music   -> audio encoder [L, A] -> sum of layers -> scaling -> (head) -> [D] unit vector

With the projection `text` the music has no head: D = A, the text is mapped into the space of the audio embeddings, and an
index of the music stays valid after any training. With `joint` both have a head into a common space.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from unisono.retrieval import fast_cpu
from unisono.retrieval.audio_rows import AudioRows

Projection = Literal["text", "joint"]
Scaling = Literal["zscore", "whiten", "none"]
HeadKind = Literal["linear", "mlp", "residual"]

SMALLEST_STD = 1e-6
"""An input with a smaller standard deviation over the training set is not scaled."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The sizes and kinds of the parts; together with the weights, this rebuilds the heads."""

    text_dim: int
    """T, of the text encoder."""
    audio_dim: int
    """A, of the audio embeddings."""
    layers: int
    """L, of the audio embeddings; if there are several, the weights of their sum are learned."""
    projection: Projection
    dim: int
    """D, of the common space; equals `scaled_dim` with the projection `text`."""
    scaled_dim: int
    """Size of the scaled audio embeddings: A, or less with `whiten`."""
    text_head: HeadKind
    audio_head: HeadKind
    hidden: int
    """Width of the hidden layer of `mlp` and `residual` heads."""
    dropout: float
    whitened: bool = False
    """Whether the scaling rotates; it always does if `scaled_dim` is not `audio_dim`."""
    token_head: bool = False
    """Whether there is a head for the tokens of a text, so that each can be compared with each window of the music."""

    def record(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


class AudioScaling(nn.Module):
    """A fixed linear map that standardises the audio embeddings; it is fitted on the training set and not trained."""

    def __init__(self, layers: int, dim: int, scaled_dim: int, *, whitened: bool = False) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(layers, dim))
        self.register_buffer("scale", torch.ones(layers, dim))
        self.register_buffer(
            "rotation", torch.eye(dim, scaled_dim) if whitened or scaled_dim != dim else torch.empty(0)
        )
        self.mean: Tensor
        self.scale: Tensor
        self.rotation: Tensor

    def forward(self, audio: Tensor) -> Tensor:
        """Scale embeddings [B, L, A]."""
        return torch.addcmul(-self.mean * self.scale, audio, self.scale)  # in one pass over the batch


class ProjectionHeads(nn.Module):
    """Both projection heads, the scaling of the audio embeddings, and the temperature and bias of the loss."""

    def __init__(self, architecture: Architecture, *, temperature: float = 0.1, bias: float = 0.0) -> None:
        super().__init__()
        self.architecture = of = architecture
        self.scaling = AudioScaling(of.layers, of.audio_dim, of.scaled_dim, whitened=of.whitened)
        self.layer_weights = nn.Parameter(torch.zeros(of.layers), requires_grad=of.layers > 1)
        self.text_head = _head(of.text_head, of.text_dim, of.hidden, of.dim, of.dropout)
        self.audio_head: nn.Module = nn.Identity()
        if of.projection == "joint":
            self.audio_head = _head(of.audio_head, of.scaled_dim, of.hidden, of.dim, of.dropout)
        if of.token_head:
            self.token_head = nn.Linear(of.text_dim, of.dim)
        self.log_scale = nn.Parameter(torch.tensor(1 / temperature).log())
        self.bias = nn.Parameter(torch.tensor(float(bias)))

    @property
    def temperature(self) -> float:
        """Divisor of the cosines in the loss."""
        return float((-self.log_scale.detach()).exp())

    def embed_text(self, text: Tensor) -> Tensor:
        """Map text embeddings [B, T] into the common space: [B, D] unit vectors."""
        return fast_cpu.normalize(self.text_head(text).float())

    def embed_tokens(self, tokens: Tensor) -> Tensor:
        """Map the vectors of tokens [..., T] into the common space: [..., D] unit vectors."""
        return fast_cpu.normalize(self.token_head(tokens).float())

    def embed_audio(self, audio: Tensor, noise: float = 0.0) -> Tensor:
        """Map audio embeddings [B, A] or [B, L, A], as stored, into the common space: [B, D] unit vectors.

        `noise` is the standard deviation of the Gaussian noise added to the scaled embeddings in training.
        """
        scaled = self.scaling(audio.unsqueeze(1) if audio.ndim == 2 else audio)
        weights = self.layer_weights.softmax(dim=0)
        summed = scaled[:, 0] if len(weights) == 1 else torch.einsum("l,bla->ba", weights, scaled)
        if self.scaling.rotation.numel():
            summed = summed @ self.scaling.rotation
        if noise:
            summed = summed + noise * torch.randn_like(summed)
        return fast_cpu.normalize(self.audio_head(summed).float())


class Residual(nn.Module):
    """Adds a change to its inputs: at first none, so that it starts as the identity."""

    def __init__(self, dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.change = _head("mlp", dim, hidden, dim, dropout)
        for parameter in self.change[-1].parameters():  # type: ignore[index]
            nn.init.zeros_(parameter)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map embeddings [B, D] to [B, D]."""
        changed: Tensor = inputs + self.change(inputs)
        return changed


def _head(kind: HeadKind, inputs: int, hidden: int, outputs: int, dropout: float) -> nn.Module:
    if kind == "linear":
        return nn.Linear(inputs, outputs)
    if kind == "residual":
        return Residual(inputs, hidden, dropout)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), fast_cpu.Dropout(dropout), nn.Linear(hidden, outputs))


@torch.no_grad()
def fit_scaling(scaling: AudioScaling, audio: Tensor | AudioRows, kind: Scaling, block: int = 4096) -> None:
    """Fit the scaling on the embeddings of the training set [N, L, A], in blocks so that memory stays bounded.

    `zscore` scales each input to mean 0 and standard deviation 1. `whiten` then rotates to the leading principal
    components and scales them by the fourth root of their variance. `none` leaves the embeddings unchanged.
    """
    if kind == "none":
        return
    count = len(audio)
    blocks = [slice(start, start + block) for start in range(0, count, block)]
    mean = torch.stack([audio[part].double().sum(dim=0) for part in blocks]).sum(dim=0) / count
    variance = torch.stack([(audio[part].double() - mean).square().sum(dim=0) for part in blocks]).sum(dim=0) / count
    std = variance.sqrt()
    scaling.mean.copy_(mean)
    scaling.scale.copy_(torch.where(std > SMALLEST_STD, 1 / std, torch.ones_like(std)))
    if kind == "whiten":
        with _one_thread():
            scaled = (scaling(audio[part].float()).mean(dim=1).double() for part in blocks)
            covariance = sum(part.T @ part for part in scaled) / count
            values, vectors = torch.linalg.eigh(covariance)
        kept = scaling.rotation.shape[1]
        values, vectors = values.flip(0)[:kept].clamp(min=1e-12), vectors.flip(1)[:, :kept]
        largest = vectors.abs().argmax(dim=0, keepdim=True)
        signs = vectors.gather(0, largest).sign()  # the sign of an eigenvector is arbitrary
        scaling.rotation.copy_(vectors * signs * (values.pow(-0.25) / values.sqrt().mean().sqrt()))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread: the rounding of a sum depends on the number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
