"""A library: the music of some folders and servers, followed, embedded by one model, and searched."""

import re
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from filelock import FileLock, Timeout

from unisono.base.arguments import AnyPath, Count, as_path, checked
from unisono.base.errors import UnisonoError, UsageError
from unisono.library import sources
from unisono.library.catalogue import Catalogue, CatalogueTrack, SourceRow
from unisono.library.embed import EmbeddingResult, embed_waiting
from unisono.library.gathered import Gathered
from unisono.library.sources import MusicSource
from unisono.library.sync import SourceChanges, sync

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unisono.retrieval.collection import Collection, Hits
    from unisono.retrieval.models import JointModel
    from unisono.search.query import Query

DEFAULT_NAME = "music"
DEFAULT_MODEL = "tags"
ENDING = ".sqlite"
_NAME = re.compile(r"\w[\w .-]*")


@dataclass(frozen=True, kw_only=True)
class SyncReport:
    """What a sync did, or would do."""

    sources: list[SourceChanges]
    embedding: EmbeddingResult = field(default_factory=EmbeddingResult)
    waiting: int = 0
    """Tracks that are not embedded yet."""
    seconds: float = 0.0
    dry_run: bool = False

    @property
    def problems(self) -> list[str]:
        """Return what kept the library from being brought up to date, in words."""
        found = [each.away for each in self.sources if each.away]
        found += [reason for reason in self.embedding.away.values() if reason not in found]
        found += [
            f"{each.address} lists {each.listed:,} of its {each.known:,} tracks: nothing is removed"
            for each in self.sources
            if each.kept
        ]
        return found + [f"{part.reason}: what is known of it stays" for each in self.sources for part in each.unlisted]


@dataclass(frozen=True, kw_only=True)
class SourceStatus:
    """How a source stands in the library."""

    address: str
    tracks: int
    embedded: int
    waiting: int
    faults: int
    hours: float
    synced: str
    """When it was last listed."""


@dataclass(frozen=True, kw_only=True)
class LibraryStatus:
    """How a library stands."""

    name: str
    path: Path
    model: str
    sources: list[SourceStatus]
    removed: int
    """Tracks whose removal can be undone."""
    faults: list[CatalogueTrack]
    """Tracks that cannot be embedded."""


class Library:
    """A person's music; a context manager. Used by one thread.

    Attributes:
        name: of the library.
        root: the folder of all libraries.
        catalogue: what is known of its tracks.
    """

    def __init__(self, name: str, root: Path, catalogue: Catalogue) -> None:
        self.name = name
        self.root = root
        self.catalogue = catalogue
        self._gathered: Gathered | None = None

    @classmethod
    def open(cls, root: AnyPath, name: str = DEFAULT_NAME, *, create: bool = False) -> Self:
        """Open a library below a folder of libraries, or begin it.

        Raises:
            UsageError: there is none of this name, or it is no name.
            DataError: its catalogue is damaged, or of a newer version.
        """
        folder = as_path(root)
        if not _NAME.fullmatch(name):
            raise UsageError(f"A library cannot be called {name!r}.", hint="Use letters, digits, spaces, . and -.")
        path = folder / f"{name}{ENDING}"
        if not create and not path.is_file() and (known := names(folder)):
            raise UsageError(f"There is no library {name!r} in {folder}.", hint=f"There are: {', '.join(known)}.")
        return cls(name, folder, Catalogue(path, create=create))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Library {self.name} in {self.root}: {self.catalogue.count():,} tracks, model {self.model_name}"

    def close(self) -> None:
        """Close the catalogue."""
        self.catalogue.close()

    @property
    def model_name(self) -> str:
        """Name or checkpoint of the model that the library is embedded for."""
        return self.catalogue.setting("model") or DEFAULT_MODEL

    @contextmanager
    def _alone(self) -> "Iterator[None]":
        """Let no other process change the library meanwhile."""
        try:
            with FileLock(self.root / f".{self.name}.lock", timeout=0):
                yield
        except Timeout:
            raise UnisonoError(
                f"Another process is working on the library {self.name}.", hint="Wait until it is done, or end it."
            ) from None

    def add(self, address: AnyPath, model: str | None = None) -> bool:
        """Add a folder, or a server such as `subsonic:https://someone@music.example.org`; nothing is read yet.

        Args:
            address: of the source.
            model: the model to embed the whole library for; what an earlier one embedded is kept. Default: as it is.

        Returns:
            Whether the source was not there.

        Raises:
            UsageError: there is no such folder, it overlaps another one, or the model is not known.
        """
        source = checked_source(str(address), self.root)
        with self._alone():
            if model is not None and (chosen := _known_model(model)) != self.model_name:
                self.catalogue.put_setting("model", chosen)
                self.catalogue.put_setting("encoder", "")
            if source.is_local:
                self._refuse_overlap(Path(source.address))
            return self.catalogue.add_source(source.address)

    def _source(self, address: str) -> MusicSource:
        return sources.build(address, self.root)

    def _refuse_overlap(self, folder: Path) -> None:
        for row in self.catalogue.sources():
            other = Path(row.address)
            if (
                other.is_absolute()
                and other != folder
                and (folder.is_relative_to(other) or other.is_relative_to(folder))
            ):
                raise UsageError(f"{folder} and {other}, which is in the library, are one in the other.")

    def remove(self, address: AnyPath) -> int:
        """Remove a source and its tracks from the library, which can be undone for 30 days; return how many tracks.

        Raises:
            UsageError: it is not in the library.
        """
        row = self._row(str(address))
        with self._alone():
            return self.catalogue.remove_source(row.number)

    def _row(self, address: str) -> SourceRow:
        rows = self.catalogue.sources()
        wanted = {address, self._source(address).address}
        for row in rows:
            if row.address in wanted:
                return row
        raise UsageError(
            f"{address} is not in the library {self.name}.",
            hint=f"There are: {', '.join(row.address for row in rows)}.",
        )

    def undo(self) -> list[CatalogueTrack]:
        """Bring back the tracks that the last removal took; they stay until they were seen, and gone, again."""
        with self._alone():
            return self.catalogue.undo()

    def sync(
        self,
        *,
        dry_run: bool = False,
        remove_missing: bool = False,
        embed: bool = True,
        device: str = "auto",
        workers: int | None = None,
    ) -> SyncReport:
        """Bring the library up to date with its sources, and embed what is new.

        Args:
            dry_run: say what would change, and change nothing.
            remove_missing: remove the tracks of a source that lists fewer than half of them, too.
            embed: False leaves new music for a later sync.
            device: where the encoder runs: auto, cpu, cuda, cuda:1, ...
            workers: threads that look into files and decode them. Default: the number of cores.

        Raises:
            UsageError: the library has no source.
            UnisonoError: another process is working on it, or its model is not here.
        """
        began = time.monotonic()
        with self._alone():
            rows = self.catalogue.sources()
            if not rows:
                raise UsageError(f"The library {self.name} is empty.", hint="Add music: unisono library add ~/Music")
            built = [(row, self._source(row.address)) for row in rows]
            changes = sync(self.catalogue, built, dry_run=dry_run, remove_missing=remove_missing, workers=workers)
            result = EmbeddingResult()
            if not dry_run:
                if embed:
                    result = self._embed({row.number: source for row, source in built}, device, workers)
                self.catalogue.forget_old()
            waiting = sum(len(each.added) for each in changes) if dry_run else self._waiting()
        return SyncReport(
            sources=changes, embedding=result, waiting=waiting, seconds=time.monotonic() - began, dry_run=dry_run
        )

    def _waiting(self) -> int:
        """Return how many tracks are to be embedded; nothing is counted if nothing has changed since that was none."""
        encoder = self.catalogue.setting("encoder")
        state = f"{self.catalogue.revision()} {encoder}"
        if self.catalogue.setting("all embedded") == state:
            return 0
        count = self.catalogue.count_waiting(int(encoder) if encoder else -1)
        if not count:
            self.catalogue.put_setting("all embedded", state)
        return count

    def _embed(self, built: dict[int, MusicSource], device: str, workers: int | None) -> EmbeddingResult:
        """Embed what is waiting; the model is loaded only if there is something to do."""
        if not self._waiting():
            return EmbeddingResult()
        from unisono.retrieval.device import local_device

        device = str(local_device(device))
        record = self.load_model(device).audio_encoder
        encoder = self.catalogue.encoder(record, add=True)
        assert encoder is not None
        self.catalogue.put_setting("encoder", str(encoder))
        return embed_waiting(self.catalogue, built, record, encoder, device=device, workers=workers)

    def load_model(self, device: str = "cpu") -> "JointModel":
        """Load the model that the library is embedded for."""
        from unisono.retrieval.models import load_model

        return load_model(self.model_name, device)

    def collection(self, model: "JointModel | None" = None, index: str = "exact") -> "Collection":
        """Return the tracks that are embedded now, ready to be searched; later calls bring in what has changed.

        The default model is the one that the library is embedded for; `index` is the name of an index, and its place.
        """
        gathered = self._gathered
        if gathered is None or (model is not None and gathered.model is not model):
            gathered = self._gathered = Gathered({self.name: self.catalogue}, model or self.load_model(), index)
        return gathered.collection()

    def search(self, query: "Query | str", *, top: Count = 10, where: Sequence[str] = ()) -> "Hits":
        """Find the tracks that fit a query best.

        Args:
            query: a description, or a `Query` (`unisono.search.query`), which says everything itself.
            top: the most tracks, of a description.
            where: conditions that must hold, such as `year>=1990`, of a description.

        Raises:
            UsageError: a condition is not of the right form.
            DataError: no track fulfils the conditions.
        """
        from unisono.search.query import Query
        from unisono.search.run import search

        collection = self.collection()
        assert self._gathered is not None
        asked = Query(query, top=top, where=where) if isinstance(query, str) else query
        return search(self._gathered.model, asked, collection)

    def status(self) -> LibraryStatus:
        """Return how the library stands."""
        encoder = self.catalogue.setting("encoder")
        counts = self.catalogue.counts(int(encoder) if encoder else -1)
        return LibraryStatus(
            name=self.name,
            path=self.catalogue.path,
            model=self.model_name,
            sources=[
                SourceStatus(address=row.address, synced=row.synced, **counts.get(row.number, _NOTHING))
                for row in self.catalogue.sources()
            ],
            removed=self.catalogue.count("removed IS NOT NULL"),
            faults=self.catalogue.tracks("removed IS NULL AND fault != ''"),
        )


_NOTHING = {"tracks": 0, "embedded": 0, "waiting": 0, "faults": 0, "hours": 0.0}


def log_in(root: Path, address: str, ask: Callable[[str], str] | None = None, path_map: Sequence[str] = ()) -> None:
    """Log in at a media server, and keep the login for later; a folder asks for none.

    Args:
        root: the folder of the libraries, where the login is kept.
        address: of the server.
        ask: from a question to what was typed, for what is neither kept nor in the environment.
        path_map: where its folders are on this machine, as `FROM=TO`.

    Raises:
        UsageError: there is nothing to log in with, or a path map for a folder.
        UnisonoError: the server refuses, or is away.
    """
    source = checked_source(address, root)
    source.log_in(ask)
    if path_map:
        source.map_paths(path_map)


def names(root: Path) -> list[str]:
    """List the libraries in a folder, in alphabetical order."""
    return sorted(path.stem for path in root.glob(f"*{ENDING}"))


def checked_source(address: str, root: Path) -> MusicSource:
    """Return the source at an address.

    Raises:
        UsageError: it is of no known kind, or a folder that is not there.
    """
    source = sources.build(address, root)
    if source.is_local and not Path(source.address).is_dir():
        raise UsageError(f"There is no folder {source.address}.", hint="Name the folder of your music.")
    return source


@checked
def open_library(root: AnyPath = Path("data/library"), name: str = DEFAULT_NAME) -> Library:
    """Open the library of a name in the folder of the libraries, or begin it."""
    return Library.open(root, name, create=True)


def open_all(root: Path, chosen: Sequence[str] = ()) -> list[Library]:
    """Open the libraries that are named, or all that there are.

    Raises:
        UsageError: there is none, or none of that name.
    """
    found = list(chosen) or names(root)
    if not found:
        raise UsageError(f"There is no library in {root}.", hint="Begin one with: unisono library add ~/Music")
    return [Library.open(root, name) for name in found]


def model_of(libraries: Sequence[Library]) -> str:
    """Return the model that all libraries are embedded for.

    Raises:
        UsageError: they differ.
    """
    chosen = {library.model_name: library.name for library in libraries}
    if len(chosen) > 1:
        raise UsageError(
            "The libraries are embedded for different models: "
            + ", ".join(f"{name} for {model}" for model, name in chosen.items()),
            hint="Choose some of one model: --library NAME",
        )
    return next(iter(chosen))


def _known_model(model: str) -> str:
    """Return the name of a model, or the absolute path of a checkpoint.

    Raises:
        UsageError: there is no such model or file.
    """
    from unisono.retrieval import models

    if model in models.names():
        return model
    path = as_path(model)
    if not path.is_file():
        models.get(model)
    return str(path.absolute())
