"""Which music of an evaluation the model has seen: in training, or in the val split that selected the checkpoint.

Found by id, by recording and by artist.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unisono.base.errors import DataError, UsageError
from unisono.embeddings.file import SplitRows
from unisono.retrieval.checkpoint import TrainedOn
from unisono.retrieval.split_rows import keep_rows


@dataclass(frozen=True)
class SeenMusic:
    """Which excerpts and captions the model has seen."""

    in_train: NDArray[np.bool_]
    """[N]: the excerpt, or its recording, was in the train split."""
    artist_seen: NDArray[np.bool_]
    """[N]: music of its artist was in the train split."""
    caption_seen: NDArray[np.bool_]
    """[M]: the same text was in the train split."""
    in_val: NDArray[np.bool_] | None
    """[N]: the excerpt, or its recording, was in the val split but not in the train split; None if that is not known."""

    def sentence(self) -> str:
        """Return in words what was seen in training."""
        return (
            f"Overlap with the training: {self.in_train.sum():,} of {len(self.in_train):,} excerpts (by id or recording); "
            f"{(self.artist_seen & ~self.in_train).sum():,} others are of an artist that was in the training; the text of "
            f"{self.caption_seen.sum():,} of {len(self.caption_seen):,} captions was."
        )

    def left_out(self, *, exclude: bool) -> NDArray[np.bool_]:
        """Return for each excerpt [N] whether it is left out; nothing is unless `exclude`."""
        if not exclude:
            return np.zeros_like(self.in_train)
        return self.in_train if self.in_val is None else self.in_train | self.in_val

    def val_sentence(self) -> str:
        """Return in words what was in the val split that selected the checkpoint."""
        if self.in_val is None:
            return "Overlap with the val split that selected the checkpoint: not known, the model is of an earlier version."
        return (
            f"Overlap with the val split that selected the checkpoint: {self.in_val.sum():,} of {len(self.in_val):,} "
            "excerpts (by id or recording)."
        )


def find_seen(rows: SplitRows, trained_on: TrainedOn) -> SeenMusic:
    """Compare the rows of a split with those that a model was trained on."""
    recordings = rows.texts["recording"]
    in_train = trained_on.seen("id", rows.ids) | trained_on.seen("recording", recordings)
    in_val = trained_on.seen_in_val("id", rows.ids) | trained_on.seen_in_val("recording", recordings)
    return SeenMusic(
        in_train,
        trained_on.seen("artist_id", rows.texts["artist_id"]),
        trained_on.seen("caption", rows.captions),
        in_val & ~in_train if trained_on.val_digests else None,
    )


def without_seen(rows: SplitRows, seen: SeenMusic, *, exclude: bool) -> SplitRows:
    """Return the rows without those that the model has seen.

    Raises:
        UsageError: the model was trained on some of them, and they are not to be left out.
        DataError: no row is left.
    """
    count = int(seen.in_train.sum())
    if count == len(rows.ids):
        raise DataError(
            f"The model was trained on all {count:,} excerpts of this data: nothing is left to evaluate on."
        )
    if count and not exclude:
        first = rows.ids[int(seen.in_train.argmax())]
        raise UsageError(
            f"The model was trained on {count:,} of the {len(rows.ids):,} excerpts (by id or recording; first: {first}).",
            hint="Evaluate on the others only: --exclude-overlap, or exclude_overlap=True in Python.",
        )
    left_out = seen.left_out(exclude=exclude)
    if left_out.all():
        raise DataError(
            f"The model was trained on {count:,} of the {len(rows.ids):,} excerpts, and the others selected its "
            "checkpoint: nothing is left to evaluate on."
        )
    return keep_rows(rows, ~left_out) if left_out.any() else rows
