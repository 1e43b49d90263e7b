"""Unifying only if something has changed: the arguments, the releases, or the unified file itself."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unisono import __version__
from unisono.base.arguments import AnyPath, as_path, checked
from unisono.base.files import write_whole
from unisono.base.log import log
from unisono.curation.releases import Parsing
from unisono.curation.unify import unify
from unisono.curation.unify_report import UnifyReport
from unisono.sources.audio_index import walk
from unisono.tracks.workspace import DEFAULT_ROOT, Workspace

WITHOUT_EFFECT = frozenset({"workers", "resume"})


@checked
def unify_if_changed(
    datasets: Sequence[str], *, output: AnyPath, data_root: AnyPath = DEFAULT_ROOT, **settings: Any
) -> UnifyReport | None:
    """Call `unify`, unless it wrote this file from these datasets before and nothing has changed since.

    The arguments are those of `unify`; they may name no other files that it reads.

    Returns:
        What `unify` returned; None if nothing has changed.

    Raises:
        UsageError, DataError, UnisonoError: as `unify` does.
    """
    output, data_root = as_path(output), as_path(data_root)
    note = output.with_suffix(".inputs.json")
    inputs = _inputs(datasets, data_root, settings)
    try:
        is_unchanged = json.loads(note.read_bytes()) == {"inputs": inputs, "output": _sha256(output)}
    except (OSError, ValueError):
        is_unchanged = False
    if is_unchanged:
        log.info("%s is there, and what it was made of has not changed.", output)
        return None
    report = unify(datasets, output=output, data_root=data_root, **settings)
    write_whole(note, json.dumps({"inputs": inputs, "output": _sha256(output)}, indent=1) + "\n")
    return report


def _inputs(datasets: Sequence[str], data_root: Path, settings: dict[str, Any]) -> str:
    """Hash the arguments, and the names, sizes and times of change of all files of the releases."""
    chosen = {name: value for name, value in settings.items() if name not in WITHOUT_EFFECT}
    digest = json.dumps([__version__, chosen, digest_of_releases(datasets, data_root)], sort_keys=True, default=str)
    return hashlib.sha256(digest.encode()).hexdigest()


def digest_of_releases(datasets: Sequence[str], data_root: Path) -> str:
    """Hash the names, sizes and times of change of all files of the releases of datasets, as far as they are there."""
    names = sorted(set(datasets))
    digest = hashlib.sha256(json.dumps(names).encode())
    parsing = Parsing(workspace=Workspace(data_root))
    for name in names:
        root = parsing.release(name).root
        digest.update(f"{os.path.abspath(root)}\n".encode(errors="surrogateescape"))  # noqa: PTH100 - keeps links as they are
        for folder, files in walk(str(root), lambda error: None):
            if not any(part.startswith(".") for part in Path(folder).relative_to(root).parts):  # a download's own files
                for file in files:
                    digest.update(_line(f"{folder}/{file}").encode(errors="surrogateescape"))
    return digest.hexdigest()


def _line(path: str) -> str:
    try:
        status = os.stat(path)  # noqa: PTH116 - there may be many
    except OSError:
        return f"{path}\n"
    return f"{path} {status.st_size} {status.st_mtime_ns}\n"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
