"""What of an evaluation's music the model has seen in training: found by id, by recording and by artist."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unisono.embeddings import SplitRows
from unisono.errors import DataError, UsageError
from unisono.evaluate.rows import keep_rows

if TYPE_CHECKING:
    from unisono.train.checkpoint import TrainedOn


@dataclass(frozen=True)
class Overlap:
    """What was seen."""

    seen: NDArray[np.bool_]
    """[N]: the excerpt itself, or its recording, was in the training."""
    artist_seen: NDArray[np.bool_]
    """[N]: other music of its artist was."""
    caption_seen: NDArray[np.bool_]
    """[M]: the same words described some training music."""

    def sentence(self) -> str:
        """Say in words what was seen."""
        return (
            f"Overlap with the training: {self.seen.sum():,} of {len(self.seen):,} excerpts (by id or recording); "
            f"{(self.artist_seen & ~self.seen).sum():,} others have an artist, and {self.caption_seen.sum():,} of "
            f"{len(self.caption_seen):,} captions have words, that were in the training."
        )


def find_overlap(rows: SplitRows, trained_on: "TrainedOn") -> Overlap:
    """Compare the rows of a split with what a model was trained on."""
    seen = trained_on.seen("id", rows.ids) | trained_on.seen("recording", rows.texts["recording"])
    return Overlap(
        seen, trained_on.seen("artist_id", rows.texts["artist_id"]), trained_on.seen("caption", rows.captions)
    )


def without_overlap(rows: SplitRows, overlap: Overlap, *, exclude: bool) -> SplitRows:
    """Leave out what the model has seen, or refuse to evaluate on it.

    Raises:
        UsageError: the model has seen some of it, and leaving it out was not asked for.
        DataError: it has seen all of it.
    """
    seen = int(overlap.seen.sum())
    if not seen:
        return rows
    if seen == len(rows.ids):
        raise DataError(f"The model was trained on all {seen:,} excerpts of this data: nothing is left to evaluate on.")
    if not exclude:
        first = rows.ids[int(overlap.seen.argmax())]
        raise UsageError(
            f"The model was trained on {seen:,} of the {len(rows.ids):,} excerpts (by id or recording; first: {first}).",
            hint="Evaluate on the others alone with: --exclude-overlap",
        )
    return keep_rows(rows, ~overlap.seen)
