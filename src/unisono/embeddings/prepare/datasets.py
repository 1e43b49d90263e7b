"""From releases on disk to the unified file that `prepare` reads, for datasets that are embedded on their own."""

from collections.abc import Sequence
from pathlib import Path

from unisono.tracks.workspace import Workspace


def unified(
    datasets: Sequence[str], folder: Path, *, data_root: Path, seed: int, workers: int | None, strict: bool
) -> Path:
    """Unify datasets into a file in `folder`, unless it is there and the releases have not changed; return its path.

    If there would be no val part, one is drawn from train.

    Raises:
        UsageError: a dataset is not known, or its release is not there.
    """
    from unisono.commands.unify_options import UnifyOptions
    from unisono.commands.unify_unchanged import run_if_changed

    output = Workspace(folder).unified_file
    run_if_changed(
        UnifyOptions(
            datasets=tuple(datasets),
            output=output,
            data_root=data_root,
            seed=seed,
            workers=workers,
            draw_val=True,
            strict=strict,
            continue_=True,
        )
    )
    return output
