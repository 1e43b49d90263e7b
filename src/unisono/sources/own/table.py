"""Parse a table, or all tables of a folder, into tracks, by a recipe."""

import difflib
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from unisono.base.errors import DataError, UsageError
from unisono.base.progress import progress
from unisono.base.tally import Dropped
from unisono.sources.base import ParseOptions
from unisono.sources.cells import is_text, list_literal, seconds, tidy_tags
from unisono.sources.own.guess import guessed
from unisono.sources.own.layout import METADATA, SPLITS, find_tables, splits_of
from unisono.sources.own.recipe import Recipe
from unisono.sources.readers import CsvTable, JsonLines, json_items
from unisono.tracks.track import Caption, Split, Track, captions_of, replace
from unisono.tracks.unpacked import AudioFolder
from unisono.tracks.vocabulary import key

_FIELD = re.compile(r"\{([^{}]+)\}")
_ROWS_SEARCHED_FOR_COLUMNS = 100
_ARROW = (".parquet", ".arrow")
_HELD_OUT: dict[Split | None, int] = {None: 0, "train": 1, "val": 2, "test": 3}

Values = dict[str, Any]
Rows = Iterable[tuple[str, Values] | Dropped]


@dataclass(frozen=True)
class _Table:
    """A table that a recipe reads."""

    path: Path
    folder: Path
    """Rows are named by paths relative to this folder."""
    split: Split | None = None
    """The split of all its rows, if its name states one."""
    audio_folder: str = ""
    """The folder of the audio files that it names, relative to the folder of the audio."""

    @property
    def is_arrow(self) -> bool:
        return self.path.suffix.lower() in _ARROW


def parse_table(recipe: Recipe, name: str, place: Path, root: Path, options: ParseOptions) -> Iterator[Track | Dropped]:
    """Yield the tracks of a table, or of all tables of a folder; audio in them is unpacked first.

    Raises:
        DataError: a table is missing or damaged, or lacks a column that the recipe names.
        UsageError: the meaning of the columns is unclear, or a package is missing.
    """
    tables = _tables(recipe, name, place, root)
    if not recipe.audio:
        names = _column_names(tables[0])
        recipe = guessed(recipe, tables[0].path, names, _audio_columns(tables[0]))
    tracks: dict[str, Track] = {}
    with ExitStack() as stack:
        unpacked = None
        if options.unpack_to is not None:
            unpacked = AudioFolder(options.unpack_to / name)
            stack.callback(unpacked.close)
        for row, table in _all_rows(recipe, tables, stack):
            item = row if isinstance(row, Dropped) else _track(recipe, name, *row, table, unpacked)
            if isinstance(item, Dropped):
                yield item
            else:
                first = tracks.get(item.id)
                tracks[item.id] = _merged(first, item) if first else item
    yield from tracks.values()


def _tables(recipe: Recipe, name: str, place: Path, root: Path) -> list[_Table]:
    if place.is_file():
        return [_Table(place, place.parent)]
    if not place.is_dir():
        raise DataError(f"{place}: the table of the recipe {name!r} is missing.", hint=recipe.not_fetched)
    paths = find_tables(place, recipe.files)
    return [
        _Table(path, place, split, _audio_folder(path, root) if path.name in METADATA else "")
        for path, split in zip(paths, splits_of(paths, place), strict=True)
    ]


def _audio_folder(path: Path, root: Path) -> str:
    folder = path.parent
    return folder.relative_to(root).as_posix() if folder.is_relative_to(root) and folder != root else ""


def _merged(first: Track, more: Track) -> Track:
    """Join the captions of two rows of one track. If their splits differ, test counts before val, and val before train."""
    captions: dict[str, Caption] = {}
    for caption in (*first.captions, *more.captions):
        captions.setdefault(caption.text, caption)
    return replace(
        first,
        captions=tuple(captions.values()),
        split=max(first.split, more.split, key=_HELD_OUT.__getitem__),
    )


def _all_rows(
    recipe: Recipe, tables: Sequence[_Table], stack: ExitStack
) -> Iterator[tuple[tuple[str, Values] | Dropped, _Table]]:
    """Yield the rows of all tables; show progress if they contain audio."""
    wanted = _wanted(recipe)
    bar = task = None
    if any(column in wanted for table in tables for column in _audio_columns(table)):
        from unisono.sources import arrow

        bar = stack.enter_context(progress("rows"))
        total = sum(arrow.count_rows(table.path) for table in tables if table.is_arrow)
        task = bar.add_task("Unpacking audio", total=total)
    for table in tables:
        for row in _rows(table, recipe, wanted):
            yield row, table
            if bar is not None and task is not None:
                bar.advance(task)


def _wanted(recipe: Recipe) -> list[str]:
    """List the columns that a recipe names."""
    return list(dict.fromkeys([*_FIELD.findall(recipe.audio), *_wanted_as_text(recipe)]))


def _wanted_as_text(recipe: Recipe) -> list[str]:
    named: list[str] = _FIELD.findall(recipe.recording)
    for value in msgspec.structs.asdict(recipe.columns).values():
        named += [value] if isinstance(value, str) else value
    return [column for column in named if column]


def _column_names(table: _Table) -> list[str]:
    if table.is_arrow:
        from unisono.sources import arrow

        return arrow.column_names(table.path)
    if table.path.suffix.lower() == ".csv":
        return [name for name in CsvTable(table.path, table.folder, ()).names if name]
    first = itertools.islice(JsonLines(table.path, table.folder, Values), _ROWS_SEARCHED_FOR_COLUMNS)
    return list(dict.fromkeys(name for row in first if not isinstance(row, Dropped) for name in row[1]))


def _audio_columns(table: _Table) -> list[str]:
    """List the columns that contain audio."""
    if not table.is_arrow:
        return []
    from unisono.sources import arrow

    return arrow.audio_columns(table.path)


def _rows(table: _Table, recipe: Recipe, wanted: list[str]) -> Rows:
    path, folder, ending = table.path, table.folder, table.path.suffix.lower()
    if ending in (".csv", ".tsv"):
        rows = CsvTable(path, folder, (), optional=wanted, delimiter="\t" if ending == ".tsv" else ",")
        _refuse_missing([column for column in wanted if column not in rows.names], rows.names, path)
        for row in rows:
            yield (
                row
                if isinstance(row, Dropped)
                else (f"{path.name}: row {row[0]}", dict(zip(wanted, row[1], strict=True)))
            )
    elif ending == ".jsonl":
        yield from _with_columns(_lines(JsonLines(path, folder, Values)), wanted, path)
    elif ending == ".json":
        yield from _with_columns(json_items(path, folder, Values), wanted, path)
    elif table.is_arrow:
        from unisono.sources import arrow

        names = arrow.column_names(path)
        _refuse_missing([column for column in wanted if column not in names], names, path)
        _refuse_misused_audio(recipe, _audio_columns(table), path)
        yield from arrow.rows(path, folder, wanted)
    else:
        raise UsageError(f"{path}: a table ends in .csv, .tsv, .jsonl, .json, .parquet or .arrow, not in {ending!r}.")


def _lines(lines: JsonLines[Values]) -> Rows:
    for item in lines:
        yield item if isinstance(item, Dropped) else (lines.where(item[0]), item[1])


def _with_columns(rows: Rows, wanted: list[str], table: Path) -> Rows:
    """Return the rows, after checking in the first ones that every column is there."""
    iterator = iter(rows)
    first = list(itertools.islice(iterator, _ROWS_SEARCHED_FOR_COLUMNS))
    found = {column: None for row in first if not isinstance(row, Dropped) for column in row[1]}
    if found:
        _refuse_missing([column for column in wanted if column not in found], list(found), table)
    return itertools.chain(first, iterator)


def _refuse_missing(missing: list[str], found: list[str], table: Path) -> None:
    if not missing:
        return
    if not all(map(is_text, found)):
        found = [name.encode(errors="surrogateescape").decode(errors="replace") for name in found]
        close, hint = [], "The table is not in UTF-8: save it in that encoding."
    else:
        close, hint = difflib.get_close_matches(missing[0], found, 1), "Correct the recipe."
    raise DataError(
        f"{table}: there is no column {missing[0]!r}, which the recipe names; columns found: {', '.join(found)}.",
        hint=f"Did you mean {close[0]!r}?" if close else hint,
    )


def _refuse_misused_audio(recipe: Recipe, audio_columns: list[str], table: Path) -> None:
    for column in audio_columns:
        if column in _wanted_as_text(recipe):
            raise DataError(
                f"{table}: the column {column!r}, which the recipe names under [columns], holds audio, not text.",
                hint=f'Name it as the audio: audio = "{{{column}}}"',
            )
        if column in _FIELD.findall(recipe.audio) and recipe.audio != f"{{{column}}}":
            raise DataError(
                f"{table}: the column {column!r} holds the audio itself, not its name, but the recipe says "
                f"audio = {recipe.audio!r}.",
                hint=f'Write: audio = "{{{column}}}"',
            )


def _track(
    recipe: Recipe, name: str, where: str, values: Values, table: _Table, unpacked: AudioFolder | None
) -> Track | Dropped:
    columns = recipe.columns

    def get(column: str) -> str:
        return _text(values.get(column)) if column else ""

    audio_path = _audio(recipe, where, values, table, unpacked)
    if isinstance(audio_path, Dropped):
        return audio_path
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
        captions=captions_of(captions, recipe.caption_origin),
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
        split=SPLITS.get(get(columns.split).lower()) or table.split,
        url=get(columns.url),
        extra={"year": year} if (year := get(columns.year)) else {},
    )


def _audio(recipe: Recipe, where: str, values: Values, table: _Table, unpacked: AudioFolder | None) -> str | Dropped:
    """Return the path of a row's audio, relative to the audio's folders; audio in the row itself becomes a file."""
    cell = values.get(recipe.audio[1:-1])
    path = ""
    if isinstance(cell, dict) and "bytes" in cell:
        path = _text(cell.get("path"))
        cell = cell["bytes"]
    if isinstance(cell, bytes):
        if not cell:
            return Dropped(id=where, reason="audio file empty", detail=path)
        if unpacked is None:
            return Dropped(id=where, reason="audio not unpacked in a dry run", detail=path, fault=False)
        return unpacked.put(cell, path)
    path = path or _fill(recipe.audio, values)
    if not path:
        return Dropped(id=where, reason="no audio named", detail=f"a column of {recipe.audio!r} is empty")
    return f"{table.audio_folder}/{path}" if table.audio_folder else path


def _fill(template: str, values: Values) -> str:
    """Fill the `{column}` slots of a template; empty if one of the columns is empty."""
    texts = {column: _text(values.get(column)) for column in _FIELD.findall(template)}
    return _FIELD.sub(lambda match: texts[match[1]], template) if all(texts.values()) else ""


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _texts(value: Any) -> list[str]:
    """Return the texts of a cell: one text, or the items of a list, of a list literal, or of an object."""
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
    if value is None or value != value or isinstance(value, (bytes, dict, list)):  # nan is not equal to itself
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return " ".join(str(value).split())
