"""Reading and writing unified files: the contract between `unify` and all later stages.

A unified file is a JSON array (`.json`), the same records one a line (`.jsonl`) or a Parquet table (`.parquet`); the
file's ending decides.
"""

import gc
import itertools
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from unisono.base.errors import DataError, UsageError
from unisono.base.files import remove_left_behind, whole_file
from unisono.base.tally import Dropped
from unisono.tracks import formats
from unisono.tracks.record import Entry, to_track
from unisono.tracks.track import Track


def read_tracks(path: Path) -> list[Track]:
    """Read a whole unified file and check it against the contract.

    Raises:
        UsageError: the file is missing or its ending is none of .json, .jsonl, .parquet.
        DataError: a record breaks a rule; names its number, id, field, what was found and what was expected.
    """
    with without_garbage_collection():
        return list(unique(path, iter_tracks(path)))


def iter_tracks(path: Path) -> Iterator[Track]:
    """Yield the tracks of a unified file one by one, in bounded memory; only a `.json` that has not one record a line, as
    `write_tracks` makes it, is read as a whole.

    Each record is checked as by `read_tracks`, but ids that stand twice are not seen.
    """
    return map(to_track, iter_entries(path))


def iter_entries(path: Path) -> Iterator[Entry]:
    """Yield what `iter_tracks` does as records where that is possible, in a fourth of the time."""
    for item in unified_format(path).read(path, None):
        assert not isinstance(item, Dropped)
        yield item


def unified_format(path: Path) -> formats.UnifiedFormat:
    """Return the format of a unified file.

    Raises:
        UsageError: the file is missing, or its ending is none of .json, .jsonl, .parquet.
    """
    kind = file_kind(path)
    if not path.is_file():
        raise UsageError(f"There is no file {path}.", hint="Make one with: unisono unify --output " + str(path))
    return cast(formats.UnifiedFormat, formats.get(kind))


def write_tracks(path: Path, tracks: Iterable[Entry]) -> int:
    """Write a unified file, whole or not at all, and return the number of records. Memory stays bounded.

    The same tracks give the same bytes. Strings that no encoding can hold (lone surrogates) are refused.
    """
    kind = file_kind(path)
    remove_left_behind(path)
    with whole_file(path) as partial:
        try:
            return formats.get(kind).write(partial, tracks, formats.Sharding())
        except UnicodeEncodeError as error:
            raise DataError(f"{path}: text that cannot be encoded as UTF-8: {repr(error.object)[:80]}.") from error


def file_kind(path: Path) -> str:
    """Return which kind of unified file a path names: json, jsonl or parquet.

    Raises:
        UsageError: it names none of them.
    """
    kind = formats.FILES.get(path.suffix.lower(), "")
    if kind not in formats.UNIFIED:
        raise UsageError(f"{path}: a unified file ends in .json, .jsonl or .parquet, not in {path.suffix!r}.")
    return kind


def unique(path: Path, tracks: Iterable[Track]) -> Iterator[Track]:
    """Pass tracks on, and refuse ids that stand twice, once all were passed; that takes 8 bytes a track.

    Raises:
        DataError: names both records and the id.
    """
    keys = array("q")
    for track in tracks:
        keys.append(hash(track.id))
        yield track
    refuse_twice(path, keys)


def refuse_twice(path: Path, keys: "array[int]") -> None:
    """Refuse a file if two of the hashes of its ids are equal.

    Raises:
        DataError: names both records and the id.
    """
    if twice := first_pair(keys):
        first, second = (number + 1 for number in twice)
        id = next(itertools.islice(iter_entries(path), second - 1, None)).id
        raise DataError(
            f"{path}: record {second}: the id {id!r} already stands in record {first}; ids must be unique in a file."
        )


def first_pair(keys: "array[int]") -> tuple[int, int] | None:
    """Return the places of two equal keys, those of which the second comes first; None if all differ."""
    import numpy as np  # `--help` of verbs that name files stays without it

    values = np.asarray(keys)
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    twice = np.flatnonzero(ranked[1:] == ranked[:-1])
    if not len(twice):
        return None
    at = twice[np.argmin(order[twice + 1])]
    return int(order[at]), int(order[at + 1])


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Pause the collector: loading millions of objects that hold no cycles is several times faster without its passes."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
