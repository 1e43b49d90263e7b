"""Completing the tracks that parsers yield: audio file, duration, caption, licence and tidy text, for all datasets."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import msgspec

from unisono.audio.faults import MISSING
from unisono.audio.probe import Probed
from unisono.base.errors import DataError
from unisono.base.tally import Dropped
from unisono.captions.ways import metadata, template
from unisono.curation.releases import Release
from unisono.sources.audio_index import AudioIndex
from unisono.sources.base import Dataset
from unisono.sources.cells import tidy, without_controls
from unisono.tracks.files import Ids
from unisono.tracks.licenses import normalise
from unisono.tracks.track import Caption, Track, captions_of, replace
from unisono.tracks.vocabulary import Facts

NO_CAPTION = "no caption"
"""The reason of a track that has neither captions nor tags."""


class Draft(msgspec.Struct, gc=False):
    """A track as parsed, and the path of its audio file."""

    track: Track
    audio_path: str
    is_excerpt: bool
    """Whether `track.start` and `track.duration` are those of an excerpt, not of the file."""


def drafts(release: Release, *, check_audio: bool) -> Iterable[Draft | Dropped]:
    """Parse a release and find the audio file of each track.

    Raises:
        DataError: the release is malformed, or two of its records have one id.
    """
    dataset = release.dataset
    index = AudioIndex(release.root, dataset.audio_folders)
    find = lru_cache(maxsize=4096)(_finder(index, release, check_audio=check_audio))  # excerpts share a file
    ids = Ids()
    for item in release.parse(planning=not check_audio):
        if isinstance(item, Dropped):
            ids.pass_over()
            yield item
            continue
        ids.note([item])
        if not check_audio and not item.duration and dataset.typical_s:
            item = replace(item, duration=dataset.typical_s, extra=item.extra | {"duration_unknown": True})
        found = find(item.audio_path) or _under_another_name(find, item, dataset)
        if found is None:
            detail = index.where(item.audio_path)
            if index.is_outside(item.audio_path):
                detail = f"{item.audio_path}: expected a path relative to {index.place}, or an absolute one below it"
            yield Dropped(id=item.id, reason=MISSING, detail=detail)
        else:
            yield Draft(item, found, check_audio and dataset.is_excerpt(item))
    if twice := ids.first_twice(lambda: release.parse(planning=not check_audio)):
        first, second, again = twice
        raise DataError(
            f"{dataset.name}: records {first} and {second}{_path(again)} in {release.root} have the same id "
            f"{again.id!r}; ids must be unique."
        )


def _path(item: Track | Dropped) -> str:
    return f" ({item.audio_path})" if isinstance(item, Track) else ""


def _finder(index: AudioIndex, release: Release, *, check_audio: bool) -> Callable[[str], str | None]:
    where: Callable[[str], str | None] = index.find if check_audio else index.where
    if not release.dataset.holds_audio or release.parsing.unpack_to is None:
        return where
    unpacked = AudioIndex(release.parsing.unpack_to / release.dataset.name, (".",))
    return lambda path: unpacked.find(path) or where(path)


def _under_another_name(find: Callable[[str], str | None], track: Track, dataset: Dataset) -> str | None:
    names = dataset.audio_names(track) if dataset.audio_names is not None else ()
    return next((found for name in names if (found := find(name)) is not None), None)


def complete(draft: Draft, probed: Probed | None, *, names_suffice: bool = False) -> Track | Dropped:
    """Return the complete track of a draft; without `probed`, its duration is what the release documents.

    A track with neither captions nor tags is dropped, unless `names_suffice` and it has a title or an artist.
    """
    track = draft.track
    duration = _duration(track, probed, is_excerpt=draft.is_excerpt)
    if isinstance(duration, Dropped):
        return duration
    captions = tuple(Caption(text, caption.origin) for caption in track.captions if (text := tidy(caption.text)))
    if not captions:
        made = template.caption(track.genre, track.tags)
        if not made and names_suffice:
            made = metadata.sentence(track, Facts())
        captions = captions_of([made], "tags")
    if not captions:
        return Dropped(id=track.id, reason=NO_CAPTION, detail="neither a caption nor tags to make one from")
    return replace(
        track,
        audio_path=draft.audio_path,
        captions=captions,
        duration=duration,
        artist=_tidy_name(track.artist),
        title=_tidy_name(track.title),
        genre=_without_controls(track.genre),
        tags=_without_controls(track.tags),
        license=normalise(track.license),
        attribution=_without_controls(track.attribution),
        url=_without_controls(track.url),
        extra={field: _without_controls(value) for field, value in track.extra.items()} if track.extra else track.extra,
    )


def _duration(track: Track, probed: Probed | None, *, is_excerpt: bool) -> float | Dropped:
    if probed is None:
        if track.duration > 0:
            return track.duration
        return Dropped(
            id=track.id, reason="duration unknown", detail="the release documents none, audio is not checked"
        )
    if probed.fault:
        return Dropped(id=track.id, reason=probed.fault, detail=probed.detail)
    if not is_excerpt:
        return probed.duration_s
    left = probed.duration_s - track.start
    if left <= 0:
        return Dropped(
            id=track.id,
            reason="excerpt begins after the end of its file",
            detail=f"at {track.start:g} s of {probed.duration_s:g} s in {track.audio_path}",
        )
    return min(track.duration, left) if track.duration > 0 else left


def _without_controls(value: Any) -> Any:
    """Return a value without control characters in its texts, except those that are blanks."""
    if isinstance(value, str):
        return value if value.isprintable() else without_controls(value)
    if isinstance(value, list) and not all(isinstance(item, str) and item.isprintable() for item in value):
        return [item for item in map(_without_controls, value) if item != ""]
    return value


_tidy_name = lru_cache(maxsize=4096)(tidy)  # records that share a name are mostly neighbours
