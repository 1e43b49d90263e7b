"""Reading one dataset: its metadata, its audio files, and complete tracks made of both."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from unisono.audio.faults import MISSING
from unisono.audio.probe import Journal, Probed, probe_all
from unisono.base.errors import MissingFileError
from unisono.base.log import log
from unisono.base.tally import Dropped, DroppedList, Tally
from unisono.curation.complete import Draft, complete, drafts
from unisono.curation.releases import Release
from unisono.tracks.track import Track, batched

MEASURED_AT_A_TIME = 100_000
"""Tracks of which what is known of their files is held in memory."""


@dataclass(frozen=True)
class DatasetTracks:
    """The tracks of one dataset."""

    tracks: list[Track]
    tally: Tally = field(repr=False)
    """What was dropped, and why."""
    made: set[str] = field(repr=False)
    """Ids of the tracks that upstream does not describe: their caption was made from tags or names."""
    notes: list[dict[str, str]] = field(repr=False)
    """What is odd about files that can be used: id, note."""


def read_dataset(release: Release, *, check_audio: bool = True, workers: int | None = None) -> DatasetTracks:
    """Read one dataset into complete tracks; see `iterate_dataset`."""
    read = DatasetTracks([], Tally(), set(), [])
    read.tracks.extend(iterate_dataset(release, read, check_audio=check_audio, workers=workers))
    return read


def iterate_dataset(
    release: Release,
    read: DatasetTracks,
    *,
    check_audio: bool = True,
    workers: int | None = None,
    journal: Journal | None = None,
    names_suffice: bool = False,
    note_made: bool = True,
) -> Iterator[Track]:
    """Yield the tracks of one dataset, each with an audio file, a duration, a caption and a licence.

    Args:
        release: the dataset, its folder and its own options.
        read: gets what is known of the dataset in addition to its tracks.
        check_audio: keep only tracks whose audio is there, and measure its duration.
        workers: threads that measure; by default, the number of cores.
        journal: of durations that were measured before.
        names_suffice: whether title or artist are enough to caption a track that has no caption and no tags.
        note_made: whether to fill `read.made`.

    Raises:
        DataError: the release is malformed or incomplete.
    """
    name, tally = release.dataset.name, read.tally
    log.info("Reading %s in %s", name, release.root)
    tally.came[name] += 0  # listed even if the release is empty
    kept = 0
    found = _with_audio(release, tally, check_audio=check_audio)
    incomplete = DroppedList()
    for draft, known in _measured(found, workers, journal) if check_audio else ((draft, None) for draft in found):
        item = complete(draft, known, names_suffice=names_suffice)
        if isinstance(item, Dropped):
            incomplete.extend([(name, item)])
            continue
        kept += 1
        if note_made and not draft.track.captions:
            read.made.add(item.id)
        if known and known.detail:
            read.notes.append({"id": item.id, "note": known.detail})
        yield item
    tally.dropped.extend(incomplete)
    tally.kept[name] = kept
    if check_audio and not kept and set(tally.reasons()) == {MISSING}:
        _warn_of_missing_audio(release)


def _measured(drafts: Iterable[Draft], workers: int | None, journal: Journal | None) -> Iterator[tuple[Draft, Probed]]:
    """Yield drafts with what is known of their files, which are measured many at a time."""
    probed: dict[str, Probed] = {}
    for some in batched(drafts, MEASURED_AT_A_TIME):
        before, paths = probed, [draft.audio_path for draft in some]
        probed = {path: before[path] for path in paths if path in before}  # excerpts of a file are mostly neighbours
        probed |= probe_all((path for path in paths if path not in before), workers, journal)
        for draft in some:
            yield draft, probed[draft.audio_path]


def _with_audio(release: Release, tally: Tally, *, check_audio: bool) -> Iterator[Draft]:
    """Yield the tracks of a release whose audio file was found, and count all tracks."""
    name = release.dataset.name
    try:
        for draft in drafts(release, check_audio=check_audio):
            tally.came[name] += 1
            if isinstance(draft, Draft):
                yield draft
            else:
                tally.drop(name, draft)
    except MissingFileError as error:
        if not release.dataset.files:
            raise
        raise MissingFileError(
            error.message,
            hint=f"Fetch it with: {release.download_command} "
            f"(if that finds all in place, remove {release.root / '.download' / 'done.jsonl'} first)",
        ) from error


def _warn_of_missing_audio(release: Release) -> None:
    if release.dataset.holds_audio and release.parsing.unpack_to is None:
        return  # a dry run does not unpack it
    mend = "Check audio_root and audio in the recipe"
    if not release.dataset.root:
        mend = f"Fetch it with: {release.download_command}"
    log.warning(
        "None of the audio of %s is in %s. %s (or plan without it: --no-check-audio)",
        release.dataset.name,
        release.root,
        mend,
    )
