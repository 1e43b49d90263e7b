"""The names of clips from YouTube."""

import re
from collections.abc import Iterator

_ID = re.compile(r"[\w-]{11}", re.ASCII)
_ENDINGS = ("wav", "flac", "mp3", "ogg", "opus")


def is_youtube_id(text: str) -> bool:
    """Return whether a text has the form of a YouTube id, which may begin with a hyphen."""
    return _ID.fullmatch(text) is not None


def audio_names(youtube_id: str, start_s: float, end_s: float) -> Iterator[str]:
    """Yield the file names that common tools use for a clip."""
    for ending in _ENDINGS:
        yield f"{youtube_id}.{ending}"
        yield f"[{youtube_id}]-[{start_s:g}-{end_s:g}].{ending}"
        yield f"{youtube_id}_{start_s:g}.{ending}"
        yield f"{youtube_id}_{start_s:g}_{end_s:g}.{ending}"
