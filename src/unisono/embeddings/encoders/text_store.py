"""Text embeddings on disk: a frozen text encoder embeds a caption once, for all runs and all datasets.

There is one folder for each version of an encoder, below `$UNISONO_CAPTIONS`, or `unisono/captions` in the user's cache
folder:

    embeddings.f32  [R, T] float32, row by row
    captions.md5    [R, 16] bytes, the digest of each row's caption

Rows are only appended, embeddings first, and a row counts once both files hold it, so a run that is killed at any instant
loses the block it was writing. The folder may be deleted at any time.

This is a matrix rather than a `base.store.Store`: training reads millions of rows at random, which are mapped from the disk
as they are, without a copy for each row.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from unisono.base.errors import DataError
from unisono.base.files import explained
from unisono.base.progress import progress
from unisono.embeddings.encoders.text import TextEncoder, TextEncoderSpec

FORMAT = 1
DIGEST = 16
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
    from platformdirs import user_cache_path

    chosen = os.environ.get("UNISONO_CAPTIONS")
    return Path(chosen).expanduser() if chosen else user_cache_path("unisono") / "captions"


def folder_of(spec: TextEncoderSpec) -> Path:
    """Return the folder of an encoder's embeddings; each revision and instruction has its own."""
    identity = json.dumps({"format": FORMAT, **asdict(spec)}, sort_keys=True)
    return root() / f"{spec.name.replace('/', '--')}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


def embed(captions: Sequence[str], spec: TextEncoderSpec, build: Callable[[], TextEncoder]) -> TextTable:
    """Embed captions; those that the store lacks are added to it.

    Args:
        captions: n texts; each distinct one is embedded once.
        spec: the spec of the encoder.
        build: loads the encoder; called only if a caption is missing.

    Raises:
        DataError: the encoder returned a vector that is not finite.
        UnisonoError: the store cannot be written.
    """
    folder = folder_of(spec)
    names = [_digest(caption) for caption in captions]
    with explained(folder / "embeddings.f32"):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock"):
            row_of = _index(folder, spec.dim)
            missing = {name: caption for name, caption in zip(names, captions, strict=True) if name not in row_of}
            if missing:
                _append(folder, missing, row_of, build())
    position = np.array([row_of[name] for name in names], dtype=np.int64)
    matrix = np.memmap(folder / "embeddings.f32", np.float32, "r", shape=(len(row_of), spec.dim))
    used, position_in_used = np.unique(position, return_inverse=True)
    if len(used) * spec.dim * 4 <= IN_MEMORY:
        return TextTable(np.asarray(matrix[used]), position_in_used.astype(np.int64))
    return TextTable(matrix, position)


def _digest(caption: str) -> bytes:
    return hashlib.md5(caption.encode("utf-8", "surrogatepass"), usedforsecurity=False).digest()


def _index(folder: Path, dim: int) -> dict[bytes, int]:
    """Return digest of a caption -> row; cut off the rest of an interrupted write."""
    embeddings, captions = folder / "embeddings.f32", folder / "captions.md5"
    for path in (embeddings, captions):
        path.touch()
    count = min(embeddings.stat().st_size // (4 * dim), captions.stat().st_size // DIGEST)
    os.truncate(embeddings, count * 4 * dim)
    os.truncate(captions, count * DIGEST)
    digests = captions.read_bytes()
    return {digests[row * DIGEST : (row + 1) * DIGEST]: row for row in range(count)}


def _append(folder: Path, missing: dict[bytes, str], row_of: dict[bytes, int], encoder: TextEncoder) -> None:
    names = list(missing)
    with (
        (folder / "embeddings.f32").open("ab") as embeddings,
        (folder / "captions.md5").open("ab") as captions,
        progress("captions") as bar,
    ):
        task = bar.add_task(f"Embedding captions ({encoder.spec.name})", total=len(names))
        for start in range(0, len(names), BLOCK):
            block = names[start : start + BLOCK]
            vectors = encoder.embed([missing[name] for name in block])
            if not np.isfinite(vectors).all():
                worst = missing[block[int((~np.isfinite(vectors)).any(axis=1).argmax())]]
                raise DataError(f"{encoder.spec.name} returned no finite embedding of the caption {worst!r}.")
            for file, content in ((embeddings, vectors.astype("<f4").tobytes()), (captions, b"".join(block))):
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            for name in block:
                row_of[name] = len(row_of)
            bar.advance(task, len(block))
