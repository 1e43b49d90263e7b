"""What of an evaluation's music the model has seen: in training, and in the val split that chose the checkpoint.

Found by id, by recording and by artist.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unisono.base.errors import DataError, UsageError
from unisono.embeddings.file import SplitRows
from unisono.retrieval.rows import keep_rows

if TYPE_CHECKING:
    from unisono.retrieval.checkpoint import TrainedOn


@dataclass(frozen=True)
class Overlap:
    """What was seen."""

    seen: NDArray[np.bool_]
    """[N]: the excerpt itself, or its recording, was in the training."""
    artist_seen: NDArray[np.bool_]
    """[N]: other music of its artist was."""
    caption_seen: NDArray[np.bool_]
    """[M]: the same words described some training music."""
    val_seen: NDArray[np.bool_] | None
    """[N]: the excerpt, or its recording, was not in the training but in the val split; None where that is not known."""

    def sentence(self) -> str:
        """Say in words what was seen."""
        return (
            f"Overlap with the training: {self.seen.sum():,} of {len(self.seen):,} excerpts (by id or recording); "
            f"{(self.artist_seen & ~self.seen).sum():,} others have an artist, and {self.caption_seen.sum():,} of "
            f"{len(self.caption_seen):,} captions have words, that were in the training."
        )

    def left_out(self, *, exclude: bool) -> NDArray[np.bool_]:
        """Tell of each excerpt [N] whether it is left out when what was seen is excluded."""
        if not exclude:
            return np.zeros_like(self.seen)
        return self.seen if self.val_seen is None else self.seen | self.val_seen

    def val_sentence(self) -> str:
        """Say in words what of the val split, which chose the checkpoint, is there."""
        if self.val_seen is None:
            return (
                "Overlap with the val split that chose the checkpoint: not known, an earlier version trained the model."
            )
        return (
            f"Overlap with the val split that chose the checkpoint: {self.val_seen.sum():,} of {len(self.val_seen):,} "
            "excerpts (by id or recording)."
        )


def find_overlap(rows: SplitRows, trained_on: "TrainedOn") -> Overlap:
    """Compare the rows of a split with what a model was trained on."""
    seen = trained_on.seen("id", rows.ids) | trained_on.seen("recording", rows.texts["recording"])
    val_seen = trained_on.seen_in_val("id", rows.ids) | trained_on.seen_in_val("recording", rows.texts["recording"])
    return Overlap(
        seen,
        trained_on.seen("artist_id", rows.texts["artist_id"]),
        trained_on.seen("caption", rows.captions),
        val_seen & ~seen if trained_on.val_digests else None,
    )


def without_overlap(rows: SplitRows, overlap: Overlap, *, exclude: bool) -> SplitRows:
    """Leave out what the model has seen, or refuse to evaluate on what it was trained on.

    Raises:
        UsageError: the model has seen some of it, and leaving it out was not asked for.
        DataError: it has seen all of it.
    """
    seen = int(overlap.seen.sum())
    if seen == len(rows.ids):
        raise DataError(f"The model was trained on all {seen:,} excerpts of this data: nothing is left to evaluate on.")
    if seen and not exclude:
        first = rows.ids[int(overlap.seen.argmax())]
        raise UsageError(
            f"The model was trained on {seen:,} of the {len(rows.ids):,} excerpts (by id or recording; first: {first}).",
            hint="Evaluate on the others alone with: --exclude-overlap",
        )
    left_out = overlap.left_out(exclude=exclude)
    if left_out.all():
        raise DataError(
            f"The model was trained on {seen:,} of the {len(rows.ids):,} excerpts, and its checkpoint was chosen by the "
            "others: nothing is left to evaluate on."
        )
    return keep_rows(rows, ~left_out) if left_out.any() else rows
