import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unisono.retrieval.collection import Collection, Hits, IndexedTrack, Windows

BLANK = IndexedTrack(
    id="", split="test", dataset="", artist="", artist_id="", title="", genre="", tags=[], license="", recording="",
    audio_path="", start_s=0, duration_s=1,
)  # fmt: skip


def tracks(artists):
    return [dataclasses.replace(BLANK, id=str(number), artist=artist) for number, artist in enumerate(artists)]


def found(hits):
    return [int(hit.track.id) for hit in hits]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(-3, 3), st.sampled_from(["", "a", "b", "c"])), min_size=1, max_size=40),
    st.integers(1, 50),
    st.one_of(st.none(), st.integers(1, 3)),
    st.data(),
)
def test_the_best_are_found_in_order_as_by_sorting_everything(rows, top, max_per_artist, data):
    collection = Collection(
        tracks([artist for _, artist in rows]), np.array([[score, 0] for score, _ in rows], dtype=np.float32)
    )
    among = data.draw(st.lists(st.sampled_from(range(len(rows))), min_size=1, unique=True).map(sorted))
    expected: list[int] = []
    times: dict[str, int] = {}
    for row in sorted(among, key=lambda row: (-rows[row][0], row)):
        artist = rows[row][1]
        times[artist] = times.get(artist, 0) + 1
        if not artist or max_per_artist is None or times[artist] <= max_per_artist:
            expected.append(row)
    hits = collection.search(np.array([1, 0], dtype=np.float32), top, np.array(among), max_per_artist)
    assert found(hits) == expected[:top] and hits.searched == len(among)
    assert [hit.score for hit in hits] == [rows[row][0] for row in expected[:top]]


def test_all_are_searched_by_default():
    collection = Collection(tracks("ab"), np.eye(2, dtype=np.float32))
    assert found(collection.search(np.array([0.1, 0.9], dtype=np.float32), 5)) == [1, 0]


def test_artists_are_told_apart_by_identity_where_there_is_one():
    two = [dataclasses.replace(BLANK, id=str(n), artist="John Smith", artist_id=f"a:{n}") for n in range(2)]
    collection = Collection(two, np.eye(2, dtype=np.float32))
    assert len(collection.search(np.array([1, 0], dtype=np.float32), 5, max_per_artist=1)) == 2


def test_hits_are_a_list_that_prints_as_a_table():
    collection = Collection(tracks(["<b>", "Ö"]), np.eye(2, dtype=np.float32))
    hits = collection.search(np.array([1, 0], dtype=np.float32), 2, query="a & b")
    assert isinstance(hits, list) and repr(hits).splitlines()[0] == "“a & b” among 2 tracks"
    assert "1.000" in repr(hits) and "<b>" in repr(hits)
    assert "a &amp; b" in hits._repr_html_() and "&lt;b&gt;" in hits._repr_html_() and "<b>" not in hits._repr_html_()
    assert repr(Hits()) == "“” among 0 tracks\n  score  track  dataset  file"


@settings(deadline=None)
@given(
    st.lists(st.lists(st.integers(-3, 3), min_size=1, max_size=4), min_size=1, max_size=12),
    st.integers(1, 15),
    st.data(),
)
def test_a_track_is_found_by_its_best_window(windows, top, data):
    of = [track for track, scores in enumerate(windows) for _ in scores]
    flat = np.array([[score, 0] for scores in windows for score in scores], dtype=np.float32)
    starts = np.array([10 * place for scores in windows for place, _ in enumerate(scores)], dtype=np.float32)
    collection = Collection(tracks("a" * len(windows)), flat, windows=Windows(np.array(of), starts, 10))
    among = data.draw(st.lists(st.sampled_from(range(len(windows))), min_size=1, unique=True).map(sorted))
    hits = collection.search(np.array([1, 0], dtype=np.float32), top, np.array(among))
    expected = sorted(among, key=lambda track: -max(windows[track]))[:top]
    assert [hit.score for hit in hits] == [max(windows[track]) for track in expected]
    for hit in hits:
        scores = windows[int(hit.track.id)]
        assert hit.moment_s == 10 * scores.index(max(scores)) and hit.score == max(scores)
    assert collection.best_scores(flat)[:, 0].tolist() == [max(scores) for scores in windows]
    assert collection.mean_scores(flat[:, 0]).tolist() == pytest.approx(
        [sum(scores) / len(scores) for scores in windows]
    )
    for row in among:
        assert [of[place] for place in collection.places_of(np.array([row]))] == [row] * len(windows[row])


@pytest.mark.parametrize(
    ("of", "vectors"),
    [(None, 3), ([0, 1], 3), ([0, 0, 0], 3), ([0, 1, 0], 3), ([0, 1, 2], 3)],
)
def test_tracks_vectors_and_windows_must_fit(of, vectors):
    windows = None if of is None else Windows(np.array(of), np.zeros(len(of), dtype=np.float32), 10)
    with pytest.raises(ValueError, match=r"windows"):
        Collection(tracks("ab"), np.ones((vectors, 2), dtype=np.float32), windows=windows)
