"""Texts on the disk are the same texts."""

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from unisono.base.texts import ListsOnDisk, TextsOnDisk, chained, chained_lists, distinct, taken, taken_lists

LISTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=6))


@given(LISTS, st.data())
def test_stored_texts_are_the_list(listed: list[str], data: st.DataObject) -> None:
    found = TextsOnDisk(text.encode() for text in listed)
    assert list(found) == [found[at] for at in range(len(listed))] == listed and len(found) == len(listed)
    places = np.array(data.draw(st.lists(st.integers(0, len(listed) - 1))) if listed else [], dtype=np.int64)
    assert list(taken(found, places)) == taken(listed, places) == [listed[place] for place in places]
    assert found[1:3] == listed[1:3] and found != [*listed, ""]
    assert list(chained([found, listed])) == chained([listed, listed]) == listed * 2
    first, which = distinct(found)
    assert list(taken(found, first)) == list(dict.fromkeys(listed))
    assert list(taken(found, first[which])) == listed


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), max_size=3)), st.data())
def test_stored_lists_are_the_lists(lists: list[list[str]], data: st.DataObject) -> None:
    found = ListsOnDisk(TextsOnDisk(map(msgspec.json.encode, lists)))
    assert list(found) == [found[at] for at in range(len(lists))] == list(found[:]) == lists and len(found) == len(
        lists
    )
    places = np.array(data.draw(st.lists(st.integers(0, len(lists) - 1))) if lists else [], dtype=np.int64)
    assert list(taken_lists(found, places)) == taken_lists(lists, places) == [lists[place] for place in places]
    assert list(chained_lists([found, lists])) == chained_lists([lists, lists]) == lists * 2
