"""What all models share, trained or not: from the embeddings of a file to a collection, and from a description to hits."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from unisono.base.arguments import AnyPath, Count, checked
from unisono.base.errors import DataError, UsageError
from unisono.embeddings.encoders import tuned
from unisono.embeddings.encoders.text import TextEncoder
from unisono.embeddings.file import EmbeddingsFile, EncoderRecord, SplitRows
from unisono.retrieval.collection import Collection, Copied, Hits, IndexedTrack, Windows, indexed_tracks
from unisono.retrieval.indexes import UnitVectors, is_in_memory
from unisono.retrieval.projected import Projected
from unisono.retrieval.split_rows import opened, read_rows
from unisono.retrieval.windows import FEW, are_searched, keeps_some, map_windows, read_windows
from unisono.tracks.track import SPLITS, Split

if TYPE_CHECKING:
    from unisono.retrieval.checkpoint import TrainedOn

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]


class JointModel:
    """Descriptions and music in one space: what search and evaluation need of a model, trained here or not.

    A subclass adds `text_encoder`, `embed_text`, `project_audio`, `made_like`, and what the properties name.
    """

    how_to_get: ClassVar[str] = "Load it with: unisono.load_model"
    must_agree: tuple[str, ...] = ("revision",)
    """Fields of `EncoderRecord` in which embeddings must agree with those that it reads."""
    compares_tracks: bool = False
    """Whether the vector of a track depends on the others."""
    is_padded: bool = False
    """Whether the last number of a vector of music only makes all equally long: see `Collection.likeness_scale`."""
    explain: Callable[[Floats, Floats], dict[str, float]] | None = None
    """From a query [D] and a vector [D] to what speaks for it (`Hit.why`), if the model can say."""
    _collection: tuple[object, Collection] | None = None

    @property
    def label(self) -> str:
        """Name of the model, or path of the checkpoint; empty if it has neither."""
        return ""

    @cached_property
    def text_encoder(self) -> TextEncoder:
        """The text encoder, loaded when first needed."""
        raise NotImplementedError

    @property
    def encoders(self) -> tuple[str, ...]:
        """The audio encoders whose embeddings it reads, the preferred one first."""
        return (self.audio_encoder.name,)

    @property
    def audio_encoder(self) -> EncoderRecord:
        """The audio embeddings that the model reads best: those that are prepared for a benchmark."""
        return self.made_like(self.encoders[0])

    @property
    def trained_on(self) -> "TrainedOn | None":
        """What the model was trained on; None if that is not recorded."""
        return None

    def made_like(self, name: str) -> EncoderRecord:
        """Return what must have made the embeddings of an encoder."""
        raise NotImplementedError

    def project_audio(self, embeddings: NDArray[np.floating], of: Rows | None = None) -> Floats:
        """Map audio embeddings [W, A] (or [W, L, A]), as stored in `embeddings.h5`, to [W, D] unit vectors.

        Args:
            embeddings: of tracks, or of their windows.
            of: [W], the track of each row, ascending; None: each row is a track. Matters to models that compare the
                tracks with each other.

        Raises:
            DataError: they are of another shape than those that the model reads.
        """
        raise NotImplementedError

    def embed_text(self, texts: str | Sequence[str], *, cached: bool = False) -> Floats:
        """Embed one or n descriptions as [n, D] unit vectors; each row depends on its description alone.

        `cached`: keep the results of a text encoder that was not tuned on disk, and use those that are there.
        """
        raise NotImplementedError

    def embed_tokens(self, text: str) -> Floats:
        """Embed the tokens of a description as [t, D] unit vectors, to be compared with windows of music one by one.

        Raises:
            UsageError: the model compares whole descriptions only.
        """
        raise UsageError(
            f"T{self._called[1:]} compares a whole description with music, not each of its words: it was not trained to.",
            hint="Train one that does, on kept windows: unisono train --maxsim 0.4 --audio-windows 4 ...",
        )

    @property
    def _called(self) -> str:
        return f"the model {self.label}".rstrip()

    def default_data(self) -> Path:
        """Return the music that is searched if none is named.

        Raises:
            UsageError: the model knows none.
        """
        raise UsageError(f"T{self._called[1:]} has no music of its own.", hint="Name the embeddings.h5, or its folder.")

    def warn_of(self, file: EmbeddingsFile, rows: SplitRows) -> None:
        """Log what speaks against searching this music."""

    def reads(self, file: EmbeddingsFile) -> str:
        """Return the name of the encoder in a file whose embeddings the model reads.

        Raises:
            UsageError: the file holds none that it can read; the message says how to make them.
        """
        for name in self.encoders:
            if name in file:
                return name
        raise UsageError(
            f"{file.path} holds no embeddings that {self._called} can read ({' or '.join(self.encoders)}); it "
            f"holds: {', '.join(file.encoders) or 'none'}.",
            hint=f"Add them with: unisono prepare --encoders {tuned.name_of(self.audio_encoder)} "
            f"--output-dir {file.path.parent}",
        )

    def project_rows(self, file: EmbeddingsFile, rows: SplitRows) -> Floats:
        """Map the embeddings of rows of a file to [N, D] unit vectors, one for each track.

        Raises:
            DataError: they were made in another way than those that the model reads, or are not finite.
        """
        name = self._checked_encoder(file)
        stored = rows.embeddings[name]
        bad = ~np.isfinite(stored.reshape(len(stored), -1)).all(axis=1)
        if bad.any():
            raise DataError(
                f"{file.path}, {rows.split}: {int(bad.sum())} {name} embeddings are not finite "
                f"(first: {rows.ids[int(bad.argmax())]})."
            )
        return self.project_audio(stored)

    def project_windows(self, file: EmbeddingsFile, rows: SplitRows, most: int | None = None) -> tuple[Floats, Windows]:
        """Map the windows of rows of a file, as far as they were kept, to [W, D] unit vectors.

        Args:
            file: the embeddings.
            rows: of one split, or of all.
            most: the most windows of a row where all were kept. Default: all.

        Raises:
            UsageError: the file holds no windows.
            DataError: they were made in another way than those that the model reads, or are not finite.
        """
        few = None if keeps_some(file) else most
        embeddings, windows = read_windows(file, rows, self._checked_encoder(file), few)
        return self.project_audio(embeddings, windows.of), windows

    def _checked_encoder(self, file: EmbeddingsFile) -> str:
        """Return the name of the encoder whose embeddings are read; refuse those that were made in another way."""
        name = self.reads(file)
        held, wanted = asdict(file.encoders[name]), asdict(self.made_like(name))
        differ = [
            f"{each} {held[each]!r}, not {wanted[each]!r}" for each in self.must_agree if held[each] != wanted[each]
        ]
        if differ:
            raise DataError(
                f"{file.path}: its {name} embeddings were not made as those that {self._called} reads: "
                f"{'; '.join(differ)}.",
                hint="Prepare the music for it, in a folder of its own: unisono prepare "
                f"--encoders {tuned.name_of(self.made_like(name))} --output-dir ...",
            )
        return name

    @checked
    def collection(
        self, data: EmbeddingsFile | AnyPath | None = None, *, split: Split | None = None, index: str = "exact"
    ) -> Collection:
        """Return the music of an `embeddings.h5`, ready to be searched; the last one is kept in memory.

        It holds the windows of the tracks that were kept (`prepare --windows-per-track`); of all windows
        (`--keep-windows`), five of each track, evenly spread.

        Args:
            data: the file, or its folder. Default: the data that the model was trained on.
            split: the only split to read. Default: all.
            index: name of the index (`retrieval/indexes`).

        Raises:
            UsageError: the file is not there, or holds no embeddings that the model reads.
        """
        with opened(self.default_data() if data is None else data) as file:
            key = (file.path, file.path.stat().st_mtime_ns, split, index)
            if self._collection is None or self._collection[0] != key:
                name = self._checked_encoder(file)
                is_lazy = not (is_in_memory(index) or self.compares_tracks)
                rows = read_rows(file, split, [] if is_lazy else [name])
                vectors: UnitVectors
                if is_lazy:
                    vectors, windows = self._projected(file, rows, split)
                elif are_searched(file, name):
                    vectors, windows = self.project_windows(file, rows, FEW)
                else:
                    vectors, windows = self.project_rows(file, rows), None
                tracks = indexed_tracks(rows)
                if split is None:
                    splits = [each for each, count in file.counts().items() for _ in range(count)]
                    tracks = [replace(track, split=each) for track, each in zip(tracks, splits, strict=True)]
                copied = Copied(self._called, f"{file.path.absolute()} {key[1]} {split} {self._state()}")
                collection = Collection(
                    tracks,
                    vectors,
                    index,
                    explain=self.explain,
                    windows=windows,
                    is_padded=self.is_padded,
                    copied=copied,
                )
                self._collection = key, collection
                if not is_lazy:
                    self.warn_of(file, rows)
        return self._collection[1]

    def _projected(
        self, file: EmbeddingsFile, rows: SplitRows, split: Split | None
    ) -> tuple[Projected, Windows | None]:
        """Return what `project_windows` or `project_rows` do, computed when it is asked for."""
        name = self.reads(file)
        if are_searched(file, name):
            parts, windows = map_windows(file, rows, name, FEW)
            return Projected(self.project_audio, parts, str(file.path)), windows
        stored = [file.embeddings(each, name) for each in ([split] if split else SPLITS)]
        return Projected(self.project_audio, stored, str(file.path)), None

    def _state(self) -> str:
        """Return a text that is another if the model is."""
        path = Path(self.label)
        return (
            f"{self.label} {path.stat().st_mtime_ns}"
            if path.is_file()
            else f"{self.label} {self.audio_encoder.revision}"
        )

    @checked
    def search(
        self,
        text: str,
        top: Count = 10,
        data: EmbeddingsFile | AnyPath | None = None,
        *,
        where: Callable[[IndexedTrack], bool] | None = None,
        split: Split | None = None,
        max_per_artist: Count | None = None,
        index: str = "exact",
    ) -> Hits:
        """Find the music that fits a description best.

        Args:
            text: the description.
            top: the most tracks to return.
            data: the `embeddings.h5` to search in, or its folder. Default: the data that the model was trained on.
            where: search only among the tracks for which this returns True.
            split: search in this split only. Default: in all.
            max_per_artist: the most tracks of one artist.
            index: name of the index (`retrieval/indexes`).

        Raises:
            UsageError: the description is empty, or the data is not there.
        """
        if not text.strip():
            raise UsageError("text must not be empty.", parameter="text")
        collection = self.collection(data, split=split, index=index)
        among = collection.rows_where(where)
        return collection.search(self.embed_text(text)[0], top, among, max_per_artist, query=text)
