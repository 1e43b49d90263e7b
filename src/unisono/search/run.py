"""Answer a query: texts and music in any mix, what is not wanted, conditions, and how the hits are chosen."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from unisono.base.errors import UsageError
from unisono.retrieval.collection import Collection, Hit, Hits
from unisono.retrieval.indexes import Floats
from unisono.retrieval.models import JointModel
from unisono.retrieval.windows import FIRST
from unisono.search import rerank
from unisono.search.choosing import choose, first_within_limits
from unisono.search.filters import allowed
from unisono.search.fit import doubts, nearest_words
from unisono.search.query import Query, weighted
from unisono.search.scores import Ranked, Scores, Source, scores_of
from unisono.search.seeds import NONE, Playlists, find_seeds

KEPT, REJECTED = 0.75, 0.25
"""Weights of the mean of the hits that were kept, and of those that were rejected, where a text has 1: Rocchio's, as in
Manning et al., Introduction to Information Retrieval, 9.1.1."""


def search(model: JointModel, query: Query | str, collection: Collection, playlists: Playlists = NONE) -> Hits:
    """Find the music that fits a query best.

    Args:
        model: embeds the descriptions.
        query: what is searched for; a text stands for a query of that text alone.
        collection: what is searched: `model.collection(...)`, or a library's.
        playlists: those that `query.like` names and that are no files, such as `library.playlists.read` finds.

    Raises:
        UsageError: a condition is not of the right form, or a seed is unknown or ambiguous.
        DataError: no track fulfils the conditions.
    """
    query = Query(query) if isinstance(query, str) else query
    held = allowed(collection, query.where)
    among = np.ones(len(collection), dtype=bool) if held is None else held.copy()
    searched = int(among.sum())
    sources, seeds, notes = _sources(model, query, collection, playlists)
    among[seeds] = False
    if not sources:
        rows = first_within_limits(collection, query, among)
        return Hits([Hit(0.0, collection.tracks[row]) for row in rows], str(query), searched, notes=notes)
    scores = scores_of(collection, sources, query.windows)
    if query.rerank == "none":
        nearest = hits = _hits(model, scores, choose(scores, query, among))
    else:
        rerank.check(query, collection)
        first = choose(scores, replace(query, top=max(query.top, FIRST)), among)
        nearest = _hits(model, scores, Ranked(first.rows[:1], first.scores[:1], first.parts[:1]))
        ranked = rerank.reranked(model, query, collection, first)
        hits = [replace(hit, percentile=None) for hit in _hits(model, scores, ranked)]
        notes.append(f"The first {len(first.rows)} by the whole description, ordered by its words (MaxSim).")
    doubt = doubts(
        model,
        collection,
        [weighted(part)[0] for part in query.text],
        nearest,
        is_alone=scores.is_single and bool(query.text),
    )
    fits = not doubt or bool(query.like or query.keep)
    said = [doubt if fits else f"Nothing here fits well. {doubt}"] if doubt else []
    notes += [collection.note] if collection.note else []
    return Hits(hits, str(query), searched, fits=fits, notes=[*said, *notes])


def _sources(
    model: JointModel, query: Query, collection: Collection, playlists: Playlists
) -> tuple[list[Source], list[int], list[str]]:
    """Return what a query asks for, the positions of the tracks that are not to be found, and what is to be said."""
    texts = [(*weighted(part), 1) for part in query.text] + [(*weighted(part), -1) for part in query.without]
    vectors = model.embed_text([text for text, _, _ in texts]) if texts else ()
    sources = [
        Source(text if sign > 0 else f"without {text}", vector, sign * weight, is_text=True)
        for (text, weight, sign), vector in zip(texts, vectors, strict=True)
    ]
    seeds: list[int] = []
    notes = []
    for part in query.like:
        named, weight = weighted(part)
        rows, note = find_seeds(collection, named, playlists)
        name = collection.tracks[rows[0]].name if len(rows) == 1 else named
        sources.append(Source(f"like {name}", _mean(collection, rows), weight))
        seeds += rows
        notes += [note] if note else []
    for ids, name, weight in ((query.keep, "kept", KEPT), (query.reject, "rejected", -REJECTED)):
        if ids:
            rows = [_position(collection, id) for id in ids]
            sources.append(Source(name, _mean(collection, rows), weight))
            seeds += rows if weight < 0 else []
    return sources, seeds, notes


def _position(collection: Collection, id: str) -> int:
    if id not in collection.position_of:
        raise UsageError(f"There is no track {id!r} here.")
    return collection.position_of[id]


def _mean(collection: Collection, rows: Sequence[int]) -> Floats:
    """Return the mean of tracks as a unit vector [D]."""
    mean = collection.means_of(np.array(rows)).mean(axis=0)
    found: Floats = (mean / (np.linalg.norm(mean) or 1)).astype(np.float32)
    return found


def _hits(model: JointModel, scores: Scores, ranked: Ranked) -> list[Hit]:
    collection, sources = scores.collection, scores.sources
    texts = [source for source in sources if source.is_text and source.weight > 0]
    asked: Floats = sum((source.weight * source.vector for source in texts), start=np.zeros_like(scores.vectors[0]))
    asked /= np.linalg.norm(asked) or 1
    windows = collection.windows
    found = zip(
        ranked.rows.tolist(), ranked.scores.tolist(), ranked.parts.tolist(), scores.percentiles(ranked.scores),
        scores.of_windows(ranked.rows), strict=True,
    )  # fmt: skip
    hits = []
    for row, score, parts, percentile, (places, by_window) in found:
        place = int(places[by_window.argmax()])
        is_explained = bool(collection.explain and texts)
        why = collection.why(asked, place) if is_explained else nearest_words(model, collection, place)
        named = zip((source.name for source in sources), parts, strict=True) if len(sources) > 1 else ()
        curve = zip(windows.start_s[places].tolist(), by_window.tolist(), strict=True) if windows else ()
        moment_s = collection.start_of(place)
        said = {name: round(part, 4) for name, part in named}
        hits.append(Hit(score, collection.tracks[row], why, moment_s, percentile, said, tuple(curve)))
    return hits
