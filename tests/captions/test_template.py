import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unisono.captions.english import article, enumerate_words
from unisono.captions.ways.template import caption
from unisono.tracks import vocabulary
from unisono.tracks.vocabulary import look_up, main_genre, sort_tags, spell


@pytest.mark.parametrize(
    ("genre", "tags", "expected"),
    [
        ("Electronic", ["synthesizer", "upbeat"], "An upbeat Electronic track featuring synthesizer"),
        ("Rock", ["guitar", "drums", "energetic"], "An energetic Rock track featuring guitar and drums"),
        ("Hip-Hop", [], "A Hip-Hop track"),
        ("", ["singersongwriter", "electricguitar"], "A Singer-Songwriter track featuring electric guitar"),
        ("", ["rnb"], "An R&B track"),
        ("", ["easylistening", "jazz", "lounge"], "An Easy Listening, Jazz and Lounge track"),
        ("Rock", ["Lo-Fi", "piano"], "A Rock track with Lo-Fi elements, featuring piano"),
        ("", ["80s", "ukulele"], "An 80s track featuring ukulele"),
        ("Pop", ["christmas"], "A Pop track with a Christmas theme"),
        ("Pop", ["film", "love", "piano"], "A Pop track featuring piano, with film and love themes"),
        ("Pop", ["action"], "A Pop track with an action theme"),
        ("Blackgaze", ["dark"], "A dark Blackgaze track"),
        ("Rock", ["rock", "ROCK", "Rock "], "A Rock track"),
        ("Unknown", ["nan", "Kurt Vile"], ""),
        ("nan", [], ""),
        ("", [], ""),
        ("[]", ["[]"], ""),
        ("Romany (Gypsy)", [], "A Romani track"),
    ],
)
def test_captions(genre: str, tags: list[str], expected: str) -> None:
    assert caption(genre, tags) == expected


SPELLINGS = sorted({term.text for term in vocabulary._terms().values()} | set(vocabulary._terms()))
words = st.one_of(
    st.sampled_from(SPELLINGS),
    st.sampled_from(["nan", "NaN", "Unknown", "[]", "['a']", "None", "", " ", "(x)", "rock (live)", "unknown genre"]),
    st.text(max_size=20),
)


@given(words, st.lists(words, max_size=12))
def test_a_caption_is_empty_or_a_clean_sentence(genre: str, tags: list[str]) -> None:
    text = caption(genre, tags)
    if not text:
        return
    assert text[0] == "A" and re.match(r"An? \S", text)
    assert not re.search(r"[\[\]{}()<>\n\t]", text)
    assert not re.search(r"\b(nan|unknown)\b", text, re.IGNORECASE)
    assert "  " not in text and " ," not in text and ", ," not in text
    assert not re.search(r"\b(featuring|with|and|an?)$|,$", text)
    assert " track" in text
    assert text == text.strip()


@given(st.lists(st.sampled_from(SPELLINGS), min_size=1, max_size=8))
def test_known_tags_always_give_a_caption_without_repetitions(tags: list[str]) -> None:
    facts = sort_tags("", tags)
    named = [*facts.genres, *facts.moods, *facts.instruments, *facts.characters, *facts.themes]
    assert caption("", tags)
    assert len(named) == len(set(named)) == len({look_up(tag) for tag in tags})


@given(st.lists(st.sampled_from(SPELLINGS), max_size=8), st.sampled_from(["upper", "title", "swapcase"]))
def test_spelling_does_not_matter(tags: list[str], change: str) -> None:
    assert caption("", [getattr(tag, change)() for tag in tags]) == caption("", tags)


def test_every_spelling_of_the_vocabulary_is_itself() -> None:
    for text in {term.text for term in vocabulary._terms().values()}:
        assert spell(text) == text


@pytest.mark.parametrize(
    ("tag", "natural"),
    [
        ("easylistening", "Easy Listening"),
        ("electricguitar", "electric guitar"),
        ("singersongwriter", "Singer-Songwriter"),
        ("drumnbass", "Drum and Bass"),
        ("Drum & Bass", "Drum and Bass"),
        ("rnb", "R&B"),
        ("synthé", "synthesizer"),
        ("Musique Concrete", "Musique Concrète"),
        ("youngbirdy", "youngbirdy"),
    ],
)
def test_spelling(tag: str, natural: str) -> None:
    assert spell(tag) == natural


@pytest.mark.parametrize(
    ("genre", "expected"),
    [
        ("electronic", "Electronic"),
        ("Old-Time / Historic", "Old-Time"),
        ("guitar", "guitar"),
        ("Foo (Bar)", ""),
        ("Unclassifiable", ""),
        ("unknown genre", ""),
        ("x" * 41, ""),
        ("12", ""),
        ("Post\nBlack", "Post Black"),
        (",A", "A"),
        ("A:", "A"),
        ("Alpha ,, Beta,", "Alpha, Beta"),
        ("Alpha,Beta", "Alpha,Beta"),
    ],
)
def test_main_genre(genre: str, expected: str) -> None:
    assert main_genre(genre) == expected


AN = """uplifting upbeat unusual hour honest R&B IDM 80s 8-bit 11th eerie urban MPB unintended umbrella understated
unimaginable Electronic Ethno FM 18th"""
A = """ukulele union uniform European one-man UK 50s unique universal useful hip-hop euphoric 1980s usual Eurodance UFO
110s united tender"""


@pytest.mark.parametrize(
    ("word", "expected"), [*((word, "an") for word in AN.split()), *((word, "a") for word in A.split())]
)
def test_articles(word: str, expected: str) -> None:
    assert article(word) == expected


def test_enumeration() -> None:
    assert [enumerate_words(list("abc")[:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]


def test_all_tags_of_mtg_jamendo_are_known(shared_data) -> None:
    tags = set()
    for path in (shared_data / "mtg_jamendo" / "tags").glob("*.txt"):
        tags |= {line.partition("---")[2].strip() for line in path.read_text(encoding="utf-8").splitlines()} - {""}
    assert len(tags) > 80
    assert sorted(tag for tag in tags if not look_up(tag)) == []
