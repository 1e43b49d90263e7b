"""Bring a catalogue up to date with its sources: what is new comes in, what moved keeps its row, what is gone goes.

All sources are listed first, so that it is known what is gone before anything is written. Then new and changed files are
looked into, some at a time, each lot in one transaction; what is gone goes last. After a kill at any instant, the next run
finds the rest to do, and ends with the same catalogue.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from unisono.audio import ffmpeg
from unisono.audio.decoder_messages import hide_decoder_messages
from unisono.base.cores import available_cores
from unisono.base.progress import progress
from unisono.library.catalogue import Catalogue, CatalogueTrack, SourceRow, now
from unisono.library.look import Looked, look
from unisono.library.sources import MusicSource, SourceAwayError, SourceTrack, Unlisted
from unisono.tracks.track import batched

LOT = 64
FEWEST_SHARE = 0.5
"""A source that answers with fewer than this share of its tracks is not believed to have lost them."""


@dataclass
class SourceChanges:
    """What happened to the tracks of a source; paths as the source lists them."""

    address: str
    known: int = 0
    """Tracks that it should list."""
    listed: int = 0
    added: list[str] = field(default_factory=list)
    moved: list[tuple[str, str]] = field(default_factory=list)
    """(old path, new path)."""
    restored: list[str] = field(default_factory=list)
    """Removed before, and there again."""
    replaced: list[str] = field(default_factory=list)
    """Other music under the same name."""
    retagged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    """Gone, but kept, as too many are gone at once."""
    unread: list[str] = field(default_factory=list)
    """Not readable, or being written: left as they were, and looked at again by the next sync."""
    unlisted: Sequence[Unlisted] = ()
    away: str = ""
    """Why the source could not be listed; nothing of it has changed."""


@dataclass
class _Listing:
    """A source compared with the catalogue."""

    row: SourceRow
    source: MusicSource
    changes: SourceChanges
    new: list[SourceTrack] = field(default_factory=list)
    changed: list[tuple[int, SourceTrack]] = field(default_factory=list)
    returned: list[tuple[int, SourceTrack]] = field(default_factory=list)
    gone: dict[str, int] = field(default_factory=dict)


def sync(
    catalogue: Catalogue,
    sources: Sequence[tuple[SourceRow, MusicSource]],
    *,
    dry_run: bool = False,
    remove_missing: bool = False,
    workers: int | None = None,
) -> list[SourceChanges]:
    """Bring a locked catalogue up to date with sources; return what changed, or with `dry_run` what would.

    `remove_missing` believes a source that lost most of its tracks.
    """
    listings = [_compared(catalogue, row, source, remove_missing=remove_missing) for row, source in sources]
    _Update(catalogue, listings, dry_run=dry_run).run(workers)
    if not dry_run:
        for listing in listings:
            if not listing.changes.away:
                catalogue.set_synced(listing.row.number)
    return [listing.changes for listing in listings]


def _compared(catalogue: Catalogue, row: SourceRow, source: MusicSource, *, remove_missing: bool) -> _Listing:
    """List a source, and tell what is new, changed and gone."""
    listing = _Listing(row, source, SourceChanges(row.address))
    changes = listing.changes
    try:
        left = _compare_files(catalogue, listing) if source.is_local else _compare_answers(catalogue, listing)
    except SourceAwayError as error:
        changes.away = error.message
        listing.new, listing.changed = [], []
        return listing
    changes.unlisted = source.unlisted()
    prefixes = tuple(part.prefix for part in changes.unlisted)
    held = catalogue.held(row.number) if left else {}  # brought back by hand, and still away
    listing.gone = {
        key: number for key, number in left.items() if key not in held and not (prefixes and key.startswith(prefixes))
    }
    changes.known -= len(left) - len(listing.gone)
    if listing.gone and changes.listed < FEWEST_SHARE * changes.known and not remove_missing:
        changes.kept = sorted(listing.gone)
        listing.gone = {}
    if listing.new:
        _find_returned(catalogue, listing)
    return listing


def _compare_files(catalogue: Catalogue, listing: _Listing) -> dict[str, int]:
    """Compare sizes and times of change, which is all that is done to a file that has not changed; return what is gone."""
    source = listing.row.number
    states = catalogue.states(source)
    held = catalogue.held(source)
    again = catalogue.wanting_ffmpeg(source) if ffmpeg.is_here() else {}
    listing.changes.known = len(states)
    changed, listed = [], 0
    find = states.pop
    for track in listing.source.list():
        listed += 1
        state = find(track.key, None)
        if state is None:
            listing.new.append(track)
        elif state != (track.size, track.changed) or (again and track.key in again):
            changed.append(track)
        elif held and track.key in held:
            listing.returned.append((held[track.key], track))
    listing.changes.listed = listed
    numbers = catalogue.numbers(source, [*states, *(track.key for track in changed)])
    listing.changed = [(numbers[track.key], track) for track in changed]
    return {key: numbers[key] for key in states}


def _compare_answers(catalogue: Catalogue, listing: _Listing) -> dict[str, int]:
    """Compare all that a server says of its tracks; return what is gone."""
    source = listing.row.number
    tracks = {track.key: track for track in catalogue.tracks("source = ? AND removed IS NULL", [source])}
    held = catalogue.held(source)
    listing.changes.known = len(tracks)
    for track in listing.source.list():
        listing.changes.listed += 1
        known = tracks.pop(track.key, None)
        if known is None:
            listing.new.append(track)
        elif known.as_listed != track or track.key in held:
            listing.changed.append((known.number, track))
    return {key: track.number for key, track in tracks.items()}


def _find_returned(catalogue: Catalogue, listing: _Listing) -> None:
    """Recognise what was removed and is there again, unchanged, without looking into it."""
    removed = {
        track.key: track for track in catalogue.tracks("source = ? AND removed IS NOT NULL", [listing.row.number])
    }
    new = []
    for track in listing.new:
        known = removed.pop(track.key, None)
        if known and (known.size, known.changed) == (track.size, track.changed):
            listing.returned.append((known.number, track))
        else:
            new.append(track)
    listing.new = new


class _Update:
    """Writes what was found into the catalogue."""

    def __init__(self, catalogue: Catalogue, listings: Sequence[_Listing], *, dry_run: bool) -> None:
        self.catalogue = catalogue
        self.listings = listings
        self.dry_run = dry_run
        self.gone: dict[int, CatalogueTrack] = {}
        """What is gone and was not recognised elsewhere."""
        self.by_content: dict[bytes, list[CatalogueTrack]] = defaultdict(list)
        self.taken: set[int] = set()
        """Rows that were brought back in a dry run."""

    def run(self, workers: int | None) -> None:
        """Do all that is to do."""
        self.gone = self.catalogue.numbered(number for each in self.listings for number in each.gone.values())
        for track in self.gone.values():
            if track.content:
                self.by_content[track.content].append(track)
        total = sum(len(each.new) + len(each.changed) for each in self.listings)
        pool = ThreadPoolExecutor(workers or available_cores(), thread_name_prefix="look")
        try:
            with hide_decoder_messages(), progress("files") as bar:
                task = bar.add_task("Looking into files", total=total, visible=bool(total))
                for listing in self.listings:
                    self._bring_back(listing)
                    if listing.source.is_local:
                        for count in self._look_into(listing, pool):
                            bar.advance(task, count)
                    else:
                        self._take_answers(listing)
        finally:
            pool.shutdown(cancel_futures=True)
        self._remove()

    def _bring_back(self, listing: _Listing) -> None:
        source = listing.row.number
        numbers = self.catalogue.numbered(number for number, _ in listing.returned)
        for lot in batched(listing.returned, LOT):
            with self._writing() as revision:
                for number, track in lot:
                    listing.changes.restored.append(track.path)
                    if self.dry_run:
                        continue
                    known = numbers[number]
                    as_known = SourceTrack(
                        track.key, track.path, track.size, track.changed, known.duration_s, track.facts or known.facts
                    )
                    self.catalogue.update(number, source, as_known, known.content, revision)

    def _look_into(self, listing: _Listing, pool: ThreadPoolExecutor) -> Iterator[int]:
        """Look into new and changed files; yield how many after each lot."""

        def found(item: tuple[int | None, SourceTrack]) -> Looked | None:
            if self.dry_run and not self.by_content and item[0] is None:
                return None  # nothing is gone, so that it has not moved
            with listing.source.open(item[1]) as path:
                return look(Path(path))

        items: list[tuple[int | None, SourceTrack]] = [*listing.changed, *((None, track) for track in listing.new)]
        for lot in batched(items, LOT):
            looked = list(pool.map(found, lot))
            with self._writing() as revision:
                for (number, track), its in zip(lot, looked, strict=True):
                    if its is None and not self.dry_run:
                        listing.changes.unread.append(track.path)
                        continue
                    if number is None:
                        self._place(listing, track, its, revision)
                    elif its:
                        self._change(listing, number, track, its, revision)
            yield len(lot)

    def _change(self, listing: _Listing, number: int, track: SourceTrack, its: Looked, revision: int) -> None:
        known = self.catalogue.numbered([number])[number]
        if known.content != its.content:
            listing.changes.replaced.append(track.path)
        elif known.facts != its.facts:
            listing.changes.retagged.append(track.path)
        self._update(listing, number, track, its, revision)

    def _place(self, listing: _Listing, track: SourceTrack, its: Looked | None, revision: int) -> None:
        """Add a file; one whose content is that of a track which is gone is this track."""
        known = self._recognised(track, its.content) if its else None
        if known is None:
            listing.changes.added.append(track.path)
            if self.dry_run or its is None:
                return
            full = _with(track, its)
            number = self.catalogue.insert(listing.row.number, full, its.content, revision)
            if its.fault:
                self.catalogue.set_fault(number, its.fault, revision)
            return
        if known.removed is None:
            listing.changes.moved.append((known.path, track.path))
        else:
            listing.changes.restored.append(track.path)
        if its:
            self._update(listing, known.number, track, its, revision)

    def _recognised(self, track: SourceTrack, content: bytes) -> CatalogueTrack | None:
        """Return the row of a track that is gone and has this content; of several, one of the same file name."""
        gone = self.by_content.get(content) or [
            each
            for each in self.catalogue.tracks("content = ? AND removed IS NOT NULL", [content])
            if each.number not in self.taken
        ]
        if not gone:
            return None
        name = track.key.rpartition("/")[2]
        found = next((each for each in gone if each.key.rpartition("/")[2] == name), gone[0])
        gone.remove(found)
        self.gone.pop(found.number, None)
        self.taken.add(found.number)
        return found

    def _update(self, listing: _Listing, number: int, track: SourceTrack, its: Looked, revision: int) -> None:
        if self.dry_run:
            return
        self.catalogue.update(number, listing.row.number, _with(track, its), its.content, revision)
        if its.fault:
            self.catalogue.set_fault(number, its.fault, revision)

    def _take_answers(self, listing: _Listing) -> None:
        """Take over what a server says; a file whose size or time of change is another is to be fetched again."""
        changes, source = listing.changes, listing.row.number
        gone = {each.key: each for each in self.gone.values() if each.source == source}
        matched = listing.source.match([each.as_listed for each in gone.values()], listing.new) if gone else {}
        for lot in batched(listing.new, LOT):
            with self._writing() as revision:
                for track in lot:
                    known = gone.get(matched.get(track.key, ""))
                    if known is None:
                        changes.added.append(track.path)
                    else:
                        changes.moved.append((known.path, track.path))
                        self.gone.pop(known.number, None)
                    if self.dry_run:
                        continue
                    if known is None:
                        self.catalogue.insert(source, track, None, revision)
                    else:
                        self.catalogue.update(known.number, source, track, known.content, revision)
        for changed in batched(listing.changed, LOT):
            known_of = self.catalogue.numbered(number for number, _ in changed)
            with self._writing() as revision:
                for number, track in changed:
                    before = known_of[number]
                    is_other = (before.size, before.changed) != (track.size, track.changed)
                    (changes.replaced if is_other else changes.retagged).append(track.path)
                    if not self.dry_run:
                        self.catalogue.update(number, source, track, None if is_other else before.content, revision)

    def _remove(self) -> None:
        removed = now()
        changes = {each.row.number: each.changes for each in self.listings}
        for track in self.gone.values():
            changes[track.source].removed.append(track.path)
        if self.gone and not self.dry_run:
            with self._writing() as revision:
                self.catalogue.remove(self.gone, removed, revision)

    def _writing(self) -> AbstractContextManager[int]:
        """Return a transaction; in a dry run, one in which nothing is written."""
        return nullcontext(0) if self.dry_run else self.catalogue.writing()


def _with(track: SourceTrack, its: Looked) -> SourceTrack:
    """Return a track as it was found."""
    return SourceTrack(track.key, track.path, its.size, its.changed, its.duration_s, its.facts)
