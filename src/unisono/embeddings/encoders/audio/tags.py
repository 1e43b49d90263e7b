"""tags: the log-odds of 100 tags, by the two taggers of musicnn (Pons and Serra, 2019, arXiv 1909.06654).

Both are the network of the encoder `musicnn`. One was trained on the Million Song Dataset (genres, decades, moods), the
other on MagnaTagATune (instruments, voices, tempo, loudness); 50 tags each. The embedding is the log-odds of both, the
Million Song tags first. The model `tags` searches them without any training. `musicnn` is the first network: it is
passed once for both encoders.

Weights: ISC licence, inside the package `musicnn` on PyPI (29 MB), installed without its dependencies.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from unisono.embeddings.encoders.audio import EncoderSpec, musicnn
from unisono.embeddings.encoders.audio._taggers import MSD, MTT, Tagger, find_weights, read_variables
from unisono.embeddings.encoders.audio.musicnn import Musicnn

if TYPE_CHECKING:
    import torch

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

    def tagger(kind: Tagger) -> Musicnn:
        return Musicnn(read_variables(kind, SPEC.name, weights / kind.folder if weights else None), device)

    return Tags(tagger(MSD), tagger(MTT))


class Tags:
    """Both taggers, for inference."""

    spec = SPEC
    follows = musicnn.SPEC

    def __init__(self, first: "Musicnn", second: "Musicnn") -> None:
        self.first, self.second = first, second

    def embed(self, windows: "torch.Tensor") -> "torch.Tensor":
        """Return the log-odds [B, 100] of the tags in windows [B, 48000]."""
        return self.embed_after(self.first.embed(windows), windows)

    def embed_after(self, rows: "torch.Tensor", windows: "torch.Tensor") -> "torch.Tensor":
        """Return the same from the embeddings [B, 1706] of the encoder `musicnn`, which is the first tagger."""
        import torch

        return torch.cat([self.first.log_odds(rows), self.second.log_odds(self.second.embed(windows))], dim=1)
