"""What the training reads: the train and val splits of `embeddings.h5` as arrays, and the batches.

Everything random about a batch is a function of the seed, the epoch and the number of the batch: a run that goes on after an
interruption, or on another number of processes, sees the same batches.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unisono.base.errors import DataError, UsageError
from unisono.base.seeded import rank_key
from unisono.embeddings.file import EmbeddingsFile, EncoderRecord, SplitRows, open_embeddings
from unisono.retrieval.checkpoint import TrainedOn, digests
from unisono.retrieval.pairing import Pairing, pair_rows
from unisono.tracks.track import CAPTION_ORIGINS, SPLITS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
BLOCK = 8192
"""Windows looked at at a time."""


@dataclass(frozen=True)
class Windows:
    """The embeddings of the windows of a split, for a training that draws some of them at each step."""

    embeddings: NDArray[np.float16]
    """[K, L, A], mapped from the disk."""
    begin: Ints
    """[N + 1]: those of excerpt n are begin[n] to begin[n + 1]."""

    def mean(self, chosen: Ints) -> Tensor:
        """Pool the windows at these places, [B, W], to [B, L, A] float32."""
        return torch.from_numpy(self.embeddings[chosen]).float().mean(dim=1)


@dataclass(frozen=True)
class SplitData:
    """One split, ready to be trained on or searched."""

    rows: SplitRows
    audio: Tensor
    """[N, L, A] float16, as stored."""
    windows: Windows | None = None
    """If they are trained on."""

    @cached_property
    def pairing(self) -> Pairing:
        """Which caption describes which music; a split without rows has none."""
        return pair_rows(self.rows)

    def __len__(self) -> int:
        return len(self.rows.ids)


def read(path: Path, encoder: str, *, windows: bool = False) -> tuple[EncoderRecord, SplitData, SplitData]:
    """Read the train and val splits of one encoder's embeddings.

    Args:
        path: of the file, or of its folder.
        encoder: whose embeddings.
        windows: the train split with those of every window.

    Raises:
        UsageError: the file is not there, holds no embeddings of that encoder, or no windows of it that could be trained on.
        DataError: nothing can be learned from it; the message says why.
    """
    with open_embeddings(path) as file:
        train, val = (_split(file.path, file.read(split, [encoder]), encoder) for split in SPLITS[:2])
        record = file.encoders[encoder]
        where = file.path
        if windows:
            train = replace(train, windows=_windows(file, train.rows, record))
    if len(train) == 0:
        raise DataError(
            f"{where}: the train split is empty.", hint="Prepare more tracks: with ten, one is val and one test."
        )
    if len(set(train.pairing.recording.tolist())) < 2:
        raise DataError(f"{where}: the train split holds one recording only; there is nothing to tell it from.")
    if len(train.pairing.texts) < 2:
        raise DataError(
            f"{where}: all {len(train.rows.captions)} captions of the train split are the same: "
            f"{train.pairing.texts[0]!r}. Nothing can be learned from them."
        )
    return record, train, val


def _split(path: Path, rows: SplitRows, encoder: str) -> SplitData:
    embeddings = rows.embeddings.pop(encoder)
    bad = np.flatnonzero(~np.isfinite(embeddings).all(axis=tuple(range(1, embeddings.ndim))))
    if len(bad):
        raise DataError(
            f"{path}: {len(bad)} of {len(embeddings)} {encoder} embeddings of the {rows.split} split are not finite, "
            f"the first of {rows.ids[bad[0]]}.",
            hint=f"Prepare them anew: unisono prepare --encoders {encoder} --output-dir {path.parent}",
        )
    without = np.setdiff1d(np.arange(len(rows.ids)), rows.caption_of)
    if len(without):
        raise DataError(f"{path}: {rows.ids[without[0]]} of the {rows.split} split has no caption.")
    audio = torch.from_numpy(embeddings)
    return SplitData(rows, audio.unsqueeze(1) if audio.ndim == 2 else audio)


def _windows(file: EmbeddingsFile, rows: SplitRows, record: EncoderRecord) -> Windows:
    if record.pooling != "mean":
        raise UsageError(
            f"--audio-windows needs embeddings pooled by the mean of their windows; those of {record.name} in {file.path} "
            f"are pooled by {record.pooling}, which says more than a window can.",
            hint="Prepare them with --pooling mean --keep-windows into another folder, or leave --audio-windows out.",
        )
    embeddings, window_of = file.windows("train", record.name)
    begin = np.searchsorted(window_of, np.arange(len(rows.ids) + 1))
    without = np.flatnonzero(np.diff(begin) == 0)
    if len(without):
        raise DataError(f"{file.path}: no {record.name} window of {rows.ids[without[0]]} was kept.")
    for start in range(0, len(embeddings), BLOCK):
        block = embeddings[start : start + BLOCK]
        bad = np.flatnonzero(~np.isfinite(block.reshape(len(block), -1)).all(axis=1))
        if len(bad):
            of = rows.ids[window_of[start + bad[0]]]
            raise DataError(
                f"{file.path}: the {record.name} embedding of a window of {of} is not finite.",
                hint="Prepare them anew: unisono prepare "
                f"--encoders {record.name} --keep-windows --output-dir {file.path.parent}",
            )
    return Windows(embeddings.reshape(len(embeddings), record.layers, -1), begin)


def sampled(data: SplitData, limit: int, seed: int) -> SplitData:
    """Give at most `limit` excerpts of a split, a seeded sample, with their captions."""
    if len(data) <= limit:
        return data
    order = sorted(range(len(data)), key=lambda row: rank_key(seed, "val", data.rows.ids[row]))
    kept = np.sort(np.array(order[:limit]))
    place = np.full(len(data), -1)
    place[kept] = np.arange(limit)
    captions = np.flatnonzero(place[data.rows.caption_of] >= 0)
    rows = SplitRows(
        split=data.rows.split,
        ids=[data.rows.ids[row] for row in kept],
        embeddings={},
        captions=[data.rows.captions[caption] for caption in captions],
        caption_of=place[data.rows.caption_of[captions]],
        caption_origin=[data.rows.caption_origin[caption] for caption in captions],
        texts={name: [column[row] for row in kept] for name, column in data.rows.texts.items()},
        tags=[data.rows.tags[row] for row in kept],
        start_s=data.rows.start_s[kept],
        duration_s=data.rows.duration_s[kept],
    )
    return SplitData(rows, data.audio[torch.from_numpy(kept)])


def trained_on(rows: SplitRows, val: SplitRows | None = None) -> TrainedOn:
    """Describe the split that a model is trained on, and the one by which its best epoch is chosen."""
    return TrainedOn(
        ids_sha256=hashlib.sha256("\n".join(rows.ids).encode("utf-8", "surrogatepass")).hexdigest(),
        excerpts=len(rows.ids),
        captions=len(rows.captions),
        datasets=_counts(rows.texts["dataset"]),
        licenses=_counts(rows.texts["license"]),
        origins=_counts(rows.caption_origin),
        digests=_digests_of(rows),
        val_digests=_digests_of(val) if val else {},
    )


def _digests_of(rows: SplitRows) -> dict[str, Ints]:
    names = {
        "id": rows.ids,
        "recording": rows.texts["recording"],
        "artist_id": rows.texts["artist_id"],
        "caption": rows.captions,
    }
    return {what: np.sort(digests(list({name for name in found if name}))) for what, found in names.items()}


def _counts(names: list[str]) -> dict[str, int]:
    return dict(sorted(Counter(name or "unknown" for name in names).items()))


@dataclass(frozen=True)
class Batch:
    """Which excerpts and captions a step compares."""

    rows: Ints
    """[B] excerpts."""
    captions: Ints
    """[B] one caption of each."""
    windows: Ints | None = None
    """[B, W] some windows of each; None where all are trained on, pooled."""

    def part(self, start: int, stop: int) -> "Batch":
        """Give some of it."""
        windows = None if self.windows is None else self.windows[start:stop]
        return Batch(self.rows[start:stop], self.captions[start:stop], windows)


@dataclass(frozen=True)
class WindowDraw:
    """Draws W windows of each excerpt: evenly spread, from a random place on."""

    begin: Ints
    """[N + 1]: the windows of excerpt n are begin[n] to begin[n + 1]."""
    count: int
    """W; an excerpt with fewer windows gives some of them twice."""

    def __call__(self, rng: np.random.Generator, rows: Ints) -> Ints:
        """Draw for the excerpts at these places [B]: [B, W]. Each window of an excerpt is as likely as the others."""
        first, held = self.begin[rows, None], np.diff(self.begin)[rows, None]
        places = (rng.random((len(rows), 1)) + np.arange(self.count)) * held / self.count
        chosen: Ints = first + np.minimum(places.astype(np.int64), held - 1)
        return chosen


class Sampler:
    """Draws the batches of an epoch: every excerpt as often as its weight says, with one caption of it drawn anew."""

    def __init__(
        self,
        caption_of: Ints,
        batch_size: int,
        seed: int,
        row_weights: Floats | None = None,
        caption_weights: Floats | None = None,
        windows: WindowDraw | None = None,
    ) -> None:
        """Prepare to draw.

        Args:
            caption_of: [M] the excerpt of each caption, ascending; every excerpt has at least one.
            batch_size: B; batches are smaller only where there are fewer excerpts.
            seed: of the draws.
            row_weights: [N] how often an excerpt is drawn, relative to the others; equal by default.
            caption_weights: [M] how often a caption is drawn, relative to the others of its excerpt.
            windows: draws windows of each excerpt too; the excerpts and captions drawn are the same without it.
        """
        self.seed = seed
        self.windows = windows
        self.count = int(caption_of[-1]) + 1
        weights = np.ones(len(caption_of)) if caption_weights is None else caption_weights
        self._upto = np.concatenate([[0.0], np.cumsum(weights)])
        self._begin = np.searchsorted(caption_of, np.arange(self.count + 1))
        total = np.diff(self._upto[self._begin])
        rows = (np.ones(self.count) if row_weights is None else row_weights) * (total > 0)
        self._expected = rows / rows.sum() * self.count
        self.batch_size = min(batch_size, self.count)

    def __len__(self) -> int:
        """Batches an epoch; what does not fill the last one is left out, another part of the data each time."""
        return self.count // self.batch_size

    def epoch(self, number: int) -> list[Batch]:
        """Draw the batches of an epoch."""
        rng = np.random.default_rng([self.seed, number])
        rows = rng.permutation(self._rows(rng))[: len(self) * self.batch_size]
        captions = self._captions(rng, rows)
        whole = Batch(rows, captions, self.windows(rng, rows) if self.windows else None)
        return [whole.part(start, start + self.batch_size) for start in range(0, len(rows), self.batch_size)]

    def _rows(self, rng: np.random.Generator) -> Ints:
        """Draw N rows so that each is there its expected number of times, rounded up or down (systematic sampling)."""
        drawable = np.flatnonzero(self._expected)
        upto = np.floor(np.cumsum(self._expected[drawable]) + rng.random()).clip(0, self.count).astype(np.int64)
        upto[-1] = self.count
        return np.repeat(drawable, np.diff(upto, prepend=0))

    def _captions(self, rng: np.random.Generator, rows: Ints) -> Ints:
        low, high = self._upto[self._begin[rows]], self._upto[self._begin[rows + 1]]
        drawn = np.searchsorted(self._upto, low + rng.random(len(rows)) * (high - low), side="right") - 1
        captions: Ints = np.clip(drawn, self._begin[rows], self._begin[rows + 1] - 1)
        return captions


def mixing_weights(
    rows: SplitRows, temperature: float, by_dataset: dict[str, float], by_origin: dict[str, float]
) -> tuple[Floats, Floats]:
    """Give the weights of the excerpts [N] and of the captions [M] of a split.

    An excerpt's weight is that of its dataset times the mean weight of its captions; a dataset's is n ** (1 / temperature)
    over its n excerpts, times the weight asked for.

    Raises:
        UsageError: a dataset or an origin is not in the split, or nothing is left.
    """
    _refuse_unknown("--mix-datasets", by_dataset, set(rows.texts["dataset"]))
    _refuse_unknown("--mix-origins", by_origin, set(CAPTION_ORIGINS) | {"unknown"})
    sizes = Counter(rows.texts["dataset"])
    of_dataset = {name: by_dataset.get(name, 1.0) * size ** (1 / temperature - 1) for name, size in sizes.items()}
    captions = np.array([by_origin.get(origin or "unknown", 1.0) for origin in rows.caption_origin])
    mean = np.bincount(rows.caption_of, captions, len(rows.ids)) / np.bincount(rows.caption_of, minlength=len(rows.ids))
    weights = np.array([of_dataset[name] for name in rows.texts["dataset"]]) * mean
    if not weights.any():
        raise UsageError("--mix-datasets and --mix-origins leave nothing to train on.")
    return weights, captions


def weights_from(flag: str, words: tuple[str, ...]) -> dict[str, float]:
    """Read `name=weight` words of an option.

    Raises:
        UsageError: a word is no such pair, or a weight is negative.
    """
    weights = {}
    for word in words:
        name, _, number = word.rpartition("=")
        try:
            weights[name] = float(number)
        except ValueError:
            weights[name] = -1.0
        if not name or not 0 <= weights[name] < np.inf:
            raise UsageError(f"{flag}: expected <name>=<weight>, e.g. `fma=0.5`, found {word!r}.")
    return weights


def _refuse_unknown(flag: str, given: dict[str, float], known: set[str]) -> None:
    for name in given:
        if name not in known:
            raise UsageError(
                f"{flag}: there is no {name!r} in the train split.", hint="There are: " + ", ".join(sorted(known))
            )
