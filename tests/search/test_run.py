"""Queries, against a plain and slow reference."""

import dataclasses
from statistics import fmean, pstdev
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.retrieval.test_collection import BLANK
from unisono.base.errors import DataError, UsageError
from unisono.retrieval.collection import Collection, Windows
from unisono.search.query import Query
from unisono.search.run import KEPT, REJECTED, search

AXES = {"loud": 0, "sad": 1, "fast": 2}


class ByAxis:
    """A model of three axes: a description is the axis that it names."""

    def embed_text(self, texts, *, cached=False):
        vectors = np.zeros((len(texts), 3), dtype=np.float32)
        for row, text in enumerate(texts):
            vectors[row, AXES[text]] = 1
        return vectors


def unit(rows):
    vectors = np.array(rows, dtype=np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


MODEL: Any = ByAxis()


@st.composite
def collections(draw):
    counts = draw(st.lists(st.integers(1, 3), min_size=2, max_size=25))
    of = [row for row, count in enumerate(counts) for _ in range(count)]
    vectors = unit([draw(st.tuples(*[st.integers(-2, 2)] * 3)) for _ in of])
    starts = np.array([10 * place for count in counts for place in range(count)], dtype=np.float32)
    tracks = [
        dataclasses.replace(
            BLANK, id=str(row), artist=draw(st.sampled_from(["", "A", "a", "B"])), title=draw(st.sampled_from("xy")),
            album=draw(st.sampled_from(["", "L"])), year=draw(st.sampled_from([None, 1980, 1990, 2000])),
        )
        for row in range(len(counts))
    ]  # fmt: skip
    return Collection(tracks, vectors, windows=Windows(np.array(of), starts, 10))


weights = st.sampled_from(["", "^2", "^0.5"])
texts = st.lists(st.builds("".join, st.tuples(st.sampled_from(sorted(AXES)), weights)), max_size=2)
ids = st.lists(st.sampled_from("01"), max_size=2, unique=True)
queries = st.builds(
    Query, text=texts, without=texts, like=ids, keep=ids, reject=ids, top=st.integers(1, 8),
    where=st.sampled_from([(), ("year>=1990",), ("year=",)]), windows=st.sampled_from(["best", "mean"]),
    max_per_artist=st.sampled_from([None, 1, 2]), max_per_album=st.sampled_from([None, 1]),
    one_per_recording=st.booleans(),
)  # fmt: skip


def reference(query, collection):
    """Return the scores of the tracks that may be found, and their order."""
    count, of = len(collection), collection.windows.of
    weight = {text: float(text.partition("^")[2] or 1) for text in query.text + query.without}
    means = unit([collection.vectors[of == row].sum(axis=0) for row in range(count)])
    sources = [(np.eye(3)[AXES[text.partition("^")[0]]], weight[text]) for text in query.text]
    sources += [(np.eye(3)[AXES[text.partition("^")[0]]], -weight[text]) for text in query.without]
    sources += [(means[int(id)], 1) for id in query.like]
    for chosen, factor in ((query.keep, KEPT), (query.reject, -REJECTED)):
        if chosen:
            sources.append((unit([means[[int(id) for id in chosen]].mean(axis=0)])[0], factor))
    scores = [0.0] * count
    total = sum(factor for _, factor in sources if factor > 0) or 1
    for vector, factor in sources:
        by_window = [[float(window @ vector) for window in collection.vectors[of == row]] for row in range(count)]
        similar = [(max if query.windows == "best" else fmean)(windows) for windows in by_window]
        if len(sources) == 1 and factor > 0:
            scores = similar
            break
        spread = pstdev(similar)
        for row, value in enumerate(similar):
            z = (value - fmean(similar)) / spread if spread > 1e-6 else 0
            scores[row] += factor * z / total if factor > 0 else factor * max(0, z)
    years = [track.year for track in collection.tracks]
    held = {
        (): lambda year: True,
        ("year>=1990",): lambda year: (year or 0) >= 1990,
        ("year=",): lambda year: year is None,
    }
    allowed = [row for row in range(count) if held[query.where](years[row])]
    found = [row for row in allowed if str(row) not in query.like + query.reject]
    return allowed, sorted(found, key=lambda row: (-round(scores[row], 4), row)) if sources else found, scores


def limited(order, query, collection):
    kept: list[int] = []
    for row in order:
        track = collection.tracks[row]
        before = [collection.tracks[each] for each in kept]
        artist = track.artist.lower()
        same_artist = sum(each.artist.lower() == artist for each in before) if artist else 0
        same_album = sum(each.album == track.album for each in before) if track.album else 0
        is_repeated = bool(artist) and any(
            (each.artist.lower(), each.title) == (artist, track.title) for each in before
        )
        if same_artist >= (query.max_per_artist or 99) or same_album >= (query.max_per_album or 99):
            continue
        if not (query.one_per_recording and is_repeated):
            kept.append(row)
    return kept[: query.top]


@settings(deadline=None, max_examples=150)
@given(collections(), queries)
def test_hits_are_those_of_a_plain_reference(collection, query):
    allowed, order, scores = reference(query, collection)
    if not allowed:
        with pytest.raises(DataError, match="None of the"):
            search(MODEL, query, collection)
        return
    hits = search(MODEL, query, collection)
    assert hits.searched == len(allowed)
    expected = [round(scores[row], 3) for row in limited(order, query, collection)]
    assert [round(hit.score, 3) for hit in hits] == pytest.approx(expected, abs=2e-3)
    for hit in hits:
        assert hit.score == pytest.approx(scores[int(hit.track.id)], abs=1e-4)
        assert hit.percentile is None or 0 <= hit.percentile < 100
        assert not hit.curve or hit.moment_s == max(hit.curve, key=lambda point: point[1])[0]


def test_equal_tracks_are_in_the_order_of_the_collection_wherever_they_stand():
    rng = np.random.default_rng(0)
    vectors = np.repeat(unit(rng.normal(size=(50, 3))), 40, axis=0)
    rng.shuffle(vectors)
    collection = Collection([dataclasses.replace(BLANK, id=str(row)) for row in range(2000)], vectors)
    for query in (Query("loud", top=200), Query(["loud", "sad^0.7"], top=200)):
        found = [(round(-hit.score, 9), int(hit.track.id)) for hit in search(MODEL, query, collection)]
        assert found == sorted(found) and len(found) == 200


SIX = Collection(
    [
        dataclasses.replace(
            BLANK, id=f"t{row}", artist=artist, title=title, audio_path=f"/m/{row}.ogg", genre=genre, year=year
        )
        for row, (artist, title, genre, year) in enumerate(
            [("Ann", "Dawn", "Rock", 1981), ("Ann", "Dusk", "Rock", 1990), ("Bea", "Dawn", "Folk", 2001),
             ("Bea", "Rain", "Folk", None), ("Çem", "Rüzgâr", "Jazz", 2010), ("", "", "", 2019)]
        )
    ],
    unit([[1, 0, 0], [0.9, 0.1, 0], [0, 1, 0], [0.1, 0.9, 0], [0, 0, 1], [0.5, 0.5, 0.5]]),
)  # fmt: skip


@pytest.mark.parametrize("named", ["t2", "/m/2.ogg", "bea - dawn", "Bea - D", "BEA - DAWN"])
def test_a_seed_is_named_by_id_path_or_part_of_its_name(named):
    hits = search(MODEL, Query(like=named, top=1), SIX)
    assert [hit.track.id for hit in hits] == ["t3"]  # never the seed itself
    assert hits.query == "like " + named


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("dawn", r"2 tracks fit 'dawn': Ann - Dawn \(id t0\); Bea - Dawn \(id t2\)"),
        ("Ann - Dawning", r"No track fits .* Near: Ann - Dawn; "),
        ("Rüzgar", r"No track fits 'Rüzgar'"),
    ],
)
def test_an_ambiguous_or_unknown_seed_is_named_with_candidates(named, said):
    with pytest.raises(UsageError, match=said):
        search(MODEL, Query(like=named), SIX)


def test_a_playlist_is_a_seed(tmp_path):
    playlist = tmp_path / "evening.m3u8"
    playlist.write_text(
        "#EXTM3U\n#EXTINF:1,x\n/m/0.ogg\n../../../../../../../../../../m/1.ogg\n/m/gone.ogg\n", encoding="utf-8"
    )
    hits = search(MODEL, Query(like=str(playlist), top=2), SIX)
    assert [hit.track.id for hit in hits] == ["t5", "t3"]
    assert hits.notes == (f"Not here: 1 of the 3 tracks of {playlist}.",)
    playlist.write_text("/m/gone.ogg\n", encoding="utf-8")
    with pytest.raises(UsageError, match="None of the 1 track of"):
        search(MODEL, Query(like=str(playlist)), SIX)
    with pytest.raises(UsageError, match="Cannot read the playlist"):
        search(MODEL, Query(like="none.m3u8"), SIX)


@pytest.mark.parametrize(
    ("where", "message", "hint"),
    [
        (["genre=Rokc"], "fulfils 'genre=Rokc'.", "Did you mean: genre=Rock (2)?"),
        (["year>2030"], "fulfils 'year>2030'.", "Here year is from 1981 to 2019, known of 5 tracks."),
        (["genre=folk", "year<2000"], "of 2 tracks that fulfil the others before it, none fulfils 'year<2000'",
         "Here year is from 2001 to 2001, known of 1 track."),
        (["year>=1990", "artist=Zoe"], "no track fulfils 'artist=Zoe'", "The most frequent: artist=Ann (2), artist=Bea (2)"),
        (["bpm>90"], "fulfils 'bpm>90'", "Of no track here is the bpm known."),
        (["album=x"], "fulfils 'album=x'", "Of no track here is the album known."),
    ],
)  # fmt: skip
def test_the_condition_that_leaves_nothing_is_named_with_near_values(where, message, hint):
    with pytest.raises(DataError) as refused:
        search(MODEL, Query("loud", where=where), SIX)
    assert message in refused.value.message and hint in refused.value.hint


def test_diversity_brings_what_is_different():
    def found(diversity):
        return [hit.track.id for hit in search(MODEL, Query("loud", top=3, diversity=diversity), SIX)]

    assert found(0) == ["t0", "t1", "t5"]
    assert found(0.6)[0] == "t0" and "t1" not in found(0.6)
    assert found(1)[:2] == ["t0", "t2"]  # the first that has nothing in common with it


def test_a_hit_says_what_each_part_of_the_query_said_of_it():
    (hit,) = search(MODEL, Query("loud^2", without="sad", like="t4", top=1), SIX)
    assert list(hit.parts) == ["loud", "without sad", "like Çem - Rüzgâr"]
    assert hit.parts["without sad"] <= 0
    assert search(MODEL, "loud", SIX)[0].parts == {}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"text": ""}, "text must not be empty"),
        ({"without": "\udcff"}, "not UTF-8"),
        ({"text": "loud^0"}, "A weight is above 0"),
        ({"top": 0}, "top must be at least 1"),
        ({"diversity": 2}, "diversity must be"),
        ({"like": 3}, "like must be"),
        ({"windows": "worst"}, "windows must be one of"),
        ({"keep": "t9"}, "There is no track 't9'"),
    ],
)
def test_wrong_queries_are_refused(values, said):
    with pytest.raises(UsageError, match=said):
        search(MODEL, Query(**values), SIX)


@pytest.mark.parametrize("windows", [False, True])
def test_music_is_compared_without_what_pads_its_vectors(windows: bool) -> None:
    """What makes vectors equally long would find music of which there is little to say."""
    music = np.array([[0.3, 0.0], [0.9, 0.1], [0.0, 0.02]])
    padded = np.concatenate([music, np.sqrt(1 - (music**2).sum(axis=1, keepdims=True))], axis=1).astype(np.float32)
    tracks = [dataclasses.replace(BLANK, id=id) for id in ("seed", "alike", "bland")]
    of = Windows(np.arange(3), np.zeros(3, np.float32), 10) if windows else None
    found = {
        is_padded: search(MODEL, Query(like="seed"), Collection(tracks, padded, windows=of, is_padded=is_padded))
        for is_padded in (True, False)
    }
    assert [hit.track.id for hit in found[True]] == ["alike", "bland"]
    assert [hit.track.id for hit in found[False]] == ["bland", "alike"]
    assert (
        found[True][0].score == pytest.approx(0.9 / np.hypot(0.9, 0.1), abs=1e-5) and abs(found[True][1].score) < 1e-5
    )
