"""Validation after each epoch: retrieval on the val split, with the same metrics as the evaluation."""

import numpy as np
import torch
from numpy.typing import NDArray

from unisono.retrieval import doubts
from unisono.retrieval.heads import ProjectionHeads
from unisono.retrieval.metrics import chance
from unisono.retrieval.pairing import validate
from unisono.retrieval.train.audio import AudioSource
from unisono.retrieval.train.data import SplitData
from unisono.retrieval.train.step import TextSource

BLOCK = 4096


class Validation:
    """Measures retrieval on the val split."""

    def __init__(self, data: SplitData, first_caption: int) -> None:
        """Prepare to measure.

        Args:
            data: the val split.
            first_caption: the place of its first caption among those of the text source.
        """
        self.data = data
        _, first = np.unique(data.pairing.text_of, return_index=True)
        self._captions = first_caption + first.astype(np.int64)
        pairing = data.pairing
        self.chance = chance(pairing.relevance)
        self.mrr_by_luck = doubts.mrr_by_luck(pairing.relevance, len(set(pairing.recording_of_text.tolist())))

    @torch.no_grad()
    def __call__(self, heads: ProjectionHeads, texts: TextSource, audio: AudioSource) -> dict[str, dict[str, float]]:
        """Measure both directions: {"text_to_music": {"recall@10": ..., ...}, "music_to_text": {...}}."""
        heads.eval()
        texts.train(False)
        audio.train(False)
        embeddings = audio.embed_all(self.data)
        device = heads.log_scale.device
        asked = [
            heads.embed_text(texts(self._captions[start : start + BLOCK]))
            for start in range(0, len(self._captions), BLOCK)
        ]
        searched = [
            heads.embed_audio(embeddings[start : start + BLOCK].to(device, torch.float32))
            for start in range(0, len(self.data), BLOCK)
        ]
        return validate(self.data.pairing, _joined(asked), _joined(searched))


def _joined(blocks: list[torch.Tensor]) -> NDArray[np.float32]:
    joined: NDArray[np.float32] = torch.cat(blocks).cpu().numpy()
    return joined
