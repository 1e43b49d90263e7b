import dataclasses

import numpy as np
import pytest

from tests.retrieval.test_collection import BLANK
from unisono.base.errors import UsageError
from unisono.retrieval.columns import Columns
from unisono.search.filters import fulfilling

TRACKS = [
    dataclasses.replace(
        BLANK, dataset="fma", tags=["Flute", "sad"], license="CC0", title="a=b", year=1990, bpm=120.5, duration_s=90,
        added="2026-11-26T10:00:00", audio_path="/Music/Jazz/1.ogg",
    ),
    dataclasses.replace(BLANK, dataset="fma", tags=[], license="unknown", rating=4, title="Hello, World", duration_s=150),
    dataclasses.replace(
        BLANK, dataset="song_describer", tags=["violin"], license="unknown", artist="Ångström", year=2001, title="World",
        duration_s=400, added="2025-01-02", library="nas",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("conditions", "positions"),
    [
        ([], [0, 1, 2]),
        (["dataset=fma"], [0, 1]),
        (["dataset!=fma"], [2]),
        (["tags=flute"], [0]),
        (["tags!=flute"], [1, 2]),
        (["dataset=FMA", "license=unknown"], [1]),
        (["artist=ÅNGSTRÖM"], [2]),
        (["title=a=b"], [0]),
        (["genre="], [0, 1, 2]),
        (["dataset=none"], []),
        (["year>=1990"], [0, 2]),
        (["year>1990"], [2]),
        (["year<2000"], [0]),
        (["year=1990..1999"], [0]),
        (["year=..1990"], [0]),
        (["year=1999.."], [2]),
        (["year=1990,2001"], [0, 2]),
        (["year!=1990..1999"], [1, 2]),
        (["year="], [1]),
        (["year!="], [0, 2]),
        (["bpm>=120", "bpm<=121"], [0]),
        (["rating>=3.5"], [1]),
        (["duration=1:30..2:30"], [0, 1]),
        (["duration=0:06:40"], [2]),
        (["duration>=120"], [1, 2]),
        (["added>=2026-11"], [0]),
        (["added<=2026-11-26"], [0, 2]),
        (["added=2025"], [2]),
        (["added=2025-01..2025-02"], [2]),
        (["added="], [1]),
        (["tags="], [1]),
        (["tags!="], [0, 2]),
        (["tags=flute,violin"], [0, 2]),
        (["tags!=flute,violin"], [1]),
        (["tags~=LUT"], [0]),
        (["tags!~=lut"], [1, 2]),
        (["path~=/jazz/"], [0]),
        (["library=nas"], [2]),
        (["title=Hello, World"], [1]),
        (["title=a=b,world"], [0, 2]),
        (["artist=a\u030angström"], [2]),
        ([" year >= 1990 "], [0, 2]),
    ],
)
def test_conditions(conditions, positions):
    assert np.flatnonzero(fulfilling(Columns(TRACKS), conditions)).tolist() == positions


@pytest.mark.parametrize(
    "text",
    ["dataset", "yaer=1999", "=fma", "!=fma", "year>x", "year~=19", "artist>=M", "bpm=fast..slow", "duration=1:99x"],
)
def test_what_is_no_condition_is_refused_with_the_columns(text):
    with pytest.raises(UsageError) as refused:
        fulfilling(Columns(TRACKS), [text])
    assert repr(text) in refused.value.message
    assert "license" in refused.value.hint or "~= (contains)" in refused.value.hint
