"""Audio that comes out of tables and archives: names on disk are made here, never taken from the data."""

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import IO

from unisono.base.files import explained, partial_path, remove_left_behind, sync
from unisono.tracks.record import Entry
from unisono.tracks.track import replace

ENDINGS = frozenset({".aac", ".aif", ".aiff", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".wav"})
UNKNOWN_ENDING = ".audio"
_CHUNK = 1 << 20
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


def ending(audio_path: str) -> str:
    """Return the ending of an audio file; `.audio` if the ending is not known."""
    found = os.path.splitext(audio_path)[1].lower()  # noqa: PTH122
    return found if found in ENDINGS else UNKNOWN_ENDING


def ending_of(content: bytes) -> str:
    """Return the ending that fits the first bytes of an audio file, whatever its name; `.audio` if they are not known."""
    start = content[:4]
    if start in (b"RIFF", b"RF64", b"RIFX") and content[8:12] == b"WAVE":
        return ".wav"
    if start == b"fLaC":
        return ".flac"
    if start == b"OggS":
        return ".opus" if content[28:36] == b"OpusHead" else ".ogg"
    if start == b"FORM" and content[8:12] in (b"AIFF", b"AIFC"):
        return ".aiff"
    if content[4:8] == b"ftyp":
        return ".m4a"
    if start[:3] == b"ID3":
        return ".mp3"
    if len(start) > 1 and start[0] == 0xFF and start[1] & 0xE0 == 0xE0:  # a frame; layer 0 is that of AAC
        return ".mp3" if start[1] & 0x06 else ".aac"
    return UNKNOWN_ENDING


def safe_name(text: str, most: int = 64) -> str:
    """Return a text as a name of letters, digits, `_` and `-`; a name that had to change ends in a hash of the text."""
    plain = _UNSAFE.sub("_", text)
    if plain == text and len(text) <= most:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{plain[:most]}-{digest[:16]}"


class AudioFolder:
    """A folder that audio is unpacked to. The same content is stored once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._incoming = partial_path(self.folder / "incoming")
        self._sha256 = ""
        remove_left_behind(self.folder / "incoming")

    def put(self, content: bytes, path: str) -> str:
        """Store audio, whole, unless it is there already; return its file's name, which begins with letters of `path`."""
        name = file_name(path, hashlib.sha256(content).hexdigest(), ending_of(content))
        place = self.folder / name
        with suppress(OSError):
            if place.stat().st_size == len(content):
                return name
        with explained(place):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._incoming.write_bytes(content)
            self._keep(place)
        return name

    def take(self, source: IO[bytes]) -> None:
        """Copy audio here; `keep` names it."""
        digest = hashlib.sha256()
        with explained(self._incoming):
            self.folder.mkdir(parents=True, exist_ok=True)
            file = self._incoming.open("wb", buffering=0)
        with file:
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                rest = memoryview(chunk)
                with explained(self._incoming):  # and not what goes wrong with the source
                    while rest:
                        rest = rest[file.write(rest) :]
        self._sha256 = digest.hexdigest()

    def keep(self, track: Entry) -> Entry:
        """Name the audio taken last after a track; return the track that points to it."""
        place = self.folder / file_name(track.audio_path, self._sha256, ending(track.audio_path))
        if not place.exists():
            with explained(place):
                self._keep(place)
        return replace(track, audio_path=str(place))

    def close(self) -> None:
        """Remove audio that was taken and not kept, and sync the folder."""
        with suppress(OSError):
            self._incoming.unlink(missing_ok=True)
            sync(self.folder)

    def _keep(self, place: Path) -> None:
        sync(self._incoming)
        self._incoming.replace(place)


def file_name(path: str, sha256: str, ending: str) -> str:
    """Make the name of an unpacked file: some letters of its path upstream, some of its hash, and an ending."""
    stem = os.path.splitext(path.replace("\\", "/").rpartition("/")[2])[0]  # noqa: PTH122
    return f"{_UNSAFE.sub('_', stem)[:80] or 'audio'}-{sha256[:16]}{ending}"
