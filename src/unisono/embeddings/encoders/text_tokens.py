"""The vectors of the tokens of captions, in memory: what MaxSim compares with the windows of music.

A token takes two bytes a dimension: 100,000 captions of 25 tokens and 384 dimensions take 2 GB.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unisono.base.progress import progress
from unisono.embeddings.encoders.text import TextEncoder, with_tokens

BLOCK = 2048
"""Captions embedded at a time."""


@dataclass(frozen=True)
class TokenTable:
    """The vectors of the tokens of n captions."""

    states: NDArray[np.float16]
    """[S, T], of all distinct captions, one after the other."""
    begin: NDArray[np.int64]
    """[d + 1]: those of distinct caption k are `states[begin[k] : begin[k + 1]]`."""
    position: NDArray[np.int64]
    """[n]: which distinct caption each is."""

    def longest(self, captions: NDArray[np.int64]) -> int:
        """Return the most tokens of the captions at these places."""
        chosen = self.position[captions]
        return int((self.begin[chosen + 1] - self.begin[chosen]).max())

    def rows(self, captions: NDArray[np.int64], length: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return the vectors of the captions at these places, padded [b, length, T], and which are there [b, length]."""
        chosen = self.position[captions]
        count = self.begin[chosen + 1] - self.begin[chosen]
        there = np.arange(length) < count[:, None]
        padded = np.zeros((len(captions), length, self.states.shape[1]), dtype=np.float32)
        padded[there] = self.states[
            np.concatenate([np.arange(self.begin[each], self.begin[each + 1]) for each in chosen])
        ]
        return padded, there


def embed_tokens(captions: Sequence[str], encoder: TextEncoder) -> TokenTable:
    """Embed the tokens of captions, each distinct one once.

    Raises:
        UsageError: the encoder gives one vector for a whole caption only.
    """
    embed = with_tokens(encoder).embed_tokens
    place: dict[str, int] = {}
    position = np.array([place.setdefault(caption, len(place)) for caption in captions], dtype=np.int64)
    distinct = list(place)
    parts: list[NDArray[np.float16]] = []
    with progress("captions") as bar:
        task = bar.add_task(f"Embedding tokens ({encoder.spec.name})", total=len(distinct))
        for start in range(0, len(distinct), BLOCK):
            block = distinct[start : start + BLOCK]
            parts += [rows.astype(np.float16) for rows in embed(block)]
            bar.advance(task, len(block))
    begin = np.concatenate([[0], np.cumsum([len(rows) for rows in parts])]).astype(np.int64)
    return TokenTable(np.concatenate(parts), begin, position)
