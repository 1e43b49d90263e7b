"""The splits of a mix: what is held out, what is joined to it, and what an earlier file held out."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from unisono.base.errors import UsageError
from unisono.base.log import log
from unisono.commands.unify_options import UnifyOptions
from unisono.curation.groups import Identity
from unisono.curation.joining import further_identities
from unisono.curation.matching import published_lists, read_published
from unisono.curation.splits import assign_stable_splits, with_val
from unisono.sources.audio_index import AudioIndex
from unisono.sources.base import Dataset, ParseOptions
from unisono.tracks.files import read_tracks
from unisono.tracks.track import Track, replace

UNMEASURED_S = 3600.0
"""What stands for a duration that a release does not document, where a file is listened to as far as it goes."""
HEARD = frozenset({"decoded", "audio"})
"""What only listening finds."""
FEW_TRAINED_ON = 0.6
"""A smaller part of the mix in train is worth a warning, if the user asked for more to be joined."""


def refuse_contradictions(options: UnifyOptions) -> None:
    """Refuse options that would have no effect on the splits.

    Raises:
        UsageError: they contradict each other.
    """
    if HEARD & set(options.match) and not options.check_audio:
        raise UsageError(
            f"--match {' '.join(sorted(HEARD & set(options.match)))} listens to the files, --no-check-audio says that "
            "they are not there."
        )
    if options.keep_splits and not options.assign_splits:
        raise UsageError("--keep-splits says which splits to assign, --no-assign-splits that none are.")
    if options.draw_val and not options.assign_splits:
        raise UsageError("--draw-val says which splits to assign, --no-assign-splits that none are.")
    if options.match and not options.assign_splits and not options.hold_out:
        raise UsageError("--match says what the splits keep together, --no-assign-splits that none are assigned.")


def with_splits(
    tracks: list[Track], releases: Sequence[tuple[Dataset, Path]], parsing: ParseOptions, options: UnifyOptions
) -> list[Track]:
    """Assign the splits. What is held out counts whole, with the tracks that were left out before or have no audio.

    Raises:
        UsageError, DataError: the earlier file of `keep_splits`, or a list of hashes, is missing or broken.
    """
    if not options.assign_splits and not options.hold_out:
        return tracks
    earlier = read_tracks(options.keep_splits) if options.keep_splits else []
    there = {track.id for track in tracks} if options.hold_out or earlier else set()
    absent = [
        track
        for dataset, root in releases
        if dataset.name in options.hold_out
        for track in _whole(dataset, root, parsing, options)
        if track.id not in there
    ]
    there.update(track.id for track in absent)
    absent += [track for track in earlier if track.split in ("val", "test") and track.id not in there]
    everything = [*tracks, *absent]
    further = _further(everything, options)
    assigned = assign_stable_splits(
        everything,
        seed=options.seed,
        held_out=options.hold_out,
        kept={track.id: track.split for track in earlier},
        further=further,
    )[: len(tracks)]
    _say(tracks, assigned, options)
    return _with_val(assigned, further[: len(tracks)], options)


def _with_val(tracks: list[Track], further: list[tuple[Identity, ...]], options: UnifyOptions) -> list[Track]:
    """Draw a val part from train if there is none and it was asked for; else say that there is none."""
    splits = {track.split for track in tracks}
    if "train" not in splits or "val" in splits:
        return tracks
    if not options.draw_val:
        log.info("No track is in val, by which training chooses its best epoch: see --draw-val.")
        return tracks
    drawn = with_val(tracks, seed=options.seed, further=further)
    moved = sum(track.split == "val" for track in drawn)
    log.info("%d tracks of train are the val part now.", moved)
    return drawn


def _whole(dataset: Dataset, root: Path, parsing: ParseOptions, options: UnifyOptions) -> Iterator[Track]:
    """Yield all tracks of a dataset, with the path where their audio is or would be."""
    index = AudioIndex(root, dataset.audio_folders)
    for item in dataset.records(root, parsing.own.get(dataset.name), years=parsing.years, unpack_to=parsing.unpack_to):
        if isinstance(item, Track):
            names = [item.audio_path, *(dataset.audio_names(item) if dataset.audio_names else ())]
            found = next(filter(None, map(index.find, names)), None) if options.check_audio else None
            yield replace(
                item, audio_path=found or index.where(item.audio_path), duration=item.duration or UNMEASURED_S
            )


def _further(tracks: Sequence[Track], options: UnifyOptions) -> list[tuple[Identity, ...]]:
    alike = _alike(tracks, options) if HEARD & set(options.match) else []
    lists: tuple[Path, ...] = ()
    if options.sha256_lists or any(track.recording.startswith("jamendo:") for track in tracks):
        lists = options.sha256_lists or published_lists(options.data_root)
    return further_identities(tracks, read_published(lists), captions="text" in options.match, sounds=alike)


def _alike(tracks: Sequence[Track], options: UnifyOptions) -> list[tuple[int, int]]:
    """Listen to what is there, and give the places of tracks that hold the same samples, or the same sound if asked."""
    from unisono.audio.listening import listen, unheard  # decoders are slow to import
    from unisono.curation.same_sound import duplicates

    places = [at for at, track in enumerate(tracks) if Path(track.audio_path).is_file()]
    listened_to = [tracks[at] for at in places]
    heard = listen(listened_to, options.workers, None if options.dry_run else options.data_root)
    unheard(listened_to, heard)
    if "audio" in options.match:
        pairs = duplicates(heard)
    else:
        first: dict[str, int] = {}
        pairs = [(first.setdefault(item.decoded, at), at) for at, item in enumerate(heard) if item.decoded]
    return [(places[one], places[other]) for one, other in pairs if one != other]


def _say(before: Sequence[Track], assigned: Sequence[Track], options: UnifyOptions) -> None:
    moved = sum(
        track.split == "train" and after.split != "train" for track, after in zip(before, assigned, strict=True)
    )
    if moved:
        log.info("%d tracks of upstream's training parts are held out: they share music with test or val.", moved)
    trained_on = [track.split == "train" for track in assigned if track.dataset not in options.hold_out]
    if options.match and trained_on and sum(trained_on) < FEW_TRAINED_ON * len(trained_on):
        log.warning(
            "Only %d of %d tracks are in train: chains of matches by --match %s hold the others out.",
            sum(trained_on),
            len(trained_on),
            " ".join(options.match),
        )
