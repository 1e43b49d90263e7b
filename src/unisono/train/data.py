"""What the training reads: the train and val splits of `embeddings.h5` as arrays, and the batches.

Everything random about a batch is a function of the seed, the epoch and the number of the batch: a run that goes on after an
interruption, or on another number of processes, sees the same batches.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unisono.embeddings import EncoderRecord, SplitRows, open_embeddings
from unisono.errors import DataError, UsageError
from unisono.evaluate.pairing import Pairing, pair_rows
from unisono.seeded import rank_key
from unisono.track import CAPTION_ORIGINS, SPLITS
from unisono.train.checkpoint import TrainedOn, digests

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SplitData:
    """One split, ready to be trained on or searched."""

    rows: SplitRows
    audio: Tensor
    """[N, L, A] float16, as stored."""

    @cached_property
    def pairing(self) -> Pairing:
        """Which caption describes which music; a split without rows has none."""
        return pair_rows(self.rows)

    def __len__(self) -> int:
        return len(self.rows.ids)


def read(path: Path, encoder: str) -> tuple[EncoderRecord, SplitData, SplitData]:
    """Read the train and val splits of one encoder's embeddings.

    Raises:
        UsageError: the file is not there, or holds no embeddings of that encoder.
        DataError: nothing can be learned from it; the message says why.
    """
    with open_embeddings(path) as file:
        train, val = (_split(file.path, file.read(split, [encoder]), encoder) for split in SPLITS[:2])
        record = file.encoders[encoder]
        where = file.path
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


def trained_on(rows: SplitRows) -> TrainedOn:
    """Describe the split that a model is trained on."""
    names = {
        "id": rows.ids,
        "recording": rows.texts["recording"],
        "artist_id": rows.texts["artist_id"],
        "caption": rows.captions,
    }
    return TrainedOn(
        ids_sha256=hashlib.sha256("\n".join(rows.ids).encode("utf-8", "surrogatepass")).hexdigest(),
        excerpts=len(rows.ids),
        captions=len(rows.captions),
        datasets=_counts(rows.texts["dataset"]),
        licenses=_counts(rows.texts["license"]),
        origins=_counts(rows.caption_origin),
        digests={what: digests(sorted({name for name in found if name})) for what, found in names.items()},
    )


def _counts(names: list[str]) -> dict[str, int]:
    return dict(sorted(Counter(name or "unknown" for name in names).items()))


@dataclass(frozen=True)
class Batch:
    """Which excerpts and captions a step compares."""

    rows: Ints
    """[B] excerpts."""
    captions: Ints
    """[B] one caption of each."""


class Sampler:
    """Draws the batches of an epoch: every excerpt as often as its weight says, with one caption of it drawn anew."""

    def __init__(
        self,
        caption_of: Ints,
        batch_size: int,
        seed: int,
        row_weights: Floats | None = None,
        caption_weights: Floats | None = None,
    ) -> None:
        """Prepare to draw.

        Args:
            caption_of: [M] the excerpt of each caption, ascending; every excerpt has at least one.
            batch_size: B; batches are smaller only where there are fewer excerpts.
            seed: of the draws.
            row_weights: [N] how often an excerpt is drawn, relative to the others; equal by default.
            caption_weights: [M] how often a caption is drawn, relative to the others of its excerpt.
        """
        self.seed = seed
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
        return [
            Batch(rows[start : start + self.batch_size], captions[start : start + self.batch_size])
            for start in range(0, len(rows), self.batch_size)
        ]

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
