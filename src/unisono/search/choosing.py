"""Which of the best tracks a query returns: limits for artists and albums, one of each recording, and variety."""

from collections import Counter
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from unisono.retrieval.collection import Collection, IndexedTrack
from unisono.retrieval.columns import folded
from unisono.search.query import Query
from unisono.search.scores import Ranked, Scores

POOL = 5
"""How many times as many tracks as asked for are looked at for hits that differ from each other."""
MORE = 4
"""How many times as many tracks are looked at when too many were left out."""
Key = tuple[str, ...]


def choose(scores: Scores, query: Query, among: NDArray[np.bool_]) -> Ranked:
    """Return the best tracks of a mask [N] that a query allows, at most `query.top`."""
    wanted = query.top * (POOL if query.diversity else 1)
    searched = int(among.sum())
    count = wanted
    while True:
        ranked = scores.best(count, among)
        places = _within_limits([scores.collection.tracks[row] for row in ranked.rows], query)
        if len(places) >= wanted or count >= searched:
            break
        count *= MORE
    places = places[:wanted]
    if query.diversity:
        order = _varied(scores.collection, ranked.rows[places], ranked.scores[places], query.top, query.diversity)
        places = [places[each] for each in order]
    return Ranked(ranked.rows[places], ranked.scores[places], ranked.parts[places])


def first_within_limits(collection: Collection, query: Query, among: NDArray[np.bool_]) -> list[int]:
    """Return the first tracks of a mask [N] that a query allows, in the order of the collection."""
    rows = np.flatnonzero(among).tolist()
    return [rows[place] for place in _within_limits([collection.tracks[row] for row in rows], query)[: query.top]]


def _within_limits(tracks: list[IndexedTrack], query: Query) -> list[int]:
    """Return the places of the tracks that are kept, if each is taken unless there are enough of its kind before it."""
    rules = [(artist_of, query.max_per_artist), (album_of, query.max_per_album)]
    rules.append((recording_of, 1 if query.one_per_recording else None))
    limits = [(key_of, most) for key_of, most in rules if most is not None]
    counts: Counter[tuple[int, Key]] = Counter()
    kept = []
    for place, track in enumerate(tracks):
        keys = {(number, key_of(track)): most for number, (key_of, most) in enumerate(limits) if key_of(track)}
        if all(counts[key] < most for key, most in keys.items()):
            kept.append(place)
            counts.update(keys.keys())
    return kept


def artist_of(track: IndexedTrack) -> Key:
    """Return what identifies the artist; empty if that is not known."""
    known = track.artist_id or folded(track.artist)
    return (known,) if known else ()


def album_of(track: IndexedTrack) -> Key:
    """Return what identifies the album: its title, with its artist or else the folder; empty if that is not known."""
    if not track.album:
        return ()
    return folded(track.album), folded(track.album_artist) or str(PurePath(track.audio_path).parent)


def recording_of(track: IndexedTrack) -> Key:
    """Return what identifies the recording, or else the song: artist and title; empty if that is not known."""
    if track.recording:
        return (track.recording,)
    return (*artist_of(track), folded(track.title)) if artist_of(track) and track.title else ()


def _varied(
    collection: Collection, rows: NDArray[np.int64], scores: NDArray[np.float64], top: int, diversity: float
) -> list[int]:
    """Order tracks by maximal marginal relevance (Carbonell and Goldstein, 1998, doi 10.1145/290941.291025).

    The first is the best; each next one has the largest `(1 - diversity) x relevance - diversity x similarity`, where
    similarity is that to the most similar one before it. Both are scaled to 0 to 1 over all tracks [n].
    """
    if not len(rows):
        return []
    vectors = collection.means_of(rows)
    similar = _to_unit(vectors @ vectors.T)
    relevance = _to_unit(scores)
    chosen = [0]
    nearest = similar[0].copy()
    while len(chosen) < min(top, len(rows)):
        gain = (1 - diversity) * relevance - diversity * nearest
        gain[chosen] = -np.inf
        chosen.append(int(gain.argmax()))
        nearest = np.maximum(nearest, similar[chosen[-1]])
    return chosen


def _to_unit(values: NDArray[np.floating]) -> NDArray[np.float64]:
    exact = values.astype(np.float64)
    low, high = exact.min(), exact.max()
    found: NDArray[np.float64] = (exact - low) / (high - low if high > low else 1)
    return found
