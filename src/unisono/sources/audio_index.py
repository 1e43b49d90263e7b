"""Find the audio of tracks by listing folders. Each folder is read once, and no file is looked up by itself."""

import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from pathlib import Path

from unisono.base import storage
from unisono.base.errors import UnisonoError
from unisono.base.words import is_text

ANYWHERE = "**"
_ELSEWHERE = re.compile(r"[a-z]:[\\/]|\\\\|[a-z][a-z0-9+.-]+://", re.IGNORECASE)
"""How absolute paths of Windows, and addresses, begin."""


class AudioIndex:
    """The audio files of one dataset, by the paths in its metadata.

    `folders` are `Dataset.audio_folders`; the first one that contains the file counts. Below a folder that ends in `**`
    a file is found by its name at any depth; of several files of one name, the first in alphabetical order counts. If the
    first folder is an address (`s3://bucket/music`), nothing is listed: a file is where its path says.
    """

    def __init__(self, root: Path, folders: Sequence[str]) -> None:
        # unlike resolve(), abspath keeps the user's links; "" is the root of the file system
        self._root = os.path.abspath(root).rstrip("/")  # noqa: PTH100
        self._address = folders[0].rstrip("/") if storage.is_url(folders[0]) else ""
        self._folders = [_below(self._root, folder) for folder in folders]
        self.place = self._address or str(root)
        """What the paths are relative to."""
        self._names: dict[str, dict[str, str]] = {}
        self._anywhere: dict[str, dict[str, str]] = {}

    def find(self, audio_path: str) -> str | None:
        """Return the absolute path of a file; None if it is not in the dataset's folder."""
        if self._address:
            return self._below_address(audio_path)
        if ".." in audio_path or audio_path[:1] == "/":
            inside = self._inside(audio_path)
            if inside is None:
                return None
            audio_path = inside
        inner, _, name = audio_path.rpartition("/")
        for folder, is_anywhere in self._folders:
            if is_anywhere:
                found = _look_up(self._names_anywhere(folder), name)
            else:
                found = _look_up(self._names_in_either_form(folder, inner), name)
            if found is not None:
                return found
        return None

    def where(self, audio_path: str) -> str:
        """Return the absolute path where a file is looked for first; for plans made before the audio is there."""
        if self._address:
            return self._below_address(audio_path) or audio_path
        folder, is_anywhere = self._folders[0]
        return f"{folder}/{audio_path.rpartition('/')[2] if is_anywhere else audio_path}"

    def is_outside(self, audio_path: str) -> bool:
        """Return whether a path leads out of the dataset's folder, or is one of another system, or an address."""
        if self._address or _ELSEWHERE.match(audio_path):
            return self.find(audio_path) is None
        return (".." in audio_path or audio_path[:1] == "/") and self._inside(audio_path) is None

    def _below_address(self, audio_path: str) -> str | None:
        path = audio_path.removeprefix(f"{self._address}/")
        return None if storage.is_absolute(path) or ".." in path.split("/") else f"{self._address}/{path}"

    def _inside(self, audio_path: str) -> str | None:
        """Return an absolute path, or one with `..`, relative to the folder that it is in; None if it is in none."""
        for folder, is_anywhere in self._folders:
            for base in dict.fromkeys((folder, os.path.realpath(folder))):
                path = os.path.normpath(os.path.join(base or "/", audio_path))  # noqa: PTH118
                if path.startswith(f"{base}/") and (audio_path[:1] == "/" or ".." not in audio_path.split("/")):
                    return path.rpartition("/")[2] if is_anywhere else path[len(base) + 1 :]
        return None

    def _names_in(self, directory: str) -> dict[str, str]:
        names = self._names.get(directory)
        if names is None:
            names = self._names[directory] = {name: f"{directory}/{name}" for name in _files(directory)}
        return names

    def _names_in_either_form(self, folder: str, inner: str) -> dict[str, str]:
        """Return the files of a folder, whose letters the file system may store composed or decomposed."""
        forms = (
            (inner,) if inner.isascii() else (inner, *(unicodedata.normalize(form, inner) for form in ("NFC", "NFD")))
        )
        return next(filter(None, (self._names_in(f"{folder}/{each}" if each else folder) for each in forms)), {})

    def _names_anywhere(self, folder: str) -> dict[str, str]:
        names = self._anywhere.get(folder)
        if names is None:
            names = self._anywhere[folder] = {}
            for directory, files in sorted(walk(folder, _refuse if os.path.exists(folder) else lambda error: None)):  # noqa: PTH110
                for name in files:
                    names.setdefault(name, f"{directory}/{name}")
        return names


def _below(root: str, folder: str) -> tuple[str, bool]:
    is_anywhere = folder == ANYWHERE or folder.endswith("/" + ANYWHERE)
    plain = folder.removesuffix(ANYWHERE).rstrip("/")
    return (root if plain in ("", ".") else f"{root}/{plain}"), is_anywhere


def _look_up(names: dict[str, str], name: str) -> str | None:
    found = names.get(name)
    if found is None and not name.isascii():  # file systems store letters composed or decomposed
        for form in ("NFC", "NFD"):
            found = found or names.get(unicodedata.normalize(form, name))
    return found if found is None or is_text(found) else None


def _files(directory: str) -> list[str]:
    try:
        with os.scandir(directory or "/") as entries:
            return [entry.name for entry in entries if entry.is_file()]
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return []
    except OSError as error:
        raise UnisonoError(f"Cannot list the audio folder {directory}: {error.strerror or error}.") from error


def _refuse(error: OSError) -> None:
    raise UnisonoError(f"Cannot list the audio folder {error.filename}: {error.strerror or error}.") from error


def walk(folder: str, on_error: Callable[[OSError], object]) -> Iterator[tuple[str, list[str]]]:
    """Yield the folders below a folder, and the names of their files; see `scan`."""
    for directory, entries in scan(folder, on_error):
        yield directory, [entry.name for entry in entries]


def scan(
    folder: str, on_error: Callable[[OSError], object], *, skip: Callable[[str], bool] = lambda name: False
) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
    """Yield a folder and those below it, and their files, in alphabetical order; those behind links come last.

    Links are followed, but no folder is entered twice, so that circles end. `on_error` is called for a folder that
    cannot be listed; folders whose names fulfil `skip` are left out.
    """
    seen: set[tuple[int, int]] = set()
    linked = [folder]
    for start in linked:  # grows while it is walked
        waiting = [start]
        while waiting:
            directory = waiting.pop()
            try:
                status = os.stat(directory)  # noqa: PTH116
                if (status.st_dev, status.st_ino) in seen:
                    continue
                with os.scandir(directory) as entries:
                    found = sorted(entries, key=_name)
            except OSError as error:
                on_error(error)
                continue
            seen.add((status.st_dev, status.st_ino))
            folders: list[os.DirEntry[str]] = []
            files: list[os.DirEntry[str]] = []
            for entry in found:
                (folders if _is_folder(entry) else files).append(entry)
            yield directory, files
            wanted = [entry for entry in folders if not skip(entry.name)]
            linked += [entry.path for entry in wanted if entry.is_symlink()]
            waiting += [entry.path for entry in reversed(wanted) if not entry.is_symlink()]


_name = attrgetter("name")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
