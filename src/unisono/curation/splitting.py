"""The splits of a mix: which tracks are held out, what is joined to them, and what an earlier file held out."""

import itertools
from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unisono.audio.listening import listen, unheard
from unisono.base import storage
from unisono.base.errors import UsageError
from unisono.base.log import log
from unisono.curation.joining import further_identities
from unisono.curation.matching import BY_LISTENING, Kind, hash_lists, read_published
from unisono.curation.releases import Release
from unisono.curation.same_sound import duplicates
from unisono.curation.splits import TRAIN, VAL, Codes, Further, SplitColumns
from unisono.sources.audio_index import AudioIndex
from unisono.tracks.record import Entry
from unisono.tracks.stored import SPLIT_OF_CODE, StoredTracks
from unisono.tracks.track import Split, Track, replace
from unisono.tracks.workspace import DEFAULT_ROOT

UNMEASURED_S = 3600.0
"""The duration of a track for which the release documents none, if it must be listened to: as far as its file goes."""
FEW_TRAINED_ON = 0.6
"""If less than this share of the mix is in train and the user asked for more joining, a warning is logged."""


@dataclass(frozen=True, kw_only=True)
class SplitRule:
    """How the tracks of a mix are assigned to train, val and test.

    Raises:
        UsageError: the arguments contradict each other.
    """

    assign: bool = True
    """Whether every track gets a split: upstream's, or one that is drawn."""
    hold_out: Collection[str] = ()
    """Datasets that go to test, with all that is joined to them."""
    match: Collection[Kind] = ()
    """What joins tracks in addition to ids, hashes, artists and titles."""
    keep_splits: Path | None = None
    """An earlier unified file whose val and test tracks stay held out."""
    draw_val: bool = False
    """Whether to draw val from train if there is no val."""
    sha256_lists: Sequence[Path] = ()
    """Published lists of hashes; by default, those of the datasets in the data folder."""
    seed: int = 42
    data_root: Path = DEFAULT_ROOT
    check_audio: bool = True
    """Whether the audio files are there."""
    workers: int | None = None
    """Threads that listen."""
    remember: bool = True
    """Whether to keep in the data folder what listening found."""

    def __post_init__(self) -> None:
        if (heard := sorted(BY_LISTENING & set(self.match))) and not self.check_audio:
            raise UsageError(
                f"match {' '.join(heard)} needs audio files; it excludes --no-check-audio.", parameter="match"
            )
        if self.assign:
            return
        for name, is_given in (
            ("keep_splits", self.keep_splits),
            ("draw_val", self.draw_val),
            ("match", self.match and not self.hold_out),
        ):
            if is_given:
                raise UsageError(
                    f"{name} changes nothing if no splits are assigned: it excludes --no-assign-splits.", parameter=name
                )


JOINS = {"caption": "text: alike captions", "audio": "the same sound"}
"""Kind of identity that `match` adds -> what the summary calls it."""


class _Earlier:
    """The ids of tracks with their splits, 9 bytes each."""

    def __init__(self, tracks: Iterable[Entry]) -> None:
        hashes, codes = array("q"), array("B")
        for track in tracks:
            hashes.append(hash(track.id))
            codes.append(SPLIT_OF_CODE.index(track.split))
        order = np.argsort(np.asarray(hashes))
        self._hashes, self._codes = array("q", np.asarray(hashes)[order].tobytes()), np.asarray(codes)[order]

    def __contains__(self, id: str) -> bool:
        return self._place(id) is not None

    def get(self, id: str) -> Split | None:
        """Return the split of a track; None if it has none, or is not there."""
        place = self._place(id)
        return None if place is None else SPLIT_OF_CODE[self._codes[place]]

    def _place(self, id: str) -> int | None:
        place = bisect_left(self._hashes, hash(id))
        return place if place < len(self._hashes) and self._hashes[place] == hash(id) else None


def with_splits(
    tracks: StoredTracks, releases: Sequence[Release], rule: SplitRule
) -> tuple[StoredTracks, dict[str, int]]:
    """Return tracks with their splits, and for each join of `match` how many tracks it alone moved out of train.

    A dataset that is held out counts as a whole, with those of its tracks that were filtered out or have no audio.

    Raises:
        UsageError, DataError: the earlier file of `keep_splits`, or a list of hashes, is missing or broken.
    """
    if not rule.assign and not rule.hold_out:
        return tracks, {}
    before = StoredTracks.of_file(rule.keep_splits) if rule.keep_splits else StoredTracks([], Path())
    everything = _with_absent(tracks, before, releases, rule)
    columns = SplitColumns.of(
        everything(),
        seed=rule.seed,
        held_out=rule.hold_out,
        kept=_Earlier(before.entries()),
        further=_further(everything, rule),
    )
    assigned = columns.stable_splits()
    moved = {
        said: _moved(columns.stable_splits(columns.keys.without(kind)), assigned, len(tracks))
        for kind, said in JOINS.items()
        if kind in columns.keys.fields
    }
    held_out = [number for number, name in enumerate(columns.datasets) if name in rule.hold_out]
    _log_moves(~np.isin(columns.dataset[: len(tracks)], held_out), columns.own, assigned, rule, moved)
    return tracks.with_splits(_with_val(columns, assigned, len(tracks), rule)), moved


def _with_absent(
    tracks: StoredTracks, before: StoredTracks, releases: Sequence[Release], rule: SplitRule
) -> Callable[[], Iterator[Entry]]:
    """Return what yields the tracks, and then those that are not among them and yet count as held out."""
    if not rule.hold_out and not len(before):
        return tracks.entries
    there = _Earlier(tracks.entries())
    absent = [
        track
        for release in releases
        if release.dataset.name in rule.hold_out
        for track in _all_tracks(release, check_audio=rule.check_audio)
        if track.id not in there
    ]
    ids = {track.id for track in absent}
    counting = [
        at
        for at, track in enumerate(before.entries())
        if track.split in ("val", "test") and track.id not in there and track.id not in ids
    ]
    further = before[np.array(counting, dtype=np.int64)]
    return lambda: itertools.chain(tracks.entries(), absent, further.entries())


def _moved(before: Codes, after: Codes, count: int) -> int:
    """Count the tracks, of the first ones, that are in train before and not after."""
    return int(((before == TRAIN) & (after != TRAIN))[:count].sum())


def _with_val(columns: SplitColumns, assigned: Codes, count: int, rule: SplitRule) -> Codes:
    """Draw val from train if there is no val and it was asked for; otherwise log that there is none."""
    assigned = assigned[:count]
    if TRAIN not in assigned or VAL in assigned:
        return assigned
    if not rule.draw_val:
        log.info("No track is in val, which training needs to choose its best epoch: see --draw-val.")
        return assigned
    drawn = columns.first(count).with_val(assigned)
    log.info("%d tracks of train were moved to val.", (drawn == VAL).sum())
    return drawn


def _all_tracks(release: Release, *, check_audio: bool) -> Iterator[Track]:
    """Yield all tracks of a release, with the path where their audio is or would be."""
    dataset = release.dataset
    index = AudioIndex(release.root, dataset.audio_folders)
    for item in release.parse():
        if isinstance(item, Track):
            names = [item.audio_path, *(dataset.audio_names(item) if dataset.audio_names else ())]
            found = next(filter(None, map(index.find, names)), None) if check_audio else None
            yield replace(
                item, audio_path=found or index.where(item.audio_path), duration=item.duration or UNMEASURED_S
            )


def _further(everything: Callable[[], Iterator[Entry]], rule: SplitRule) -> Further:
    lists: tuple[Path, ...] = ()
    if rule.sha256_lists or any(track.recording.startswith("jamendo:") for track in everything()):
        lists = hash_lists(rule.sha256_lists, rule.data_root)
    published = read_published(lists)
    sounds = _alike(everything, rule) if BY_LISTENING & set(rule.match) else []
    return further_identities(everything(), published, captions="text" in rule.match, sounds=sounds)


def _alike(everything: Callable[[], Iterator[Entry]], rule: SplitRule) -> list[tuple[int, int]]:
    """Listen to the files that are there, and return pairs of tracks with the same samples or, if asked, the same sound."""
    is_there = [storage.is_file(track.audio_path) for track in everything()]
    heard = listen(itertools.compress(everything(), is_there), rule.workers, rule.data_root if rule.remember else None)
    unheard(itertools.compress(everything(), is_there), heard)
    if "audio" in rule.match:
        pairs = duplicates(heard)
    else:
        first: dict[str, int] = {}
        pairs = [(first.setdefault(decoded, at), at) for at, decoded in enumerate(heard.decoded) if decoded]
    places = np.flatnonzero(is_there).tolist()
    return [(places[one], places[other]) for one, other in pairs if one != other]


def _log_moves(
    may_train: NDArray[np.bool_], before: Codes, after: Codes, rule: SplitRule, joins: dict[str, int]
) -> None:
    if moved := _moved(before, after, len(may_train)):
        log.info("%d tracks of upstream's train splits are held out: they share music with test or val.", moved)
    trained_on = ((after[: len(may_train)] == TRAIN) & may_train).sum()
    by_matches = sum(joins.values())
    if by_matches and trained_on < FEW_TRAINED_ON * (trained_on + by_matches):
        log.warning(
            "Only %d of %d tracks are in train: chains of matches by --match %s hold out %d of the others.",
            trained_on,
            may_train.sum(),
            " ".join(rule.match),
            by_matches,
        )
