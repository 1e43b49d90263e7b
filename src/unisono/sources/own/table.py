"""Parse a table, or all tables of a folder, into tracks, by a recipe."""

import difflib
import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec

from unisono.base.errors import DataError, UsageError
from unisono.base.log import log
from unisono.base.progress import progress
from unisono.base.tally import Dropped, DroppedList
from unisono.sources.base import ParseOptions
from unisono.sources.cells import (
    artist_key,
    is_text,
    list_literal,
    name_of,
    text_of,
    tidy,
    tidy_tags,
    time_s,
)
from unisono.sources.own.described import Described, DescribedRows
from unisono.sources.own.guess import guessed
from unisono.sources.own.layout import METADATA, SPLITS, find_tables, splits_of
from unisono.sources.own.recipe import Recipe
from unisono.sources.readers import MALFORMED, CsvTable, JsonLines, json_items
from unisono.tracks.track import Split, Track, captions_of
from unisono.tracks.unpacked import AudioFolder

_FIELD = re.compile(r"\{([^{}]+)\}")
_FILE_ADDRESS = re.compile(r"file://(?:localhost)?(?=/)", re.IGNORECASE)
_ROWS_SEARCHED_FOR_COLUMNS = 100
_ARROW = (".parquet", ".arrow")

_DELIMITERS = (",", ";", "\t", "|")
_CLOSE_S = 0.5
"""Lengths that differ by less are one length."""

Values = dict[str, Any]
Where = Callable[[], str]
"""The place of a row, for messages."""
Rows = Iterable[tuple[Where, Values] | Dropped]


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


def parse_table(
    recipe: Recipe, name: str, place: Path, root: Path, options: ParseOptions, tidy_paths: dict[str, str]
) -> Iterator[Track | Dropped]:
    """Yield the tracks of a table, or of all tables of a folder; audio in them is unpacked first.

    `tidy_paths` is filled: path of audio, as written -> the same without blanks that a person may have added.

    Raises:
        DataError: a table is missing or damaged, lacks a column that the recipe names, or has one id for two files.
        UsageError: the meaning of the columns is unclear, or a package is missing.
    """
    tables = _tables(recipe, name, place, root)
    recipes = [recipe] * len(tables)
    if not recipe.audio:
        recipes = [guessed(recipe, table.path, _column_names(table), _audio_columns(table)) for table in tables]
    dropped = DroppedList()

    def described() -> Iterator[tuple[int, Described, Track]]:
        with ExitStack() as stack:
            unpacked = None
            if options.unpack_to is not None:
                unpacked = AudioFolder(options.unpack_to / name)
                stack.callback(unpacked.close)
            for number, (row, table, its_recipe) in enumerate(_all_rows(recipes, tables, stack)):
                item = (
                    row
                    if isinstance(row, Dropped)
                    else _Row(its_recipe, name, *row, table, root).track(unpacked, tidy_paths)
                )
                if isinstance(item, Dropped):
                    dropped.extend([(name, item)])
                else:
                    yield number, *item

    rows = DescribedRows(described())
    yield from (item for _, item in dropped)
    yield from rows.tracks(f"{name}_", lambda number: _place(recipes, tables, number))


def _place(recipes: Sequence[Recipe], tables: Sequence[_Table], number: int) -> str:
    """Return the place of a row, by its number among those of all tables."""
    with ExitStack() as stack:
        row, _, _ = next(itertools.islice(_all_rows(recipes, tables, stack), number, None))
    return row.id if isinstance(row, Dropped) else row[0]()


def _tables(recipe: Recipe, name: str, place: Path, root: Path) -> list[_Table]:
    try:
        is_file, is_folder = place.is_file(), place.is_dir()
    except OSError as error:
        raise DataError(f"{place}: cannot be read: {error.strerror or error}.", hint="Correct the recipe.") from error
    if is_file:
        return [_Table(place, place.parent)]
    if not is_folder:
        raise DataError(f"{place}: the table of the recipe {name!r} is missing.", hint=recipe.not_fetched)
    paths = find_tables(place, recipe.files)
    return [
        _Table(path, place, split, _audio_folder(path, root) if path.name in METADATA else "")
        for path, split in zip(paths, splits_of(paths, place), strict=True)
    ]


def _audio_folder(path: Path, root: Path) -> str:
    folder = path.parent
    return folder.relative_to(root).as_posix() if folder.is_relative_to(root) and folder != root else ""


def _all_rows(
    recipes: Sequence[Recipe], tables: Sequence[_Table], stack: ExitStack
) -> Iterator[tuple[tuple[Where, Values] | Dropped, _Table, Recipe]]:
    """Yield the rows of all tables; show progress if they contain audio."""
    wanted = [_wanted(recipe) for recipe in recipes]
    bar = task = None
    if any(column in its for table, its in zip(tables, wanted, strict=True) for column in _audio_columns(table)):
        from unisono.sources import arrow

        bar = stack.enter_context(progress("rows"))
        total = sum(arrow.count_rows(table.path) for table in tables if table.is_arrow)
        task = bar.add_task("Unpacking audio", total=total)
    elsewhere = {name for table in tables for name in _column_names(table)} if len(tables) > 1 else set()
    for table, recipe, its_wanted in zip(tables, recipes, wanted, strict=True):
        for row in _rows(table, recipe, its_wanted, elsewhere - set(_FIELD.findall(recipe.audio))):
            yield row, table, recipe
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
    if table.path.suffix.lower() in (".csv", ".tsv"):
        return [name for name in _csv_table(table, ()).names if name]
    if table.path.suffix.lower() == ".json":
        first: Iterable[Any] = json_items(table.path, table.folder, Values)
        return list(dict.fromkeys(name for row in first if not isinstance(row, Dropped) for name in row[1]))
    first = itertools.islice(JsonLines(table.path, table.folder, Values), _ROWS_SEARCHED_FOR_COLUMNS)
    return list(dict.fromkeys(name for row in first if not isinstance(row, Dropped) for name in row[1]))


def _audio_columns(table: _Table) -> list[str]:
    """List the columns that contain audio."""
    if not table.is_arrow:
        return []
    from unisono.sources import arrow

    return arrow.audio_columns(table.path)


def _rows(table: _Table, recipe: Recipe, wanted: list[str], elsewhere: set[str]) -> Rows:
    """Yield the rows of a table; a column of `elsewhere` may be missing here, and is empty then."""
    path, folder, ending = table.path, table.folder, table.path.suffix.lower()

    def refuse_missing(found: list[str]) -> None:
        missing = [column for column in wanted if column not in found]
        _refuse_missing([column for column in missing if column not in elsewhere], found, path)
        if missing:
            log.warning("%s: there is no column %s; it is empty for these rows.", path, ", ".join(missing))

    if ending in (".csv", ".tsv"):
        rows = _csv_table(table, wanted)
        refuse_missing(rows.names)
        for row in rows:
            yield (
                row
                if isinstance(row, Dropped)
                else (partial(rows.where, row[0]), dict(zip(wanted, row[1], strict=True)))
            )
    elif ending == ".jsonl":
        lines = JsonLines(path, folder, Values)
        named: Rows = (row if isinstance(row, Dropped) else (partial(lines.where, row[0]), row[1]) for row in lines)
        yield from _with_columns(named, refuse_missing)
    elif ending == ".json":
        yield from _with_columns(_placed(json_items(path, folder, Values)), refuse_missing)
    elif table.is_arrow:
        from unisono.sources import arrow

        refuse_missing(arrow.column_names(path))
        _refuse_misused_audio(recipe, _audio_columns(table), path)
        yield from _placed(arrow.rows(path, folder, wanted))
    else:
        raise UsageError(f"{path}: a table ends in .csv, .tsv, .jsonl, .json, .parquet or .arrow, not in {ending!r}.")


def _placed(rows: Iterable[tuple[str, Values] | Dropped]) -> Rows:
    for row in rows:
        yield row if isinstance(row, Dropped) else (partial(str, row[0]), row[1])


def _csv_table(table: _Table, wanted: Sequence[str]) -> CsvTable:
    """Open a table separated by commas or tabs, as its ending says, or whatever separates it into the wanted columns."""
    usual = "\t" if table.path.suffix.lower() == ".tsv" else ","
    found = {
        delimiter: CsvTable(table.path, table.folder, (), optional=wanted, delimiter=delimiter, exact=True)
        for delimiter in dict.fromkeys((usual, *_DELIMITERS))
    }
    if wanted:
        return next((each for each in found.values() if set(wanted) <= set(each.names)), _widest(found, usual))
    return _widest(found, usual)


def _widest(tables: dict[str, CsvTable], usual: str) -> CsvTable:
    return tables[usual] if len(tables[usual].names) > 1 else max(tables.values(), key=lambda each: len(each.names))


def _with_columns(rows: Rows, refuse_missing: Callable[[list[str]], None]) -> Rows:
    """Return the rows, after checking in the first ones that every column is there."""
    iterator = iter(rows)
    first = list(itertools.islice(iterator, _ROWS_SEARCHED_FOR_COLUMNS))
    found = {column: None for row in first if not isinstance(row, Dropped) for column in row[1]}
    if found:
        refuse_missing(list(found))
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


class _Row:
    """A row of a table, and what a recipe says about its columns."""

    def __init__(self, recipe: Recipe, name: str, where: Where, values: Values, table: _Table, root: Path) -> None:
        self._recipe, self._name, self._where, self._values, self._table = recipe, name, where, values, table
        self._root = root

    def track(self, unpacked: AudioFolder | None, tidy_paths: dict[str, str]) -> tuple[Described, Track] | Dropped:
        """Return what the row describes, or what is wrong with it."""
        recipe, columns, name = self._recipe, self._recipe.columns, self._name
        try:
            start_s, duration_s = self._part()
            split = self._split()
        except ValueError as error:
            return Dropped(id=self._where(), reason=MALFORMED, detail=str(error))
        paths = self._audio(unpacked)
        if isinstance(paths, Dropped):
            return paths
        audio_path, tidy_path = paths
        if tidy_path != audio_path:
            tidy_paths[audio_path] = tidy_path
        id, file = self._get(columns.id), tidy_path
        if file.startswith("/"):  # the id is the same wherever the folder is
            file = file.removeprefix(f"{self._root}/").removeprefix(f"{os.path.realpath(self._root)}/")
        artist, genre = name_of(self._get(columns.artist)), name_of(self._get(columns.genre))
        captions = [text for column in _list(columns.caption) for text in _texts(self._values.get(column))]
        tags = [
            name_of(tag)
            for column in _list(columns.tags)
            for text in _texts(self._values.get(column))
            for tag in re.split("[;,|]", text)
        ]
        its_key = artist_key(artist)
        track = Track(
            id=f"{name}_{id or file}",
            audio_path=audio_path,
            captions=captions_of(captions, recipe.caption_origin),
            duration=duration_s,
            dataset=name,
            artist=artist,
            title=name_of(self._get(columns.title)),
            genre=genre,
            tags=tidy_tags(tags, genre=genre, artist=artist),
            license=self._get(columns.license) or recipe.license,
            start=start_s,
            recording=_fill(recipe.recording, self._values, _text),
            artist_id=f"{name}-artist:{its_key}".replace("_", "-") if its_key else "",
            split=split,
            url=self._get(columns.url),
            extra={"year": year} if (year := self._get(columns.year)) else {},
        )
        part = (start_s, duration_s) if columns.start else (0.0, 0.0)
        return Described(id or file, bool(id), audio_path, *part), track

    def _get(self, column: str) -> str:
        return _text(self._values.get(column)) if column else ""

    def _part(self) -> tuple[float, float]:
        """Return start and duration in seconds; 0 where they are not stated.

        Raises:
            ValueError: one cannot be read, or they contradict each other.
        """
        columns = self._recipe.columns
        start_s = self._time(columns.start) or 0.0
        end_s, duration_s = self._time(columns.end), self._time(columns.duration)
        if end_s is None:
            return start_s, duration_s or 0.0
        if end_s <= start_s:
            raise ValueError(
                f"column {columns.end!r}: expected an end after the start, {start_s:g} s, found {end_s:g} s"
            )
        if columns.start and duration_s and abs(end_s - start_s - duration_s) > _CLOSE_S:
            raise ValueError(
                f"column {columns.duration!r}: expected {end_s - start_s:g} s, as start and end say, found {duration_s:g} s"
            )
        return start_s, duration_s or end_s - start_s

    def _time(self, column: str) -> float | None:
        value = self._values.get(column) if column else None
        text = _text(value)
        if isinstance(value, (list, dict, bytes)):
            text = repr(value)
        try:
            return time_s(text) if text else None
        except ValueError as error:
            raise ValueError(f"column {column!r}: {error}") from error

    def _split(self) -> Split | None:
        column = self._recipe.columns.split
        text = self._get(column)
        if text and text.lower() not in SPLITS:
            raise ValueError(f"column {column!r}: expected train, val or test, found {text!r}")
        return SPLITS[text.lower()] if text else self._table.split

    def _audio(self, unpacked: AudioFolder | None) -> tuple[str, str] | Dropped:
        """Return the path of the audio, as written and tidy, relative to its folders; audio in the row becomes a file."""
        recipe, values = self._recipe, self._values
        cell = values.get(recipe.audio[1:-1])
        path = tidy_path = ""
        if isinstance(cell, dict) and "bytes" in cell:
            path, tidy_path = _as_written(cell.get("path")), _text(cell.get("path"))
            cell = cell["bytes"]
        if isinstance(cell, bytes):
            if not cell:
                return Dropped(id=self._where(), reason="audio file empty", detail=tidy_path)
            if unpacked is None:
                return Dropped(
                    id=self._where(), reason="audio not unpacked in a dry run", detail=tidy_path, fault=False
                )
            file = unpacked.put(cell, tidy_path)
            return file, file
        path = _local(path or _fill(recipe.audio, values, _as_written))
        tidy_path = _local(tidy_path or _fill(recipe.audio, values, _text))
        if not path or not tidy_path:
            return Dropped(id=self._where(), reason="no audio named", detail=f"a column of {recipe.audio!r} is empty")
        folder = self._table.audio_folder
        if folder and not path.startswith("/"):
            return f"{folder}/{path}", f"{folder}/{tidy_path}"
        return path, tidy_path


def _local(path: str) -> str:
    """Return the path that a `file://` address means, or any other text as it is."""
    match = _FILE_ADDRESS.match(path)
    return unquote(path[match.end() :]) if match else path


def _fill(template: str, values: Values, read: Callable[[Any], str]) -> str:
    """Fill the `{column}` slots of a template; empty if one of the columns is empty."""
    texts = {column: read(values.get(column)) for column in _FIELD.findall(template)}
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
    return text_of(tidy(_as_written(value)))


def _as_written(value: Any) -> str:
    """Return a cell as a text, blanks included; empty for one that holds nothing, or no text."""
    if value is None or value != value or isinstance(value, (bytes, dict, list)):  # nan is not equal to itself
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if str(value).isspace() else str(value)
