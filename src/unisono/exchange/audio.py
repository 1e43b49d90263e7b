"""Audio that goes into other formats, and comes out of them: names on disk are made here, never taken from the data."""

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import IO

from unisono.files import sync
from unisono.tally import Dropped
from unisono.track import Track, replace

ENDINGS = frozenset({".aac", ".aif", ".aiff", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".wav"})
_CHUNK = 1 << 20
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


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


def ending(audio_path: str) -> str:
    """Give the ending of an audio file as it is known; of one that is not known `.audio`."""
    found = os.path.splitext(audio_path)[1].lower()  # noqa: PTH122
    return found if found in ENDINGS else ".audio"


def safe_name(text: str, most: int = 64) -> str:
    """Give a text as a name of plain letters, digits, `_` and `-`; a name that had to change ends in a hash of the text."""
    plain = _UNSAFE.sub("_", text)
    if plain == text and len(text) <= most:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{plain[:most]}-{digest[:16]}"


class AudioFolder:
    """A folder that audio is unpacked to. The same content is there once, whichever records it belongs to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._incoming = self.folder / f".{os.getpid()}.partial"
        self._sha256 = ""

    def take(self, source: IO[bytes]) -> None:
        """Copy audio here; `keep` gives it its name."""
        self.folder.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with self._incoming.open("wb") as file:
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                file.write(chunk)
        self._sha256 = digest.hexdigest()

    def keep(self, track: Track) -> Track:
        """Name what was taken last as the audio of a track, whole and for good; give the track that points to it."""
        stem = os.path.basename(os.path.splitext(track.audio_path)[0])  # noqa: PTH119, PTH122
        name = f"{_UNSAFE.sub('_', stem)[:80]}-{self._sha256[:16]}{ending(track.audio_path)}"
        place = self.folder / name
        if not place.exists():
            sync(self._incoming)
            self._incoming.replace(place)
        return replace(track, audio_path=str(place))

    def close(self) -> None:
        """Remove what was taken and not kept, and make the names last."""
        with suppress(OSError):
            self._incoming.unlink(missing_ok=True)
            sync(self.folder)
