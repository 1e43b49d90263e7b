"""Text embeddings on disk: a frozen text encoder embeds a caption once, for all runs and all datasets.

There is one folder for each version of an encoder, below `$UNISONO_CAPTIONS`, or `unisono/captions` in the user's cache
folder:

    embeddings.f32  [R, T] float32, row by row
    embeddings.sum  [R] uint64, the sum of each row's bits, taken as numbers of 32 bits
    captions.md5    [R, 16] bytes, the digest of each row's caption

Rows are only appended, embeddings first, and a row counts once all files hold it, so a run that is killed at any instant
loses the block it was writing. Rows are compared with their sums when they are used; damaged ones are computed again and
appended: the last row of a caption counts. The folder may be deleted at any time.

This is a matrix rather than a `base.store.Store`: training reads millions of rows at random, which are mapped from the disk
as they are, without a copy for each row.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from unisono.base.errors import DataError, UnisonoError
from unisono.base.files import cache_folder, explained, write_whole
from unisono.base.log import log
from unisono.base.progress import progress
from unisono.base.texts import numbered, taken
from unisono.embeddings.encoders.text import TextEncoder, TextEncoderSpec

VARIABLE = "UNISONO_CAPTIONS"
_ELSEWHERE = f"Name a folder that you may write to in {VARIABLE}."
FORMAT = 1
DIGEST = 16
_NAME = "<u8"
"""A digest as two numbers."""
BLOCK = 2048
"""Captions embedded between two writes."""
IN_MEMORY = 1 << 30
"""Tables of at most this many bytes are read into memory, larger ones are mapped."""


@dataclass(frozen=True)
class TextTable:
    """The embeddings of n captions, in memory or mapped from the disk."""

    matrix: NDArray[np.float32]
    """[R, T]."""
    position: NDArray[np.int64]
    """[n]: each caption's row of `matrix`."""

    @property
    def dim(self) -> int:
        """T."""
        return int(self.matrix.shape[1])

    def rows(self, captions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the embeddings [b, T] of the captions at these places."""
        found: NDArray[np.float32] = self.matrix[self.position[captions]]
        return found


def root() -> Path:
    """Return the folder of all stored text embeddings."""
    return cache_folder("captions", VARIABLE)


def folder_of(spec: TextEncoderSpec) -> Path:
    """Return the folder of an encoder's embeddings; each revision and instruction has its own."""
    identity = json.dumps({"format": FORMAT, **asdict(spec)}, sort_keys=True)
    return root() / f"{spec.name.replace('/', '--')}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


def _usable(spec: TextEncoderSpec) -> Path:
    """Create the folder of an encoder, or one that vanishes with the process if the user's cache cannot be written."""
    try:
        folder = folder_of(spec)
        with explained(folder, elsewhere=_ELSEWHERE):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "lock").touch()
    except UnisonoError as error:
        if os.environ.get(VARIABLE):
            raise
        folder = Path(_passing_root().name, spec.name.replace("/", "--"))
        if not folder.is_dir():
            log.warning("Embeddings of captions are not kept for the next run. %s", error.message)
            folder.mkdir()
    return folder


@cache
def _passing_root() -> "TemporaryDirectory[str]":
    return TemporaryDirectory(prefix="unisono-captions-")


def embed(captions: Sequence[str], spec: TextEncoderSpec, build: Callable[[], TextEncoder]) -> TextTable:
    """Embed n captions, each distinct one once; the encoder that `build` loads adds those that the store lacks.

    Raises:
        DataError: the encoder returned a vector that is not finite.
        UnisonoError: the store cannot be written.
    """
    folder = _usable(spec)
    names = np.empty((len(captions), 2), dtype=np.uint64)
    for begin in range(0, len(captions), BLOCK):
        block = captions[begin : begin + BLOCK]
        names[begin : begin + BLOCK] = np.frombuffer(b"".join(map(_digest, block)), _NAME).reshape(-1, 2)
    with explained(folder / "embeddings.f32", elsewhere=_ELSEWHERE), FileLock(folder / "lock"):
        position = _find(names, _whole_names(folder, spec.dim))
        _forget_damaged(folder, spec.dim, position)
        (missing,) = np.nonzero(position < 0)
        if len(missing):
            count = (folder / "captions.md5").stat().st_size // DIGEST
            first, which = numbered((names[missing, 0] ^ names[missing, 1]).view(np.int64))
            _append(folder, captions, names, missing[first], build())
            position[missing] = count + which
    matrix = _matrix(folder, spec.dim)
    used, position_in_used = np.unique(position, return_inverse=True)
    if len(used) * spec.dim * 4 <= IN_MEMORY:
        return TextTable(np.asarray(matrix[used]), position_in_used.astype(np.int64))
    return TextTable(matrix, position)


def _digest(caption: str) -> bytes:
    return hashlib.md5(caption.encode("utf-8", "surrogatepass"), usedforsecurity=False).digest()


def _whole_names(folder: Path, dim: int) -> NDArray[np.uint64]:
    """Return the digests of the captions of all rows [R, 2]; cut off the rest of an interrupted write."""
    widths = {"embeddings.f32": 4 * dim, "captions.md5": DIGEST, "embeddings.sum": 8}
    if not (folder / "embeddings.sum").is_file():
        _write_sums(folder, dim)
    for name in widths:
        (folder / name).touch()
    count = min((folder / name).stat().st_size // width for name, width in widths.items())
    for name, width in widths.items():
        os.truncate(folder / name, count * width)
    return np.fromfile(folder / "captions.md5", _NAME).reshape(-1, 2)


def _find(names: NDArray[np.uint64], written: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return the last row of each digest [n, 2] among all rows [R, 2], -1 if there is none.

    Digests are sought by their first half; if two differ in the second only, the earlier one counts as missing.
    """
    if not len(written):
        return np.full(len(names), -1, dtype=np.int64)
    order = np.argsort(written[:, 0], kind="stable")
    place = np.searchsorted(written[order, 0], names[:, 0], side="right") - 1
    row = order[place]  # of -1: the last one, which differs
    return np.where((written[row] == names).all(axis=1), row, -1)


def _matrix(folder: Path, dim: int) -> NDArray[np.float32]:
    path = folder / "embeddings.f32"
    rows = path.stat().st_size // (4 * dim)
    return np.memmap(path, np.float32, "r", shape=(rows, dim)) if rows else np.empty((0, dim), np.float32)


def _sums(rows: NDArray[np.float32]) -> NDArray[np.uint64]:
    sums: NDArray[np.uint64] = np.ascontiguousarray(rows, "<f4").view("<u4").sum(axis=1, dtype=np.uint64)
    return sums


def _write_sums(folder: Path, dim: int) -> None:
    """Add the sums to a store of an earlier version."""
    path = folder / "embeddings.f32"
    matrix = _matrix(folder, dim) if path.is_file() else np.empty((0, dim), np.float32)
    blocks = [_sums(matrix[begin : begin + BLOCK]) for begin in range(0, len(matrix), BLOCK)]
    write_whole(folder / "embeddings.sum", b"".join(block.astype("<u8").tobytes() for block in blocks))


def _forget_damaged(folder: Path, dim: int, position: NDArray[np.int64]) -> None:
    """Set the rows that are damaged to -1."""
    rows = np.unique(position[position >= 0])
    written = np.fromfile(folder / "embeddings.sum", "<u8")
    matrix = _matrix(folder, dim)
    blocks = (rows[begin : begin + BLOCK] for begin in range(0, len(rows), BLOCK))
    damaged = [row for block in blocks for row in block[_sums(matrix[block]) != written[block]].tolist()]
    if damaged:
        log.warning("%s captions in %s are damaged; they are embedded again.", f"{len(damaged):,}", folder)
        position[np.isin(position, damaged)] = -1


def _append(
    folder: Path, captions: Sequence[str], names: NDArray[np.uint64], places: NDArray[np.int64], encoder: TextEncoder
) -> None:
    """Embed the captions at some places."""
    with (
        (folder / "embeddings.f32").open("ab") as embeddings,
        (folder / "embeddings.sum").open("ab") as sums,
        (folder / "captions.md5").open("ab") as digests,
        progress("captions") as bar,
    ):
        task = bar.add_task(f"Embedding captions ({encoder.spec.name})", total=len(places))
        for start in range(0, len(places), BLOCK):
            block = places[start : start + BLOCK]
            texts = list(taken(captions, block))
            vectors = encoder.embed(texts)
            if not np.isfinite(vectors).all():
                worst = texts[int((~np.isfinite(vectors)).any(axis=1).argmax())]
                raise DataError(f"{encoder.spec.name} returned no finite embedding of the caption {worst!r}.")
            rows = vectors.astype("<f4")
            contents = {embeddings: rows.tobytes(), sums: _sums(rows).tobytes(), digests: names[block].tobytes()}
            for file, content in contents.items():
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            bar.advance(task, len(block))
