"""The Hugging Face Hub: which files a repository has at a revision, and what to send along when fetching them.

Files are fetched by our own `Transfer`, which resumes and verifies; everything else is done by `huggingface_hub`, so that
its environment variables hold (`HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from unisono.base.errors import UnisonoError
from unisono.base.extras import extra
from unisono.sources.base import RemoteFile


class HubError(UnisonoError):
    """The Hub does not list the files of a repository; the message says why, the hint what to do."""


@dataclass(frozen=True)
class HubRepo:
    """A repository at one commit."""

    name: str
    commit: str
    files: Mapping[str, RemoteFile]
    """All files by path, with address, size, and checksum as the Hub states it."""


@cache
def list_files(
    repo: str, revision: str = "main", *, kind: Literal["dataset", "model"] = "dataset", extra_name: str = "hub"
) -> HubRepo:
    """Ask the Hub for the commit of a revision and its files; once in a process.

    Raises:
        HubError: there is no such repository or revision, it is gated, or the Hub cannot be reached.
        MissingExtraError: `huggingface_hub` is not installed.
    """
    with extra(extra_name, "Fetching from the Hugging Face Hub"):
        from huggingface_hub import HfApi, hf_hub_url
    try:
        ask = HfApi().dataset_info if kind == "dataset" else HfApi().model_info
        info = ask(repo, revision=revision, files_metadata=True)
    except Exception as error:  # its errors have no common base, and those of the network are passed on
        raise _in_words(error, repo, revision, kind) from error
    commit = info.sha or revision
    files = {}
    named = [file for file in info.siblings or [] if isinstance(file.rfilename, str) and file.rfilename]
    for file in sorted(named, key=lambda file: file.rfilename):
        files[file.rfilename] = RemoteFile(
            name=file.rfilename,
            urls=(hf_hub_url(repo, file.rfilename, repo_type=kind, revision=commit),),
            size=file.size if isinstance(file.size, int) and file.size > 0 else 0,
            checksum=f"sha256:{file.lfs.sha256}" if file.lfs else f"git:{file.blob_id}" if file.blob_id else "",
            hub=True,
        )
    return HubRepo(repo, commit, files)


def credentials(file: RemoteFile) -> dict[str, str]:
    """Return the headers to send along for a file: the user's token, if there is one and the Hub serves the file."""
    if not file.hub:
        return {}
    from huggingface_hub import constants, get_token

    token = get_token()
    is_hub = all(url.startswith(constants.ENDPOINT.rstrip("/") + "/") for url in file.urls)
    return {"Authorization": f"Bearer {token}"} if token and is_hub else {}


def _in_words(error: Exception, repo: str, revision: str, kind: str) -> HubError:
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if isinstance(error, GatedRepoError):
        page = f"https://huggingface.co/{'datasets/' if kind == 'dataset' else ''}{repo}"
        return HubError(
            f"{repo} is only for those who accept its conditions.",
            hint=f"Accept them at {page}, then set HF_TOKEN to a token of your account and run the same command again.",
        )
    if isinstance(error, RevisionNotFoundError):
        return HubError(f"The Hugging Face Hub has no {repo} at revision {revision}.")
    if isinstance(error, RepositoryNotFoundError):
        return HubError(
            f"The Hugging Face Hub has no {kind} {repo} at revision {revision}, or it is private.",
            hint="Check the name. For a private repository, set HF_TOKEN.",
        )
    if isinstance(error, OfflineModeIsEnabled):
        return HubError(
            f"The Hugging Face Hub could not be asked for the files of {repo}: HF_HUB_OFFLINE is set.",
            hint="Unset HF_HUB_OFFLINE, or take the files from a folder with --from-dir.",
        )
    if isinstance(error, HFValidationError):
        return HubError(f"{repo!r} is not a name of a repository on the Hugging Face Hub.")
    reason = str(error).split("\n", maxsplit=1)[0] or type(error).__name__
    return HubError(
        f"The Hugging Face Hub could not be asked for the files of {repo}: {reason}",
        hint="Run the same command again when there is a network.",
    )
