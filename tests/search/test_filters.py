import dataclasses

import pytest

from tests.retrieval.test_collection import BLANK
from unisono.base.errors import UsageError
from unisono.search.filters import matching

TRACKS = [
    dataclasses.replace(BLANK, dataset="fma", tags=["Flute", "sad"], license="CC0", title="a=b"),
    dataclasses.replace(BLANK, dataset="fma", tags=[], license="unknown"),
    dataclasses.replace(BLANK, dataset="song_describer", tags=["violin"], license="unknown", artist="Ångström"),
]


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
    ],
)
def test_conditions(conditions, positions):
    assert matching(TRACKS, conditions).tolist() == positions


@pytest.mark.parametrize("text", ["dataset", "year=1999", "=fma", "!=fma"])
def test_what_is_no_condition_is_refused_with_the_columns(text):
    with pytest.raises(UsageError) as refused:
        matching(TRACKS, [text])
    assert repr(text) in refused.value.message
    assert "license" in refused.value.hint
