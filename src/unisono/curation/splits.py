"""Train, val and test splits that share no recording, no artist, no file, and nothing else that was asked for.

Groups of tracks (see `groups`) are ranked by a seeded hash of their artists, and the splits are filled in that order: the
result does not depend on the order of the tracks. The number of tracks drawn for test is as near to a tenth as whole groups
allow, and then that for val. If the largest group has g tracks, each is off by at most g/2; train takes the rest.
"""

import dataclasses
from array import array
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from unisono.base.seeded import rank_key
from unisono.curation.groups import GatheredKeys, Identity, Keys, connected, identities
from unisono.tracks.record import Entry
from unisono.tracks.stored import SPLIT_OF_CODE
from unisono.tracks.track import Split, Track, batched, replace

SplitBy = Literal["upstream", "seed"]
TENTHS: dict[Split, int] = {"train": 8, "val": 1, "test": 1}
HELD_OUT_FIRST: tuple[Split, ...] = ("test", "val", "train")
TEST, VAL, TRAIN, NONE = range(4)
_CODES = {split: code for code, split in enumerate(SPLIT_OF_CODE)}

AT_A_TIME = 256

Codes = NDArray[np.uint8]
Further = Callable[[int, Entry], Iterable[Identity]]
"""Returns identities that join a track, at a place, to others, in addition to its own."""
Ranks = NDArray[np.void]
_RANK = np.dtype([("name", np.uint64), ("id", np.uint32)])


class Kept(Protocol):
    """Id -> earlier split."""

    def get(self, id: str, /) -> Split | None: ...  # noqa: D102


@dataclass(frozen=True)
class SplitColumns:
    """What the splits of N tracks are decided by."""

    keys: Keys
    """The identities that join tracks into groups."""
    rank: Ranks
    """[N]: the seeded hash of the name by which a track is drawn, its widest identity across datasets; and one of its id, as
    an artist may have the name of a recording."""
    own: Codes
    """[N]: the split that a track has."""
    brought: Codes
    """[N]: the split that it brings to its group: of its own, an earlier one, and test if it is held out."""
    dataset: NDArray[np.uint16]
    """[N]: the number of its dataset."""
    datasets: tuple[str, ...]
    """The names of the datasets."""

    @classmethod
    def of(
        cls,
        tracks: Iterable[Entry],
        *,
        seed: int,
        held_out: Collection[str] = (),
        kept: Kept | None = None,
        further: Further | None = None,
    ) -> "SplitColumns":
        """Return the columns of tracks.

        Args:
            tracks: all tracks.
            seed: of what is drawn.
            held_out: datasets whose tracks all go to test.
            kept: id -> earlier split, which counts like upstream's; of both, the most held-out one counts.
            further: returns identities that join a track to others, in addition to its own.
        """
        ranked = lru_cache(maxsize=4096)(
            lambda name: rank_key(seed, "split", name)
        )  # songs of an artist are neighbours
        numbers: dict[str, int] = {}
        names, ids, own, brought, dataset = array("Q"), array("I"), array("B"), array("B"), array("H")
        keys = GatheredKeys()
        for some in batched(tracks, AT_A_TIME):
            own.extend([_CODES[track.split] for track in some])
            names.extend([ranked(track.artist_id or track.recording or track.id) for track in some])
            ids.extend([crc32(track.id.encode("utf-8", "surrogatepass")) for track in some])
            for track in some:
                if track.dataset not in numbers:
                    numbers[track.dataset] = len(numbers)
            dataset.extend([numbers[track.dataset] for track in some])
            brought.extend(
                [
                    TEST
                    if track.dataset in held_out
                    else min(_CODES[track.split], _CODES[kept.get(track.id)])
                    if kept
                    else _CODES[track.split]
                    for track in some
                ]
            )
            first = len(own) - len(some)
            keys.add(
                [*identities(track), *further(at, track)] if further else identities(track)
                for at, track in enumerate(some, first)
            )
        rank = np.empty(len(names), dtype=_RANK)
        rank["name"], rank["id"] = np.asarray(names), np.asarray(ids)
        own_codes, brought_codes = np.asarray(own), np.asarray(brought)
        return cls(keys.columns(), rank, own_codes, brought_codes, np.asarray(dataset), tuple(numbers))

    def first(self, count: int) -> "SplitColumns":
        """Return the columns of the first tracks."""
        return dataclasses.replace(
            self,
            keys=self.keys.among(np.arange(count)),
            rank=self.rank[:count],
            own=self.own[:count],
            brought=self.brought[:count],
            dataset=self.dataset[:count],
        )

    def stable_splits(self, keys: Keys | None = None) -> Codes:
        """Return a split of each track, 80/10/10 within each dataset; adding a dataset moves no track out of test.

        Upstream splits are honoured. Each dataset is drawn on its own, by hashes that datasets share: an artist in two of
        them mostly gets the same split in both. If not, and if anything else joins tracks of several datasets, the whole
        group gets its most held-out split: tracks move from train to val and from val to test, never back.

        Args:
            keys: the identities, if not all of them.
        """
        keys = keys or self.keys
        drawn = np.full(len(self.own), NONE, dtype=np.uint8)
        numbers = np.unique(self.dataset)
        for number in numbers:
            places = np.flatnonzero(self.dataset == number)
            drawn[places] = _drawn(keys.among(places), self.brought[places], self.rank[places])
        return _drawn(keys, drawn, self.rank) if len(numbers) > 1 else drawn  # joins the groups across datasets

    def with_val(self, splits: Codes) -> Codes:
        """Move a tenth of train to val, in whole groups, if val is empty; at least two groups stay in train."""
        if (splits == VAL).any():
            return splits
        group_of, trained_on = connected(self.keys), splits == TRAIN
        ranked, sizes = _ranked(group_of[trained_on], self.rank[trained_on])
        moved = nearest_subset(ranked[:-2], sizes[:-2], max(1, round(sum(sizes) / 10)))
        chosen = np.isin(group_of, moved or ranked[:-2][:1])
        return np.where(trained_on & chosen, VAL, splits).astype(np.uint8)


def assign_splits(tracks: Sequence[Track], *, seed: int, split_by: SplitBy) -> list[Track]:
    """Return the tracks with a split each, 80/10/10 over all, in their order.

    With `split_by="upstream"`, the splits that tracks have are honoured and only the others are drawn. If the tracks of a
    group have several, the whole group is held out: it goes to test if one of them is in test, else to val.
    """
    columns = SplitColumns.of(tracks, seed=seed)
    brought = columns.own if split_by == "upstream" else np.full_like(columns.own, NONE)
    return with_splits(tracks, _drawn(columns.keys, brought, columns.rank))


def with_splits(tracks: Sequence[Track], splits: Codes) -> list[Track]:
    """Return the tracks with these splits."""
    return [
        track if track.split == SPLIT_OF_CODE[code] else replace(track, split=SPLIT_OF_CODE[code])
        for track, code in zip(tracks, splits.tolist(), strict=True)
    ]


def _drawn(keys: Keys, brought: Codes, rank: Ranks) -> Codes:
    """Return the split of every track: the most held-out one that its group brings, or one that is drawn."""
    group_of = connected(keys)
    split_of = np.full(int(group_of.max(initial=-1)) + 1, NONE, dtype=np.uint8)
    np.minimum.at(split_of, group_of, brought)
    undecided = split_of[group_of] == NONE
    ranked, sizes = _ranked(group_of[undecided], rank[undecided])
    shares = counts(sum(sizes))
    for code, share in ((TEST, shares["test"]), (VAL, shares["val"])):
        free = split_of[ranked] == NONE
        chosen = nearest_subset(
            [group for group, is_free in zip(ranked, free.tolist(), strict=True) if is_free],
            [size for size, is_free in zip(sizes, free.tolist(), strict=True) if is_free],
            share,
        )
        split_of[chosen] = code
    split_of[split_of == NONE] = TRAIN
    return split_of[group_of]


def _ranked(group_of: NDArray[np.int64], rank: Ranks) -> tuple[list[int], list[int]]:
    """Return groups, ordered by the lowest rank of their tracks, and their sizes."""
    found, first, sizes = np.unique(
        group_of[np.lexsort((rank["id"], rank["name"]))], return_index=True, return_counts=True
    )
    order = np.argsort(first)
    return found[order].tolist(), sizes[order].tolist()


def counts(total: int) -> dict[Split, int]:
    """Divide a number of tracks 80/10/10; the rest goes to the largest remainders, train first."""
    shares = {split: total * tenths // 10 for split, tenths in TENTHS.items()}
    by_remainder = sorted(TENTHS, key=lambda split: -(total * TENTHS[split] % 10))
    for split in by_remainder[: total - sum(shares.values())]:
        shares[split] += 1
    return shares


def nearest_subset(items: Sequence[int], sizes: Sequence[int], target: int) -> list[int]:
    """Return items whose sizes add up to `target`, or as near to it as possible, the first items if possible."""
    chosen: list[int] = []
    missing = target
    for item, size in zip(items, sizes, strict=True):
        if size <= missing:
            chosen.append(item)
            missing -= size
        if not missing:
            return chosen
    of_size: dict[int, list[int]] = defaultdict(list)
    for item, size in zip(items, sizes, strict=True):
        of_size[size].append(item)
    how_many = _nearest_sum({size: len(its_items) for size, its_items in of_size.items()}, target)
    return [item for size, its_items in of_size.items() for item in its_items[: how_many.get(size, 0)]]


def _nearest_sum(available: dict[int, int], target: int) -> dict[int, int]:
    """Solve the subset-sum problem: return how many of each size to take so that the sum is nearest to `target`.

    Sums are the bits of one large integer: bit s is set if the sum s can be reached. Each size comes in lots of 1, 2, 4 and
    so on, so that n equal groups cost log n steps.
    """
    lots: list[tuple[int, int]] = []
    for size in sorted(available):
        left, lot = available[size], 1
        while left:
            take = min(lot, left)
            lots.append((size, take))
            left, lot = left - take, lot * 2
    limit = (1 << (2 * target + 1)) - 1  # a sum above 2 * target is farther off than the empty sum
    reached = [1]
    for size, count in lots:
        reached.append(
            (reached[-1] | reached[-1] << size * count) & limit if size * count <= 2 * target else reached[-1]
        )
    off = next(off for off in range(target + 1) if reached[-1] >> target - off & 1 or reached[-1] >> target + off & 1)
    total = target - off if reached[-1] >> target - off & 1 else target + off
    how_many: dict[int, int] = defaultdict(int)
    for (size, count), before in zip(reversed(lots), reversed(reached[:-1]), strict=True):
        if not before >> total & 1:
            how_many[size] += count
            total -= size * count
    return how_many
