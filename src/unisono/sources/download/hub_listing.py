"""Which files of a repository on the Hugging Face Hub a dataset wants.

The answer is kept with the dataset, so that a finished download needs no network to know that it is finished, and all
runs take the files from the same commit.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

from unisono.base.errors import UnisonoError
from unisono.base.files import write_whole
from unisono.sources import hub
from unisono.sources.base import HubFiles, RemoteFile
from unisono.sources.download.ledger import STATE_FOLDER, state_folder

_NO_PART_OF_THE_QUESTION = ("optional", "limit")
"""Fields of `HubFiles` that change no answer."""

_LONGEST_NAME = 240
"""Bytes that a file system takes as a name, without what is appended while the file is received."""


def known_files(files: HubFiles, folder: Path) -> list[RemoteFile] | None:
    """Return the files if the Hub has been asked before, else None."""
    try:
        listing = json.loads(_listing_path(files, folder).read_bytes())
        return _remote_files(files, listing["files"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):  # damaged: ask again
        return None


def find_files(files: HubFiles, folder: Path) -> list[RemoteFile]:
    """Return the files in the order of their paths; ask the Hub unless it has been asked before.

    Raises:
        HubError: the Hub cannot be reached, or has no such repository or revision.
        UnisonoError: no file matches.
    """
    found = known_files(files, folder)
    if found is not None:
        return found
    repo = hub.list_files(files.repo, files.revision)
    entries = [
        {"path": file.name, "url": file.urls[0], "size": file.size, "checksum": file.checksum}
        for file in repo.files.values()
        if any(PurePosixPath(file.name).match(pattern) for pattern in files.patterns)
    ]
    wanted = _remote_files(files, entries)
    if not wanted and not files.optional:
        raise UnisonoError(f"{files.repo} at {files.revision} has no file that matches {', '.join(files.patterns)}.")
    write_whole(_listing_path(files, folder), json.dumps({"commit": repo.commit, "files": entries}))
    return wanted


def _leads_elsewhere(path: str) -> bool:
    """Return whether a path would leave the dataset's folder, reach the state of its download, or be no path."""
    parts = path.replace("\\", "/").split("/")
    is_name = all(len(part.encode(errors="replace")) <= _LONGEST_NAME for part in parts) and "\0" not in path
    return path.startswith("/") or ".." in parts or STATE_FOLDER in parts or not is_name


def _remote_files(files: HubFiles, entries: Sequence[dict[str, Any]]) -> list[RemoteFile]:
    return [
        RemoteFile(
            name=entry["path"],
            urls=(entry["url"],),
            size=entry["size"],
            checksum=files.checksums.get(entry["path"], entry["checksum"]),
            unpack_to=files.unpack_to,
            audio_column=files.audio_column,
            unpacked_size=entry["size"] if files.audio_column else files.unpacked_size,
            audio=files.audio,
            hub=True,
            parts=files.parts,
        )
        for entry in entries
        if not _leads_elsewhere(entry["path"])
    ]


def _listing_path(files: HubFiles, folder: Path) -> Path:
    asked = {name: value for name, value in asdict(files).items() if name not in _NO_PART_OF_THE_QUESTION}
    identity = hashlib.sha256(json.dumps(asked, default=sorted).encode()).hexdigest()[:16]
    return state_folder(folder) / f"hub-{identity}.json"
