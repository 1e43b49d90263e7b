"""The music of one library or several as a collection to search in, extended when tracks arrive and not built again."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unisono.base.errors import UsageError
from unisono.library.catalogue import Catalogue, CatalogueTrack
from unisono.retrieval.collection import Collection, Copied, IndexedTrack, Windows
from unisono.retrieval.models import JointModel
from unisono.sources.cells import artist_key

_LIBRARY_BITS, _WINDOW_BITS = 40, 10


class _Rows(NamedTuple):
    """Tracks and their segments."""

    keys: NDArray[np.int64]
    """[N]: which library, and which track of it."""
    tracks: list[IndexedTrack]
    counts: NDArray[np.int64]
    """[N]: number of segments."""
    starts_s: NDArray[np.float32]
    raw: NDArray[np.float16]
    """[W, ...]: what the encoder made of the segments."""
    vectors: NDArray[np.float32]
    """[W, D]: the same in the space of the model."""


class Gathered:
    """The tracks of some libraries that a model can search; `collection` brings in what has changed since the last call."""

    def __init__(self, catalogues: Mapping[str, Catalogue], model: JointModel, index: str = "exact") -> None:
        """Read nothing yet; `catalogues` have the names of their libraries.

        Raises:
            UsageError: the model reads embeddings that a library does not hold.
        """
        self.model = model
        self._index = index
        record = model.audio_encoder
        if record.pooling != "mean":
            raise UsageError(
                f"The model {model.label} was trained on embeddings with {record.pooling} pooling; a library holds means.",
                hint="Train one on embeddings with mean pooling: unisono prepare --pooling mean",
            )
        self._catalogues = dict(catalogues)
        self._shape = (record.dim,) if record.layers == 1 else (record.layers, record.dim)
        self._seen = dict.fromkeys(self._catalogues, -1)
        self._rows = self._none()
        self._collection: Collection | None = None

    def _none(self) -> _Rows:
        return _Rows(
            np.zeros(0, np.int64), [], np.zeros(0, np.int64), np.zeros(0, np.float32),
            np.zeros((0, *self._shape), np.float16), np.zeros((0, 0), np.float32),
        )  # fmt: skip

    def collection(self) -> Collection:
        """Return all tracks that are embedded now."""
        changed: dict[int, tuple[IndexedTrack, NDArray[np.float32], NDArray[np.float16]] | None] = {}
        for place, (name, catalogue) in enumerate(self._catalogues.items()):
            revision = catalogue.revision()
            if revision == self._seen[name]:
                continue
            encoder = catalogue.encoder(self.model.audio_encoder)
            addresses = {source.number: source.address for source in catalogue.sources()}
            for track, vectors in catalogue.embedded_since(self._seen[name], encoder or -1, self._shape):
                is_there = vectors is not None and track.source in addresses
                found = indexed(track, name, addresses[track.source]) if is_there else None
                key = place << _LIBRARY_BITS | track.number
                changed[key] = (found, *vectors) if found is not None and vectors is not None else None
            self._seen[name] = revision
        if changed or self._collection is None:
            self._rows = self._merged(changed)
            self._collection = self._built()
        return self._collection

    def _merged(
        self, changed: Mapping[int, tuple[IndexedTrack, NDArray[np.float32], NDArray[np.float16]] | None]
    ) -> _Rows:
        """Return the rows without those that changed, and with what they are now, in the order of their keys."""
        old = self._rows
        kept = ~np.isin(old.keys, np.fromiter(changed, np.int64, len(changed)))
        segments = np.repeat(kept, old.counts)
        new = {key: found for key, found in changed.items() if found is not None}
        fresh = np.concatenate([found[2] for found in new.values()]) if new else self._none().raw
        keys = np.concatenate([old.keys[kept], np.fromiter(new, np.int64, len(new))])
        tracks = [track for track, keep in zip(old.tracks, kept, strict=True) if keep] + [
            each[0] for each in new.values()
        ]
        counts = np.concatenate([old.counts[kept], np.array([len(each[1]) for each in new.values()], np.int64)])
        starts_s = np.concatenate([old.starts_s[segments], *(each[1] for each in new.values())])
        raw = np.concatenate([old.raw[segments], fresh])
        if self.model.compares_tracks or not len(old.vectors):
            vectors = self._projected(raw, counts)
        else:
            fresh_counts = counts[int(kept.sum()) :]
            vectors = np.concatenate([old.vectors[segments], self._projected(fresh, fresh_counts)])
        if (np.diff(keys) > 0).all():
            return _Rows(keys, tracks, counts, starts_s, raw, vectors)
        order = np.argsort(keys)
        place_of = np.empty_like(order)
        place_of[order] = np.arange(len(order))
        rows = np.argsort(np.repeat(place_of, counts), kind="stable")
        return _Rows(
            keys[order], [tracks[place] for place in order], counts[order], starts_s[rows], raw[rows], vectors[rows]
        )

    def _projected(self, raw: NDArray[np.float16], counts: NDArray[np.int64]) -> NDArray[np.float32]:
        if not len(raw):
            return np.zeros((0, self._rows.vectors.shape[1]), np.float32)
        return self.model.project_audio(raw, np.repeat(np.arange(len(counts)), counts))

    def _built(self) -> Collection:
        rows = self._rows
        of = np.repeat(np.arange(len(rows.tracks)), rows.counts)
        length_s = sum(track.duration_s for track in rows.tracks) / max(1, len(of))
        windows = Windows(of, rows.starts_s, float(length_s))
        number = np.arange(len(of)) - np.repeat(np.cumsum(rows.counts) - rows.counts, rows.counts)
        keys = (rows.keys[of] << _WINDOW_BITS) + number if rows.counts.max(initial=0) < 1 << _WINDOW_BITS else None
        source = " ".join(f"{catalogue.path}@{self._seen[name]}" for name, catalogue in self._catalogues.items())
        copied = Copied(f"the model {self.model.label}", f"{source} {self.model.audio_encoder.revision}", keys)
        return Collection(
            rows.tracks,
            rows.vectors,
            self._index,
            explain=self.model.explain,
            windows=windows,
            is_padded=self.model.is_padded,
            copied=copied,
        )


def indexed(track: CatalogueTrack, library: str, address: str) -> IndexedTrack:
    """Return what is known of a track as search knows it; its id is `<library>:<number>`."""
    facts = track.facts
    return IndexedTrack(
        id=track_id(library, track.number),
        split="",
        dataset=library,
        artist=facts.artist,
        artist_id=artist_id(facts.artist),
        title=facts.title,
        genre=facts.genre,
        tags=facts.tags,
        license=facts.license,
        recording=facts.recording or (f"content:{track.content.hex()}" if track.content else ""),
        audio_path=str(Path(address, track.key)) if Path(address).is_absolute() else track.path,
        start_s=0.0,
        duration_s=track.duration_s,
        album=facts.album,
        album_artist=facts.album_artist,
        year=facts.year,
        bpm=facts.bpm,
        rating=facts.rating,
        added=track.added[:10],
        library=library,
        number=track.number,
    )


def track_id(library: str, number: int) -> str:
    """Return the id in search of a track of a library."""
    return f"{library}:{number}"


def artist_id(artist: str) -> str:
    """Return the id in search of an artist; empty for nobody, and for several."""
    found = artist_key(artist)
    return f"library-artist:{found}" if found else ""
