"""What encoders with a large network have in common that needs no torch to be defined."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class Network:
    """An encoder whose embedding of a window is what its network makes of it."""

    def embed(self, windows: "torch.Tensor") -> "torch.Tensor":
        """Embed windows [B, samples] as `forward` does, without gradients; see `_torch.run`."""
        from unisono.embeddings.encoders.audio._torch import run

        return run(self.forward, windows)

    def forward(self, windows: "torch.Tensor") -> "torch.Tensor":
        """Run the network over windows [B, samples] at once; differentiable."""
        raise NotImplementedError
