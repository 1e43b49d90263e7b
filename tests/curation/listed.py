"""What is decided over tracks, for lists of them."""

from collections.abc import Collection, Iterable, Sequence
from unittest.mock import patch

from unisono.curation.dedupe import Merged, dedupe
from unisono.curation.groups import GatheredKeys, Identity, connected, identities
from unisono.curation.matching import Kind, Match, Matching, Published
from unisono.curation.splits import Kept, SplitColumns, with_splits
from unisono.tracks.track import Track


def assign_stable_splits(
    tracks: Sequence[Track],
    *,
    seed: int,
    held_out: Collection[str] = (),
    kept: Kept | None = None,
    further: Sequence[tuple[Identity, ...]] | None = None,
) -> list[Track]:
    of_place = None if further is None else lambda at, track: further[at]
    columns = SplitColumns.of(tracks, seed=seed, held_out=held_out, kept=kept, further=of_place)
    return with_splits(tracks, columns.stable_splits())


def with_val(tracks: Sequence[Track], *, seed: int) -> list[Track]:
    columns = SplitColumns.of(tracks, seed=seed)
    return with_splits(tracks, columns.with_val(columns.own))


def components(keys: Iterable[Sequence[Identity]]) -> list[int]:
    gathered = GatheredKeys()
    gathered.add(keys)
    found: list[int] = connected(gathered.columns()).tolist()
    return found


def groups(tracks: Sequence[Track], further: Sequence[tuple[Identity, ...]] | None = None) -> list[int]:
    more = further or [()] * len(tracks)
    return components([*identities(track), *its] for track, its in zip(tracks, more, strict=True))


def find_matches(
    first: Sequence[Track],
    second: Sequence[Track],
    kinds: Iterable[Kind],
    published: Published | None = None,
) -> list[Match]:
    matching = Matching(second, kinds, published)
    matching.look(first)
    return matching.found(lambda: first)


def merge_duplicates(tracks: Sequence[Track], published: Published | None = None) -> tuple[list[Track], list[Merged]]:
    with patch("unisono.curation.dedupe.read_published", return_value=published or {}):
        found = dedupe(tracks)
    return list(found.tracks), found.choices
