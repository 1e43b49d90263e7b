"""Ask the Hugging Face Hub which files of a dataset repository are wanted, and where and what they are.

The answer is kept with the dataset, so that a finished download needs no network to know that it is finished, and so
that all runs take the files from the same commit.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

from unisono.base.errors import UnisonoError
from unisono.base.files import write_whole
from unisono.sources.base import HubFiles, RemoteFile
from unisono.sources.download.ledger import STATE_FOLDER, state_folder


def known(files: HubFiles, folder: Path) -> list[RemoteFile] | None:
    """Give the files if the Hub has been asked before, else None."""
    try:
        listing = json.loads(_listing_path(files, folder).read_bytes())
    except (OSError, ValueError):
        return None
    return _remote_files(files, listing)


def find(files: HubFiles, folder: Path) -> list[RemoteFile]:
    """Give the files, in the order of their paths; ask the Hub unless it has been asked before.

    Raises:
        UnisonoError: the Hub cannot be reached, has no such repository or revision, or no file matches.
    """
    remembered = known(files, folder)
    if remembered is not None:
        return remembered
    listing = _ask(files)
    write_whole(_listing_path(files, folder), json.dumps(listing))
    return _remote_files(files, listing)


def credentials() -> dict[str, str]:
    """Give the headers to send along to the Hub: the user's token, if there is one."""
    from huggingface_hub import get_token

    token = get_token()
    return {"Authorization": f"Bearer {token}"} if token else {}


def _ask(files: HubFiles) -> dict[str, Any]:
    try:
        from huggingface_hub import HfApi, hf_hub_url
    except ImportError as error:
        raise UnisonoError(
            f"{files.repo} is on the Hugging Face Hub, which needs the package huggingface_hub.",
            hint="Install it with: pip install 'unisono[hub]'",
        ) from error
    try:
        info = HfApi().dataset_info(files.repo, revision=files.revision, files_metadata=True)
    except Exception as error:  # its errors have no common base, and those of the network come through as they are
        raise UnisonoError(
            f"The Hugging Face Hub could not be asked for the files of {files.repo}: {error}",
            hint="Try again later. For a repository that asks who you are, set HF_TOKEN.",
        ) from error
    entries = [
        {
            "path": file.rfilename,
            "url": hf_hub_url(files.repo, file.rfilename, repo_type="dataset", revision=info.sha),
            "size": file.size,
            "checksum": f"sha256:{file.lfs.sha256}" if file.lfs else f"git:{file.blob_id}",
        }
        for file in sorted(info.siblings or [], key=lambda file: file.rfilename)
        if any(PurePosixPath(file.rfilename).match(pattern) for pattern in files.patterns)
        and not _leads_elsewhere(file.rfilename)
    ]
    if not entries and not files.optional:
        raise UnisonoError(f"{files.repo} at {files.revision} has no file that matches {', '.join(files.patterns)}.")
    return {"commit": info.sha, "files": entries}


def _leads_elsewhere(path: str) -> bool:
    """Whether a path would leave the data set's folder, or reach what a download remembers in it."""
    parts = path.replace("\\", "/").split("/")
    return path.startswith("/") or ".." in parts or parts[0] == STATE_FOLDER


def _remote_files(files: HubFiles, listing: dict[str, Any]) -> list[RemoteFile]:
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
        for entry in listing["files"]
    ]


def _listing_path(files: HubFiles, folder: Path) -> Path:
    asked = {name: value for name, value in asdict(files).items() if name != "optional"}  # it changes no answer
    identity = hashlib.sha256(json.dumps(asked, default=sorted).encode()).hexdigest()[:16]
    return state_folder(folder) / f"hub-{identity}.json"
