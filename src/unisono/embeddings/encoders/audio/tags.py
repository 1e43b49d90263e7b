"""tags: the log-odds of 100 tags, by the two taggers of musicnn (Pons and Serra, 2019, arXiv 1909.06654).

Both are the network of the encoder `musicnn`. One was trained on the Million Song Dataset (genres, decades, moods), the
other on MagnaTagATune (instruments, voices, tempo, loudness); 50 tags each. The embedding is the log-odds of both, the
Million Song tags first. The model `tags` searches them without any training.

Weights: ISC licence, inside the package `musicnn` on PyPI (29 MB), installed without its dependencies.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from unisono.embeddings.encoders.audio import EncoderSpec
from unisono.embeddings.encoders.audio._taggers import MSD, MTT, find_weights, read_variables

if TYPE_CHECKING:
    import torch

    from unisono.embeddings.encoders.audio.musicnn import Musicnn

__all__ = ["SPEC", "build", "find_weights"]

SPEC = EncoderSpec(
    name="tags",
    title="log-odds of 100 tags by the two taggers of musicnn",
    rate_hz=16_000,
    window_s=3.0,
    hop_s=3.0,
    dim=len(MSD.tags) + len(MTT.tags),
    weights_license="ISC",
    source="PyPI musicnn 0.1.0, MSD_musicnn and MTT_musicnn",
    revision=f"{MSD.revision[:23]}+{MTT.revision[:23]}",
)


def build(device: str = "cpu", weights: Path | None = None) -> "Tags":
    """Build the encoder from the installed package, or from a folder that holds the folders of both taggers.

    Raises:
        WeightsAbsentError: the package is not installed, or a file is missing.
        DataError: a file is cut short or altered.
    """
    from unisono.embeddings.encoders.audio.musicnn import Musicnn

    networks = []
    for tagger in (MSD, MTT):
        variables = read_variables(tagger, SPEC.name, weights / tagger.folder if weights else None)
        networks.append(Musicnn(variables, device))
    return Tags(networks)


class Tags:
    """Both taggers, for inference."""

    spec = SPEC

    def __init__(self, networks: "list[Musicnn]") -> None:
        self.networks = networks

    def embed(self, windows: "torch.Tensor") -> "torch.Tensor":
        """Return the log-odds [B, 100] of the tags in windows [B, 48000]."""
        import torch

        log_mel = self.networks[0].log_mel(windows)  # the same of both
        return torch.cat([network.log_odds_of(log_mel) for network in self.networks], dim=1)
