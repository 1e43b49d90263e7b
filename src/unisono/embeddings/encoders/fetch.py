"""Fetching the encoders' weights, from the Hugging Face Hub or from a folder, verified."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from unisono.base.arguments import nearest
from unisono.base.errors import DataError, UnisonoError, UsageError
from unisono.base.extras import require
from unisono.base.files import explained, whole_file, write_whole
from unisono.base.log import log
from unisono.base.progress import progress
from unisono.embeddings.encoders import audio, text
from unisono.embeddings.encoders.text._files import is_here as text_is_here
from unisono.embeddings.encoders.text._files import published, repository
from unisono.embeddings.encoders.weights import (
    RECORD,
    HubFile,
    HubWeights,
    WeightsOnDisk,
    check,
    load_tensors,
    locate,
    root,
    sha256_of,
)
from unisono.embeddings.encoders.weights import is_here as weights_are_here
from unisono.sources.base import RemoteFile
from unisono.sources.hub import HubError, HubRepo, credentials, list_files

TENSORS = (".safetensors", ".bin", ".pt", ".pth")


def fetch_encoder(name: str, from_dir: Path | None = None) -> WeightsOnDisk | None:
    """Fetch the weights of an audio or text encoder and verify them; return None if it needs no download.

    `from_dir` holds the files, or a folder of the encoder's name with them.

    Raises:
        UsageError: there is no such encoder.
        WeightsAbsentError: its weights come in a package that is not installed.
        UnisonoError, DataError: as for `fetch`.
    """
    check_name(name)
    require("embed", "Fetching encoders", ("huggingface_hub", "safetensors", "torch"))
    if "/" in name:
        from unisono.embeddings.encoders.text._sentence_transformers import fetch as fetch_repository

        if from_dir is not None:
            raise UsageError(
                f"{name} is not copied: a folder can be used as it is.", hint=f"train --text-encoder {from_dir}"
            )
        fetch_repository(name)
        return None
    if from_dir is not None and (from_dir / name).is_dir():
        from_dir = from_dir / name
    hub = getattr(audio.module(name), "WEIGHTS", None) if name in audio.names() else None
    if hub is not None:  # of both towers, if it has two
        return fetch(name, hub, from_dir)
    if name in text.names():
        packaged = getattr(text.module(name), "packaged", None)
        return None if packaged is not None and packaged() else fetch_text(name, from_dir)
    audio.build(name)  # fails if its weights are absent
    return None


def check_name(name: str) -> None:
    """Refuse a name that is no encoder's; any name with a slash may be a repository of the hub.

    Raises:
        UsageError: it has the nearest name.
    """
    known = [*audio.names(), *text.names()]
    if name not in known and "/" not in name:
        raise UsageError(f"There is no encoder {name!r}.{nearest(name, known)}", hint="Known: " + ", ".join(known))


def is_here(name: str) -> bool | None:
    """Return whether the weights of an encoder are on this machine, without reading them; None if it needs none."""
    module = audio.module(name) if name in audio.names() else None
    hub = getattr(module, "WEIGHTS", None)
    if hub is not None:
        return weights_are_here(name, hub)
    if name in text.names():
        return text_is_here(name)
    in_package = getattr(module, "find_weights", None)
    return None if in_package is None else in_package() is not None


def fetch_text(name: str, from_dir: Path | None = None) -> WeightsOnDisk:
    """Fetch the files of a text encoder, as listed by its repository, and verify them.

    Raises:
        UnisonoError, DataError: as `fetch` does.
    """
    folder = from_dir or root() / name
    if from_dir is not None or (folder / RECORD).is_file():
        hub = published(name, [path.name for path in folder.iterdir()] if folder.is_dir() else [])
        if from_dir is not None or _is_fetched(folder, hub):
            return fetch(name, hub, from_dir)
    files = _ask(name, *repository(name)).files
    return fetch(name, published(name, files))


def fetch(name: str, hub: HubWeights, from_dir: Path | None = None) -> WeightsOnDisk:
    """Fetch the weights of an encoder, or copy them from a folder, and verify them.

    Files that are there already and whole are not fetched again; an interrupted download continues where it stopped.

    Raises:
        UnisonoError: no network, no space, no such revision, or the folder lacks a file.
        DataError: a file is not the published one.
    """
    folder = root() / name
    if from_dir is None and _is_fetched(folder, hub):
        log.info("%s: already in %s, nothing to do.", name, folder)
        return locate(name, hub)
    with explained(folder / RECORD):
        revision = _download(name, hub, folder) if from_dir is None else _copy(hub, from_dir, folder)
    files = {
        file.on_disk: {"size": (folder / file.on_disk).stat().st_size, "sha256": sha256_of(folder / file.on_disk)}
        for file in hub.files
    }
    record = {"repo": hub.repo, "revision": revision, "files": files}
    write_whole(folder / RECORD, json.dumps(record, indent=1) + "\n")
    return locate(name, hub)


def _is_fetched(folder: Path, hub: HubWeights) -> bool:
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return (
            record["repo"] == hub.repo
            and hub.revision in ("main", record["revision"])
            and {file.on_disk for file in hub.files} <= record["files"].keys()
            and all(
                (folder / name).is_file() and (folder / name).stat().st_size == stated["size"]
                for name, stated in record["files"].items()
            )
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # it is fetched again
        return False


def _copy(hub: HubWeights, source: Path, folder: Path) -> str:
    """Copy the files from the user's folder, verified; return the revision."""
    missing = [file for file in hub.files if not (source / file.on_disk).is_file()]
    if missing:
        names = [file.described(hub) for file in missing]
        raise UnisonoError(
            f"{source} lacks {', '.join(names)} of {hub.repo}.",
            hint=f"Get them where there is a network: hf download {hub.repo} --revision {hub.revision} --local-dir {source}",
        )
    for file in hub.files:
        check(source / file.on_disk, file)
    for file in hub.files:
        if not file.sha256 and Path(file.on_disk).suffix in TENSORS:
            load_tensors(source / file.on_disk)  # its hash is not known; this shows at least that it is whole
    (folder / RECORD).unlink(missing_ok=True)  # written last: it marks the folder as whole
    for file in hub.files:
        with whole_file(folder / file.on_disk) as unfinished:
            shutil.copyfile(source / file.on_disk, unfinished)
    return hub.revision if hub.weights.sha256 else f"sha256:{sha256_of(folder / hub.weights.on_disk)}"


def _download(name: str, hub: HubWeights, folder: Path) -> str:
    """Download the files into a folder, verified; return the commit."""
    every = [_look_up(name, hub, file) for file in hub.files]
    wanted = [(remote, commit) for remote, commit in every if not _is_whole(folder / remote.name, remote)]
    parts = folder / ".parts"
    parts.mkdir(parents=True, exist_ok=True)
    _check_space(name, parts, sum(remote.size for remote, _ in wanted))
    with progress("bytes") as bar:
        task = bar.add_task(name, total=sum(remote.size for remote, _ in wanted))
        for remote, _ in wanted:
            if _is_whole(parts / remote.name, remote):  # of an earlier try
                bar.advance(task, remote.size)
                continue
            _receive(remote, parts / remote.name, partial(bar.advance, task))
    (folder / RECORD).unlink(missing_ok=True)  # written last: it marks the folder as whole
    for remote, _ in wanted:
        (parts / remote.name).replace(folder / remote.name)
    shutil.rmtree(parts)
    return every[-1][1]


def _look_up(name: str, weights: HubWeights, file: HubFile) -> tuple[RemoteFile, str]:
    """Ask the hub for the address, size and hash of a file, and for its commit."""
    repo, revision = file.repo or weights.repo, file.revision or weights.revision
    found_repo = _ask(name, repo, revision)
    if file.name not in found_repo.files:
        raise UnisonoError(f"{repo} at revision {revision} has no file {file.name}.")
    log.info("%s: %s of %s at %s", name, file.name, repo, found_repo.commit)
    found = found_repo.files[file.name]
    checksum = f"sha256:{file.sha256}" if file.sha256 else found.checksum
    return replace(found, name=file.on_disk, size=file.size or found.size, checksum=checksum), found_repo.commit


def _ask(name: str, repo: str, revision: str) -> HubRepo:
    """Ask the hub for the commit of a repository's revision and for its files."""
    try:
        return list_files(repo, revision, kind="model", extra_name="embed")
    except HubError as error:
        raise UnisonoError(
            f"Cannot fetch {repo}: {error.message}",
            hint=f"{error.hint} For a machine without a network: elsewhere run "
            f"`hf download {repo} --revision {revision} --local-dir FOLDER`, bring the folder here and run: "
            f"unisono encoders fetch {name} --from-dir FOLDER".strip(),
        ) from error


def _receive(remote: RemoteFile, path: Path, advance: Callable[[int], None]) -> None:
    """Download one file of the hub to a path, continuing where an earlier try stopped, and verify it."""
    from unisono.sources.download.transfer import FetchError, Transfer  # its libraries are slow to import
    from unisono.sources.download.web import TransferPolicy, Web

    try:
        Transfer(remote, path, Web(TransferPolicy(), connections=1), advance=advance, headers=credentials(remote)).run()
    except FetchError as error:
        raise UnisonoError(
            error.message, hint="Run the same command again; the parts that were received are kept."
        ) from error


def _is_whole(path: Path, remote: RemoteFile) -> bool:
    kind, _, digest = remote.checksum.partition(":")
    if not path.is_file() or kind != "sha256":
        return False
    try:
        check(path, HubFile(name=remote.name, size=remote.size, sha256=digest))
    except DataError:
        return False
    return True


def _check_space(name: str, folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise UnisonoError(
            f"{name} needs {size / 1e9:.1f} GB in {folder}, but {free / 1e9:.1f} GB are free there.",
            hint="Free some space, or choose another place with the environment variable UNISONO_WEIGHTS.",
        )
