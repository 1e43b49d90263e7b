"""The layers that MuQ-MuLan's text tower has on top of XLM-RoBERTa (the form of lucidrains' musiclm-pytorch, MIT)."""

from typing import Any, cast

import torch
from torch import nn
from torch.nn.functional import gelu, layer_norm, normalize, scaled_dot_product_attention

ATTENTION_SCALE = 8.0


class ScaleNorm(nn.Module):
    """A layer norm without a bias."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.learned_gamma = nn.Parameter(torch.empty(dim))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Normalise [..., D]."""
        return layer_norm(states, states.shape[-1:], self.learned_gamma)


class Attention(nn.Module):
    """Attention of unit queries and keys, each with a learned scale, among all tokens."""

    def __init__(self, dim: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = ScaleNorm(dim)
        self.to_q = nn.Linear(dim, heads * head_dim, bias=False)
        self.to_kv = nn.Linear(dim, 2 * heads * head_dim, bias=False)
        self.q_scale = nn.Parameter(torch.empty(head_dim))
        self.k_scale = nn.Parameter(torch.empty(head_dim))
        self.to_out = nn.Sequential(nn.Linear(heads * head_dim, dim, bias=False))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Map [n, T, D] to [n, T, D]."""
        states = self.norm(states)
        parts = (self.to_q(states), *self.to_kv(states).chunk(2, dim=-1))
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        q, k = normalize(q, dim=-1) * self.q_scale, normalize(k, dim=-1) * self.k_scale
        mixed = scaled_dot_product_attention(q, k, v, scale=ATTENTION_SCALE)
        found: torch.Tensor = self.to_out(mixed.transpose(1, 2).flatten(2))
        return found


class Gate(nn.Module):
    """GEGLU: one half through GELU, times the other."""

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Map [..., 2 D] to [..., D]."""
        first, gate = states.chunk(2, dim=-1)
        return gelu(gate) * first


class MulanText(nn.Module):
    """XLM-RoBERTa, the layers, the mean over all tokens, and a projection; with the names of the checkpoint."""

    def __init__(self, model: nn.Module, dim: int, dim_latent: int, layers: int, heads: int, head_dim: int, mult: int):
        super().__init__()
        self.model = model
        inner = int(dim * mult * 2 / 3)
        self.transformer = nn.ModuleDict()
        self.transformer["layers"] = nn.ModuleList(
            nn.ModuleList(
                [
                    Attention(dim, heads, head_dim),
                    nn.Sequential(
                        ScaleNorm(dim),
                        nn.Linear(dim, 2 * inner, bias=False),
                        Gate(),
                        nn.Identity(),  # dropout, in training
                        nn.Linear(inner, dim, bias=False),
                    ),
                ]
            )
            for _ in range(layers)
        )
        self.text_to_latents = nn.Linear(dim, dim_latent)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Map token ids [n, T] of equal lengths to [n, D]. Padding would count as tokens."""
        found: Any = self.model(input_ids=ids)
        states: torch.Tensor = found.last_hidden_state
        for attention, feed_forward in cast("Any", self.transformer["layers"]):
            states = states + attention(states)
            states = states + feed_forward(states)
        vectors: torch.Tensor = self.text_to_latents(states.mean(dim=1))
        return vectors
