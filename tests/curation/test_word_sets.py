"""Similar sets of words are those that comparing all pairs finds."""

from unittest import mock

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from unisono.curation import word_sets
from unisono.curation.word_sets import WordSets

WORDS = [f"w{number}" for number in range(30)]
sets = st.lists(
    st.one_of(
        st.lists(st.sampled_from(WORDS), min_size=1, max_size=24),
        st.integers(0, 12).map(lambda without: [word for word in WORDS[:11] if word != WORDS[without]]),
    ),
    max_size=14,
)


def alike(first: list[list[str]], second: list[list[str]]) -> list[tuple[int, int, int, int]]:
    found = [
        (a, b, len({*one} & {*other}), len({*one} | {*other}))
        for a, one in enumerate(first)
        for b, other in enumerate(second)
    ]
    return [each for each in found if 10 * each[2] >= 9 * each[3]]


@given(sets, sets, st.data(), st.integers(1, 3), st.integers(1, 4))
def test_they_are_those_of_all_pairs(mine, others, data, at_a_time, pairs_at_a_time) -> None:
    with (
        mock.patch.object(word_sets, "AT_A_TIME", at_a_time),
        mock.patch.object(word_sets, "PAIRS_AT_A_TIME", pairs_at_a_time),
    ):
        found = WordSets(mine)
        assert [tuple(each) for each in found.like([*others, ["new"], ["new", "w1"]])] == alike(others, mine)
        assert [tuple(each) for each in found.within()] == [each for each in alike(mine, mine) if each[1] < each[0]]
        chosen = data.draw(st.lists(st.integers(0, len(mine) - 1))) if mine else []
        some = found.at(np.array(chosen, dtype=np.int64))
        assert len(some) == len(chosen)
        assert [tuple(each) for each in some.like(others)] == alike(others, [mine[at] for at in chosen])
        hashes = found.hashes().tolist()
        assert [hashes.index(each) for each in hashes] == [
            list(map(frozenset, mine)).index(frozenset(each)) for each in mine
        ]
