"""The files of a release: whether they are what they should be, and what reports call them."""

from pathlib import Path

from unisono.base.errors import DataError, MissingFileError
from unisono.base.files import refuse_pointer

LONGEST_CELL = 1 << 24
"""Bytes of a text in a table; nobody writes longer ones."""


def refuse_lfs_pointer(path: Path) -> None:
    """Refuse a file that is missing, cannot be read, or is a Git LFS pointer instead of the file itself.

    Raises:
        MissingFileError: it is missing.
        DataError: it cannot be read, or is a pointer.
    """
    try:
        path.open("rb").close()
    except FileNotFoundError as error:
        raise MissingFileError(f"{path} is missing.") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}.") from error
    refuse_pointer(path)


def relative_name(path: Path, root: Path) -> str:
    """Return a file's name for reports: its path relative to the dataset's folder."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
