"""The model `tags`: its axes, its reading of descriptions, and what it finds among music of one tag each."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.retrieval.models.tagged import TAGS, write_tagged
from unisono.base.errors import DataError, UsageError
from unisono.embeddings.encoders import audio
from unisono.embeddings.encoders.audio import _taggers, musicnn
from unisono.embeddings.file import open_embeddings
from unisono.embeddings.prepare.settings import encoder_record
from unisono.retrieval import models
from unisono.retrieval.collection import Windows
from unisono.retrieval.evaluate.run import evaluate
from unisono.retrieval.metrics import similarities
from unisono.retrieval.models import load_model
from unisono.retrieval.models._tag_query import phrases
from unisono.retrieval.models._tag_table import axes, axis_values, words
from unisono.retrieval.models.tags import TagModel
from unisono.retrieval.split_rows import keep_rows, read_rows
from unisono.retrieval.windows import read_windows, scored_by

if not models.get("tags").is_here():
    pytest.skip("the weights of tags are not here", allow_module_level=True)


@pytest.fixture(scope="module")
def model() -> TagModel:
    found = load_model("tags")
    assert isinstance(found, TagModel)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tagged(tmp_path_factory.mktemp("tagged"))


def asked(description: str) -> dict[str, float]:
    """Return what a description names: axis -> sign."""
    found: dict[str, float] = {}
    for phrase in phrases(description):
        for place, sign in phrase.named:
            found[axes()[place].name] = found.get(axes()[place].name, 0) + sign * phrase.sign
    return found


def test_every_tag_is_on_one_axis() -> None:
    columns = [column for axis in axes() for column in (*axis.plus, *axis.minus)]
    assert sorted(columns) == list(range(100))
    assert len({axis.name for axis in axes()}) == len(axes())


def test_every_name_and_tag_asks_for_its_own_axis() -> None:
    for axis in axes():
        assert asked(axis.name) == {axis.name: 1}
        if axis.opposite:
            assert asked(axis.opposite) == {axis.name: -1}
        for column in axis.plus:
            assert asked(TAGS[column]) == {axis.name: 1}, TAGS[column]
        for column in axis.minus:
            assert asked(TAGS[column]) == {axis.name: -1}, TAGS[column]


def test_every_word_asks_for_its_axis_and_for_no_opposite() -> None:
    for word, asked_for in words().items():
        assert len({place for place, _ in asked_for}) == len(asked_for), word
    assert words()["fiddle"] == words()["violin"]
    assert asked("acoustic guitar") == {"guitar": 1, "acoustic": 1}
    assert asked("unhurried") == {"fast": -1}


@pytest.mark.parametrize(
    ("description", "wanted"),
    [
        ("slow solemn choir", {"fast": -1, "choir": 1}),
        ("a slow choir without drums", {"fast": -1, "choir": 1, "drums": -1}),
        ("Harp, not loud; no vocals.", {"harp": 1, "loud": -1, "vocals": -1}),
        ("no drums or guitar, but a flute", {"drums": -1, "guitar": -1, "flute": 1}),
        ("without vocals with piano", {"vocals": -1, "piano": 1}),
        ("free of drums", {"drums": -1}),
        ("it isn’t fast", {"fast": -1}),
        ("solo fiddle", {"solo": 1, "violin": 1}),
        ("There is no accompaniment.", {"solo": 1}),
        ("a man's voice", {"vocals": 1}),
        ("female singer", {"female voice": 1}),
        ("HIP-HOP", {"hip-hop": 1}),
        ("drum n bass", {"electronic": 1}),
        ("", {}),
    ],
)
def test_phrases_and_negations(description: str, wanted: dict[str, float]) -> None:
    assert asked(description) == wanted


def test_each_tag_finds_music_that_has_it(model: TagModel, folder: Path) -> None:
    """Tags of one axis are one: any of them may come first."""
    for axis in axes():
        first = model.search(axis.name, data=folder, top=len(axis.plus))
        assert {hit.track.title for hit in first} == {TAGS[column] for column in axis.plus}, axis.name
        assert next(iter(first[0].why)) == axis.name


def test_what_is_denied_comes_last(model: TagModel, folder: Path) -> None:
    order = [hit.track.title for hit in model.search("piano without drums", data=folder, top=100)]
    assert order[0] == "piano"
    assert order[-1] == "drums"
    quiet = [hit.track.title for hit in model.search("not loud", data=folder, top=100)]
    assert {"quiet", "soft"} == set(quiet[:2]) and quiet[-1] == "loud"


def test_the_parts_add_up_to_no_more_than_the_score(model: TagModel, folder: Path) -> None:
    hit = model.search("a slow choir with a harp", data=folder)[0]
    assert list(hit.why.values()) == sorted(hit.why.values(), reverse=True)
    assert {"choir", "harp", "slow"} & set(hit.why) and set(hit.why) <= {
        "choir",
        "harp",
        "slow",
        "classical",
        "new age",
        "mellow",
        "quiet",
    }
    vectors = model.collection(folder)
    query = model.embed_text("a slow choir with a harp")[0]
    place = vectors.tracks.index(hit.track)
    with open_embeddings(folder) as file:
        music = model.project_rows(file, file.read("test"))
    assert hit.score == pytest.approx(float(query @ music[place]), abs=1e-5)


def test_music_is_ordered_as_by_the_dot_product(model: TagModel, folder: Path) -> None:
    with open_embeddings(folder) as file:
        rows = file.read("test")
        music = model.project_rows(file, rows)
        values = axis_values(rows.embeddings["tags"].astype(np.float32))
    np.testing.assert_allclose(np.linalg.norm(music, axis=1), 1, atol=1e-5)
    query = model.embed_text("slow sad piano")[0]
    np.testing.assert_allclose((music @ query) * np.linalg.norm(values, axis=1).max(), values @ query[:-1], atol=1e-4)


def test_windows_are_standardised_by_the_means_of_their_tracks(model: TagModel) -> None:
    tracks = np.random.default_rng(0).normal(-4, 1, size=(7, 100))
    apart = np.stack([tracks - 0.5, tracks + 0.5], axis=1).reshape(14, 100)
    of = np.repeat(np.arange(7), 2)
    whole, found = axis_values(tracks), axis_values(apart, of=of)
    np.testing.assert_allclose(found.reshape(7, 2, -1).mean(axis=1), whole, atol=1e-5)
    vectors = model.project_audio(apart.astype(np.float16), of)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(model.project_audio(tracks), model.project_audio(tracks, np.arange(7)), atol=1e-6)


def test_the_million_song_tags_follow_from_musicnn_embeddings() -> None:
    """What the hidden layer leads to equals the network's own output."""
    windows = torch.randn(3, 48_000, generator=torch.Generator().manual_seed(0)) / 8
    windows[1] = windows[1].cumsum(0) / 100
    network = musicnn.build()
    rows = network.embed(windows)
    hidden = rows[:, _taggers.POOLED_DIM :].numpy()
    variables = _taggers.read_variables(_taggers.MSD, "test")
    found = _taggers.log_odds(variables, hidden)
    np.testing.assert_allclose(found, network.log_odds(rows).numpy(), atol=2e-4)
    of_mean = _taggers.log_odds(variables, hidden.mean(axis=0, keepdims=True))
    np.testing.assert_allclose(of_mean[0], found.mean(axis=0), atol=2e-4)
    both = audio.build("tags").embed(windows).numpy()
    np.testing.assert_allclose(both[:, :50], found, atol=2e-4)
    assert np.abs(both[:, 50:] - found).max() > 0.1


def test_musicnn_embeddings_are_searched_by_the_tags_that_they_have(model: TagModel, tmp_path: Path) -> None:
    write_tagged(tmp_path, encoder="musicnn")
    with open_embeddings(tmp_path) as file:
        assert model.reads(file) == "musicnn"
        music = model.project_rows(file, file.read("test"))
    names = [axis.name for axis in axes()]
    rock, metal, harp = (music[:, names.index(name)] for name in ("rock", "metal", "harp"))
    assert np.corrcoef(rock, metal)[0, 1] < 0.9
    assert harp.any(), "an axis without tags is guessed from its neighbours"
    assert len(model.search("rock", data=tmp_path, top=5)) == 5


def test_embeddings_of_other_weights_are_refused(model: TagModel, tmp_path: Path) -> None:
    record = encoder_record(audio.spec("tags"), "mean", "")
    other = type(record)(**{**vars(record), "revision": "sha256:0"})
    write_tagged(tmp_path, record=other)
    with pytest.raises(DataError, match=r"revision .sha256:0., not"):
        model.search("rock", data=tmp_path)


def test_one_track_alone_and_equal_tracks_stay_finite() -> None:
    assert not axis_values(np.full((1, 100), 3.0)).any()
    assert not axis_values(np.full((4, 100), 3.0)).any()
    assert axis_values(np.empty((0, 100))).shape == (0, len(axes()))


def test_music_must_be_named(model: TagModel) -> None:
    with pytest.raises(UsageError, match="no music of its own"):
        model.search("rock")


def test_it_is_evaluated_like_a_trained_model(model: TagModel, folder: Path) -> None:
    result = evaluate(model, folder)
    assert (result.checkpoint, result.audio_encoder, result.text_encoder) == ("tags", "tags", "minilm")
    assert result.retrieval["text_to_music"]["all"].estimates["recall@10"].value > 0.9
    assert any("is not recorded" in sentence for sentence in result.protocol)


def test_tracks_are_found_by_their_best_window(model: TagModel, tmp_path: Path) -> None:
    path = write_tagged(tmp_path, windows=3)
    hit = model.search("harp", data=path)[0]
    assert (hit.track.title, hit.track.split) == ("harp", "test")
    windows = model.collection(path).windows
    assert windows is not None
    assert windows.start_s[:3].tolist() == [0, 7, 7] and windows.length_s == 3  # the last one ends with the track
    found = {
        windows: evaluate(model, path, windows=windows).retrieval["text_to_music"]["all"].estimates["mrr"].value
        for windows in (None, "best", "mean", "pooled")
    }
    assert found[None] == found["best"] > found["mean"] > 0.5
    assert found["mean"] == pytest.approx(found["pooled"], abs=0.05)


def test_scores_of_windows_are_as_in_a_search(model: TagModel, tmp_path: Path) -> None:
    query = model.embed_text(["a slow harp"])
    collection = model.collection(write_tagged(tmp_path, windows=3))
    assert collection.windows is not None
    vectors = collection.vectors[:]
    by_window = (vectors @ query[0]).reshape(100, 3)
    best, mean = (scored_by(score, vectors, collection.windows) for score in ("best", "mean"))
    np.testing.assert_allclose(similarities(query, best)[0], by_window.max(axis=1), atol=1e-6)
    np.testing.assert_allclose(similarities(best, query)[:, 0], by_window.max(axis=1), atol=1e-6)
    np.testing.assert_allclose(
        similarities(np.pad(query, ((0, 0), (0, 1))), mean)[0], by_window.mean(axis=1), atol=1e-6
    )
    np.testing.assert_allclose(np.linalg.norm(mean, axis=1), 1, atol=1e-6)
    few = read_windows_of_some(tmp_path, [3, 50, 99])
    assert few.of.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def read_windows_of_some(folder: Path, some: list[int]) -> Windows:
    with open_embeddings(folder) as file:
        rows = read_rows(file, None, ["tags"])
        keep = np.zeros(len(rows.ids), dtype=bool)
        keep[some] = True
        return read_windows(file, keep_rows(rows, keep), "tags")[1]


def test_of_all_windows_that_were_kept_five_of_each_track_are_searched(tmp_path: Path, model: TagModel) -> None:
    windows = model.collection(write_tagged(tmp_path, windows=13, all_windows=True)).windows
    assert windows is not None
    assert windows.start_s.reshape(100, 5)[7].tolist() == [3, 7, 7, 7, 7], "number 1, and then the last one of 10 s"
