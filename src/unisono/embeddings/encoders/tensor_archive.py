"""Reading a checkpoint's file: a zip archive of tensors, as torch writes it, without running any code in it."""

import io
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

from unisono.base.errors import DataError
from unisono.base.files import refuse_pointer


def read_archive(path: Path, device: str = "cpu") -> tuple[Any, int]:
    """Read the content, and count the parts of the archive; their checksums are compared, which torch does not do.

    Raises:
        DataError: the file is damaged, or would run code when read.
    """
    import torch

    try:
        file = io.BytesIO(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    try:
        if not zipfile.is_zipfile(file):
            refuse_pointer(path)
            raise DataError(
                f"{path} is truncated or is not a checkpoint.",
                hint="Use another one, or train a new one: unisono train",
            )
        file, parts = _verified(file)
    except DataError:
        raise
    except Exception as error:  # zipfile raises several kinds, NotImplementedError and struct.error among them
        raise DataError(
            f"{path} is damaged: {error or type(error).__name__}.",
            hint="Copy it again from where it came, or train a new one: unisono train --overwrite",
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of foreign files
            return torch.load(file, map_location=device, weights_only=True), parts
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path} holds Python objects that would run code when read; it was not loaded.",
            hint="Use only checkpoints that `unisono train` wrote.",
        ) from error
    except Exception as error:  # torch raises any on a file that was made to fail
        reason = str(error).strip().split("\n", maxsplit=1)[0]
        raise DataError(f"{path} cannot be read: {reason or type(error).__name__}.") from error


def _verified(file: io.BytesIO) -> tuple[io.BytesIO, int]:
    """Copy an archive by its parts, whose checksums are compared, and count them.

    Torch reads the copy: it trusts fields of an archive that no checksum covers.
    """
    copy = io.BytesIO()
    with zipfile.ZipFile(file) as archive, zipfile.ZipFile(copy, "w") as verified:
        parts = archive.infolist()
        if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
            raise ValueError("its parts are compressed, which those of a checkpoint never are")
        if len({part.filename for part in parts}) < len(parts):
            raise ValueError("two of its parts have one name")
        if sum(part.file_size for part in parts) > file.getbuffer().nbytes:
            raise ValueError("its parts claim to be larger than the file")
        for part in parts:
            verified.writestr(part.filename, archive.read(part))
    copy.seek(0)
    return copy, len(parts)
