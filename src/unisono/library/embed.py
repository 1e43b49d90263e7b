"""The embedding part of a sync: music without an embedding is fetched if need be, and embedded once for each content."""

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from unisono.audio.faults import UNREADABLE, Fault, UnusableError
from unisono.audio.packets import content_key
from unisono.base.progress import progress
from unisono.embeddings.embed_files import Segments, embed_windows
from unisono.embeddings.file import EncoderRecord
from unisono.library.catalogue import Catalogue, CatalogueTrack, Vectors
from unisono.library.sources import MusicSource, SourceAwayError

SAVED_EVERY_S = 2.0


@dataclass
class EmbeddingResult:
    """What was embedded."""

    embedded: int = 0
    """Files that an encoder was run on."""
    known: int = 0
    """Tracks whose music turned out to be embedded already, once they were fetched."""
    faults: list[tuple[str, Fault]] = field(default_factory=list)
    """(path, why it cannot be embedded)."""
    away: dict[str, str] = field(default_factory=dict)
    """Address of a source -> why its tracks could not be fetched."""


class _Opened(NamedTuple):
    context: AbstractContextManager[Path]
    tracks: list[CatalogueTrack]
    content: bytes


class _Done(NamedTuple):
    tracks: list[CatalogueTrack]
    content: bytes | None
    outcome: Segments | Fault | None
    """None: it was embedded before."""


def embed_waiting(
    catalogue: Catalogue,
    sources: Mapping[int, MusicSource],
    record: EncoderRecord,
    encoder: int,
    *,
    device: str = "cpu",
    workers: int | None = None,
) -> EmbeddingResult:
    """Embed what an encoder has not embedded of a locked catalogue; what is done is stored every few seconds."""
    work = _Work(catalogue, sources, encoder)
    began = time.monotonic()
    try:
        with progress("tracks") as bar:
            task = bar.add_task("Embedding", total=len(work.groups), visible=bool(work.groups))
            for path, outcome in embed_windows(work.paths(), record, device, workers):
                work.take(path, outcome)
                bar.update(task, completed=work.taken)
                if time.monotonic() - began >= SAVED_EVERY_S:
                    work.store()
                    began = time.monotonic()
    finally:
        work.store()
        work.close()
    return work.result


class _Work:
    def __init__(self, catalogue: Catalogue, sources: Mapping[int, MusicSource], encoder: int) -> None:
        self.catalogue = catalogue
        self.sources = sources
        self.encoder = encoder
        self.result = EmbeddingResult()
        self.taken = 0
        self._opened: dict[str, _Opened] = {}
        self._done: list[_Done] = []
        groups: dict[bytes | int, list[CatalogueTrack]] = {}
        for track in catalogue.waiting(encoder):
            groups.setdefault(track.content or track.number, []).append(track)
        self.groups = list(groups.values())
        fetched = any(group[0].content is None for group in self.groups)
        self._held = catalogue.contents(encoder) if fetched else set()

    def paths(self) -> Iterator[str]:
        """Yield the paths of the files to embed, each open until it is taken; called from other threads, one at a time."""
        for tracks in self.groups:
            opened = next(filter(None, map(self._open, tracks)), None)
            if opened is None:
                continue
            context, path = opened
            try:
                content = tracks[0].content or content_key(path)
            except OSError as error:
                context.__exit__(None, None, None)
                self._done.append(_Done(tracks, None, Fault(UNREADABLE, str(error), lasting=False)))
                continue
            if tracks[0].content is None and content in self._held:
                context.__exit__(None, None, None)
                self._done.append(_Done(tracks, content, None))
                continue
            self._held.add(content)
            self._opened[str(path)] = _Opened(context, tracks, content)
            yield str(path)

    def _open(self, track: CatalogueTrack) -> tuple[AbstractContextManager[Path], Path] | None:
        """Open a track's file; note why that cannot be done."""
        source = self.sources.get(track.source)
        if source is None or source.address in self.result.away:
            return None
        context = source.open(track.as_listed)
        try:
            return context, context.__enter__()
        except UnusableError as error:
            self._done.append(_Done([track], None, error.fault))
        except SourceAwayError as error:
            self.result.away[source.address] = error.message
        return None

    def take(self, path: str, outcome: Segments | Fault) -> None:
        """Note what became of a file, unless it was changed meanwhile: then the next run finds it."""
        opened = self._opened.pop(path)
        self.taken += 1
        is_same = all(_is_same(self.sources[track.source], path, track) for track in opened.tracks[:1])
        opened.context.__exit__(None, None, None)
        if is_same:
            self._done.append(_Done(opened.tracks, opened.content, outcome))

    def store(self) -> None:
        """Bring what is done to the disk."""
        done, self._done = self._done, []
        if not done:
            return
        with self.catalogue.writing() as revision:
            for tracks, content, outcome in done:
                if content is not None:
                    self.catalogue.set_content([track.number for track in tracks if track.content is None], content)
                if isinstance(outcome, Fault):
                    for track in tracks:
                        self.catalogue.set_fault(track.number, outcome, revision)
                        self.result.faults.append((track.path, outcome))
                elif outcome is not None and content is not None:
                    vectors = Vectors(outcome.starts_s, outcome.vectors.astype(np.float16))
                    self.catalogue.put_vectors(content, self.encoder, vectors, revision)
                    self.result.embedded += 1
                elif content is not None:
                    self.catalogue.touch(content, revision)
                    self.result.known += len(tracks)

    def close(self) -> None:
        """Close the files that were not taken."""
        with ExitStack() as stack:
            for opened in self._opened.values():
                stack.push(opened.context.__exit__)


def _is_same(source: MusicSource, path: str, track: CatalogueTrack) -> bool:
    if not source.is_local:
        return True
    try:
        status = Path(path).stat()
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (track.size, track.changed)
