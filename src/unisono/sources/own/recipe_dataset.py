"""A table of captions (csv, tsv, jsonl, json, parquet, arrow) as a dataset, through a recipe that maps its columns.

`hf:<folder>` and `hf:owner/name` are recipes too; their mapping is guessed from the columns.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unisono.base.errors import UsageError
from unisono.base.files import expanded
from unisono.base.storage import is_url
from unisono.base.tally import Dropped
from unisono.sources.base import Dataset, HubFiles, ParseOptions
from unisono.sources.own.layout import KINDS
from unisono.sources.own.recipe import Recipe, RecipeColumns, read_recipe
from unisono.sources.own.table import parse_table
from unisono.tracks.track import Track
from unisono.tracks.vocabulary import key

HUB = "hf:"
_ON_HUB = re.compile(
    r"hf:(?P<repo>[\w-][\w.-]*/[\w-][\w.-]*)(?P<part>(?:/[\w-][\w.-]*)*)(?:@(?P<revision>[\w][\w./-]*))?"
)
_AUDIO_FILES = ("*.aiff", "*.flac", "*.m4a", "*.mp3", "*.ogg", "*.opus", "*.wav")


@dataclass(frozen=True)
class OnHub:
    """A dataset repository on the Hugging Face Hub, or a folder of one."""

    repo: str
    part: str
    revision: str

    @classmethod
    def of(cls, text: str) -> "OnHub | None":
        """Parse `hf:owner/name` or `hf:owner/name/folder`, with or without `@revision`; None if it is neither."""
        match = _ON_HUB.fullmatch(text)
        return cls(match["repo"], match["part"].strip("/"), match["revision"] or "main") if match else None

    def files(self, wanted: str) -> tuple[HubFiles, HubFiles]:
        """Return the files to fetch: tables, and audio files if there are any; never a script."""
        tables = (wanted,) if wanted else (*KINDS, "README.md")
        return self._matching(tables), self._matching(_AUDIO_FILES, is_audio=True)

    def _matching(self, patterns: tuple[str, ...], *, is_audio: bool = False) -> HubFiles:
        if self.part:
            patterns = tuple(f"{self.part}/{below}{pattern}" for pattern in patterns for below in ("", "*/"))
        return HubFiles(repo=self.repo, revision=self.revision, patterns=patterns, audio=is_audio, optional=is_audio)


def recipe_dataset(path: Path, *, is_shipped: bool = False) -> Dataset:
    """Make a dataset of a recipe. If it is shipped or on the Hub, its table is in `<data-root>/raw/<name>`.

    Raises:
        UsageError: the recipe is missing or has a mistake; the message says which.
    """
    recipe = read_recipe(path)
    name = recipe.name or re.sub(r"\W+", "_", path.stem.lower())
    if recipe.table.startswith(HUB):
        return _hub_dataset(recipe, name, asked_as=name if is_shipped else str(path))
    folder = path.absolute().parent
    is_there = is_shipped or is_url(recipe.audio_root)

    return _dataset(
        recipe,
        name,
        lambda root: (root if is_shipped else folder) / expanded(recipe.table),
        title=recipe.title or name,
        homepage=recipe.homepage,
        root=None if is_shipped else folder if is_there else folder / expanded(recipe.audio_root),
        marker_files=(recipe.table,) if is_shipped else ("*",),
        audio_folders=(recipe.audio_root,) if is_there else (".",),
    )


def huggingface_dataset(source: str, suffix: str = "") -> Dataset:
    """Make a dataset of `hf:<folder>` or `hf:owner/name`; the meaning of the columns is guessed from their names and types.

    The name of a folder's dataset ends in the folder's name, or in another suffix.

    Raises:
        UsageError: it is neither a folder nor the name of a repository.
    """
    folder = expanded(source.removeprefix(HUB)).absolute()
    if source != HUB and folder.is_dir():
        return _folder_dataset(_unmapped(str(folder)), folder, suffix)
    if OnHub.of(source) is None:
        raise UsageError(
            f"There is no folder {folder}.",
            hint="Name a folder of a Hugging Face dataset, hf:<path>, or a repository of the Hub, hf:owner/name",
        )
    name = re.sub(r"\W+", "_", source.partition("@")[0].lower())
    return _hub_dataset(_unmapped(source), name, asked_as=source)


def _unmapped(table: str) -> Recipe:
    return Recipe(table=table, audio="", columns=RecipeColumns(), caption_origin=None)


def _folder_dataset(recipe: Recipe, folder: Path, suffix: str) -> Dataset:
    name = f"hf_{suffix or key(folder.name) or 'root'}"

    return _dataset(
        recipe,
        name,
        lambda root: folder,
        title=folder.name,
        homepage="",
        root=folder,
        marker_files=("*",),
    )


def _hub_dataset(recipe: Recipe, name: str, *, asked_as: str) -> Dataset:
    there = OnHub.of(recipe.table)
    if there is None:
        raise UsageError(f"{asked_as}: {recipe.table!r} is no repository of the Hub.", hint="Spell it hf:owner/name")
    return _dataset(
        recipe,
        name,
        lambda root: root / there.part,
        title=recipe.title or there.repo,
        homepage=recipe.homepage or f"https://huggingface.co/datasets/{there.repo}",
        asked_as=asked_as,
        marker_files=tuple(f"**/{pattern}" for pattern in ((recipe.files,) if recipe.files else KINDS)),
        audio_folders=(recipe.audio_root,),
        files=there.files(recipe.files),
    )


def _dataset(recipe: Recipe, name: str, place: Callable[[Path], Path], **others: Any) -> Dataset:
    """Make a dataset of a recipe, of the place of its table for a folder of the dataset, and of further fields."""
    describes_parts = bool(recipe.columns.start)
    tidy_paths: dict[str, str] = {}

    def parse(root: Path, options: ParseOptions) -> Iterator[Track | Dropped]:
        return parse_table(recipe, name, place(root), root, options, tidy_paths)

    def other_names(track: Track) -> Iterator[str]:
        path = tidy_paths.get(track.audio_path, track.audio_path)
        yield path
        yield path.replace("\\", "/")

    return Dataset(
        name=name,
        parse=parse,
        audio_names=other_names,
        holds_audio=True,
        is_excerpt=lambda track: describes_parts,
        captions={recipe.caption_origin: recipe.captions} if recipe.caption_origin else {},
        tracks=recipe.tracks,
        caption_license=recipe.caption_license or "as its publisher says",
        audio_license=recipe.license or "as its publisher says",
        not_fetched=recipe.not_fetched,
        **others,
    )
