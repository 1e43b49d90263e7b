import pytest
from hypothesis import given
from hypothesis import strategies as st

from unisono.captions.lint import Given, fault
from unisono.captions.ways.llm import RULES, TASKS, judge
from unisono.tracks.vocabulary import Facts, sort_tags

FACTS = sort_tags("Electronic", ["upbeat", "synthesizer", "80s", "electric guitar", "violin", "House"])
GIVEN = Given(FACTS, description="A tune at 120 BPM with a gentle flute", instructions=f"{RULES} {TASKS['writing']}")


@pytest.mark.parametrize(
    "caption",
    [
        "An upbeat Electronic track where synths shine.",
        "Bright guitars over strings and a steady beat from the 1980s.",
        "An 80s tune with house music and violins at 120 BPM",
        "Full of soul and groove, it carries the dance floor around the world.",
        "A soulful, hypnotic dream with rich harmonies, a catchy chorus and a flute",
        "Upbeat, electronic, and driven by synthesizer",
        "Rolling synths, thanks to their steady pulse, never rest",
    ],
)
def test_what_may_stand(caption: str) -> None:
    assert fault(caption, GIVEN) == ""


@pytest.mark.parametrize(
    ("caption", "reason"),
    [
        ("", "empty"),
        (" ... ", "empty"),
        ("Upbeat synths", "too short"),
        ("synths and " * 80, "too long"),
        ("**Bold** upbeat electronic track", "markup"),
        ("# A heading and a track", "markup"),
        ("- upbeat synths\n- violin and more", "markup"),
        ("1. upbeat synths", "markup"),
        ("An upbeat track (electronic)", "markup"),
        ("A <b>bold</b> track", "markup"),
        ("An upbeat track, see https://example.org", "markup"),
        ("An upbeat track &amp; more", "markup"),
        ("An [instrument] track for dancing", "markup"),
        ("An upbeat track\x07 with synths", "markup"),
        ("Sure! An upbeat electronic track", "boilerplate"),
        ("Here is an upbeat electronic track", "boilerplate"),
        ("Here's the description you wanted", "boilerplate"),
        ("Description: an upbeat electronic track", "boilerplate"),
        ("Genre: Electronic\nMoods: upbeat", "boilerplate"),
        ("As an AI, I cannot listen to music", "boilerplate"),
        ("I'm sorry, there is not enough to go on", "boilerplate"),
        ("An upbeat track. Let me know what you think", "boilerplate"),
        ("An upbeat track based on the facts", "boilerplate"),
        ("An upbeat track with the label electronic", "boilerplate"),
        ("An upbeat track of unknown origin", "boilerplate"),
        ("A nan track for dancing", "boilerplate"),
        ("Say only what follows from what you are told", "echo"),
        ("Describe how this track sounds, in one or two ways", "echo"),
        ("An upbeat electronic track at 128 BPM", "number"),
        ("An electronic track with probability 0.93", "number"),
        ("An upbeat track from 1990", "number"),
        ("An upbeat electronic track with piano", "instrument"),
        ("Upbeat saxophones over synths", "instrument"),
        ("Female vocals over upbeat synths", "instrument"),
        ("An acoustic guitar strums along", "instrument"),
        ("An upbeat rock track with synths", "genre"),
        ("A country song with synths", "genre"),
        ("Soul music for dancing all night", "genre"),
        ("Electronic music with drum and bass", "genre"),
        ("A blend of Swing and synths", "genre"),
        ("R&B vibes all over this", "genre"),
    ],
)
def test_what_is_refused(caption: str, reason: str) -> None:
    assert fault(caption, GIVEN).startswith(reason)


def test_what_reads_like_a_narrower_genre_may_be_two_facts() -> None:
    assert fault("A deep funk tune", Given(sort_tags("Funk", ["deep"]))) == ""
    assert fault("A deep funk tune", Given(sort_tags("Funk", []))) == "genre that was not given: 'deep funk'"


def test_an_instrumental_may_say_that_it_has_no_voices() -> None:
    caption = "A calm instrumental piece without vocals"
    assert fault(caption, Given(sort_tags("", ["calm", "instrumental"]))) == ""
    assert fault(caption, Given(sort_tags("", ["calm"]))) == "instrument that was not given: 'vocals'"


@given(st.text(max_size=200))
def test_any_text_is_judged(text: str) -> None:
    caption, reason = judge("writing", text, FACTS, "")
    assert reason or (caption == " ".join(caption.split()) and not set(caption) & set("[]{}<>()*"))
    judge("attributes", text, FACTS, "")


@pytest.mark.parametrize(
    ("answer", "caption"),
    [
        ('"Upbeat synths over a house beat."', "Upbeat synths over a house beat."),
        ("“Upbeat synths over a house beat.”", "Upbeat synths over a house beat."),
        ("<think>They want piano.</think>\n\nUpbeat synths, bright and warm.", "Upbeat synths, bright and warm."),
        ("Upbeat synths,\nbright and warm.\n", "Upbeat synths, bright and warm."),
    ],
)
def test_what_models_wrap_around_a_caption_comes_off(answer: str, caption: str) -> None:
    assert judge("writing", answer, FACTS, "") == (caption, "")


def test_guesses_may_be_named_and_nothing_else() -> None:
    text = "Upbeat synths with a drum machine and {}."
    answer = '```json\n{"guesses": ["drum machine", "festive"], "description": "' + text + '"}\n```'
    assert judge("attributes", answer.replace("{}", "festive bells"), FACTS, "")[1] == (
        "instrument that was not given: 'bells'"
    )
    assert judge("attributes", answer.replace("{}", "a festive air"), FACTS, "")[1] == ""
    many = '{"guesses": ["piano", "harp", "oboe", "tuba"], "description": "Upbeat synths with a tuba"}'
    assert "tuba" in judge("attributes", many, FACTS, "")[1]
    assert judge("attributes", "Upbeat synths and more", FACTS, "")[1] == "no JSON of the form asked for"


def test_a_paraphrase_says_it_in_other_words() -> None:
    facts = Facts(genre="Rock", moods=("dark",))
    assert judge("paraphrase", "A dark Rock track.", facts, "")[1] == "the same words"
    assert judge("paraphrase", "Rock that feels dark.", facts, "")[1] == ""
