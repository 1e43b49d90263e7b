"""False captions are false of their recording, and views are true of it."""

from collections.abc import Collection

import pytest

from unisono.captions.falsehoods import FALSEHOODS, Falsehood, false_captions, what_is_said
from unisono.captions.views import views
from unisono.tracks.vocabulary import terms_in


def falsified(
    text: str, said: list[str], kinds: Collection[Falsehood] = FALSEHOODS, seed: int = 0
) -> dict[Falsehood, str]:
    return false_captions(text, what_is_said([text, *said]), kinds, seed)


CAPTION = "A happy song with electric guitar and a male singer. Slow at first. In the key of A minor."


def test_each_kind_changes_one_thing():
    found = falsified(CAPTION, ["calm"], FALSEHOODS, seed=1)
    assert found.keys() == set(FALSEHOODS)
    assert found["mood"] == CAPTION.replace("happy", "sad")
    assert found["tempo"] == CAPTION.replace("Slow", "Fast")
    assert found["voice"] == CAPTION.replace("male", "female")
    assert found["key"] == CAPTION.replace("A minor", "D# major")
    assert found["negation"] == CAPTION.replace("with", "without")
    assert terms_in(found["instrument"]) - terms_in(CAPTION) and "electric guitar" not in found["instrument"]
    others = {falsified(CAPTION, [], ["instrument"], seed)["instrument"] for seed in range(20)}
    assert len(others) > 5 and found["instrument"] in others
    assert falsified(CAPTION, [], ["mood"], seed=9) == {"mood": found["mood"]}


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("mood", "A happy song", ["melancholic"]),  # it is said to be both
        ("mood", "Calm, then aggressive", []),
        ("tempo", "A slow song", ["It ends in an uptempo dance"]),
        ("tempo", "At 90 bpm", []),  # twice the tempo is often as true
        ("voice", "A man sings", ["a soprano joins in"]),
        ("key", "In A minor", ["then in D# major"]),
        ("negation", "Jazz without vocals", ["male vocals"]),
        ("negation", "Nothing to deny", []),
        ("instrument", "A song with no flute", []),  # another instrument that is not there
        ("instrument", "Jazz without flute", []),
        ("mood", "not a happy song", []),
        ("negation", "A song with no vocals", []),
    ],
)
def test_nothing_that_may_be_true(kind: Falsehood, text: str, said: list[str]):
    assert falsified(text, said, FALSEHOODS, seed=0).get(kind) is None


def test_an_instrument_that_is_named_or_implied_replaces_none():
    said = ["keyboard", "strings", "Orchestral", "electric guitar", "some banjo"]
    for seed in range(200):
        false = falsified("A song with clarinet", said, ["instrument"], seed)["instrument"]
        assert not terms_in(false) & {
            "piano", "organ", "synthesizer", "violin", "cello", "flute", "trumpet", "guitar", "electric guitar", "banjo",
            "drums", "clarinet",
        }  # fmt: skip


def test_a_false_caption_is_never_a_caption_of_the_recording():
    assert falsified("A man sings", ["A WOMAN sings "], FALSEHOODS, seed=0) == {}


def test_views():
    text = "A happy rock song with piano. Slow at first. A man sings."
    found = views(text, seed=1)
    assert found["whole"] == [text] and found["tags"] == ["Rock, happy, piano, slow"]
    assert found["short"] == ["A happy rock song with piano."]
    parts = {"A happy rock song with piano.", "Slow at first.", "A man sings."}
    drawn = {each for seed in range(30) for each in views(text, seed).get("sentences", [])}
    assert {each for each in drawn if each in parts} <= parts and "A man sings. Slow at first." in drawn
    assert found == views(text, seed=1) and any(views(text, seed) != found for seed in range(5))
    assert views("rock", seed=0) == {"whole": ["rock"]}
