"""The files of a text encoder: which files of its repository it needs, and whether they are on this machine."""

import re
from collections.abc import Iterable
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from unisono.base.errors import DataError, UnisonoError
from unisono.embeddings.encoders import audio, text
from unisono.embeddings.encoders.weights import RECORD, HubFile, HubWeights, in_hub_cache, root
from unisono.embeddings.encoders.weights import is_here as weights_are_here

WANTED = ("*.json", "*.safetensors", "*.txt", "*.model")
"""Configuration, tensors and tokenizer; nothing that is unpickled or run. Files in subfolders (the model in other formats)
are not needed."""


def repository(name: str) -> tuple[str, str]:
    """Return the repository of a text encoder and its pinned revision."""
    spec = text.spec(name)
    return spec.source, getattr(text.module(name), "REVISION", spec.revision)


def published(name: str, files: Iterable[str]) -> HubWeights:
    """Describe the files of a repository (or a folder) that make up a text encoder.

    Raises:
        DataError: there are no tensors among them, not all of them, or no configuration.
    """
    repo, revision = repository(name)
    wanted = sorted(
        file for file in files if "/" not in file and file != RECORD and any(fnmatchcase(file, kind) for kind in WANTED)
    )
    if lacking := _lacking(wanted):
        raise DataError(
            f"The files of {repo} are not all there: missing is {lacking}.",
            hint=f"Get them where there is a network: hf download {repo} --revision {revision} --local-dir FOLDER",
        )
    tensors = [file for file in wanted if file.endswith(".safetensors")]
    return HubWeights(
        repo=repo,
        revision=revision,
        weights=HubFile(name=tensors[-1], sha256=getattr(text.module(name), "SHA256", "")),
        others=tuple(HubFile(name=file) for file in wanted if file != tensors[-1]),
    )


def _lacking(files: list[str]) -> str:
    """Return what sorted files lack to be a text encoder; "" if nothing."""
    tensors = [file for file in files if file.endswith(".safetensors")]
    if not tensors:
        return "*.safetensors"
    if "config.json" not in files:
        return "config.json"
    parts = re.search(r"-of-(\d+)\.", tensors[-1])
    missing = int(parts[1]) - len(tensors) if parts else 0
    return f"{missing} of the {len(tensors) + missing} files of tensors" if missing > 0 else ""


def kept(name: str) -> Path | None:
    """Return the folder where `unisono encoders fetch` puts a text encoder, if it is there."""
    folder = root() / name
    return folder if folder.is_dir() else None


def is_here(name: str) -> bool:
    """Return whether a text encoder is on this machine, without reading it."""
    hub = getattr(audio.module(name), "WEIGHTS", None) if name in audio.names() else None
    if hub is not None:
        return weights_are_here(name, hub)
    module = text.module(name)
    packaged = getattr(module, "packaged", None)
    if packaged is not None and packaged():
        return True
    folder = kept(name)
    if folder is not None:
        return (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))
    repo, revision = repository(name)
    return all(
        any(in_hub_cache(repo, file, revision) for file in either)
        for either in (("config.json",), ("model.safetensors", "model.safetensors.index.json"))
    )


def snapshot(repository: str, revision: str, otherwise: str) -> Path:
    """Return the folder of a hub repository's files at a revision, from the hub's cache or else from the hub.

    `otherwise` says what to do if it cannot be fetched.

    Raises:
        UnisonoError: it is not in the cache and the hub cannot be reached, or there is no such repository.
    """
    from huggingface_hub import snapshot_download

    get = partial(
        snapshot_download,
        repository,
        revision=revision,
        allow_patterns=list(WANTED),
        ignore_patterns=["onnx/*", "openvino/*"],
    )
    try:
        return Path(get())
    except Exception as error:  # the hub's client passes on the errors of several libraries
        with suppress(Exception):  # some versions of it ask the hub for a list even where all files are in the cache
            cached = Path(get(local_files_only=True))
            if not _lacking(sorted(path.name for path in cached.iterdir())):
                return cached
        reason = str(error).split("\n", maxsplit=1)[0]
        raise UnisonoError(f"Cannot fetch {repository} from the Hugging Face Hub: {reason}.", hint=otherwise) from error
