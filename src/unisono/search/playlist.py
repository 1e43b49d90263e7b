"""Playlists of search results: extended M3U in UTF-8 (.m3u8)."""

from collections.abc import Iterable
from pathlib import Path

from unisono.base.errors import UsageError
from unisono.base.files import write_whole
from unisono.retrieval.collection import IndexedTrack


def write_playlist(path: Path, tracks: Iterable[IndexedTrack]) -> int:
    """Write a playlist of the files of tracks, each file once; return the number of files.

    Raises:
        UsageError: the ending is neither .m3u8 nor .m3u.
    """
    check_ending(path)
    first_of_file: dict[str, IndexedTrack] = {}
    for track in tracks:
        first_of_file.setdefault(track.audio_path, track)
    lines = ["#EXTM3U"]
    for audio_path, track in first_of_file.items():
        name = " - ".join(part for part in (track.artist, track.title or track.id) if part)
        lines += [f"#EXTINF:{round(track.duration_s)},{_one_line(name)}", _one_line(audio_path)]
    write_whole(path, "\n".join(lines) + "\n")
    return len(first_of_file)


def check_ending(path: Path) -> None:
    """Check that a file name is that of a playlist.

    Raises:
        UsageError: the ending is neither .m3u8 nor .m3u.
    """
    if path.suffix.lower() not in (".m3u8", ".m3u"):
        raise UsageError(f"{path}: the name of a playlist must end in .m3u8 or .m3u, not in {path.suffix!r}.")


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())
