"""The files of a text encoder: which of a repository's it needs, and whether they are on this machine."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from unisono.base.errors import DataError
from unisono.embeddings.encoders import text
from unisono.embeddings.encoders.weights import RECORD, HubFile, HubWeights, root

WANTED = ("*.json", "*.safetensors", "*.txt", "*.model")
"""Configuration, tensors and tokenizer; never what would have to be unpickled or run. Files of subfolders (the model in
other formats) are not wanted."""


def repository(name: str) -> tuple[str, str]:
    """Give the repository of a text encoder and the revision it is pinned to."""
    spec = text.spec(name)
    return spec.source, getattr(text.module(name), "REVISION", spec.revision)


def published(name: str, files: Iterable[str]) -> HubWeights:
    """Describe what of a repository's (or a folder's) files makes up a text encoder.

    Raises:
        DataError: there are no tensors among them, not all of them, or no configuration.
    """
    repo, revision = repository(name)
    wanted = sorted(
        file for file in files if "/" not in file and file != RECORD and any(fnmatchcase(file, kind) for kind in WANTED)
    )
    tensors = [file for file in wanted if file.endswith(".safetensors")]
    parts = re.search(r"-of-(\d+)\.", tensors[-1]) if tensors else None
    lacking = ""
    if not tensors:
        lacking = "*.safetensors"
    elif "config.json" not in wanted:
        lacking = "config.json"
    elif parts and len(tensors) < int(parts[1]):
        lacking = f"{int(parts[1]) - len(tensors)} of the {int(parts[1])} files of tensors"
    if lacking:
        raise DataError(
            f"The files of {repo} are not all there: missing is {lacking}.",
            hint=f"Get them where there is a network: hf download {repo} --revision {revision} --local-dir FOLDER",
        )
    return HubWeights(
        repo=repo,
        revision=revision,
        weights=HubFile(name=tensors[-1], sha256=getattr(text.module(name), "SHA256", "")),
        others=tuple(HubFile(name=file) for file in wanted if file != tensors[-1]),
    )


def kept(name: str) -> Path | None:
    """Give the folder where `unisono encoders fetch` puts a text encoder, if it is there."""
    folder = root() / name
    return folder if folder.is_dir() else None


def is_here(name: str) -> bool:
    """Say whether a text encoder is on this machine, without reading it."""
    module = text.module(name)
    packaged = getattr(module, "packaged", None)
    if packaged is not None and packaged():
        return True
    folder = kept(name)
    if folder is not None:
        return (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return False
    repo, revision = repository(name)
    return all(
        any(isinstance(try_to_load_from_cache(repo, file, revision=revision), str) for file in either)
        for either in (("config.json",), ("model.safetensors", "model.safetensors.index.json"))
    )
