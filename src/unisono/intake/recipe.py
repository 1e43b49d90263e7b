"""Any table of captions (csv, tsv, jsonl, json, parquet) as a dataset, through a recipe: a small file that maps its columns.

    table = "captions.csv"            # relative to the recipe
    audio_root = "clips"              # relative to the recipe
    audio = "{file}.mp3"              # how the name of an audio file is made from columns

    [columns]
    caption = ["text", "text_2"]      # one or several; a list in a cell is several captions too
    artist = "performer"

Rows with the same id are one track with several captions. All keys are documented in docs/your-own-music.md.
"""

import difflib
import itertools
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from unisono.captions.vocabulary import key
from unisono.datasets import Dataset, ParseOptions
from unisono.datasets._reading import (
    CsvTable,
    JsonLines,
    json_items,
    list_literal,
    parquet_columns,
    parquet_rows,
    seconds,
)
from unisono.datasets._tags import tidy_tags
from unisono.errors import DataError, UsageError
from unisono.tally import Dropped
from unisono.track import CaptionOrigin, Split, Track, replace

SPLITS: dict[str, Split] = {
    "train": "train", "training": "train", "dev": "val", "val": "val", "valid": "val", "validation": "val", "test": "test",
    "testing": "test", "eval": "test", "evaluation": "test",
}  # fmt: skip
_FIELD = re.compile(r"\{([^{}]+)\}")
_ROWS_SEARCHED_FOR_COLUMNS = 100

Rows = Iterable[tuple[str, dict[str, Any]] | Dropped]


class Columns(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The names of the columns that hold what the field is called."""

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
    url: str = ""
    year: str = ""
    """Kept as a further field `year` of the record, for `--captions metadata`."""


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a recipe says."""

    table: str
    audio: str
    columns: Columns
    name: str = ""
    """Default: the recipe's file name."""
    title: str = ""
    homepage: str = ""
    audio_root: str = "."
    recording: str = ""
    """Template of the identity across datasets, e.g. `youtube:{ytid}`."""
    caption_origin: CaptionOrigin = "human"
    license: str = ""
    """Of all tracks, where no column says it."""
    caption_license: str = ""
    tracks: int = 1
    captions: int = 0
    not_fetched: str = ""


def recipe_dataset(path: Path, *, is_shipped: bool = False) -> Dataset:
    """Make a dataset of a recipe. The table of a shipped one lies in `<data-root>/raw/<name>`.

    Raises:
        UsageError: the recipe is missing or has a mistake; the message says which.
    """
    recipe = read_recipe(path)
    name = recipe.name or re.sub(r"\W+", "_", path.stem.lower())
    folder = path.absolute().parent

    def parse(root: Path, options: ParseOptions) -> Iterator[Track | Dropped]:
        return _parse(recipe, name, root if is_shipped else folder)

    return Dataset(
        name=name,
        title=recipe.title or name,
        homepage=recipe.homepage,
        root=None if is_shipped else folder / Path(recipe.audio_root).expanduser(),
        parse=parse,
        marker_files=(recipe.table,) if is_shipped else ("*",),
        audio_folders=(recipe.audio_root,) if is_shipped else (".",),
        is_excerpt=(lambda track: True) if recipe.columns.start else (lambda track: False),
        captions={recipe.caption_origin: recipe.captions},
        tracks=recipe.tracks,
        caption_license=recipe.caption_license or "as its publisher says",
        audio_license=recipe.license or "as its publisher says",
        not_fetched=recipe.not_fetched,
    )


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        UsageError: it is missing or has a mistake.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"There is no recipe {path}.", hint="How to write one: docs/your-own-music.md") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not valid TOML: {error}.") from error
    try:
        return msgspec.convert(content, Recipe)
    except msgspec.ValidationError as error:
        known = ", ".join(Columns.__struct_fields__ if "columns" in str(error) else Recipe.__struct_fields__)
        raise UsageError(f"{path}: {error}.", hint=f"Known keys there: {known}") from error


def _parse(recipe: Recipe, name: str, folder: Path) -> Iterator[Track | Dropped]:
    table = folder / Path(recipe.table).expanduser()
    if not table.is_file():
        raise DataError(f"{table}: the table of the recipe {name!r} is missing.", hint=recipe.not_fetched)
    wanted = _wanted(recipe)
    tracks: dict[str, Track] = {}
    for row in _with_columns(_rows(table, folder, wanted), wanted, table):
        if isinstance(row, Dropped):
            yield row
            continue
        where, values = row
        item = _track(recipe, name, where, values)
        if isinstance(item, Dropped):
            yield item
        elif item.id in tracks:
            first = tracks[item.id]
            captions = [text for text in dict.fromkeys([*first.captions, *item.captions]) if text]
            tracks[item.id] = replace(first, caption=captions[0] if captions else "", alt_captions=captions[1:])
        else:
            tracks[item.id] = item
    yield from tracks.values()


def _wanted(recipe: Recipe) -> list[str]:
    """List the columns that a recipe names."""
    named: list[str] = _FIELD.findall(recipe.audio) + _FIELD.findall(recipe.recording)
    for value in msgspec.structs.asdict(recipe.columns).values():
        named += [value] if isinstance(value, str) else value
    return [column for column in dict.fromkeys(named) if column]


def _rows(table: Path, folder: Path, wanted: list[str]) -> Rows:
    ending = table.suffix.lower()
    if ending in (".csv", ".tsv"):
        rows = CsvTable(table, folder, (), optional=wanted, delimiter="\t" if ending == ".tsv" else ",")
        _refuse_missing([column for column in wanted if column not in rows.names], rows.names, table)
        for row in rows:
            yield (
                row
                if isinstance(row, Dropped)
                else (f"{table.name}: row {row[0]}", dict(zip(wanted, row[1], strict=True)))
            )
    elif ending == ".jsonl":
        lines = JsonLines(table, folder, dict[str, Any])
        for item in lines:
            yield item if isinstance(item, Dropped) else (lines.where(item[0]), item[1])
    elif ending == ".json":
        yield from json_items(table, folder, dict[str, Any])
    elif ending == ".parquet":
        names = parquet_columns(table)
        _refuse_missing([column for column in wanted if column not in names], names, table)
        yield from parquet_rows(table, folder, wanted)
    else:
        raise UsageError(f"{table}: a table ends in .csv, .tsv, .jsonl, .json or .parquet, not in {ending!r}.")


def _with_columns(rows: Rows, wanted: list[str], table: Path) -> Rows:
    """Pass rows on, once the first ones have shown that every column is there."""
    iterator = iter(rows)
    first = list(itertools.islice(iterator, _ROWS_SEARCHED_FOR_COLUMNS))
    found = {column: None for row in first if not isinstance(row, Dropped) for column in row[1]}
    if found:
        _refuse_missing([column for column in wanted if column not in found], list(found), table)
    return itertools.chain(first, iterator)


def _refuse_missing(missing: list[str], found: list[str], table: Path) -> None:
    if not missing:
        return
    close = difflib.get_close_matches(missing[0], found, 1)
    raise DataError(
        f"{table}: there is no column {missing[0]!r}, which the recipe names; columns found: {', '.join(found)}.",
        hint=f"Did you mean {close[0]!r}?" if close else "Correct the recipe.",
    )


def _track(recipe: Recipe, name: str, where: str, values: dict[str, Any]) -> Track | Dropped:
    columns = recipe.columns

    def get(column: str) -> str:
        return _text(values.get(column)) if column else ""

    audio_path = _fill(recipe.audio, values)
    if not audio_path:
        return Dropped(id=where, reason="no audio named", detail=f"a column of {recipe.audio!r} is empty")
    captions = [text for column in _list(columns.caption) for text in _texts(values.get(column))]
    captions = list(dict.fromkeys(captions))
    tags = [
        tag for column in _list(columns.tags) for text in _texts(values.get(column)) for tag in re.split("[;,|]", text)
    ]
    artist, genre = get(columns.artist), get(columns.genre)
    start_s = seconds(get(columns.start))
    end_s = seconds(get(columns.end))
    return Track(
        id=f"{name}_{get(columns.id) or audio_path}",
        audio_path=audio_path,
        caption=captions[0] if captions else "",
        alt_captions=captions[1:],
        duration=seconds(get(columns.duration)) or max(0.0, end_s - start_s),
        dataset=name,
        artist=artist,
        title=get(columns.title),
        genre=genre,
        tags=tidy_tags(tags, genre=genre, artist=artist),
        license=get(columns.license) or recipe.license,
        start=start_s,
        recording=_fill(recipe.recording, values),
        artist_id=f"{name}-artist:{key(artist)}".replace("_", "-") if key(artist) else "",
        split=SPLITS.get(get(columns.split).lower()),
        caption_origin=recipe.caption_origin if captions else None,
        url=get(columns.url),
        extra={"year": year} if (year := get(columns.year)) else {},
    )


def _fill(template: str, values: dict[str, Any]) -> str:
    """Fill a template's `{column}` slots; empty if one of them is."""
    texts = {column: _text(values.get(column)) for column in _FIELD.findall(template)}
    return _FIELD.sub(lambda match: texts[match[1]], template) if all(texts.values()) else ""


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _texts(value: Any) -> list[str]:
    """Give the texts of a cell: one, or those of a list, a written-out list, or the values of an object."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, str) and value.startswith("["):
        try:
            value = list(list_literal(value))
        except ValueError:
            value = [value]
    values = value if isinstance(value, list) else [value]
    return [text for item in values if (text := _text(item))]


def _text(value: Any) -> str:
    if value is None or value != value or isinstance(value, (dict, list)):  # nan is not equal to itself
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return " ".join(str(value).split())
