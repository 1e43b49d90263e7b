"""Bringing the encoders' weights to this machine, from the Hugging Face Hub or from a folder, verified."""

import json
import shutil
from functools import cache, partial
from pathlib import Path
from typing import Any

from unisono.base.errors import DataError, UnisonoError
from unisono.base.files import explained, whole_file, write_whole
from unisono.base.log import log
from unisono.base.progress import progress
from unisono.embeddings.encoders.text._files import published, repository
from unisono.embeddings.encoders.weights import (
    RECORD,
    Found,
    HubFile,
    HubWeights,
    check,
    load_tensors,
    locate,
    root,
    sha256_of,
)
from unisono.sources.base import RemoteFile

TENSORS = (".safetensors", ".bin", ".pt")


def fetch_text(name: str, from_dir: Path | None = None) -> Found:
    """Bring a text encoder's files to this machine and verify them; which these are, the repository says.

    Raises:
        UnisonoError, DataError: as `fetch` does.
    """
    folder = from_dir or root() / name
    if from_dir is not None or (folder / RECORD).is_file():
        hub = published(name, [path.name for path in folder.iterdir()] if folder.is_dir() else [])
        if from_dir is not None or _is_fetched(folder, hub):
            return fetch(name, hub, from_dir)
    info = _ask(name, *repository(name))
    return fetch(name, published(name, [sibling.rfilename for sibling in info.siblings or []]))


def fetch(name: str, hub: HubWeights, from_dir: Path | None = None) -> Found:
    """Bring an encoder's weights to this machine and verify them.

    What is there already and whole is not fetched again; an interrupted download is taken up where it stopped.

    Args:
        name: the encoder's name.
        hub: what is published.
        from_dir: a folder that holds the files; None downloads them.

    Raises:
        UnisonoError: no network, no space, no such revision, or the folder lacks a file.
        DataError: a file is not what was published.
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
    except (OSError, ValueError):
        return False
    return (
        record["repo"] == hub.repo
        and hub.revision in ("main", record["revision"])
        and all(
            (folder / name).is_file() and (folder / name).stat().st_size == stated["size"]
            for name, stated in record["files"].items()
        )
    )


def _copy(hub: HubWeights, source: Path, folder: Path) -> str:
    """Copy the files from a folder of the user's, verified; give the revision."""
    missing = [file for file in hub.files if not (source / file.on_disk).is_file()]
    if missing:
        names = [f"{file.on_disk} ({file.name} of {file.repo})" if file.saved_as else file.on_disk for file in missing]
        raise UnisonoError(
            f"{source} lacks {', '.join(names)} of {hub.repo}.",
            hint=f"Get them where there is a network: hf download {hub.repo} --revision {hub.revision} --local-dir {source}",
        )
    for file in hub.files:
        check(source / file.on_disk, file)
    for file in hub.files:
        if not file.sha256 and Path(file.on_disk).suffix in TENSORS:
            load_tensors(source / file.on_disk)  # its hash is not known: at least it is whole
    (folder / RECORD).unlink(missing_ok=True)  # it is written last: it says that all of it is whole
    for file in hub.files:
        with whole_file(folder / file.on_disk) as unfinished:
            shutil.copyfile(source / file.on_disk, unfinished)
    return hub.revision if hub.weights.sha256 else f"sha256:{sha256_of(folder / hub.weights.on_disk)}"


def _download(name: str, hub: HubWeights, folder: Path) -> str:
    """Download the files into a folder, verified; give the commit."""
    from unisono.sources.download.hub import credentials
    from unisono.sources.download.transfer import FetchError, Transfer
    from unisono.sources.download.web import Patience, Web

    wanted = [_look_up(name, hub, file) for file in hub.files]
    parts = folder / ".parts"
    parts.mkdir(parents=True, exist_ok=True)
    _check_space(name, parts, sum(remote.size for remote, _ in wanted))
    web = Web(Patience(), connections=1)
    with progress("bytes") as bar:
        task = bar.add_task(name, total=sum(remote.size for remote, _ in wanted))
        for remote, _ in wanted:
            if _is_whole(parts / remote.name, remote):  # of an earlier try
                bar.advance(task, remote.size)
                continue
            path, advance = parts / remote.name, partial(bar.advance, task)
            try:
                Transfer(remote, path, web, advance=advance, headers=credentials()).run()
            except FetchError as error:
                raise UnisonoError(
                    error.message, hint="Run the same command again; what was received and is right is kept."
                ) from error
    (folder / RECORD).unlink(missing_ok=True)  # it is written last: it says that all of it is whole
    for remote, _ in wanted:
        (parts / remote.name).replace(folder / remote.name)
    shutil.rmtree(parts)
    return wanted[-1][1]


def _look_up(name: str, hub: HubWeights, file: HubFile) -> tuple[RemoteFile, str]:
    """Ask the hub for a file's address, size and hash, and for the commit it is of."""
    from huggingface_hub import hf_hub_url

    repo, revision = file.repo or hub.repo, file.revision or hub.revision
    info = _ask(name, repo, revision)
    found: Any = next((sibling for sibling in info.siblings or [] if sibling.rfilename == file.name), None)
    if found is None or info.sha is None:
        raise UnisonoError(f"{repo} at revision {revision} has no file {file.name}.")
    log.info("%s: %s of %s at %s", name, file.name, repo, info.sha)
    sha256 = file.sha256 or (found.lfs.sha256 if found.lfs else "")
    remote = RemoteFile(
        name=file.on_disk,
        urls=(hf_hub_url(repo, file.name, revision=info.sha),),
        size=file.size or found.size or 0,
        checksum=f"sha256:{sha256}" if sha256 else f"git:{found.blob_id}" if found.blob_id else "",
        hub=True,
    )
    return remote, info.sha


@cache
def _ask(name: str, repo: str, revision: str) -> Any:
    """Ask the hub for a repository's commit and files."""
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError
    except ImportError:
        raise UnisonoError(
            "Fetching from the Hugging Face Hub needs huggingface_hub.",
            hint="Install it with: pip install 'unisono[embed]'",
        ) from None
    try:
        return HfApi().model_info(repo, revision=revision, files_metadata=True)
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise UnisonoError(f"The Hugging Face Hub has no {repo} at revision {revision}.") from error
    except Exception as error:  # its errors have no common base, and those of the network come through as they are
        reason = str(error).split("\n", maxsplit=1)[0] or type(error).__name__
        raise UnisonoError(
            f"Cannot fetch {repo}: the Hugging Face Hub could not be asked for it ({reason}).",
            hint="Run the same command again when there is a network. For a machine that never has one: elsewhere run "
            f"`hf download {repo} --revision {revision} --local-dir FOLDER`, bring the folder here and run: "
            f"unisono encoders fetch {name} --from-dir FOLDER",
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
            f"{name} needs {size / 1e9:.1f} GB in {folder}, where {free / 1e9:.1f} GB are free.",
            hint="Free some space, or choose another place with the environment variable UNISONO_WEIGHTS.",
        )
