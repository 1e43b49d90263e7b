"""A folder of audio files as a dataset, described by the tags that are embedded in the files.

Artist, title, album, year, genre, mood, comment, licence and address are read. The caption is made from genre, mood, and
those words of the comment that the vocabulary knows. Files are read by one thread per core, in bounded memory.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from unisono.audio.faults import MISSING, NOT_A_FILE, foreign_format, of_system
from unisono.base.cores import available_cores
from unisono.base.errors import UsageError
from unisono.base.extras import extra
from unisono.base.tally import Dropped
from unisono.sources.audio_index import scan
from unisono.sources.base import Dataset, ParseOptions
from unisono.sources.cells import artist_key, is_text, name_of, tidy_tags, year_field
from unisono.sources.own.tags import FileTags, read_tags
from unisono.tracks.track import Track, batched
from unisono.tracks.vocabulary import key, look_up

ENDINGS = frozenset({
    ".3gp", ".aac", ".aax", ".ac3", ".aif", ".aifc", ".aiff", ".amr", ".ape", ".asf", ".au", ".caf", ".dff", ".dsf", ".dts",
    ".eac3", ".flac", ".m4a", ".m4b", ".m4p", ".m4r", ".mka", ".mp+", ".mp1", ".mp2", ".mp3", ".mp4", ".mpc", ".mpga",
    ".mpp", ".oga", ".ofr", ".ogg", ".opus", ".ra", ".rf64", ".rm", ".shn", ".snd", ".spx", ".tak", ".tta", ".w64", ".wav",
    ".wave", ".weba", ".webm", ".wma", ".wv",
})  # fmt: skip
"""Of audio, whether it can be decoded or not: what cannot is listed with the command that converts it."""
_PLAIN_ENDINGS = frozenset(ending[1:] for ending in ENDINGS)
OF_SYSTEMS = frozenset(
    {
        "@eadir", "#recycle", "@recycle", "#snapshot", "@recently-snapshot", "@tmp", "$recycle.bin", "recycler", "recycled",
        "lost+found", "system volume information", ".appledouble", ".appledb", ".trash", ".trashes", "__macosx",
        "network trash folder", "temporary items",
    }
)  # fmt: skip
"""Folders in which systems keep what was deleted, thumbnails and the like, in lower case."""
_UNFINISHED = frozenset({
    "!qb", "!ut", "crdownload", "download", "filepart", "icloud", "opdownload", "part", "partial", "unfinished",
})  # fmt: skip
"""What programs put behind the name of a file that is not there as a whole yet."""
_METADATA, _HIDDEN, _CUT = "recycle bin or metadata of a system", "hidden file", "download that is not finished"
_BATCH = 64
_SEPARATORS = re.compile(r"[;,/|\\\x00\n]+")


def folder_dataset(folder: Path, suffix: str = "") -> Dataset:
    """Make a dataset of a folder; its name is the folder's, or ends in another suffix.

    Raises:
        UsageError: there is no such folder.
    """
    folder = folder.absolute()
    try:
        with os.scandir(folder):
            pass
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise UsageError(f"There is no folder {folder}.", hint="Name a folder of audio files: folder:<path>") from error
    except OSError as error:
        raise UsageError(f"The folder {folder} cannot be read: {error.strerror or error}.") from error
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

    files = AudioFiles(root)

    def read_batch(paths: list[str]) -> list[Track | Dropped]:
        return [_read(root, path, name) for path in paths]

    with ThreadPoolExecutor(available_cores()) as pool:
        # a few batches at a time, so that memory does not grow with the folder
        for batches in batched(batched((path for path, _ in files), _BATCH), 4 * available_cores()):
            for items in pool.map(read_batch, batches):
                yield from items
    yield from files.left_out(name)


class AudioFiles:
    """A walk through a folder for its audio files, which remembers what it left out: hidden ones, and parts of downloads."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self.unreadable: list[OSError] = []
        self._left_out: Counter[tuple[str, str]] = Counter()
        """Names that are alike, and why they are left out."""

    def __iter__(self) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """Yield (path relative to the folder, entry) of each file with the ending of an audio format."""
        length = len(self._root.rstrip("/")) + 1
        for folder, entries in scan(self._root, self.unreadable.append, skip=self._skip):
            inner = f"{folder[length:]}/".replace(os.sep, "/") if len(folder) > length else ""
            for entry in entries:
                name = entry.name
                stem, _, ending = name.rstrip(" .").rpartition(".")
                if name.startswith("._"):
                    self._left_out["._*", _METADATA] += 1
                elif ending.lower() in _PLAIN_ENDINGS and stem:
                    if name[0] != ".":
                        yield inner + name, entry
                    else:
                        self._left_out[".*", _HIDDEN] += 1
                elif ending.lower() in _UNFINISHED and stem.rpartition(".")[2].lower() in _PLAIN_ENDINGS:
                    self._left_out[f"*.{ending}", _CUT] += 1

    def _skip(self, folder: str) -> bool:
        if folder.lower() in OF_SYSTEMS:
            self._left_out[folder, _METADATA] += 1
            return True
        return folder.startswith(".")

    def left_out(self, name: str) -> Iterator[Dropped]:
        """Yield what stands for unreadable folders, and for what systems keep next to the music."""
        for error in self.unreadable:
            path = os.path.relpath(error.filename, self._root).encode(errors="replace").decode()
            yield Dropped(
                id=f"{name}_{path}",
                reason="folder unreadable",
                detail=f"{error.filename}: {error.strerror or error}".encode(errors="replace").decode(),
            )
        for (kind, reason), count in sorted(self._left_out.items()):
            yield Dropped(id=f"{name}_{kind}", reason=reason, detail=f"{count} of this name, not read", fault=False)


def _read(root: Path, path: str, name: str) -> Track | Dropped:
    if not is_text(path):
        return Dropped(id=path.encode(errors="replace").decode(), reason="file name is not UTF-8")
    if not (root / path).is_file():  # a pipe would wait for its other end
        reason = NOT_A_FILE if (root / path).exists() else MISSING
        return Dropped(id=f"{name}_{path}", reason=reason, detail=str(root / path))
    try:
        tags = read_tags(root / path)
    except OSError as error:
        reason, detail, _ = of_system(error)
        return Dropped(
            id=f"{name}_{path}", reason=reason, detail=f"{root / path}: {detail}" if detail else str(root / path)
        )
    except Exception as error:  # whatever the library does with a damaged file is that file's fault
        if not _is_foreign(root / path):
            return Dropped(id=f"{name}_{path}", reason="tags cannot be read", detail=f"{type(error).__name__}: {error}")
        tags = FileTags(0, {}, {})
    artist, title = ", ".join(tags.values.get("artist", ())), tags.first("title")
    genre, words = genre_and_words(tags)
    comment = "; ".join(tags.values.get("comment", ()))
    further = {"album": tags.first("album"), "comment": comment} | year_field(tags.first("year"))
    further |= {f"{field}_as_tagged": "; ".join(texts) for field, texts in tags.doubtful.items()}
    its_key = artist_key(tags.first("artist"))
    return Track(
        id=f"{name}_{path}",
        audio_path=path,
        duration=tags.duration_s,
        dataset=name,
        artist=artist,
        title=title,
        genre=genre,
        tags=words,
        license=tags.first("license") or tags.first("copyright"),
        artist_id=f"folder-artist:{its_key}" if its_key else "",
        attribution=f"{title} by {artist}" if title and artist else "",
        url=tags.first("url"),
        extra={field: text for field, text in further.items() if text},
    )


def genre_and_words(tags: FileTags) -> tuple[str, list[str]]:
    """Return the main genre, and further genres, moods, and those words of the comment that the vocabulary knows."""
    genre, more_genres = _genres(tags.values.get("genre", ()))
    words = [word for text in tags.values.get("mood", ()) for word in _SEPARATORS.split(text)]
    comments = tags.values.get("comment", ())
    words += [word for text in comments for word in _SEPARATORS.split(text) if look_up(word)]
    artist = ", ".join(tags.values.get("artist", ()))
    return genre, tidy_tags([*more_genres, *tidy_tags(words, artist=artist)], genre=genre)


def _is_foreign(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return foreign_format(file.read(64)) is not None
    except OSError:
        return False


def _genres(texts: Iterable[str]) -> tuple[str, list[str]]:
    """Split a field with several genres; a genre whose name contains a separator stays whole."""
    genres = [part.strip() for text in texts for part in ([text] if look_up(text) else _SEPARATORS.split(text))]
    genres = [genre for genre in map(name_of, genres) if genre]
    return (genres[0], genres[1:]) if genres else ("", [])
