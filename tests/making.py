"""Tracks for tests, made from the fields of a record."""

from collections.abc import Sequence
from itertools import cycle, islice
from typing import Any

from unisono.embeddings.structure import EncoderRecord
from unisono.tracks.track import Caption, CaptionOrigin, Track


def make_track(
    *,
    caption: Any = "",
    alt_captions: Any = None,
    caption_origin: Any = None,
    **fields: Any,
) -> Track:
    """Return a track whose captions all have one origin."""
    texts = [caption, *(alt_captions or [])] if caption else []
    return Track(captions=tuple(Caption(text, caption_origin) for text in texts), **fields)


def make_record(
    name: str,
    dim: int,
    *,
    revision: str = "1",
    weights: str = "none",
    license: str = "none",
    layers: int = 1,
    pooling: Any = "mean",
) -> EncoderRecord:
    """Return what made the embeddings of an encoder."""
    return EncoderRecord(
        name=name, weights=weights, revision=revision, license=license, rate_hz=16000, window_s=3, hop_s=3, pooling=pooling,
        dim=dim, layers=layers,
    )  # fmt: skip


def in_turn(*values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return combinations in which each value of each list occurs: as many as the longest list has."""
    return list(islice(zip(*map(cycle, values), strict=False), max(map(len, values))))


def origins(track: Track) -> list[CaptionOrigin | None]:
    """Return the origin of each caption."""
    return [caption.origin for caption in track.captions]
