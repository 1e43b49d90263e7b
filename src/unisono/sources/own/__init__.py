"""The user's own music: a folder of tagged files, a table of captions through a recipe, a Hugging Face dataset."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from unisono.base.files import expanded
from unisono.sources.base import Dataset
from unisono.tracks.vocabulary import key

_SHIPPED = Path(__file__).parent / "recipes"
_FOLDER = "folder:"
_HUGGING_FACE = "hf:"


def find(name: str, suffix: str = "") -> Dataset | None:
    """Return the dataset that a name stands for, if it is none of the published ones; else None.

    The name is `folder:<path>`, `hf:<path>`, `hf:owner/name`, the path of a recipe, or the name of a recipe that is part
    of unisono. A suffix takes the place of a folder's name in the name of the dataset.

    Raises:
        UsageError: the folder or the recipe is missing, or the recipe has a mistake.
    """
    if name.startswith(_FOLDER):
        from unisono.sources.own.folder import folder_dataset

        return folder_dataset(expanded(name.removeprefix(_FOLDER)), suffix)
    if name.startswith(_HUGGING_FACE):
        from unisono.sources.own.recipe_dataset import huggingface_dataset

        return huggingface_dataset(name, suffix)
    if name.endswith(".toml"):
        from unisono.sources.own.recipe_dataset import recipe_dataset

        return recipe_dataset(expanded(name))
    if name in recipe_names():
        from unisono.sources.own.recipe_dataset import recipe_dataset

        return recipe_dataset(_SHIPPED / f"{name}.toml", is_shipped=True)
    return None


def meant_by(name: str) -> str:
    """Return what to write instead of a path that is no dataset by itself; empty if the name is no path of this disk."""
    path = expanded(name)
    if path.is_dir():
        return f"A folder of music is named folder:{name}, one of tables with their audio hf:{name}"
    if path.is_file():
        return f"A table needs a recipe, see docs/your-own-music.md; then name that: {path.stem}.toml"
    return ""


def one_spelling(name: str) -> str:
    """Return a name with the real path of what it names, where it names a folder or a recipe."""
    kind = next((kind for kind in (_FOLDER, _HUGGING_FACE) if name.startswith(kind)), "")
    path = expanded(name.removeprefix(kind))
    is_path = kind == _FOLDER or (path.is_dir() if kind else name.endswith(".toml"))
    return f"{kind}{os.path.realpath(path)}" if is_path else name


def distinct_suffixes(names: Sequence[str]) -> list[str]:
    """Return what tells folders of one name apart, such as `disk1-music` and `disk2-music`.

    It is made of as many of the folders above as that takes; if that does not suffice, of a hash. Names that are not all
    those of folders cannot be told apart: then the results are empty.
    """
    if not all(
        name.startswith((_FOLDER, _HUGGING_FACE)) and Path(one_spelling(name).partition(":")[2]).is_dir()
        for name in names
    ):
        return [""] * len(names)
    paths = [Path(one_spelling(name).partition(":")[2]) for name in names]
    for depth in range(2, max(len(path.parts) for path in paths) + 1):
        found = ["-".join(filter(None, map(key, path.parts[-depth:]))) for path in paths]
        if len(set(found)) == len(found):
            return found
    hashes = [hashlib.sha256(os.fsencode(path)).hexdigest()[:8] for path in paths]
    return [f"{key(path.name) or 'root'}-{digest}" for path, digest in zip(paths, hashes, strict=True)]


def recipe_names() -> list[str]:
    """List the recipes that are part of unisono, in alphabetical order."""
    return sorted(path.stem for path in _SHIPPED.glob("*.toml"))
