"""The ways to caption: clean sentences, true to the facts, the same for the same track."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.captions.chat_server import chat_server, says
from tests.captions.test_template import SPELLINGS, words
from tests.curation.listed import merge_duplicates
from tests.making import make_track, origins
from unisono.base.errors import UsageError
from unisono.captions import lint, ways
from unisono.captions.assign import CaptionPlan, assign
from unisono.captions.language_model import LanguageModel
from unisono.captions.ways import keywords, metadata, template, varied
from unisono.embeddings.file import create_embeddings
from unisono.tracks.files import read_tracks, write_tracks
from unisono.tracks.track import CAPTION_ORIGINS, Caption, Track, replace
from unisono.tracks.vocabulary import Facts, sort_tags

PLAIN = [name for name in ways.names() if ways.get(name).ORIGIN != "model"]
names = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["nan", "Unknown", "Unknown Artist", "(Live)", "Song [feat. X] (2009)", "((a) b", "[]", "Track 01", "x" * 200]
    ),
)


def track(id: str = "fma_1", **fields) -> Track:
    given = {"audio_path": "/a.mp3", "caption": "A made caption", "duration": 1.0, "caption_origin": "tags", **fields}
    return make_track(id=id, **given)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanguageModel]:
    """A server that answers every question in the same words, for the ways that ask one."""
    cache = tmp_path_factory.mktemp("answers") / "answers.sqlite"
    with chat_server(lambda messages, number: says("A dark guitar drives this rock piece.")) as chat:
        yield LanguageModel(url=chat.url, model="tiny", cache=cache)


@pytest.mark.parametrize("name", ways.names())
def test_every_way_keeps_the_contract(name: str, model: LanguageModel) -> None:
    way = ways.get(name)
    request = ways.Request(seed=7, model=model)
    told = [
        track("a_1", genre="Rock", tags=["guitar", "dark", "rock"], artist="Xylo Zanti", title="Quorvex"),
        track("a_2", genre="Jazz", tags=["piano"]),
        track("a_3", genre="nan", tags=["[]", "Unknown"]),
    ]
    written = way.write(told, request)
    assert way.ORIGIN in CAPTION_ORIGINS and way.ORIGIN != "human"
    assert written.captions["a_1"], "it knows words for a genre, a mood and an instrument"
    assert not written.captions.get("a_3"), "nothing is known about this one"
    for text in (text for texts in written.captions.values() for text in texts):
        assert text == " ".join(text.split()) and text.isprintable()
        assert not re.search(r"[\[\]{}()<>]|\b(nan|unknown)\b", text, re.IGNORECASE)
        assert name == "metadata" or not re.search("Xylo|Zanti|Quorvex", text)
    assert way.write(told, request).captions == written.captions
    assert way.write(told[::-1], request).captions == written.captions, "the order of tracks changes nothing"
    assert way.write(told[:1], request).captions["a_1"] == written.captions["a_1"], "nor do other tracks"


def test_an_unknown_way_is_named_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'template'"):
        ways.get("templat")


def plain(name: str, given: Track, seed: int) -> str:
    return "".join(ways.get(name).write([given], ways.Request(seed=seed)).captions.get(given.id, []))


@given(st.sampled_from(PLAIN), words, st.lists(words, max_size=12), names, names, st.integers(), st.text(max_size=9))
@example("metadata", "1950s", [], "", "0),0", 0, "")
@example("metadata", "1950s", [], "a ( ,", "b (x), , c", 0, "")
def test_a_caption_is_empty_or_clean(way, genre, tags, artist, title, seed, year) -> None:
    text = plain(way, track(genre=genre, tags=tags, artist=artist, title=title, extra={"year": year}), seed)
    assert text == text.strip()
    assert not re.search(r"[\[\]{}()<>\n\t]|  | ,|, ,|,,|: *$|\"\"", text)
    assert not re.search(r"\b(nan|unknown)\b", text, re.IGNORECASE)
    assert not re.search(r"\b(featuring|with|by|from|and|an?|on)$|,$", text) or way == "metadata"
    assert text.isprintable()


@given(st.sampled_from(["", *SPELLINGS]), st.lists(st.sampled_from(SPELLINGS), max_size=10), st.text(max_size=8))
def test_sentences_say_only_what_is_known(genre: str, tags: list[str], id: str) -> None:
    facts = sort_tags(genre, tags)
    known = lint.Given(facts)
    for text in (template.of_facts(facts), varied.sentence(track(id or "x"), facts, 42)):
        assert bool(text) == (facts != Facts())
        if text and len(text.split()) >= lint.FEWEST_WORDS:
            assert lint.fault(text, known) == ""


def test_varied_captions_are_many_and_fixed_by_seed_and_id() -> None:
    facts = sort_tags("Rock", ["guitar", "drums", "energetic", "dark", "80s", "film", "Lo-Fi"])
    texts = [varied.sentence(track(f"fma_{n}"), facts, 42) for n in range(500)]
    assert texts == [varied.sentence(track(f"fma_{n}"), facts, 42) for n in range(500)]
    assert len(set(texts)) > 300
    assert len({text.split()[0] for text in texts}) >= 5
    assert texts != [varied.sentence(track(f"fma_{n}"), facts, 43) for n in range(500)]
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
    facts = sort_tags("Electronic", ["synthe", "upbeat", "house"])
    assert keywords.sentence(track(), facts, 42) == "Electronic, House, upbeat, synthesizer"


def test_ways_stack_in_their_order() -> None:
    made = track(genre="Rock", tags=["guitar"], artist="Beta")
    plan = CaptionPlan(ways=("keywords", "template", "keywords", "metadata"))
    [becomes] = assign([made], {"fma_1"}, plan).tracks
    assert becomes.texts == [
        "Rock, guitar",
        "A Rock track featuring guitar",
        "A Rock track featuring guitar by Beta",
    ]
    assert (becomes.captions[0].origin, origins(becomes), becomes.extra) == ("tags", ["tags"] * 3, {})


def test_a_way_with_nothing_to_say_leaves_the_caption_as_it_was() -> None:
    made = track(genre="Rock")
    assert assign([made], {"fma_1"}, CaptionPlan(ways=("metadata",))).tracks == [made]


def test_upstream_captions_stay_in_front_and_get_more_only_if_asked(tmp_path: Path) -> None:
    theirs = track(caption="A song", alt_captions=["A tune"], caption_origin="human", genre="Rock", extra={"mood": "x"})
    assert assign([theirs], set(), CaptionPlan(ways=("template", "keywords"))).tracks == [theirs]
    plan = CaptionPlan(ways=("template", "keywords"), of_all=True)
    [more] = assign([theirs], set(), plan).tracks
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
    with create_embeddings(tmp_path / "x.h5", {}, 0) as writer:
        writer.add_split("train", [mixed])
        writer.add_split("val", [])
        writer.add_split("test", [])
    with h5py.File(tmp_path / "x.h5") as file:
        assert [origin.decode() for origin in file["train/caption_origin"]] == ["human", "model", "tags"]


def test_contradictions() -> None:
    with pytest.raises(UsageError, match="captions needs at least one of: keywords, llm"):
        CaptionPlan(ways=())
    with pytest.raises(UsageError, match="captions must be a sequence, found 'template'"):
        CaptionPlan(ways="template")
    with pytest.raises(UsageError, match="captions llm needs a model"):
        CaptionPlan(ways=("llm",))
    with pytest.raises(UsageError, match="llm_url must begin with http"):
        CaptionPlan(ways=("llm",), model=LanguageModel(model="m", url="localhost:8000"))
    with pytest.raises(UsageError, match="llm_workers must be at least 1"):
        LanguageModel(workers=0)
    with pytest.raises(UsageError, match="llm_requests_per_minute must be above 0"):
        LanguageModel(requests_per_minute=0)
