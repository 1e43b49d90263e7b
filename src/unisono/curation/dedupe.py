"""Merging the records of one recording: all captions are kept with their origins, and the best audio.

Two tracks are of one recording if they share its identity, the hash of their file or one that a publisher lists for them,
decode to the same samples, or sound the same. Tracks that describe different excerpts of a recording are not merged: their
captions are true of one excerpt only.
"""

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisono.audio.copies import FileSizes
from unisono.audio.listening import listen, unheard
from unisono.base import storage
from unisono.base.arguments import AnyPath, Count, as_path, checked
from unisono.base.errors import UnisonoError
from unisono.base.files import write_whole
from unisono.base.table import Table, Tabular
from unisono.base.words import counted
from unisono.curation.collection import Tracks, as_tracks, write_tracks
from unisono.curation.groups import GatheredKeys, Identity, connected
from unisono.curation.matching import Published, hash_lists, read_published
from unisono.curation.same_sound import duplicates
from unisono.curation.splits import HELD_OUT_FIRST
from unisono.tracks.record import Entry, to_track
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
    published = read_published(hash_lists(sha256_lists, as_path(data_root)))
    sizes, keys = FileSizes(), GatheredKeys()
    came = as_tracks(tracks, [sizes.look, lambda some: keys.add([_keys(track, published) for track in some])])
    alike: list[tuple[int, int]] = []
    decoded: list[str] = []
    not_heard: list[dict[str, str]] = []
    if audio:
        heard = listen(came.entries(), workers, as_path(data_root))
        not_heard, decoded = unheard(came.entries(), heard), heard.decoded
        alike = [(one, other) for one, other in duplicates(heard) if decoded[one] != decoded[other]]
        if not_heard and strict:
            listed = "; ".join(f"{item['id']}: {item['reason']}" for item in not_heard[:SHOWN])
            raise UnisonoError(f"--strict: {counted(len(not_heard), 'record')} could not be listened to: {listed}.")
    merging = _Merging(came, published, sizes.hashes_of_copies(came.entries), _sounds(came, alike), decoded)
    left, choices = merging.merged(None if audio else keys)
    report = DedupeReport(left, len(came), choices, not_heard)
    if output is not None:
        report.write(as_path(output).with_suffix(".report.json"))
        write_tracks(report.tracks, output)
    return report


def _sounds(tracks: Sequence[Track], alike: Iterable[tuple[int, int]]) -> dict[int, list[Identity]]:
    """Return the identities that tracks which sound the same have in common."""
    sounds: dict[int, list[Identity]] = defaultdict(list)
    for one, other in alike:
        if tracks[one].start == tracks[other].start:
            for at in (one, other):
                sounds[at].append(("audio", f"the sound of {tracks[one].id} and {tracks[other].id}"))
    return sounds


@dataclass(frozen=True)
class _Merging:
    """Merges duplicates by what is known of their files."""

    tracks: Tracks
    published: Published
    copies: Mapping[str, str]
    """Path -> hash of its file."""
    sounds: Mapping[int, list[Identity]]
    decoded: Sequence[str]

    def merged(self, keys: GatheredKeys | None = None) -> tuple[Tracks, list[Merged]]:
        """Return the merged tracks and the choices; `keys` are those of the tracks if only the records count."""
        if keys is None or self.copies:
            keys = GatheredKeys()
            keys.add(self._keys_of(at, self._completed(each)) for at, each in enumerate(self.tracks.entries()))
        group_of = connected(keys.columns())
        sizes = np.bincount(group_of)
        is_first = np.zeros(len(group_of), dtype=bool)
        is_first[np.unique(group_of, return_index=True)[1]] = True
        choices: list[Merged] = []
        others = itertools.chain(self._merges(group_of, sizes, choices), self._alone_completed(sizes[group_of] == 1))
        return self.tracks.with_others(others, is_first), choices

    def _merges(
        self, group_of: NDArray[np.int64], sizes: NDArray[np.int64], choices: list[Merged]
    ) -> Iterator[tuple[int, Track]]:
        """Yield what each group is merged into, at the place of its first track."""
        (places,) = np.nonzero(sizes[group_of] > 1)
        places = places[np.argsort(group_of[places], kind="stable")]
        at, members = iter(places.tolist()), iter(self.tracks.at(places))
        for size in sizes[sizes > 1].tolist():
            its_places = list(itertools.islice(at, size))
            its_tracks = [to_track(self._completed(track)) for track in itertools.islice(members, size)]
            best = min(its_tracks, key=_audio_rank)
            counts = Counter(
                value
                for place, its in zip(its_places, its_tracks, strict=True)
                for _, value in set(self._keys_of(place, its))
            )
            others = tuple(sorted(its.id for its in its_tracks if its.id != best.id))
            shared = tuple(sorted(value for value, count in counts.items() if count > 1))
            choices.append(Merged(best.id, others, shared, f"{best.duration:g} s, {_bytes(best):,} bytes"))
            yield its_places[0], _merge(best, its_tracks)

    def _alone_completed(self, is_alone: NDArray[np.bool_]) -> Iterator[tuple[int, Entry]]:
        """Yield the tracks without duplicates of which a hash is known that they do not name."""
        if self.copies:
            for at, track in enumerate(self.tracks.entries()):
                if is_alone[at] and not track.sha256 and track.audio_path in self.copies:
                    yield at, self._completed(track)

    def _keys_of(self, at: int, track: Entry) -> list[Identity]:
        # the same samples: captions hold, whichever excerpt of whichever file they are
        samples = [("decoded", f"the samples {self.decoded[at]}")] if self.decoded and self.decoded[at] else []
        return _keys(track, self.published) + samples + self.sounds.get(at, [])

    def _completed(self, track: Entry) -> Entry:
        sha256 = track.sha256 or self.copies.get(track.audio_path, "")
        return track if sha256 == track.sha256 else replace(track, sha256=sha256)


def _keys(track: Entry, published: Published) -> list[Identity]:
    excerpt = _excerpt(track.start) if track.start else ""
    found = []
    if track.recording:
        found.append(("recording", track.recording + excerpt))
    if track.sha256:
        found.append(("sha256", track.sha256.lower() + excerpt))
    if track.recording in published:
        found += [("sha256", sha256 + excerpt) for sha256 in published[track.recording]]
    return found


@lru_cache(maxsize=4096)
def _excerpt(start: float) -> str:
    return f"@{start:g}"


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
