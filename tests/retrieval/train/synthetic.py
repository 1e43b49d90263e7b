"""Small synthetic embeddings whose captions say what is in them, and a text encoder that needs no weights."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.making import make_record, make_track
from unisono.embeddings.encoders import text
from unisono.embeddings.encoders.text import TextEncoderSpec
from unisono.embeddings.file import FILE_NAME, EncoderRecord, create_embeddings
from unisono.tracks.track import SPLITS

WORDS = ("piano", "guitar", "violin", "choir", "drums", "flute", "organ", "harp", "slow", "fast", "dark", "bright")


def write_embeddings(
    folder: Path,
    counts: tuple[int, int, int] = (48, 12, 12),
    *,
    dim: int = 16,
    layers: int = 1,
    encoder: str = "musicnn",
    seed: int = 0,
    caption: str | None = None,
    bad_row: int | None = None,
    windows: int | None = None,
    pooling: str = "mean",
    record: EncoderRecord | None = None,
    first: int = 0,
) -> Path:
    """Write `embeddings.h5`: each track is a sum of three words' directions, and has two captions that name them.

    Args:
        folder: where to.
        counts: tracks of each split.
        dim: of an embedding.
        layers: how many; each a multiple of the first.
        encoder: whose embeddings they pretend to be.
        seed: of everything random.
        caption: gives every track this one caption.
        bad_row: row of the train split whose embedding is made NaN.
        windows: keep up to so many windows of each track; the embeddings are their means.
        pooling: how the embeddings say that they were pooled.
        record: all that the embeddings say of themselves.
        first: number of the first track.
    """
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(len(WORDS), dim))
    record = record or make_record(encoder, dim, license="ISC", layers=layers, pooling=pooling)
    path = folder / FILE_NAME
    with create_embeddings(path, {"seed": seed}, 0) as writer:
        number = first
        for split, count in zip(SPLITS, counts, strict=True):
            tracks, embeddings = [], []
            for _ in range(count):
                words = rng.choice(len(WORDS), 3, replace=False)
                captions = [" and ".join(WORDS[word] for word in order) for order in (words, words[::-1])]
                tracks.append(
                    make_track(
                        id=f"synthetic_{number}",
                        audio_path=f"/nowhere/{number}.mp3",
                        caption=caption or captions[0],
                        alt_captions=[] if caption else [captions[1]],
                        duration=10,
                        dataset="many" if number % 4 else "few",
                        tags=[WORDS[word] for word in words],
                        recording=f"synthetic:{number}",
                        artist_id=f"synthetic-artist:{number // 2}",
                        caption_origin="human" if number % 4 else "tags",
                    )
                )
                embeddings.append(directions[words].sum(axis=0) + 0.2 * rng.normal(size=dim))
                number += 1
            writer.add_split(split, tracks)
            array = np.array(embeddings, dtype=np.float16).reshape(count, dim)
            if layers > 1:
                array = np.stack([array * (layer + 1) for layer in range(layers)], axis=1)
            parts = []
            if windows:
                held = [1 + row % windows for row in range(count)]
                parts = [_around(array[row], number, rng) for row, number in enumerate(held)]
                array = np.array([part.mean(axis=0) for part in parts], np.float16).reshape(array.shape)
            if split == "train" and bad_row is not None:
                array[bad_row] = np.nan
            writer.add_embeddings(split, record, iter([array]))
            if windows:
                writer.add_windows(split, record, [len(part) for part in parts], iter(parts))
    return path


def _around(embedding: NDArray[np.float16], number: int, rng: np.random.Generator) -> NDArray[np.float16]:
    """Return windows around an embedding."""
    return (embedding + rng.normal(size=(number, *embedding.shape))).astype(np.float16)


class WordEncoder:
    """Embeds a caption as the sum of its words' random directions."""

    spec = TextEncoderSpec(
        name="minilm", title="words", dim=24, max_tokens=64, weights_license="none", source="tests", revision="words"
    )

    def embed(self, captions: list[str]) -> NDArray[np.float32]:
        rows = [np.sum([self._direction(word) for word in caption.split()], axis=0) for caption in captions]
        return np.array(rows, dtype=np.float32).reshape(len(captions), self.spec.dim)

    def embed_tokens(self, captions: list[str]) -> list[NDArray[np.float32]]:
        rows = [np.array([self._direction(word) for word in caption.split()]) for caption in captions]
        return [(row / np.linalg.norm(row, axis=1, keepdims=True)).astype(np.float32) for row in rows]

    def _direction(self, word: str) -> NDArray[np.float64]:
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
        return np.random.default_rng(seed).normal(size=self.spec.dim)


def use_words(patch: pytest.MonkeyPatch, folder: Path) -> WordEncoder:
    """Let every text encoder be the one of the tests, and keep its results in a folder of the test's."""
    encoder = WordEncoder()
    patch.setenv("UNISONO_CAPTIONS", str(folder))
    patch.setattr(text, "build", lambda *_, **__: encoder)
    patch.setattr(text, "spec", lambda *_, **__: encoder.spec)
    return encoder
