"""A file as libsndfile should see it: some of its bytes left out, or replaced."""

import io
import os
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER_BYTES = 1 << 16

Piece = bytes | tuple[int, int]
"""Bytes, or (offset, length) of the file."""


def spliced(descriptor: int, pieces: Sequence[Piece]) -> io.BufferedReader:
    """Return a readable, seekable file made of pieces of an open file; closing it leaves that one open."""
    return io.BufferedReader(_Spliced(descriptor, pieces), BUFFER_BYTES)


class _Spliced(io.RawIOBase):
    def __init__(self, descriptor: int, pieces: Sequence[Piece]) -> None:
        self._descriptor = descriptor
        self._pieces = pieces
        lengths = (len(piece) if isinstance(piece, bytes) else piece[1] for piece in pieces)
        self._starts = list(accumulate(lengths, initial=0))
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._starts[-1]}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer).cast("B")
        at = bisect_right(self._starts, self._position) - 1
        if at >= len(self._pieces):
            return 0
        piece, inner = self._pieces[at], self._position - self._starts[at]
        if isinstance(piece, bytes):
            found = piece[inner : inner + len(view)]
        else:
            found = os.pread(self._descriptor, min(len(view), piece[1] - inner), piece[0] + inner)
        view[: len(found)] = found
        self._position += len(found)
        return len(found)
