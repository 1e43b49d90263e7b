"""From releases on disk to the unified file that `prepare` reads, for datasets that are embedded on their own."""

from collections.abc import Sequence
from pathlib import Path

from unisono.curation.unchanged import unify_if_changed
from unisono.tracks.workspace import Workspace


def unified(
    datasets: Sequence[str], folder: Path, *, data_root: Path, seed: int, workers: int | None, strict: bool
) -> Path:
    """Unify datasets into a file in `folder`, unless it is there and the releases have not changed; return its path.

    If there would be no val part, one is drawn from train.

    Raises:
        UsageError: a dataset is not known, or its release is not there.
    """
    output = Workspace(folder).unified_file
    unify_if_changed(
        datasets,
        output=output,
        data_root=data_root,
        seed=seed,
        workers=workers,
        draw_val=True,
        strict=strict,
        resume=True,
    )
    return output
