"""The training data: the train and val splits of `embeddings.h5` as arrays, and the batches.

Everything random in a batch is a function of the seed, the epoch and the number of the batch. So a resumed run, and a run
on another number of processes, sees the same batches.
"""

import hashlib
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from unisono.base.arguments import nearest
from unisono.base.errors import DataError, UsageError
from unisono.base.seeded import rank_key
from unisono.base.texts import distinct, taken
from unisono.embeddings.file import EmbeddingsFile, EncoderRecord, SplitRows
from unisono.retrieval.audio_rows import AudioRows, Blocks, Rows, rows_a_block
from unisono.retrieval.checkpoint import TrainedOn, digests
from unisono.retrieval.pairing import Pairing, pair_rows
from unisono.retrieval.split_rows import joined, keep_rows
from unisono.retrieval.train.caption_sets import FalseCaptions, FalseDraw
from unisono.retrieval.train.several_files import common_record, refuse_repeated
from unisono.tracks.track import CAPTION_ORIGINS, SPLITS, Split, batched

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
BLOCK = 8192
"""Embeddings checked at a time."""
IN_MEMORY = 4 << 30
"""Embeddings of at most this many bytes are held in memory."""
BLOCKS_MIXED = 32
"""How many blocks from the disk are shuffled together."""


@dataclass(frozen=True)
class TrainingWindows:
    """The embeddings of the windows of a split, from which each step draws some."""

    embeddings: AudioRows
    """[K, L, A], mapped from the disk."""
    begin: Ints
    """[N + 1]: the windows of excerpt n are begin[n] to begin[n + 1]."""

    def mean(self, chosen: Ints) -> Tensor:
        """Return the mean over W of the windows at these places [B, W]: [B, L, A] float32."""
        found = self.embeddings[chosen.reshape(-1)]
        return found.reshape(*chosen.shape, *found.shape[1:]).float().mean(dim=1)


@dataclass(frozen=True)
class SplitData:
    """One split, ready for training or validation."""

    rows: SplitRows
    audio: AudioRows
    """[N, L, A] float16, as stored."""
    windows: TrainingWindows | None = None
    """The windows, if they are trained on."""
    shares: Floats | None = None
    """[M] of each caption, if they are views: its share of the caption that it is a view of."""
    false: FalseCaptions | None = None
    """False captions, if they are contrasted with the true ones."""

    @cached_property
    def pairing(self) -> Pairing:
        """Which caption describes which music; not defined for an empty split."""
        return pair_rows(self.rows)

    def __len__(self) -> int:
        return len(self.rows.ids)


@dataclass(frozen=True)
class TrainingData:
    """The embeddings of one encoder to train and validate on."""

    paths: tuple[Path, ...]
    """The files they are from."""
    encoder: EncoderRecord
    train: SplitData
    val: SplitData
    block: int | None = None
    """How many excerpts are read from the disk at a time; None if their embeddings are in memory."""

    @property
    def where(self) -> str:
        """The files, in words."""
        return " and ".join(map(str, self.paths))


def read(
    files: Sequence[EmbeddingsFile],
    encoder: str,
    *,
    windows: bool = False,
    shuffle: Literal["auto", "all", "blocks"] = "auto",
) -> TrainingData:
    """Read the train and val splits of the embeddings of one encoder.

    Args:
        files: the embeddings; what is read from the disk in blocks needs them open.
        encoder: name of the encoder.
        windows: read the embeddings of all windows of the train split too.
        shuffle: hold the embeddings in memory ("all"), or read them from the disk in blocks; "auto" decides by their size
            alone, so that a training can be resumed on another machine.

    Raises:
        UsageError: a file holds no embeddings of that encoder, or no windows of it that can be trained on.
        DataError: the files do not go together, or nothing can be learned from them; the message says why.
    """
    record = common_record(files, encoder)
    size = 2 * sum(file.counts()["train"] for file in files) * math.prod(record.shape)
    in_blocks = shuffle == "blocks" or (shuffle == "auto" and size > IN_MEMORY)
    parts = {split: [_part(file, split, encoder, in_blocks=in_blocks) for file in files] for split in SPLITS[:2]}
    if len(files) > 1:
        refuse_repeated(files)
    train, val = (
        SplitData(joined([rows for rows, _ in its_parts]), AudioRows([audio for _, audio in its_parts]))
        for its_parts in parts.values()
    )
    data = TrainingData(
        tuple(file.path for file in files), record, train, val, rows_a_block(record.shape) if in_blocks else None
    )
    if windows:
        train = replace(train, windows=_joined_windows(files, [rows for rows, _ in parts["train"]], record))
    if len(train) == 0:
        raise DataError(
            f"{data.where}: the train split is empty.",
            hint="Prepare more tracks: of ten, one is in val and one in test.",
        )
    if train.pairing.recordings < 2:
        raise DataError(f"{data.where}: the train split holds one recording only; two at least are needed.")
    if len(train.pairing.texts) < 2:
        raise DataError(
            f"{data.where}: all {len(train.rows.captions)} captions of the train split are the same: "
            f"{train.pairing.texts[0]!r}. Nothing can be learned from them."
        )
    return replace(data, train=train)


def _part(file: EmbeddingsFile, split: Split, encoder: str, *, in_blocks: bool) -> tuple[SplitRows, Rows]:
    """Read a split of one file, with its embeddings in memory or on the disk, and check it."""
    rows = file.read(split, [] if in_blocks else [encoder])
    stored: Rows = Blocks(file.on_disk(split, encoder), 2 * BLOCKS_MIXED) if in_blocks else rows.embeddings.pop(encoder)
    count = len(rows.ids)
    blocks = ((start, stored[start : start + BLOCK]) for start in range(0, count, BLOCK))
    bad = [start + int(at) for start, block in blocks for at in np.flatnonzero(~_finite(block))]
    if bad:
        raise DataError(
            f"{file.path}: {len(bad)} of {count} {encoder} embeddings of the {split} split are not finite, the first of "
            f"{rows.ids[bad[0]]}.",
            hint=f"Prepare them again: unisono prepare --encoders {encoder} --output-dir {file.path.parent}",
        )
    without = np.setdiff1d(np.arange(count), rows.caption_of)
    if len(without):
        raise DataError(f"{file.path}: {rows.ids[without[0]]} of the {split} split has no caption.")
    return rows, stored


def _joined_windows(
    files: Sequence[EmbeddingsFile], rows: Sequence[SplitRows], record: EncoderRecord
) -> TrainingWindows:
    parts = [_windows(file, its_rows, record) for file, its_rows in zip(files, rows, strict=True)]
    before = np.cumsum([0, *(begin[-1] for _, begin in parts)])
    begins = [begin[:-1] + start for (_, begin), start in zip(parts, before, strict=False)]
    return TrainingWindows(AudioRows([embeddings for embeddings, _ in parts]), np.concatenate([*begins, before[-1:]]))


def _windows(file: EmbeddingsFile, rows: SplitRows, record: EncoderRecord) -> tuple[NDArray[np.float16], Ints]:
    if record.pooling != "mean":
        raise UsageError(
            f"audio_windows needs embeddings that are the mean of their windows; those of {record.name} in {file.path} "
            f"are pooled by {record.pooling}.",
            hint="Prepare them with --pooling mean --keep-windows into another folder, or train on all windows.",
            parameter="audio_windows",
        )
    stored = file.windows("train", record.name)
    embeddings, window_of = stored.embeddings, stored.of
    begin = np.searchsorted(window_of, np.arange(len(rows.ids) + 1))
    without = np.flatnonzero(np.diff(begin) == 0)
    if len(without):
        raise DataError(f"{file.path}: no {record.name} window of {rows.ids[without[0]]} was kept.")
    for start in range(0, len(embeddings), BLOCK):
        block = embeddings[start : start + BLOCK]
        bad = np.flatnonzero(~_finite(block))
        if len(bad):
            of = rows.ids[window_of[start + bad[0]]]
            raise DataError(
                f"{file.path}: the {record.name} embedding of a window of {of} is not finite.",
                hint="Prepare them again: unisono prepare "
                f"--encoders {record.name} --keep-windows --output-dir {file.path.parent}",
            )
    return embeddings.reshape(len(embeddings), record.layers, -1), begin


def _finite(embeddings: NDArray[np.float16]) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(embeddings.reshape(len(embeddings), -1)).all(axis=1))


def sampled(data: SplitData, limit: int, seed: int) -> SplitData:
    """Return at most `limit` excerpts of a split, a seeded sample, with their captions."""
    if len(data) <= limit:
        return data
    order = sorted(range(len(data)), key=lambda row: rank_key(seed, "val", data.rows.ids[row]))
    kept = np.sort(np.array(order[:limit]))
    keep = np.zeros(len(data), dtype=bool)
    keep[kept] = True
    return SplitData(keep_rows(data.rows, keep), AudioRows([data.audio[kept].numpy()]))


def trained_on(rows: SplitRows, val: SplitRows | None = None) -> TrainedOn:
    """Record the split that a model is trained on, and the one that selects the best epoch."""
    return TrainedOn(
        ids_sha256=_sha256(rows.ids),
        excerpts=len(rows.ids),
        captions=len(rows.captions),
        datasets=_counts(rows.texts["dataset"]),
        licenses=_counts(rows.texts["license"]),
        origins=_counts(rows.caption_origin),
        digests=_digests_of(rows),
        val_digests=_digests_of(val) if val else {},
    )


def _sha256(ids: Sequence[str]) -> str:
    """Return the hash of ids, a line each, of which the last one does not end."""
    found, before = hashlib.sha256(), b""
    for some in batched(ids, BLOCK):
        found.update(before + "\n".join(some).encode("utf-8", "surrogatepass"))
        before = b"\n"
    return found.hexdigest()


def _digests_of(rows: SplitRows) -> dict[str, Ints]:
    names: dict[str, Sequence[str]] = {
        "id": rows.ids,
        "recording": rows.texts["recording"],
        "artist_id": rows.texts["artist_id"],
        "caption": rows.captions,
    }
    return {what: np.sort(digests(filter(None, taken(found, distinct(found)[0])))) for what, found in names.items()}


def _counts(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(name or "unknown" for name in names).items()))


@dataclass(frozen=True)
class Batch:
    """The excerpts and captions that a step compares."""

    rows: Ints
    """[B] rows of the excerpts."""
    captions: Ints
    """[B] one caption of each excerpt."""
    windows: Ints | None = None
    """[B, W] some windows of each excerpt; None if the pooled embeddings are trained on."""
    false: Ints | None = None
    """[B] a false caption of each caption, -1 where there is none; None if they are not trained on."""
    longest: int = 0
    """The most tokens of a caption of the whole batch, if they are trained on."""
    waveforms: Tensor | None = None
    """[b, W, samples] some windows of audio of this process's excerpts, if the audio encoder is tuned."""
    waveforms_begin: int = 0
    """The first of these excerpts."""

    def part(self, start: int, stop: int) -> "Batch":
        """Return the pairs from `start` to before `stop`."""
        windows, false = (None if each is None else each[start:stop] for each in (self.windows, self.false))
        begin = self.waveforms_begin
        waveforms = None if self.waveforms is None else self.waveforms[start - begin : stop - begin]
        return Batch(self.rows[start:stop], self.captions[start:stop], windows, false, self.longest, waveforms)


@dataclass(frozen=True)
class WindowDraw:
    """Draws W windows of each excerpt, evenly spaced from a random offset."""

    begin: Ints
    """[N + 1]: the windows of excerpt n are begin[n] to begin[n + 1]."""
    count: int
    """W; of an excerpt with fewer windows, some are drawn more than once."""

    def __call__(self, rng: np.random.Generator, rows: Ints) -> Ints:
        """Draw windows [B, W] of the excerpts at these rows [B]; all windows of an excerpt are equally likely."""
        first, held = self.begin[rows, None], np.diff(self.begin)[rows, None]
        places = (rng.random((len(rows), 1)) + np.arange(self.count)) * held / self.count
        chosen: Ints = first + np.minimum(places.astype(np.int64), held - 1)
        return chosen


class Sampler:
    """Draws the batches of an epoch: each excerpt in proportion to its weight, each time with a random caption of it."""

    def __init__(
        self,
        caption_of: Ints,
        batch_size: int,
        seed: int,
        row_weights: Floats | None = None,
        caption_weights: Floats | None = None,
        windows: WindowDraw | None = None,
        false: FalseDraw | None = None,
        block: int | None = None,
    ) -> None:
        """Prepare to draw.

        Args:
            caption_of: [M] the excerpt of each caption, ascending; every excerpt has at least one.
            batch_size: B; batches are smaller only if there are fewer excerpts.
            seed: of the draws.
            row_weights: [N] how often an excerpt is drawn, relative to the others. Default: equal.
            caption_weights: [M] how often a caption is drawn, relative to the others of its excerpt.
            windows: also draws windows of each excerpt; it does not change which excerpts and captions are drawn.
            false: also draws a false caption of each caption; it changes nothing else.
            block: how many excerpts lie in a block on the disk: blocks come in random order, and the excerpts of
                `BLOCKS_MIXED` of them are shuffled together. By default, all excerpts are.
        """
        self.block = block
        self.seed = seed
        self.windows = windows
        self.false = false
        self.count = int(caption_of[-1]) + 1
        weights = np.ones(len(caption_of)) if caption_weights is None else caption_weights
        self._upto = np.concatenate([[0.0], np.cumsum(weights)])
        self._begin = np.searchsorted(caption_of, np.arange(self.count + 1))
        total = np.diff(self._upto[self._begin])
        rows = (np.ones(self.count) if row_weights is None else row_weights) * (total > 0)
        self._expected = rows / rows.sum() * self.count
        self.batch_size = min(batch_size, self.count)

    def __len__(self) -> int:
        """Batches an epoch. The excerpts that do not fill a last batch are left out; they differ between epochs."""
        return self.count // self.batch_size

    def epoch(self, number: int) -> list[Batch]:
        """Draw the batches of an epoch."""
        rng = np.random.default_rng([self.seed, number])
        rows = self._shuffled(rng, self._rows(rng))[: len(self) * self.batch_size]
        captions = self._captions(rng, rows)
        whole = Batch(rows, captions, self.windows(rng, rows) if self.windows else None)
        if self.false:
            whole = replace(whole, false=self.false(np.random.default_rng([self.seed, number, 1]), captions))
        return [whole.part(start, start + self.batch_size) for start in range(0, len(rows), self.batch_size)]

    def _shuffled(self, rng: np.random.Generator, rows: Ints) -> Ints:
        """Shuffle the rows that were drawn, which ascend; of those on the disk, the ones that are near stay near."""
        if self.block is None:
            return np.asarray(rng.permutation(rows))
        blocks = rng.permutation(-(-self.count // self.block))
        mixed = blocks[rows // self.block] // BLOCKS_MIXED
        order = np.argsort(mixed, kind="stable")
        begin = np.searchsorted(mixed[order], np.arange(len(blocks) // BLOCKS_MIXED + 2))
        parts = [rng.permutation(order[first:last]) for first, last in itertools.pairwise(begin)]
        shuffled: Ints = rows[np.concatenate(parts)]
        return shuffled

    def another(self, *names: int) -> tuple[int, int]:
        """Draw a single excerpt and a caption of it, which the seed and some numbers determine."""
        rng = np.random.default_rng([self.seed, *names])
        row = rng.choice(self.count, size=1, p=self._expected / self._expected.sum())
        return int(row[0]), int(self._captions(rng, row)[0])

    def _rows(self, rng: np.random.Generator) -> Ints:
        """Draw N rows, each its expected number of times rounded up or down (systematic sampling)."""
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
    rows: SplitRows,
    temperature: float,
    by_dataset: dict[str, float],
    by_origin: dict[str, float],
    shares: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Return the weights of the excerpts [N] and of the captions [M] of a split.

    The weight of an excerpt is that of its dataset times the mean weight of its captions. The weight of a dataset of n
    excerpts is n ** (1 / temperature), shared by them, times the weight given for it. With `shares` [M], a caption counts
    as this part of one.

    Raises:
        UsageError: a dataset or an origin is not in the split, or nothing is left.
    """
    _refuse_unknown("mix_datasets", by_dataset, set(rows.texts["dataset"]))
    _refuse_unknown("mix_origins", by_origin, set(CAPTION_ORIGINS) | {"unknown"})
    sizes = Counter(rows.texts["dataset"])
    of_dataset = {name: by_dataset.get(name, 1.0) * size ** (1 / temperature - 1) for name, size in sizes.items()}
    captions = np.array([by_origin.get(origin or "unknown", 1.0) for origin in rows.caption_origin])
    shares = np.ones(len(captions)) if shares is None else shares
    captions = captions * shares
    sums = [np.bincount(rows.caption_of, each, len(rows.ids)) for each in (captions, shares)]
    mean = sums[0] / sums[1]
    weights = np.array([of_dataset[name] for name in rows.texts["dataset"]]) * mean
    if not weights.any():
        raise UsageError("mix_datasets and mix_origins leave nothing to train on.", parameter="mix_datasets")
    return weights, captions


def weights_from(parameter: str, words: tuple[str, ...]) -> dict[str, float]:
    """Read the `name=weight` words of a setting.

    Raises:
        UsageError: a word is not of this form, or a weight is negative or not finite.
    """
    weights = {}
    for word in words:
        name, _, number = word.rpartition("=")
        try:
            weights[name] = float(number)
        except ValueError:
            weights[name] = -1.0
        if not name or not 0 <= weights[name] < np.inf:
            raise UsageError(
                f"{parameter} must be <name>=<weight>, such as `fma=0.5`, found {word!r}.", parameter=parameter
            )
    return weights


def _refuse_unknown(parameter: str, given: dict[str, float], known: set[str]) -> None:
    for name in given:
        if name not in known:
            raise UsageError(
                f"{parameter} names {name!r}, which is not in the train split.{nearest(name, known)}",
                hint="There are: " + ", ".join(sorted(known)),
                parameter=parameter,
            )
