"""What captions say is true of the notes that are played."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.arrange import HIGH, LOW, Clip, Plan, arrange, key_of, plan, register_of, tempo_of
from demo.captions import human_captions, model_caption, tags
from demo.instruments import ENSEMBLES, INSTRUMENTS, LEADS
from tests.demo import scores
from unisono.base.seeded import rng

SECONDS = 9.0
WORDS = {name: (name, *instrument.others) for name, instrument in INSTRUMENTS.items()}


@st.composite
def clips(draw: st.DrawFn) -> Clip:
    in_parts = draw(st.booleans())
    work = scores.chorale() if in_parts else scores.tune(draw(st.sampled_from(["major", "minor"])))
    lead = draw(st.sampled_from(sorted(ENSEMBLES) if in_parts else LEADS))
    random_ = rng(draw(st.integers(0, 10_000)), lead)
    return arrange(work, plan(work, lead, random_), SECONDS, random_)


def described(clip: Clip, seed: int) -> list[str]:
    random_ = rng(seed, "captions")
    return [*human_captions(clip.facts, 6, random_), model_caption(clip.facts, random_)]


def says(text: str, *words: str) -> bool:
    return any(re.search(rf"\b{re.escape(word)}s?\b", text, re.IGNORECASE) for word in words)


def instruments_named(text: str) -> set[str]:
    """Find the instruments that a text names, the longest names first: a `distorted guitar` is not a `guitar`."""
    found = set()
    pairs = [(word, name) for name, words in WORDS.items() for word in words]
    for word, name in sorted(pairs, key=lambda pair: -len(pair[0])):
        text, count = re.subn(rf"\b{re.escape(word)}s?\b", "_", text, flags=re.IGNORECASE)
        if count:
            found.add(name)
    return found


@given(clips(), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_captions_are_true_of_the_notes(clip: Clip, seed: int) -> None:
    tracks = {sound.track for sound in clip.sounds}
    pitched = tracks - {"drums"}
    texts = described(clip, seed)
    assert len(texts) == len(set(texts)) > 4
    lead_track = next(iter(clip.facts.players))
    speed = clip.facts.notes_per_second
    for text in texts:
        assert instruments_named(text) <= pitched
        if says(text, "drum", "drum kit", "drum beat"):
            assert "drums" in tracks
        if says(text, "solo", "alone", "unaccompanied", "no accompaniment", "no other instruments"):
            assert tracks == {lead_track}
        if says(text, "fast", "quick", "rapid", "lively", "energetic", "cheerful"):
            assert speed > 5
        if says(text, "slow", "slow-paced", "unhurried", "solemn", "gentle", "calm", "wistful"):
            assert speed < 2.5
        if says(text, "solemn"):
            assert clip.facts.form == "chorale"
        if says(text, "short", "staccato"):
            assert clip.facts.staccato
        if says(text, "minor", "wistful"):
            assert clip.facts.mode == "minor"
        if says(text, "major", "cheerful"):
            assert clip.facts.mode == "major"
        assert "  " not in text
        assert "None" not in text
        assert not re.search(r"\ba [aeio]|\ban [^aeiou]", text, re.IGNORECASE), text


@given(clips())
@settings(max_examples=40, deadline=None)
def test_facts_follow_from_the_notes(clip: Clip) -> None:
    facts = clip.facts
    assert set(facts.players) == {sound.track for sound in clip.sounds} - {"drums"}
    assert facts.drums == any(sound.track == "drums" for sound in clip.sounds)
    assert facts.alone == (len(facts.players) == 1 and not facts.drums and facts.lead in INSTRUMENTS)
    for sound in clip.sounds:
        assert 0 <= sound.start < SECONDS + 0.02
        if sound.track != "drums":
            assert INSTRUMENTS[sound.track].low <= sound.pitch <= INSTRUMENTS[sound.track].high
    if facts.parts == 1:
        melody = [sound for sound in clip.sounds if sound.track == facts.lead]
        assert facts.notes_per_second == pytest.approx(len(melody) / SECONDS)
        ordered = sorted(sound.pitch for sound in melody)
        if facts.register == "high":
            assert ordered[len(ordered) // 2] >= HIGH
        if facts.register == "low":
            assert ordered[(len(ordered) - 1) // 2] <= LOW


@given(clips())
@settings(max_examples=40, deadline=None)
def test_tags_name_who_plays(clip: Clip) -> None:
    found = tags(clip.facts)
    renamed = {"string orchestra": "strings"}
    assert {renamed.get(name, name) for name in clip.facts.players} <= set(found)
    assert ("drums" in found) == clip.facts.drums
    assert len(found) == len(set(found))


@pytest.mark.parametrize(("speed", "word"), [(1.0, "slow"), (2.5, None), (3.5, "medium"), (5.0, None), (7.0, "fast")])
def test_tempo_words_leave_gaps(speed: float, word: str | None) -> None:
    assert tempo_of(speed) == word


def test_register_words_leave_the_middle_out() -> None:
    assert (register_of([80, 82]), register_of([60, 66]), register_of([50, 40]), register_of([])) == (
        "high",
        None,
        "low",
        None,
    )


def test_the_mode_is_only_stated_where_it_is_heard() -> None:
    assert key_of([2, 0, 1, 0, 1.5, 1, 0, 2, 0, 1, 0, 1]) == (0, "major")
    assert key_of([1, 0, 1, 0, 1.5, 1, 0, 0.5, 0.5, 2.5, 0, 1]) == (9, "minor")
    work = scores.tune("major")
    claimed_wrongly = type(work)(**{**vars(work), "mode": "minor"})
    chosen = Plan(lead="flute", accompanist=None, drums=True, tempo="medium", staccato=False, transposition=2)
    assert arrange(work, chosen, SECONDS, rng(2)).facts.mode == "major"
    assert arrange(claimed_wrongly, chosen, SECONDS, rng(2)).facts.mode is None
