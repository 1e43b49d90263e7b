"""Read recipes: small files that map the columns of a table of captions to the fields of a track.

    table = "captions.csv"            # relative to the recipe; or a folder of a Hugging Face dataset, or hf:owner/name
    audio_root = "clips"              # relative to the recipe
    audio = "{file}.mp3"              # the name of an audio file, made from columns; or the column that contains audio

    [columns]
    caption = ["text", "text_2"]      # one or several; a list in a cell is several captions too
    artist = "performer"

Rows with the same id are one track with several captions. All keys are documented in docs/your-own-music.md.
"""

import re
import tomllib
from pathlib import Path

import msgspec

from unisono.base.arguments import nearest
from unisono.base.errors import UsageError
from unisono.tracks.track import CaptionOrigin

_NAME = re.compile(r"\w[\w-]*")
_UNKNOWN = re.compile(r"unknown field `(.+?)`")
"""Of a dataset: it becomes the name of a folder."""


class RecipeColumns(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Field of a track -> name of the column that contains it."""

    id: str = ""
    """Default: the path of the audio file."""
    caption: str | list[str] = []
    title: str = ""
    artist: str = ""
    genre: str = ""
    tags: str | list[str] = []
    license: str = ""
    duration: str = ""
    start: str = ""
    """Seconds into the file where the described excerpt begins; with `end` or `duration`."""
    end: str = ""
    split: str = ""
    """Default: for a folder, by the names of its tables."""
    url: str = ""
    year: str = ""
    """Kept as a further field `year` of the record, for `--captions metadata`."""


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The content of a recipe."""

    table: str
    audio: str
    columns: RecipeColumns
    name: str = ""
    """Default: the recipe's file name."""
    title: str = ""
    homepage: str = ""
    audio_root: str = "."
    files: str = ""
    """If `table` is a folder or on the Hub: the pattern that the ends of the tables' paths match, such as
    `data/train-*.parquet`. Default: all tables."""
    recording: str = ""
    """Template of the identity across datasets, such as `youtube:{ytid}`."""
    caption_origin: CaptionOrigin | None = "human"
    license: str = ""
    """The licence of all tracks, if no column names one."""
    caption_license: str = ""
    tracks: int = 1
    captions: int = 0
    not_fetched: str = ""


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        UsageError: it is missing or has a mistake.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"There is no recipe {path}.", hint="How to write one: docs/your-own-music.md") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, nested too deeply, or a path with NUL
        raise UsageError(f"{path}: not valid TOML: {error}.") from error
    try:
        recipe = msgspec.convert(content, Recipe)
    except msgspec.ValidationError as error:
        known = RecipeColumns.__struct_fields__ if "$.columns" in str(error) else Recipe.__struct_fields__
        close = nearest(match[1], known) if (match := _UNKNOWN.search(str(error))) else ""
        raise UsageError(f"{path}: {error}.{close}", hint=f"Known keys there: {', '.join(known)}") from error
    if recipe.name and not _NAME.fullmatch(recipe.name):
        raise UsageError(f"{path}: name = {recipe.name!r}: expected letters, digits and underscores.")
    return recipe
