"""A folder of audio files as a dataset, described by the tags that are embedded in the files.

Artist, title, album, year, genre, mood, comment, licence and address are read. The caption is made from genre, mood, and
those words of the comment that the vocabulary knows. Files are read by one thread per core, in bounded memory.
"""

import os
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from unisono.audio.faults import MISSING, NOT_A_FILE
from unisono.base.cores import available_cores
from unisono.base.errors import UsageError
from unisono.base.extras import extra
from unisono.base.tally import Dropped
from unisono.sources.base import Dataset, ParseOptions
from unisono.sources.cells import is_text, tidy_tags, year_field
from unisono.tracks.track import Track, batched
from unisono.tracks.vocabulary import key, look_up

ENDINGS = (".aif", ".aiff", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".wav")
_BATCH = 64
_SEPARATORS = re.compile(r"[;,/|\x00\n]+")


def folder_dataset(folder: Path, suffix: str = "") -> Dataset:
    """Make a dataset of a folder; its name is the folder's, or ends in another suffix.

    Raises:
        UsageError: there is no such folder.
    """
    folder = folder.absolute()
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}.", hint="Name a folder of audio files: folder:<path>")
    name = f"folder_{suffix or key(folder.name) or 'root'}"

    def parse(root: Path, options: ParseOptions) -> Iterator[Track | Dropped]:
        return read_folder(root, name)

    return Dataset(
        name=name,
        title=f"Your music in {folder.name}",
        homepage="",
        root=folder,
        parse=parse,
        marker_files=("*",),
        captions={"tags": 0},
        tracks=1,
        caption_license="yours",
        audio_license="per track, as tagged",
    )


def read_folder(root: Path, name: str) -> Iterator[Track | Dropped]:
    """Yield a track for each audio file below a folder, in alphabetical order.

    Raises:
        MissingExtraError: the library that reads tags is not installed.
    """
    with extra("folder", "Reading the tags of audio files"):
        import tinytag  # noqa: F401

    def read_batch(paths: list[str]) -> list[Track | Dropped]:
        return [_read(root, path, name) for path in paths]

    with ThreadPoolExecutor(available_cores()) as pool:
        # a few batches at a time, so that memory does not grow with the folder
        for batches in batched(batched(_audio_files(root), _BATCH), 4 * available_cores()):
            for items in pool.map(read_batch, batches):
                yield from items


def _audio_files(root: Path) -> Iterator[str]:
    """Yield the paths of audio files relative to the folder; hidden files and folders are skipped."""
    for folder, inner, files in os.walk(root):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for file in sorted(files):
            if file.lower().endswith(ENDINGS) and not file.startswith("."):
                yield os.path.relpath(os.path.join(folder, file), root).replace(os.sep, "/")  # noqa: PTH118


def _read(root: Path, path: str, name: str) -> Track | Dropped:
    from tinytag import TinyTag

    if not is_text(path):
        return Dropped(id=path.encode(errors="replace").decode(), reason="file name is not UTF-8")
    if not (root / path).is_file():  # a pipe would wait for its other end
        reason = NOT_A_FILE if (root / path).exists() else MISSING
        return Dropped(id=f"{name}_{path}", reason=reason, detail=str(root / path))
    try:
        tag = TinyTag.get(root / path)
    except Exception as error:  # whatever the library does with a damaged file is that file's fault
        return Dropped(id=f"{name}_{path}", reason="tags cannot be read", detail=f"{type(error).__name__}: {error}")
    other: dict[str, Any] = tag.other
    artist, title = _text(tag.artist), _text(tag.title)
    genre, more_genres = _genres(_texts(tag.genre))
    moods = [word for text in _texts(other.get("mood")) for word in _SEPARATORS.split(text)]
    comment = [word for text in _texts(tag.comment) for word in _SEPARATORS.split(text) if look_up(word)]
    further = {"album": _text(tag.album), "comment": " ".join(map(_text, _texts(tag.comment)))} | year_field(tag.year)
    return Track(
        id=f"{name}_{path}",
        audio_path=path,
        duration=tag.duration or 0,
        dataset=name,
        artist=artist,
        title=title,
        genre=genre,
        tags=tidy_tags([*more_genres, *tidy_tags([*moods, *comment], artist=artist)], genre=genre),
        license=_text(other.get("license")) or _text(other.get("copyright")),
        artist_id=f"folder-artist:{key(artist)}" if key(artist) else "",
        attribution=f"{title} by {artist}" if title and artist else "",
        url=_text(other.get("url")),
        extra={field: text for field, text in further.items() if text},
    )


def _genres(texts: Iterable[str]) -> tuple[str, list[str]]:
    """Split a field with several genres; a genre whose name contains a separator stays whole."""
    genres = [part.strip() for text in texts for part in ([text] if look_up(text) else _SEPARATORS.split(text))]
    genres = [genre for genre in genres if genre]
    return (genres[0], genres[1:]) if genres else ("", [])


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, (list, tuple)) else [value]
    return [str(text) for text in values if text]


def _text(value: Any) -> str:
    return " ".join(next(iter(_texts(value)), "").split())
