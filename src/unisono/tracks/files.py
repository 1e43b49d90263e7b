"""Reading and writing unified files: the contract between `unify` and all later stages.

A unified file is a JSON array (`.json`), the same records one a line (`.jsonl`) or a Parquet table (`.parquet`); the
file's ending decides.
"""

import gc
import itertools
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar, cast

from unisono.base.errors import DataError, UsageError
from unisono.base.files import refuse_pointer, remove_left_behind, whole_file
from unisono.base.tally import Dropped
from unisono.tracks import formats
from unisono.tracks.record import Entry, to_track
from unisono.tracks.track import Track


class _Named(Protocol):
    @property
    def id(self) -> str: ...


Item = TypeVar("Item", bound=_Named)


def read_tracks(path: Path) -> list[Track]:
    """Read a whole unified file and check it against the contract.

    Raises:
        UsageError: the file is missing or its ending is none of .json, .jsonl, .parquet.
        DataError: a record breaks a rule; names its number, id, field, what was found and what was expected.
    """
    with without_garbage_collection():
        tracks, ids = list(map(to_track, iter_entries(path))), Ids()
    ids.note(tracks)
    ids.refuse_twice(path, lambda: tracks)
    return tracks


def iter_entries(path: Path) -> Iterator[Entry]:
    """Yield the tracks of a unified file one by one, in bounded memory, as records where that is possible.

    Each is checked as by `read_tracks`, but ids that stand twice are not seen. Only a `.json` that has not one record a
    line, as `write_tracks` makes it, is read as a whole.
    """
    for item in unified_format(path).read(path, None):
        assert not isinstance(item, Dropped)
        yield item


def unified_format(path: Path) -> formats.UnifiedFormat:
    """Return the format of a unified file.

    Raises:
        UsageError: the file is missing, or its ending is none of .json, .jsonl, .parquet.
        DataError: it is a pointer of Git LFS.
    """
    kind = file_kind(path)
    if not path.is_file():
        raise UsageError(f"There is no file {path}.", hint="Make one with: unisono unify --output " + str(path))
    refuse_pointer(path)
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


class Ids:
    """The ids of items as they come, 8 bytes of each: two of the same hash are told apart by reading them again."""

    def __init__(self) -> None:
        self._keys = array("q")

    def note(self, items: Iterable[_Named]) -> None:
        """Note the ids of further items."""
        self._keys.extend([hash(item.id) for item in items])

    def pass_over(self) -> None:
        """Note an item whose id does not count."""
        self._keys.append(-len(self._keys))

    def first_twice(self, again: Callable[[], Iterable[Item]]) -> tuple[int, int, Item] | None:
        """Return the numbers, from 1, of the first two items with one id, and the second item; None if all ids differ.

        Args:
            again: returns the items that came, in the same order.
        """
        import numpy as np  # `--help` of verbs that name files stays without it

        keys = np.asarray(self._keys)
        ranked = np.sort(keys)
        suspected = ranked[1:][ranked[1:] == ranked[:-1]]
        first: dict[str, int] = {}
        if len(suspected):
            for number, item in itertools.compress(enumerate(again(), 1), np.isin(keys, suspected)):
                if first.setdefault(item.id, number) != number:
                    return first[item.id], number, item
        return None

    def refuse_twice(self, path: Path, again: Callable[[], Iterable[Item]]) -> None:
        """Refuse a file in which an id stands twice.

        Raises:
            DataError: names both records and the id.
        """
        if twice := self.first_twice(again):
            first, second, item = twice
            raise DataError(
                f"{path}: record {second}: the id {item.id!r} already stands in record {first}; ids must be unique in a "
                "file."
            )


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
