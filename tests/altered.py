"""An `embeddings.h5` with another content, as of an earlier version: without checksums."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py


@contextmanager
def altering(path: Path) -> Iterator[h5py.File]:
    """Open a file to alter it, and remove its checksums."""
    with h5py.File(path, "r+") as file:
        del file.attrs["checksums"], file.attrs["seal"]
        yield file
