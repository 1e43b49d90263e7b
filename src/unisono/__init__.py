"""One training set out of any mix of music-caption datasets, and models that find music by description.

    import unisono as u

    tracks = u.read_tracks("unified.json")
    report = u.unify(["fma", "folder:~/Music"], output="unified.json")
    u.prepare("unified.json", output_dir="processed", encoders=["musicnn"])
    with u.open_embeddings("processed") as embeddings:
        model = u.train(embeddings, audio_encoder="musicnn")
        print(u.evaluate(model, embeddings))
    model.search("calm piano at night")

The names below are loaded when they are first used, so that importing the package takes no time. See docs/python-api.md.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unisono.base.errors import UnisonoError
    from unisono.curation.collection import Tracks, read_tracks, write_tracks
    from unisono.curation.datasets import dataset, list_datasets
    from unisono.curation.licensing import OPEN
    from unisono.curation.unify import unify
    from unisono.embeddings.file import open_embeddings
    from unisono.embeddings.prepare.run import prepare
    from unisono.library.library import open_library
    from unisono.retrieval.evaluate.run import evaluate
    from unisono.retrieval.models import load_model
    from unisono.retrieval.train.run import train
    from unisono.sources.download.run import download
    from unisono.tracks.track import Caption, Track

    __version__: str

_HOMES = {
    "OPEN": "curation.licensing",
    "Caption": "tracks.track",
    "Track": "tracks.track",
    "Tracks": "curation.collection",
    "UnisonoError": "base.errors",
    "dataset": "curation.datasets",
    "download": "sources.download.run",
    "evaluate": "retrieval.evaluate.run",
    "list_datasets": "curation.datasets",
    "load_model": "retrieval.models",
    "open_embeddings": "embeddings.file",
    "open_library": "library.library",
    "prepare": "embeddings.prepare.run",
    "read_tracks": "curation.collection",
    "train": "retrieval.train.run",
    "unify": "curation.unify",
    "write_tracks": "curation.collection",
}
"""Public name -> the module that defines it."""
_EXTRAS = {
    "evaluate": "train",
    "load_model": "train",
    "open_embeddings": "embed",
    "open_library": "embed",
    "prepare": "embed",
    "train": "train",
}
"""Public name -> the extra that it needs."""

__all__ = [
    "OPEN",
    "Caption",
    "Track",
    "Tracks",
    "UnisonoError",
    "dataset",
    "download",
    "evaluate",
    "list_datasets",
    "load_model",
    "open_embeddings",
    "open_library",
    "prepare",
    "read_tracks",
    "train",
    "unify",
    "write_tracks",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _EXTRAS:
        from unisono.base.extras import extra

        with extra(_EXTRAS[name], f"unisono.{name}"):
            value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    else:
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def _version() -> str:
    """Return the version that was installed; of a copy of the source that never was, that it is unknown."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(__name__)
    except PackageNotFoundError:
        return "0+unknown"


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
