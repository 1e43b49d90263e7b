"""Playlists of search results: extended M3U in UTF-8 (.m3u8)."""

import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from unisono.base.errors import DataError, UsageError
from unisono.base.files import remove_left_behind, write_whole
from unisono.base.path_map import PathMap
from unisono.retrieval.collection import IndexedTrack

AS_THEY_ARE = PathMap()
ENDINGS = (".m3u8", ".m3u")
LARGEST = 1 << 24
"""Bytes of a playlist that is read."""


@dataclass(frozen=True)
class Playlist:
    """What was written."""

    path: Path
    files: int
    missing: list[str]
    """Files in the playlist that are not there now, as on a disk that is not mounted."""
    left_out: list[str]
    """What an index calls a file and is no absolute path, such as an address on the web, or a path that a media server
    made up."""


def file_name(name: str) -> str:
    """Return a name as that of a file: one that leads into no other folder, and is visible.

    Raises:
        UsageError: nothing is left of it.
    """
    kept = re.sub(r"[^\w .,()&'+-]", "_", name).strip(" .")[:100]
    if not kept.strip("_ "):
        raise UsageError(f"{name!r} is no name of a playlist.", parameter="name")
    return kept


def write_playlist(
    path: Path, tracks: Iterable[IndexedTrack], *, path_map: PathMap = AS_THEY_ARE, relative_to: Path | None = None
) -> Playlist:
    """Write a playlist of the files of tracks, each file once. If there are no tracks, a playlist that is there stays.

    Args:
        path: of the playlist.
        tracks: in their order.
        path_map: from the paths of this machine to those of the machine that plays.
        relative_to: write paths relative to this folder, as that machine knows it.

    Raises:
        UsageError: the ending is neither .m3u8 nor .m3u.
        UnisonoError: it cannot be written.
    """
    check_ending(path)
    first_of_file: dict[str, IndexedTrack] = {}
    for track in tracks:
        first_of_file.setdefault(track.audio_path, track)
    left_out = [found for found in first_of_file if not found.startswith("/") or _one_line(found) != found]
    lines = ["#EXTM3U"]
    kept = {audio_path: track for audio_path, track in first_of_file.items() if audio_path not in left_out}
    for audio_path, track in kept.items():
        name = " - ".join(part for part in (track.artist, track.title or Path(audio_path).stem) if part)
        seconds = round(track.duration_s) if math.isfinite(track.duration_s) else -1  # -1 is M3U's word for unknown
        entry = path_map(audio_path)
        if relative_to is not None:
            entry = os.path.relpath(entry, relative_to.absolute()).replace(os.sep, "/")
        lines += [f"#EXTINF:{seconds},{_one_line(name)}", f"./{entry}" if entry.startswith("#") else entry]
    if kept or not path.exists():
        remove_left_behind(path)
        write_whole(path, ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape"))
    return Playlist(path, len(kept), [found for found in kept if not os.path.isfile(found)], left_out)  # noqa: PTH113


def check_ending(path: Path) -> None:
    """Check that a file name is that of a playlist.

    Raises:
        UsageError: the ending is neither .m3u8 nor .m3u.
    """
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(f"{path}: the name of a playlist must end in .m3u8 or .m3u, not in {path.suffix!r}.")


def _one_line(text: str) -> str:
    return " ".join(text.replace("\0", " ").splitlines())


def read_playlist(path: Path) -> list[str]:
    """Read the absolute paths of the files of a playlist, in order; relative ones are relative to its folder.

    Raises:
        UsageError: there is no such file.
        DataError: it is no playlist.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(f"Cannot read the playlist {path}: {error.strerror}.") from error
    if len(content) > LARGEST or b"\0" in content:
        raise DataError(f"{path} is no playlist.")
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        lines = content.decode("cp1252" if path.suffix.lower() == ".m3u" else "utf-8", "surrogateescape").splitlines()
    named = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    named = [unquote(line.removeprefix("file://")) if line.startswith("file://") else line for line in named]
    folder = path.absolute().parent
    return [os.path.normpath(folder / _with_slashes(line, folder)) for line in named]


def _with_slashes(line: str, folder: Path) -> str:
    """Return a relative path that a program on Windows wrote as it is read elsewhere."""
    is_windows = "\\" in line and "/" not in line and not os.path.lexists(folder / line)
    return line.replace("\\", "/") if is_windows else line
