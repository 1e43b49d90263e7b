"""Which music a command searches: one's own libraries, or an `embeddings.h5`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from unisono.base.errors import UsageError
from unisono.commands.options import model_of
from unisono.tracks.workspace import Workspace

if TYPE_CHECKING:
    from unisono.library.library import Libraries


def libraries_of(
    data_root: Path,
    library: Sequence[str],
    *,
    model: str | None,
    checkpoint: Path | None,
    data_dir: Path | None,
    device: str,
) -> "Libraries | None":
    """Open the libraries that are meant: those named, or all if nothing else is; None if an `embeddings.h5` is meant.

    Raises:
        UsageError: options exclude each other, or there is no library of that name.
    """
    workspace = Workspace(data_root)
    if library and data_dir is not None:
        raise UsageError("--library and --data-dir exclude each other.")
    if not library:
        is_prepared = (workspace.embeddings / "embeddings.h5").is_file()
        is_file = data_dir is not None or checkpoint is not None or (model is not None and is_prepared)
        if is_file or not any(workspace.library.glob("*.sqlite")):
            return None
    from unisono.library.library import gather

    chosen = str(model_of(model, checkpoint)) if model or checkpoint else None
    return gather(workspace.library, library, chosen, device)
