"""Values that stay on the disk, mostly texts: sequences that read a value when it is asked for."""

import itertools
import mmap
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Generic, Self, TypeVar, overload

import msgspec
import numpy as np
from numpy.typing import NDArray

from unisono.base.files import TEMPORARY, explained, write_all

HELD = 200_000
"""Of up to this number, texts are held in memory."""
_AT_A_TIME = 10_000


Value = TypeVar("Value", covariant=True)


class OnDisk(Sequence[Value], Generic[Value]):
    """Values in a temporary file, which vanishes with this object or with the process; another one holds where each ends."""

    read: Callable[[bytes], Value]
    """Return a value from its bytes."""

    def __init__(self, values: Iterable[bytes], *, at_a_time: int = _AT_A_TIME) -> None:
        """Write values, in bytes, to files in the folder of temporary files, `at_a_time` of them at once.

        Raises:
            UnisonoError: the disk is full.
        """
        at, iterator, folder = 0, iter(values), Path(tempfile.gettempdir())
        with ExitStack() as stack:
            with explained(folder, elsewhere=TEMPORARY):
                content, bounds = (stack.enter_context(tempfile.TemporaryFile(buffering=0)) for _ in range(2))
                write_all(bounds, bytes(8))
            while some := list(itertools.islice(iterator, at_a_time)):
                ends = at + np.cumsum([len(value) for value in some])
                at = int(ends[-1])
                with explained(folder, elsewhere=TEMPORARY):
                    write_all(content, b"".join(some))
                    write_all(bounds, ends.tobytes())
            self._content = mmap.mmap(content.fileno(), at, access=mmap.ACCESS_READ) if at else b""
            places = np.frombuffer(mmap.mmap(bounds.fileno(), 0, access=mmap.ACCESS_READ), np.int64)
        self._begin, self._end = places[:-1], places[1:]

    def __len__(self) -> int:
        return len(self._end)

    def __iter__(self) -> Iterator[Value]:
        for at in range(0, len(self), _AT_A_TIME):
            begins, ends = (each[at : at + _AT_A_TIME].tolist() for each in (self._begin, self._end))
            yield from (self.read(self._content[begin:end]) for begin, end in zip(begins, ends, strict=True))

    @overload
    def __getitem__(self, place: int) -> Value: ...
    @overload
    def __getitem__(self, place: "slice | NDArray[np.int64]") -> Self: ...
    def __getitem__(self, place: "int | slice | NDArray[np.int64]") -> "Value | Self":
        """Return a value, or those at some places, which are not copied."""
        if not isinstance(place, (slice, np.ndarray)):
            return self.read(self._content[self._begin[place] : self._end[place]])
        found = object.__new__(type(self))
        found._content, found._begin, found._end = self._content, self._begin[place], self._end[place]
        return found

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented

    __hash__ = None  # type: ignore[assignment]


class TextsOnDisk(OnDisk[str]):
    """Texts, in UTF-8."""

    read = staticmethod(bytes.decode)


class ListsOnDisk(Sequence[list[str]]):
    """Lists of texts, each of which is a text of JSON on the disk."""

    def __init__(self, texts: TextsOnDisk) -> None:
        self.texts = texts

    def __len__(self) -> int:
        return len(self.texts)

    def __iter__(self) -> Iterator[list[str]]:
        return map(decoded_list, self.texts)

    @overload
    def __getitem__(self, place: int) -> list[str]: ...
    @overload
    def __getitem__(self, place: slice) -> "ListsOnDisk": ...
    def __getitem__(self, place: int | slice) -> "list[str] | ListsOnDisk":
        return ListsOnDisk(self.texts[place]) if isinstance(place, slice) else decoded_list(self.texts[place])


decoded_list: Callable[[str], list[str]] = msgspec.json.Decoder(list[str]).decode
"""Return a list that is a text of JSON."""


def taken(texts: Sequence[str], places: NDArray[np.int64]) -> Sequence[str]:
    """Return the texts at some places."""
    return texts[places] if isinstance(texts, TextsOnDisk) else [texts[place] for place in places.tolist()]


def chained(parts: Sequence[Sequence[str]]) -> Sequence[str]:
    """Return the texts of several sequences as one."""
    every = itertools.chain.from_iterable(parts)
    if not any(isinstance(part, TextsOnDisk) for part in parts):
        return list(every)
    return TextsOnDisk(text.encode() for text in every)


def taken_lists(lists: Sequence[list[str]], places: NDArray[np.int64]) -> Sequence[list[str]]:
    """Return the lists at some places."""
    if isinstance(lists, ListsOnDisk):
        return ListsOnDisk(lists.texts[places])
    return [lists[place] for place in places.tolist()]


def chained_lists(parts: Sequence[Sequence[list[str]]]) -> Sequence[list[str]]:
    """Return the lists of several sequences as one."""
    every = itertools.chain.from_iterable(parts)
    if not any(isinstance(part, ListsOnDisk) for part in parts):
        return list(every)
    return ListsOnDisk(TextsOnDisk(map(msgspec.json.encode, every)))


def distinct(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places of the distinct texts [T] in order of first appearance, and which of them each text is [n].

    They are compared by hashes of 64 bits: two of a hundred million have the same by chance once in 3,700 runs.
    """
    return numbered(np.fromiter(map(hash, texts), np.int64, len(texts)))


def numbered(hashes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places of the distinct hashes [T] in order of first appearance, and which of them each is [n]."""
    _, first, which = np.unique(hashes, return_index=True, return_inverse=True)
    order = np.argsort(first)
    number = np.empty(len(order), dtype=np.int64)
    number[order] = np.arange(len(order))
    return first[order], number[which]
