"""Whether an `embeddings.h5` is whole: everything in it is read and compared with its checksums."""

from dataclasses import dataclass
from pathlib import Path

from unisono.base.arguments import AnyPath
from unisono.embeddings.file import EmbeddingsFile, open_embeddings
from unisono.tracks.track import SPLITS


@dataclass(frozen=True, kw_only=True)
class VerifiedEmbeddings:
    """What was found to be whole."""

    path: Path
    rows: int
    datasets: int
    content_bytes: int
    unchecked: int
    """Datasets without a checksum: their structure and values are possible, more is not known."""

    def __repr__(self) -> str:
        found = (
            f"{self.path} is whole: {self.rows:,} rows, {self.datasets:,} datasets, {self.content_bytes / 1e6:,.1f} MB"
        )
        if self.unchecked:
            found += f"; {self.unchecked:,} of them have no checksum (the next unisono prepare adds them)"
        return f"{found}."


def verify(path: AnyPath) -> VerifiedEmbeddings:
    """Read everything in an `embeddings.h5` (the file, or the folder that holds it) and compare it with its checksums.

    Raises:
        UsageError: there is no such file.
        DataError: something is damaged; the message names the dataset.
    """
    with open_embeddings(path) as file:
        names = file.places()
        content_bytes = sum(file.verify(name) for name in names)
        _check_values(file)
        return VerifiedEmbeddings(
            path=file.path,
            rows=len(file),
            datasets=len(names),
            content_bytes=content_bytes,
            unchecked=len(set(names) - file.checksums.keys()),
        )


def _check_values(file: EmbeddingsFile) -> None:
    """Read all as the stages do, which checks the values."""
    for split in SPLITS:
        file.read(split, [])
        file.excerpts(split)
        file.contents(split)
        for encoder in file.encoders:
            if file.has_windows(split, encoder):
                file.windows(split, encoder)
    file.faults()
