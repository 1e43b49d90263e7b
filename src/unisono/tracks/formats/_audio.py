"""Audio that goes into other formats."""

from unisono.base.tally import Dropped
from unisono.tracks.track import Track


def read_audio(track: Track, most_bytes: int) -> bytes | Dropped:
    """Read the file of a track, or say why it cannot go along."""
    try:
        with open(track.audio_path, "rb") as file:  # noqa: PTH123
            content = file.read(most_bytes + 1)
    except FileNotFoundError:
        return Dropped(id=track.id, reason="missing file", detail=track.audio_path)
    except (OSError, ValueError) as error:
        return Dropped(id=track.id, reason="unreadable file", detail=f"{track.audio_path}: {error}")
    if not content:
        return Dropped(id=track.id, reason="empty file", detail=track.audio_path)
    if len(content) > most_bytes:
        return Dropped(id=track.id, reason="audio larger than a shard (see --shard-size)", detail=track.audio_path)
    return content
