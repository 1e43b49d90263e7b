"""Edits of captions by rule."""

import pytest

from unisono.captions import wording


@pytest.mark.parametrize(
    ("edit", "before", "after"),
    [
        (wording.negated, "A song with a flute and drums", "A song without a flute and drums"),
        (wording.negated, "Jazz without vocals", "Jazz with vocals"),
        (wording.negated, "A flute plays slowly", "no flute plays slowly"),
        (wording.negated, "Nothing to deny", None),
        (wording.other_tempo, "Slow, then fast; a slow-paced end", "Fast, then slow; a fast-paced end"),
        (wording.other_tempo, "The bpm is 118.0. At 90 bpm", "The bpm is 59. At 180 bpm"),
        (wording.other_tempo, "At a moderate pace", None),
        (wording.other_key, "In the key of C minor", "In the key of F# major"),
        (wording.other_key, "A major problem in A minor", "A minor problem in D# major"),
        (wording.other_mood, "Happy and dark music", "Sad and bright music"),
        (wording.other_voice, "A male singer and a woman", "A female singer and a man"),
        (wording.other_voice, "A malevolent piece", None),
        (wording.first_half, "one two three four five", "one two"),
        (wording.short, "One two. Three four five.", "One two."),
        (wording.as_tags, "An energetic rock song with piano", "Rock, energetic, piano"),
    ],
)
def test_the_rules_do_what_they_say(edit, before, after):
    assert edit(before) == after


def test_another_instrument_is_one_that_the_caption_does_not_name():
    for name in wording.INSTRUMENTS:
        edited = wording.other_instrument(f"A calm {name} with piano and flute")
        assert edited and name not in edited.split(" with ")[0].replace("A calm ", "")
        assert not {"piano", "flute"} & {edited.split(" with ")[0].removeprefix("A calm ")}
    assert wording.other_instrument("A calm song") is None
    assert wording.other_instrument("An oboe", names=["oboe", "piano"]) == "A piano"
    assert wording.other_instrument("A piano", names=["oboe", "piano"]) == "An oboe"
    assert wording.other_instrument("A piano", names=["oboe", "piano"], barred=["oboe"]) is None
    assert wording.shuffled("one two three four") == wording.shuffled("one two three four") != "one two three four"
    assert wording.in_language("Calm piano, flute", wording.LANGUAGES["German"]) == "ruhig, Flöte, Klavier"
