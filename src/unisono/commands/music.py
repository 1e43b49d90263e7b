"""Which music a command searches: one's own libraries, or an `embeddings.h5`."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from unisono.base.errors import UsageError
from unisono.base.extras import extra, require
from unisono.commands.options import model_of
from unisono.tracks.track import Split
from unisono.tracks.workspace import Workspace

if TYPE_CHECKING:
    from unisono.retrieval.models import JointModel
    from unisono.search.service.music import Music


def music_of(
    data_root: Path,
    *,
    library: Sequence[str],
    model: str | None,
    checkpoint: Path | None,
    data_dir: Path | None,
    device: str,
    split: Split | None = None,
    index: str = "exact",
) -> "tuple[Music, JointModel]":
    """Return what is searched, and by which model: the libraries that are named, or all if nothing else is; else a file.

    Raises:
        UsageError: options exclude each other, or there is no such library, model or file.
    """
    with extra("train", "Searching"):
        from unisono.retrieval.models import load_model, names
        from unisono.search.service.music import FileMusic
    workspace = Workspace(data_root)
    chosen = tuple(library)
    is_prepared = (workspace.embeddings / "embeddings.h5").is_file()
    if chosen and (data_dir is not None or split is not None):
        raise UsageError("--library excludes --data-dir and --split.")
    if not chosen and data_dir is None and checkpoint is None and split is None and not (model and is_prepared):
        chosen = tuple(sorted(path.stem for path in workspace.library.glob("*.sqlite")))
    if model not in names() and not (chosen and model is None):  # those need no torch
        require("train", "Searching", ("torch",))
    if not chosen:
        loaded = load_model(model_of(model, checkpoint), device)
        data = data_dir or workspace.embeddings
        file = data / "embeddings.h5" if data.is_dir() else data
        return FileMusic(file.parent.name, file, lambda: loaded.collection(data, split=split, index=index)), loaded
    from unisono.library.library import model_of as model_of_libraries
    from unisono.library.library import open_all
    from unisono.library.serving import LibraryMusic

    with ExitStack() as stack:
        opened = [stack.enter_context(each) for each in open_all(workspace.library, chosen)]
        named = model or checkpoint or model_of_libraries(opened)
    loaded = load_model(named, device)
    return LibraryMusic(workspace.library, chosen, loaded, index), loaded
