"""The strategies that need no model: clean sentences, true to the facts, the same for the same track."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.captions.test_template import SPELLINGS, words
from tests.making import make_track, origins
from unisono.base.errors import UsageError
from unisono.captions import keywords, lint, metadata, template, varied
from unisono.captions.describe import describe, plain
from unisono.captions.options import STRATEGIES, CaptionOptions
from unisono.curation.duplicates import merge_duplicates
from unisono.embeddings.file import EmbeddingsWriter
from unisono.tracks.files import read_tracks, write_tracks
from unisono.tracks.track import Caption, Track, replace
from unisono.tracks.vocabulary import Facts, sort_tags

PLAIN = [strategy for strategy in STRATEGIES if strategy != "llm"]
names = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["nan", "Unknown", "Unknown Artist", "(Live)", "Song [feat. X] (2009)", "((a) b", "[]", "Track 01", "x" * 200]
    ),
)


def track(id: str = "fma_1", **fields) -> Track:
    given = {"audio_path": "/a.mp3", "caption": "A made caption", "duration": 1.0, "caption_origin": "tags", **fields}
    return make_track(id=id, **given)


@given(st.sampled_from(PLAIN), words, st.lists(words, max_size=12), names, names, st.integers(), st.text(max_size=9))
def test_a_caption_is_empty_or_clean(strategy, genre, tags, artist, title, seed, year) -> None:
    text = plain(strategy, track(genre=genre, tags=tags, artist=artist, title=title, extra={"year": year}), seed)
    assert text == text.strip()
    assert not re.search(r"[\[\]{}()<>\n\t]|  | ,|, ,|,,|: *$|\"\"", text)
    assert not re.search(r"\b(nan|unknown)\b", text, re.IGNORECASE)
    assert not re.search(r"\b(featuring|with|by|from|and|an?|on)$|,$", text) or strategy == "metadata"
    assert text.isprintable()


@given(st.sampled_from(["", *SPELLINGS]), st.lists(st.sampled_from(SPELLINGS), max_size=10), st.text(max_size=8))
def test_sentences_say_only_what_is_known(genre: str, tags: list[str], id: str) -> None:
    facts = sort_tags(genre, tags)
    known = lint.Given(facts)
    for text in (template.sentence(facts), varied.sentence(facts, 42, id)):
        assert bool(text) == (facts != Facts())
        if text and len(text.split()) >= lint.FEWEST_WORDS:
            assert lint.fault(text, known) == ""


def test_varied_captions_are_many_and_fixed_by_seed_and_id() -> None:
    facts = sort_tags("Rock", ["guitar", "drums", "energetic", "dark", "80s", "film", "Lo-Fi"])
    texts = [varied.sentence(facts, 42, f"fma_{n}") for n in range(500)]
    assert texts == [varied.sentence(facts, 42, f"fma_{n}") for n in range(500)]
    assert len(set(texts)) > 300
    assert len({text.split()[0] for text in texts}) >= 5
    assert texts != [varied.sentence(facts, 43, f"fma_{n}") for n in range(500)]
    assert not any(re.search(r"\ba [aeio]|\ban [bcdfgjkpqrtvwxz]", text) for text in texts)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"title": "Alpha", "artist": "Beta"}, '"Alpha" by Beta: a dark Rock track'),
        ({"title": "Alpha (Live) [2009]", "extra": {"year": 1999.0}}, '"Alpha", from 1999: a dark Rock track'),
        ({"artist": "Beta", "extra": {"date": "2001-05-03"}}, "A dark Rock track by Beta, from 2001"),
        ({"artist": "Unknown Artist", "title": "nan"}, ""),
        ({"artist": "Beta", "genre": "", "tags": []}, "Music by Beta"),
        ({"title": "Alpha", "genre": "", "tags": [], "extra": {"year": 12}}, '"Alpha"'),
    ],
)
def test_metadata(fields: dict, expected: str) -> None:
    given = track(**{"genre": "Rock", "tags": ["dark"], **fields})
    assert metadata.sentence(given, sort_tags(given.genre, given.tags)) == expected


def test_keywords() -> None:
    assert keywords.sentence(sort_tags("Electronic", ["synthe", "upbeat", "house"])) == (
        "Electronic, House, upbeat, synthesizer"
    )


def test_strategies_stack_in_their_order() -> None:
    made = track(genre="Rock", tags=["guitar"], artist="Beta")
    options = CaptionOptions(captions=("keywords", "template", "keywords", "metadata"))
    [becomes] = describe([made], {"fma_1"}, options, 42).tracks
    assert becomes.texts == [
        "Rock, guitar",
        "A Rock track featuring guitar",
        "A Rock track featuring guitar by Beta",
    ]
    assert (becomes.captions[0].origin, origins(becomes), becomes.extra) == ("tags", ["tags"] * 3, {})


def test_a_strategy_with_nothing_to_say_leaves_the_caption_as_it_was() -> None:
    made = track(genre="Rock")
    assert describe([made], {"fma_1"}, CaptionOptions(captions=("metadata",)), 42).tracks == [made]


def test_upstream_captions_stay_in_front_and_get_more_only_if_asked(tmp_path) -> None:
    theirs = track(caption="A song", alt_captions=["A tune"], caption_origin="human", genre="Rock", extra={"mood": "x"})
    options = CaptionOptions(captions=("template", "keywords"))
    assert describe([theirs], set(), options, 42).tracks == [theirs]
    options = CaptionOptions(captions=("template", "keywords"), caption_all=True)
    [more] = describe([theirs], set(), options, 42).tracks
    assert more.texts == ["A song", "A tune", "A Rock track", "Rock"]
    assert more.captions[0].origin == "human"
    assert origins(more) == ["human", "human", "tags", "tags"]
    assert more.extra == {"mood": "x"}
    for kind in ("json", "jsonl", "parquet"):
        write_tracks(tmp_path / f"x.{kind}", [more])
        assert read_tracks(tmp_path / f"x.{kind}")[0].captions == more.captions


def test_merging_keeps_the_origin_of_each_caption() -> None:
    mixed = replace(track("a_1", recording="r"), captions=(Caption("A", "human"), Caption("C", "tags")))
    [merged], _ = merge_duplicates([track("b_1", caption="B", caption_origin="model", recording="r"), mixed])
    assert list(zip(merged.texts, origins(merged), strict=True)) == [("A", "human"), ("B", "model"), ("C", "tags")]


def test_embeddings_hold_the_origin_of_each_caption(tmp_path) -> None:
    h5py = pytest.importorskip("h5py")
    mixed = replace(track(), captions=(Caption("A", "human"), Caption("B", "model"), Caption("C", "tags")))
    with h5py.File(tmp_path / "x.h5", "w") as file:
        EmbeddingsWriter(file).add_split("train", [mixed])
        assert [origin.decode() for origin in file["train/caption_origin"]] == ["human", "model", "tags"]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"captions": ()}, "--captions"),
        ({"captions": ("llm",)}, "--llm-model"),
        ({"captions": ("llm",), "llm_model": "m", "llm_url": "localhost:8000"}, "--llm-url"),
        ({"llm_workers": 0}, "--llm-workers"),
        ({"llm_requests_per_minute": 0}, "--llm-requests-per-minute"),
    ],
)
def test_contradictions(options: dict, found: str) -> None:
    with pytest.raises(UsageError) as error:
        CaptionOptions(**options).check_captions()
    assert found in error.value.message + error.value.hint
