"""Merging the records of one recording: all captions are kept with their origins, and the best audio.

Two tracks are of one recording if they share its identity, the hash of their file or one that a publisher lists for them,
decode to the same samples, or sound the same. Tracks that describe different excerpts of a recording are not merged: their
captions are true of one excerpt only.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from unisono.audio.copies import hashes_of_copies
from unisono.audio.listening import listen, unheard
from unisono.base import storage
from unisono.base.arguments import AnyPath, Count, as_path, checked
from unisono.base.errors import UnisonoError
from unisono.base.files import write_whole
from unisono.base.table import Table, Tabular
from unisono.base.words import counted
from unisono.curation.collection import Tracks, as_tracks, write_tracks
from unisono.curation.groups import Identity, Keys, connected
from unisono.curation.matching import Published, hash_lists, read_published
from unisono.curation.same_sound import duplicates
from unisono.curation.splits import HELD_OUT_FIRST
from unisono.tracks.track import CAPTION_ORIGINS, Caption, Track, replace
from unisono.tracks.workspace import DEFAULT_ROOT

_TRUST: dict[str | None, int] = {origin: rank for rank, origin in enumerate((*CAPTION_ORIGINS, None))}
SHOWN = 10


@dataclass(frozen=True)
class Merged:
    """One choice: the id that was kept, and the ids that were merged into it."""

    kept: str
    merged: tuple[str, ...]
    by: tuple[str, ...]
    """The identities that they share."""
    audio: str
    """The duration and size for which this audio was chosen."""


@dataclass(frozen=True, repr=False)
class DedupeReport(Tabular):
    """What `dedupe` did."""

    tracks: Tracks
    """The tracks that are left."""
    came: int
    """How many tracks there were."""
    choices: list[Merged]
    unheard: list[dict[str, str]]
    """The tracks that could not be listened to: id, reason, detail."""

    def write(self, path: AnyPath) -> None:
        """Write the counts and every choice to a JSON file.

        Raises:
            UnisonoError: it cannot be written.
        """
        content = {
            "came": self.came,
            "kept": len(self.tracks),
            "choices": [asdict(choice) for choice in self.choices],
            "unheard": self.unheard,
        }
        write_whole(as_path(path), json.dumps(content, ensure_ascii=False, indent=1) + "\n")

    @property
    def headline(self) -> str:
        """The counts, in a sentence."""
        merged = counted(len(self.choices), "recording")
        return f"{counted(self.came, 'record')}, {merged} with duplicates, {counted(len(self.tracks), 'record')} left"

    def table(self) -> Table:
        """Return it as a table."""
        rows = [(each.kept, each.audio, ", ".join(each.merged), ", ".join(each.by)) for each in self.choices[:SHOWN]]
        if len(self.choices) > SHOWN:
            rows.append(("...", "", f"{len(self.choices) - SHOWN:,} more", ""))
        return Table(self.headline, ("kept", "audio", "merged", "by"), rows, words=(0, 1, 2, 3))


@checked
def dedupe(
    tracks: AnyPath | Iterable[Track],
    *,
    output: AnyPath | None = None,
    audio: bool = False,
    sha256_lists: Sequence[AnyPath] = (),
    data_root: AnyPath = DEFAULT_ROOT,
    workers: Count | None = None,
    strict: bool = False,
) -> DedupeReport:
    """Merge the tracks of one recording into one, with all captions and the best audio.

    Args:
        tracks: a unified file, or tracks.
        output: unified file to write, with `<name>.report.json` next to it; by default, nothing is written.
        audio: decode all files, and merge also what has the same samples or sounds the same.
        sha256_lists: published lists of hashes; by default, those in `data_root`.
        data_root: folder of the data, where what listening finds is kept.
        workers: threads that decode; by default, the number of cores.
        strict: raise if a track could not be listened to.

    Raises:
        UsageError, DataError: the file is missing or broken.
        UnisonoError: the output cannot be written, or `strict` found a fault.
    """
    came = as_tracks(tracks)
    published = read_published(hash_lists(sha256_lists, as_path(data_root)))
    alike: list[tuple[int, int]] = []
    decoded: list[str] = []
    not_heard: list[dict[str, str]] = []
    if audio:
        heard = listen(came, workers, as_path(data_root))
        not_heard, decoded = unheard(came, heard), [item.decoded for item in heard]
        alike = [(one, other) for one, other in duplicates(heard) if decoded[one] != decoded[other]]
        if not_heard and strict:
            listed = "; ".join(f"{item['id']}: {item['reason']}" for item in not_heard[:SHOWN])
            raise UnisonoError(f"--strict: {counted(len(not_heard), 'record')} could not be listened to: {listed}.")
    merged, choices = merge_duplicates(came, published, alike, decoded)
    report = DedupeReport(came.like(merged), len(came), choices, not_heard)
    if output is not None:
        report.write(as_path(output).with_suffix(".report.json"))
        write_tracks(report.tracks, output)
    return report


def merge_duplicates(
    tracks: Sequence[Track],
    published: Published | None = None,
    alike: Iterable[tuple[int, int]] = (),
    decoded: Sequence[str] = (),
) -> tuple[Iterator[Track], list[Merged]]:
    """Return the merged tracks, each at the place of the first of its group, and the choices, made while they are iterated.

    Args:
        tracks: all tracks.
        published: hashes that publishers list.
        alike: pairs of places of tracks that sound the same.
        decoded: hash of each track's samples, empty if unknown.
    """
    copies = hashes_of_copies(tracks)
    sounds: dict[int, list[Identity]] = defaultdict(list)
    for one, other in alike:
        if tracks[one].start == tracks[other].start:
            for at in (one, other):
                sounds[at].append(("audio", f"the sound of {tracks[one].id} and {tracks[other].id}"))

    def keys_of(at: int, track: Track) -> list[Identity]:
        # the same samples: captions hold, whichever excerpt of whichever file they are
        samples = [("decoded", f"the samples {decoded[at]}")] if decoded and decoded[at] else []
        return _keys(track, published or {}) + samples + sounds.get(at, [])

    def completed(track: Track) -> Track:
        sha256 = track.sha256 or copies.get(track.audio_path, "")
        return track if sha256 == track.sha256 else replace(track, sha256=sha256)

    choices: list[Merged] = []
    return _merged_groups(tracks, completed, keys_of, choices), choices


def _merged_groups(
    tracks: Sequence[Track],
    completed: Callable[[Track], Track],
    keys_of: Callable[[int, Track], list[Identity]],
    choices: list[Merged],
) -> Iterator[Track]:
    group_of = connected(Keys.of(keys_of(at, completed(track)) for at, track in enumerate(tracks)))
    members: dict[int, list[int]] = defaultdict(list)
    for at in np.flatnonzero(np.bincount(group_of)[group_of] > 1).tolist():
        members[int(group_of[at])].append(at)
    for at, track in enumerate(tracks):
        places = members.get(int(group_of[at]), [at])
        if len(places) == 1:
            yield completed(track)
        elif at == places[0]:
            its_tracks = [completed(tracks[place]) for place in places]
            best = min(its_tracks, key=_audio_rank)
            counts = Counter(
                value for place, its in zip(places, its_tracks, strict=True) for _, value in set(keys_of(place, its))
            )
            others = tuple(sorted(its.id for its in its_tracks if its.id != best.id))
            shared = tuple(sorted(value for value, count in counts.items() if count > 1))
            choices.append(Merged(best.id, others, shared, f"{best.duration:g} s, {_bytes(best):,} bytes"))
            yield _merge(best, its_tracks)


def _keys(track: Track, published: Published) -> list[Identity]:
    excerpt = f"@{track.start:g}" if track.start else ""
    names = [("recording", track.recording + excerpt)] if track.recording else []
    hashes = [*([track.sha256.lower()] if track.sha256 else []), *published.get(track.recording, ())]
    return names + [("sha256", sha256 + excerpt) for sha256 in hashes]


def _audio_rank(track: Track) -> tuple[float, int, str]:
    """Return a key that sorts audio from best: the longest, then the largest file, then by id."""
    return -round(track.duration), -_bytes(track), track.id


def _trust(track: Track) -> int:
    return _TRUST[track.captions[0].origin] if track.captions else len(_TRUST)


def _bytes(track: Track) -> int:
    try:
        return storage.status(track.audio_path)[0]
    except OSError:
        return 0


def _merge(best: Track, group: list[Track]) -> Track:
    """Return `best` with the captions of all, the most trusted first, and with the fields that only others have."""
    ordered = sorted(group, key=lambda track: (_trust(track), track.id))
    captions: dict[str, Caption] = {}
    for caption in sorted((each for track in ordered for each in track.captions), key=lambda each: _TRUST[each.origin]):
        captions.setdefault(caption.text, caption)
    filled: dict[str, Any] = {
        field: next((value for track in [best, *ordered] if (value := getattr(track, field))), "")
        for field in ("artist", "title", "genre", "recording", "artist_id", "attribution", "url", "sha256")
    }
    extra = {name: value for track in reversed([best, *ordered]) for name, value in track.extra.items()}
    extra["merged"] = sorted(track.id for track in group if track.id != best.id)
    splits = {track.split for track in group}
    return replace(
        best,
        captions=tuple(captions.values()),
        tags=list(dict.fromkeys(tag for track in [best, *ordered] for tag in track.tags)),
        split=next((split for split in HELD_OUT_FIRST if split in splits), None),
        extra=extra,
        **filled,
    )
