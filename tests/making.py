"""Tracks for tests, made from the fields of a record."""

from typing import Any

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


def origins(track: Track) -> list[CaptionOrigin | None]:
    """Return the origin of each caption."""
    return [caption.origin for caption in track.captions]
