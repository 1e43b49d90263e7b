import doctest

from hypothesis import given
from hypothesis import strategies as st

from unisono.sources import cells, readers
from unisono.sources.cells import one_genre, tidy_tags
from unisono.tracks.vocabulary import key, spell


def test_tags_are_spelled_and_distinct() -> None:
    assert tidy_tags(["electricguitar", "Electric Guitar", "lafms", "", " "]) == ["electric guitar", "lafms"]


def test_the_genre_is_no_tag() -> None:
    assert tidy_tags(["rock", "punkrock"], genre="Rock") == ["Punk Rock"]


def test_names_of_the_artist_are_no_tags() -> None:
    assert tidy_tags(["kurt vile", "philly", "vile", "kurtvile"], artist="Kurt Vile") == ["philly"]
    assert tidy_tags(["alec k redfearn and the eyesores"], artist="Alec K. Redfearn & the Eyesores") == []
    assert tidy_tags(["kurt vile and the violators", "guitar"], artist="Kurt Vile") == ["guitar"]
    assert tidy_tags(["awol"], artist="AWOL") == []
    assert tidy_tags(["björk"], artist="Björk") == []
    assert tidy_tags(["guitar"], artist="") == ["guitar"]


def test_one_genre() -> None:
    assert one_genre(["rnb"]) == "R&B"
    assert one_genre(["rock", "Rock"]) == "Rock"
    assert one_genre(["rock", "pop"]) == ""
    assert one_genre([]) == ""


texts = st.text(max_size=15)


@given(st.lists(texts, max_size=6), texts, texts)
def test_any_tags(tags: list[str], genre: str, artist: str) -> None:
    tidy = tidy_tags([*tags, artist], genre=genre, artist=artist)
    assert all(tag and tag == " ".join(tag.split()) for tag in tidy)
    assert len({key(tag) for tag in tidy}) == len(tidy)
    if any(map(str.isalnum, artist)):
        assert artist not in tidy
    assert tidy_tags(tidy, genre=genre, artist=artist) == tidy


some_tags = st.sampled_from(
    [
        "electricguitar",
        "Electric Guitar",
        "odd tag",
        "oddtag",
        "Odd  Tag",
        "rock",
        "Rock!",
        "Kurt",
        "kurtvile",
        "",
        "the",
    ]
)


@given(st.lists(some_tags), some_tags, st.sampled_from(["", "Kurt Vile", "Odd", "the"]))
def test_the_first_spelling_of_each_tag_is_kept(tags: list[str], genre: str, artist: str) -> None:
    name = {word for word in artist.casefold().split() if word != "the"}
    expected: dict[str, str] = {}
    for tag in tags:
        words = {word.strip("!") for word in tag.casefold().split() if word != "the"}
        is_name = name and (words <= name or name <= words or key(tag) == key(artist))
        if not is_name and key(tag) not in ("", key(genre)):
            expected.setdefault(key(tag), spell(tag))
    assert tidy_tags(tags, genre=genre, artist=artist) == list(expected.values())


def test_the_examples_in_the_docstrings_hold() -> None:
    failed, tried = doctest.testmod(cells)
    assert tried > 5
    assert not failed


def test_everything_public_is_documented() -> None:
    for module in (cells, readers):
        for name in module.__all__:
            thing = getattr(module, name)
            assert not callable(thing) or thing.__doc__, name
