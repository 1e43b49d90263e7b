"""Rows on the disk give the tracks that rows in memory would."""

import re
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unisono.base.errors import DataError
from unisono.sources.own.described import Described, DescribedRows
from unisono.tracks.track import Caption, Track

spans = st.sampled_from([(0.0, 0.0), (0.0, 30.0), (30.0, 30.0), (0.5, 12.25)])
paths = st.sampled_from(["a.mp3", "b/a.mp3", "c.mp3"])
rows = st.lists(
    st.tuples(
        st.none() | st.sampled_from(["one", "two", "a.mp3"]),
        paths,
        spans,
        st.lists(st.sampled_from(["calm", "loud", "warm"]), max_size=2),
        st.sampled_from([None, "train", "val", "test"]),
    ),
    max_size=12,
)


@dataclass
class Expected:
    captions: list[str] = field(default_factory=list)
    splits: list[str | None] = field(default_factory=list)


def simply(rows):
    """Return id -> what it should have, by plain dictionaries; or the two rows that are refused."""
    excerpts: dict[tuple[str, str, float, float], Expected] = {}
    first_row: dict[tuple[str, str, float, float], int] = {}
    stated_ids = {row[0] for row in rows}
    for number, (stated, path, span, texts, split) in enumerate(rows):
        key = (stated or path, path, *span)
        its = excerpts.setdefault(key, Expected())
        its.captions += [text for text in dict.fromkeys(texts) if text not in its.captions]
        its.splits.append(split)
        first_row.setdefault(key, number)
    found = {}
    for id in dict.fromkeys(key[0] for key in excerpts):
        same = [key for key in excerpts if key[0] == id]
        if len({key[1] for key in same}) > 1 and id in stated_ids:
            return None, {first_row[key] for key in same}
    for key, its in excerpts.items():
        id, path, start, duration = key
        files = {other[1] for other in excerpts if other[0] == id}
        name = id if len(files) == 1 else path
        if sum(other[0] == id and other[1] == path for other in excerpts) > 1:
            name += f"_{start:.10g}-" + (f"{start + duration:.10g}" if duration else "")
        split = next((each for each in ("test", "val", "train") if each in its.splits), None)
        found[f"x_{name}", key] = (path, its.captions, split)
    return found, set()


@given(rows)
def test_tracks_are_those_of_rows_in_memory(rows):
    described = [
        (
            number,
            Described(stated or path, stated is not None, path, *span),
            Track(
                id=f"x_{stated or path}",
                audio_path=path,
                start=span[0],
                duration=span[1],
                captions=tuple(map(Caption, dict.fromkeys(texts))),
                split=split,
            ),
        )
        for number, (stated, path, span, texts, split) in enumerate(rows)
    ]
    expected, refused = simply(rows)
    if expected is None:
        with pytest.raises(DataError, match="have the id") as caught:
            list(DescribedRows(described).tracks("x_", "row {}".format))
        named = list(map(int, re.findall(r"row (\d+)", str(caught.value))))
        assert len(named) == 2 and set(named) <= refused and rows[named[0]][1] != rows[named[1]][1]
        return
    tracks = list(DescribedRows(described).tracks("x_", "row {}".format))
    assert [(each.id, each.audio_path, each.texts, each.split) for each in tracks] == [
        (id, *its) for (id, _), its in expected.items()
    ]
