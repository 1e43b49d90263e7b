"""Tracks for tests, made from the fields of a record."""

from typing import Any

from unisono.tracks.track import CaptionOrigin, Track, captions_of


def make_track(
    *,
    caption: str = "",
    alt_captions: list[str] | None = None,
    caption_origin: CaptionOrigin | None = None,
    **fields: Any,
) -> Track:
    """Return a track whose captions all have one origin."""
    return Track(captions=captions_of([caption, *(alt_captions or [])], caption_origin), **fields)


def origins(track: Track) -> list[CaptionOrigin | None]:
    """Return the origin of each caption."""
    return [caption.origin for caption in track.captions]
