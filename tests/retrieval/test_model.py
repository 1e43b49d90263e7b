"""The model as a Python user has it: text, audio files and stored music in one space."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.making import make_track
from tests.retrieval.train.synthetic import WordEncoder, write_embeddings
from unisono.base.errors import DataError, UsageError
from unisono.embeddings.encoders.weights import UNTRAINED
from unisono.embeddings.file import open_embeddings
from unisono.embeddings.prepare.run import prepare
from unisono.retrieval import model as model_module
from unisono.retrieval.checkpoint import load, save
from unisono.retrieval.model import Model, load_model
from unisono.retrieval.train.run import train
from unisono.tracks.files import write_tracks


@pytest.fixture
def model(tmp_path: Path, words: WordEncoder) -> Model:
    data = write_embeddings(tmp_path / "data")
    return train(data, audio_encoder="musicnn", checkpoint_dir=tmp_path / "checkpoints", epochs=20, learning_rate=0.003)


def test_one_text_or_several(model: Model):
    both = model.embed_text(["slow piano", "choir"])
    assert both.shape == (2, model.dim) and both.dtype == np.float32
    assert np.allclose(model.embed_text("choir"), both[1:], atol=1e-6)
    assert model.embed_text([]).shape == (0, model.dim)
    with pytest.raises(UsageError, match=r"texts must be a text or a sequence of items"):
        model.embed_text(["slow", 3])  # type: ignore[list-item]


def test_audio_files_go_through_the_encoder_of_the_training(model: Model, monkeypatch: pytest.MonkeyPatch):
    asked = []

    def embed_files(paths, record, device):
        asked.append((paths, record, device))
        return np.arange(16 * len(paths), dtype=np.float32).reshape(-1, 16)

    monkeypatch.setattr(model_module, "embed_files", embed_files)
    found = model.embed_audio(["a.mp3", Path("b.mp3")])
    assert asked == [(["a.mp3", Path("b.mp3")], model.audio_encoder, "cpu")]
    assert np.array_equal(found, model.project_audio(np.arange(32, dtype=np.float32).reshape(2, 16)))


def test_an_audio_file_has_the_vector_of_its_stored_embedding(tmp_path: Path, words: WordEncoder):
    rng = np.random.default_rng(0)
    tracks = []
    for number in range(12):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, rng.normal(size=16000 * 4) * np.linspace(0, number / 30, 64000), 16000)
        caption = f"caption {number}"
        tracks.append(make_track(id=f"t_{number}", audio_path=str(path), caption=caption, duration=4))
    write_tracks(tmp_path / "unified.json", tracks)
    prepare(tmp_path / "unified.json", output_dir=tmp_path / "data", encoders=("dsp",))
    model = train(tmp_path / "data", audio_encoder="dsp", checkpoint_dir=tmp_path / "checkpoints", epochs=2)
    with open_embeddings(tmp_path / "data") as file:
        rows = file.read("train")
        stored = model.project_rows(file, rows)
    place = rows.ids.index("t_7") if "t_7" in rows.ids else 0
    found = model.embed_audio(rows.texts["audio_path"][place])
    assert found.shape == (1, model.dim) and found[0] @ stored[place] > 0.999
    with pytest.raises(DataError, match=r"none\.wav"):
        model.embed_audio(tmp_path / "none.wav")


def test_it_searches_what_it_was_trained_on_unless_told_otherwise(model: Model, tmp_path: Path):
    hits = model.search("piano and guitar and violin", top=5)
    scores = [hit.score for hit in hits]
    assert len(hits) == 5 and hits.searched == 72 and scores == sorted(scores, reverse=True)
    with open_embeddings(tmp_path / "data") as file:
        rows = file.read("test")
        music = model.project_rows(file, rows)
        in_test = model.search("piano and guitar and violin", 100, file, split="test")
    expected = np.sort(music @ model.embed_text("piano and guitar and violin")[0])[::-1]
    assert [hit.score for hit in in_test] == pytest.approx(expected.tolist(), abs=1e-6)
    other = write_embeddings(tmp_path / "other", (4, 3, 2), seed=5)
    assert model.search("piano", data=str(other)).searched == 9


def test_conditions_and_artists(model: Model):
    hits = model.search("piano", 100, where=lambda track: "piano" in track.tags, max_per_artist=1)
    assert hits and all("piano" in hit.track.tags for hit in hits)
    artists = [hit.track.artist_id for hit in hits]
    assert len(set(artists)) == len(artists)
    assert len(model.search("piano", 100, where=lambda track: False)) == 0


def test_the_collection_is_read_once_and_again_when_the_file_changes(model: Model, tmp_path: Path):
    first = model.collection()
    assert model.collection(tmp_path / "data") is first
    assert model.collection(split="val") is not first
    write_embeddings(tmp_path / "data", (5, 2, 2))
    assert len(model.collection()) == 9


def test_data_that_is_gone_is_an_error_in_words(model: Model, tmp_path: Path):
    (tmp_path / "data" / "embeddings.h5").unlink()
    (tmp_path / "data").rmdir()
    with pytest.raises(UsageError, match=r"trained on \(.*data\) is not there") as refused:
        model.search("piano")
    assert "embeddings.h5" in refused.value.hint


def test_wrong_arguments_are_errors_in_words(model: Model, tmp_path: Path):
    with pytest.raises(UsageError, match="top must be at least 1, found 0"):
        model.search("piano", top=0)
    with pytest.raises(UsageError, match="text must not be empty"):
        model.search("  ")
    with pytest.raises(UsageError, match="There is no"):
        model.search("piano", data=tmp_path / "nowhere")
    with pytest.raises(UsageError, match="split must be one of 'train', 'val', 'test'"):
        model.search("piano", split="tset")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="There is no checkpoint"):
        load_model(tmp_path / "none.pt")


def test_weights_that_do_not_fit_are_an_error_in_words(model: Model, tmp_path: Path):
    checkpoint = load(model.path or Path())
    del checkpoint.weights["text_head.0.bias"]
    save(tmp_path / "part.pt", checkpoint)
    with pytest.raises(DataError, match="do not fit the architecture"):
        load_model(tmp_path / "part.pt")


def test_a_model_says_what_it_is(model: Model):
    assert repr(model).splitlines() == [
        "Model: musicnn + minilm, 16 dimensions",
        "  trained on 48 excerpts with 96 captions",
        f"  checkpoint {model.path}",
    ]


@pytest.mark.parametrize("revision", UNTRAINED)
def test_a_model_trained_on_the_untrained_clap_is_refused(model: Model, tmp_path: Path, revision: str):
    found = load(model.path)
    save(
        tmp_path / "old.pt", replace(found, audio_encoder=replace(found.audio_encoder, name="clap", revision=revision))
    )
    with pytest.raises(DataError, match=r"old\.pt: its clap embeddings were made with .* never trained") as refused:
        load_model(tmp_path / "old.pt")
    assert "unisono encoders fetch clap" in refused.value.hint
