"""The model: two heads that bring the text's and the music's embeddings into one space, where cosines are compared.

    caption -> text encoder [T] -> text head ----------------------------> [D] unit vector
    music   -> audio encoder [L, A] -> sum of layers -> scaling -> (head) -> [D] unit vector

With the projection `text` the music has no head: D = A, the text is brought to where the music is, and an index of the
music stays valid whatever is trained. With `joint` both have a head into a space of their own.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

Projection = Literal["text", "joint"]
Scaling = Literal["zscore", "whiten", "none"]
HeadKind = Literal["linear", "mlp"]

SMALLEST_STD = 1e-6
"""An input that hardly varies over the training set is left unscaled rather than blown up."""
SHORTEST = 1e-12
"""A vector of less than this length is not made longer than itself over this."""
DRAWS = 4
"""Numbers of 16 bits that one draw of 64 bits holds."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The sizes and kinds of the parts: with the weights, all that it takes to rebuild a model."""

    text_dim: int
    """T, of the text encoder."""
    audio_dim: int
    """A, of the audio embeddings."""
    layers: int
    """L, of the audio embeddings; their sum is learned where there are several."""
    projection: Projection
    dim: int
    """D, of the common space; equals `scaled_dim` with the projection `text`."""
    scaled_dim: int
    """What the scaling makes of A: less with `whiten`."""
    text_head: HeadKind
    audio_head: HeadKind
    hidden: int
    """Width of the hidden layer of `mlp` heads."""
    dropout: float
    whitened: bool = False
    """The scaling rotates; it always does where `scaled_dim` is not `audio_dim`."""

    def record(self) -> dict[str, Any]:
        """Give it as plain values."""
        return asdict(self)


class AudioScaling(nn.Module):
    """A fixed linear map that gives the inputs like weight, fitted on the training set and never trained."""

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


class RetrievalModel(nn.Module):
    """Both heads, the scaling of the music, and the temperature."""

    def __init__(self, architecture: Architecture, *, temperature: float = 0.1, bias: float = 0.0) -> None:
        super().__init__()
        self.architecture = of = architecture
        self.scaling = AudioScaling(of.layers, of.audio_dim, of.scaled_dim, whitened=of.whitened)
        self.layer_weights = nn.Parameter(torch.zeros(of.layers), requires_grad=of.layers > 1)
        self.text_head = _head(of.text_head, of.text_dim, of.hidden, of.dim, of.dropout)
        self.audio_head: nn.Module = nn.Identity()
        if of.projection == "joint":
            self.audio_head = _head(of.audio_head, of.scaled_dim, of.hidden, of.dim, of.dropout)
        self.log_scale = nn.Parameter(torch.tensor(1 / temperature).log())
        self.bias = nn.Parameter(torch.tensor(float(bias)))

    @property
    def temperature(self) -> float:
        """What cosines are divided by in the loss."""
        return float((-self.log_scale.detach()).exp())

    def embed_text(self, text: Tensor) -> Tensor:
        """Bring text embeddings [B, T] into the common space: [B, D] unit vectors."""
        return unit(self.text_head(text).float())

    def embed_audio(self, audio: Tensor, noise: float = 0.0) -> Tensor:
        """Bring audio embeddings [B, A] or [B, L, A] into the common space: [B, D] unit vectors.

        Args:
            audio: as stored in `embeddings.h5`.
            noise: standard deviation of the Gaussian noise added to the scaled inputs, in training.
        """
        scaled = self.scaling(audio.unsqueeze(1) if audio.ndim == 2 else audio)
        weights = self.layer_weights.softmax(dim=0)
        summed = scaled[:, 0] if len(weights) == 1 else torch.einsum("l,bla->ba", weights, scaled)
        if self.scaling.rotation.numel():
            summed = summed @ self.scaling.rotation
        if noise:
            summed = summed + noise * torch.randn_like(summed)
        return unit(self.audio_head(summed).float())


def _head(kind: HeadKind, inputs: int, hidden: int, outputs: int, dropout: float) -> nn.Module:
    if kind == "linear":
        return nn.Linear(inputs, outputs)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), Dropout(dropout), nn.Linear(hidden, outputs))


class Dropout(nn.Module):
    """Leaves a share of the inputs out at random, as `torch.nn.Dropout` does, at a tenth of what its numbers cost a CPU."""

    def __init__(self, share: float) -> None:
        """Prepare to leave out `share` of the inputs, to the next 65536th."""
        super().__init__()
        self.p = share

    def forward(self, inputs: Tensor) -> Tensor:
        """Leave out some of the inputs and scale the others up; outside training leave all as they are."""
        if not self.training or not self.p:
            return inputs
        draws = torch.empty(-(-inputs.numel() // DRAWS), dtype=torch.int64, device=inputs.device)
        numbers = draws.random_(-(2**63), None).view(torch.int16)[: inputs.numel()].view(inputs.shape)
        kept: Tensor = (numbers >= round(self.p * 2**16) - 2**15).to(inputs.dtype)
        return inputs * kept.mul_(1 / (1 - self.p))


def unit(vectors: Tensor) -> Tensor:
    """Scale vectors [B, D] to length 1."""
    apply = cast("Callable[[Tensor], Tensor]", _Unit.apply)
    return apply(vectors)


class _Unit(torch.autograd.Function):
    """`torch.nn.functional.normalize`, whose gradient takes three passes over the vectors instead of ten."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True).clamp_(min=SHORTEST)
        scaled: Tensor = vectors / length
        ctx.save_for_backward(scaled, length)
        return scaled

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        scaled, length = ctx.saved_tensors
        (gradient,) = gradients
        along = torch.linalg.vecdot(gradient, scaled).unsqueeze(-1)
        across: Tensor = torch.addcmul(gradient, scaled, along, value=-1).div_(length)
        return across


@torch.no_grad()
def fit_scaling(scaling: AudioScaling, audio: Tensor, kind: Scaling, block: int = 4096) -> None:
    """Fit the scaling on the training set's embeddings [N, L, A], in blocks so that memory stays bounded.

    `zscore` gives each input mean 0 and standard deviation 1; `whiten` further rotates to the leading principal
    components and takes half of their differences in size away; `none` leaves the embeddings as they are.
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
        signs = vectors.gather(
            0, vectors.abs().argmax(dim=0, keepdim=True)
        ).sign()  # eigenvectors have no sign of their own
        scaling.rotation.copy_(vectors * signs * (values.pow(-0.25) / values.sqrt().mean().sqrt()))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread: what several of them sum rounds by how many there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
