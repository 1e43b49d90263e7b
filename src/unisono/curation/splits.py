"""Train, val and test splits that share no recording, no artist, no file, and nothing else that was asked for.

Groups of tracks (see `groups`) are ranked by a seeded hash of their artists, and the splits are filled in that order: the
result does not depend on the order of the tracks. The number of tracks drawn for test is as near to a tenth as whole groups
allow, and then that for val. If the largest group has g tracks, each is off by at most g/2; train takes the rest.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

from unisono.base.seeded import rank_key
from unisono.curation.groups import Identity, groups
from unisono.tracks.track import Split, Track, replace

SplitBy = Literal["upstream", "seed"]
TENTHS: dict[Split, int] = {"train": 8, "val": 1, "test": 1}
HELD_OUT_FIRST: tuple[Split, ...] = ("test", "val", "train")
_RANK: dict[Split | None, int] = {split: rank for rank, split in enumerate((*HELD_OUT_FIRST, None))}


def assign_splits(tracks: Sequence[Track], *, seed: int, split_by: SplitBy) -> list[Track]:
    """Return the tracks with a split each, 80/10/10 over all, in their order.

    With `split_by="upstream"`, the splits that tracks have are honoured and only the others are drawn. If the tracks of a
    group have several, the whole group is held out: it goes to test if one of them is in test, else to val.
    """
    return _with_splits(
        tracks, _drawn(tracks, [track.split if split_by == "upstream" else None for track in tracks], seed)
    )


def assign_stable_splits(
    tracks: Sequence[Track],
    *,
    seed: int,
    held_out: Collection[str] = (),
    kept: Mapping[str, Split | None] | None = None,
    further: Sequence[tuple[Identity, ...]] | None = None,
) -> list[Track]:
    """Return the tracks with a split each, 80/10/10 within each dataset; adding a dataset moves no track out of test.

    Upstream splits are honoured. Each dataset is drawn on its own, by hashes that datasets share: an artist in two of them
    mostly gets the same split in both. If not, and if anything else joins tracks of several datasets, the whole group gets
    its most held-out split: tracks move from train to val and from val to test, never back.

    Args:
        tracks: all tracks.
        seed: of what is drawn.
        held_out: datasets whose tracks all go to test.
        kept: id -> earlier split, which counts like upstream's; of both, the most held-out one counts.
        further: for each track, identities that join it to others, in addition to its own.
    """
    kept = kept or {}
    of_dataset: dict[str, list[int]] = defaultdict(list)
    for at, track in enumerate(tracks):
        of_dataset[track.dataset].append(at)
    drawn: list[Split | None] = [None] * len(tracks)
    for dataset, places in of_dataset.items():
        its_tracks = [tracks[at] for at in places]
        brought: list[Split | None] = [
            "test" if dataset in held_out else _most_held_out(track.split, kept.get(track.id)) for track in its_tracks
        ]
        its_further = further and [further[at] for at in places]
        for at, split in zip(places, _drawn(its_tracks, brought, seed, its_further), strict=True):
            drawn[at] = split
    if len(of_dataset) > 1:
        drawn = list(_drawn(tracks, drawn, seed, further))  # joins the groups across datasets
    return _with_splits(tracks, drawn)


def with_val(
    tracks: Sequence[Track], *, seed: int, further: Sequence[tuple[Identity, ...]] | None = None
) -> list[Track]:
    """Move a tenth of train to val, in whole groups, if val is empty; at least two groups stay in train.

    Args:
        tracks: with their splits; no group is in two.
        seed: of what is drawn.
        further: for each track, identities that join it to others, in addition to its own.
    """
    if any(track.split == "val" for track in tracks):
        return list(tracks)
    members: dict[int, list[Track]] = defaultdict(list)
    group_of = groups(tracks, further)
    for track, group in zip(tracks, group_of, strict=True):
        if track.split == "train":
            members[group].append(track)
    ranked = _ranked(members, seed)[:-2]
    total = sum(map(len, members.values()))
    moved = nearest_subset(ranked, [len(members[group]) for group in ranked], max(1, round(total / 10)))
    chosen = frozenset(moved or ranked[:1])
    return [
        replace(track, split="val") if group in chosen else track for track, group in zip(tracks, group_of, strict=True)
    ]


def _most_held_out(one: Split | None, other: Split | None) -> Split | None:
    return one if _RANK[one] <= _RANK[other] else other


def _with_splits(tracks: Iterable[Track], splits: Iterable[Split | None]) -> list[Track]:
    return [
        track if track.split == split else replace(track, split=split)
        for track, split in zip(tracks, splits, strict=True)
    ]


def _drawn(
    tracks: Sequence[Track],
    brought: Sequence[Split | None],
    seed: int,
    further: Sequence[tuple[Identity, ...]] | None = None,
) -> list[Split]:
    """Return the split of every track: the most held-out one that its group brings, or one that is drawn."""
    group_of = groups(tracks, further)
    bringing = set(zip(group_of, brought, strict=True))
    split_of: dict[int, Split] = {}
    for split in reversed(HELD_OUT_FIRST):  # of several, the last one counts: the most held-out
        split_of.update((group, split) for group, its_split in bringing if its_split == split)
    members: dict[int, list[Track]] = defaultdict(list)
    for track, group in zip(tracks, group_of, strict=True):
        if group not in split_of:
            members[group].append(track)
    split_of.update(_draw(members, seed))
    return [split_of[group] for group in group_of]


def counts(total: int) -> dict[Split, int]:
    """Divide a number of tracks 80/10/10; the rest goes to the largest remainders, train first."""
    shares = {split: total * tenths // 10 for split, tenths in TENTHS.items()}
    by_remainder = sorted(TENTHS, key=lambda split: -(total * TENTHS[split] % 10))
    for split in by_remainder[: total - sum(shares.values())]:
        shares[split] += 1
    return shares


def _draw(members: dict[int, list[Track]], seed: int) -> dict[int, Split]:
    """Draw the splits of groups: fill test, then val; train takes the rest."""
    ranked = _ranked(members, seed)
    sizes = {group: len(its_tracks) for group, its_tracks in members.items()}
    shares = counts(sum(sizes.values()))
    split_of: dict[int, Split] = {}
    for split in ("test", "val"):
        free = [group for group in ranked if group not in split_of]
        for group in nearest_subset(free, [sizes[group] for group in free], shares[split]):
            split_of[group] = split
    for group in ranked:
        split_of.setdefault(group, "train")
    return split_of


def _ranked(members: dict[int, list[Track]], seed: int) -> list[int]:
    """Return groups ordered by the seeded hashes of the names by which their tracks are drawn."""
    ranks = {
        group: min((rank_key(seed, "split", name), lowest_id) for name, lowest_id in _drawn_by(its_tracks).items())
        for group, its_tracks in members.items()
    }
    return sorted(members, key=lambda group: ranks[group])


def _drawn_by(tracks: Iterable[Track]) -> dict[str, str]:
    """Return the names by which tracks are drawn, their widest identities across datasets, with the lowest id of each."""
    lowest: dict[str, str] = {}
    for track in tracks:
        name, track_id = track.artist_id or track.recording or track.id, track.id
        if track_id < lowest.setdefault(name, track_id):
            lowest[name] = track_id
    return lowest


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
