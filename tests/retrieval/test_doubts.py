"""A model that does not work says so."""

import logging
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from tests.making import make_record, make_track
from tests.retrieval.train.synthetic import WordEncoder, write_embeddings
from unisono.embeddings.file import create_embeddings
from unisono.embeddings.structure import CHECKSUMS, SEAL
from unisono.retrieval import doubts
from unisono.retrieval.checkpoint import load
from unisono.retrieval.evaluate.run import evaluate
from unisono.retrieval.metrics import Relevance, per_query, ranks, summary
from unisono.retrieval.model import load_model
from unisono.retrieval.pairing import pair
from unisono.retrieval.train.run import train
from unisono.tracks.track import SPLITS


def test_how_far_luck_goes():
    rng = np.random.default_rng(0)
    for queries, candidates, most in ((30, 30, 1), (60, 40, 3), (12, 500, 5)):
        query = np.repeat(np.arange(queries), most)
        relevance = Relevance.from_pairs(query, rng.integers(0, candidates, len(query)), queries, candidates)
        bound = doubts.mrr_by_luck(relevance, queries)
        found = []
        for _ in range(400):
            texts, music = rng.normal(size=(queries, 64)), rng.normal(size=(candidates, 64))
            found.append(summary(per_query(ranks(texts, music, relevance), relevance))["mrr"])
        assert 0.9 < np.mean(np.array(found) <= bound) < 1
        assert doubts.mrr_by_luck(relevance, queries // 3) > bound > np.mean(found)


@pytest.mark.parametrize(
    ("recordings", "says"), [(1, "only 1 recording,"), (49, "only 49 recordings,"), (50, ""), (51, "")]
)
def test_few_recordings(recordings: int, says: str):
    names = [f"r{row % recordings}" for row in range(60)]
    found = doubts.of_data(pair([f"c{row}" for row in range(60)], np.arange(60), names))
    assert len(found) == bool(says) and says in "".join(found)


@pytest.mark.parametrize(("same", "is_said"), [(10, False), (30, False), (31, True), (60, True)])
def test_one_caption_for_most(same: int, is_said: bool):
    captions = ["a song" if row < same else f"piano {row}" for row in range(60)]
    for order in (range(60), range(59, -1, -1)):
        found = doubts.of_data(pair([captions[row] for row in order], np.arange(60), [""] * 60))
        assert bool(found) is is_said
        assert not found or f"“a song” is the caption of {same} of 60 excerpts" in found[0]
    # twice for one excerpt is once
    captions, caption_of = ["a song"] * 40 + [f"c{row}" for row in range(60)], np.array([0] * 40 + [*range(60)])
    assert not doubts.of_data(pair(captions, caption_of, [""] * 60))


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("count", [50, 200, 3000])
def test_music_like_that_of_the_training_is_told_from_other(layers: int, count: int):
    rng = np.random.default_rng(count)
    spread = rng.normal(size=(64, 64)) * rng.exponential(size=64)

    def music(number: int, shift: float = 0.0, scale: float = 1.0) -> np.ndarray:
        drawn = rng.normal(size=(number, 64)) @ spread
        rows = (scale * drawn + shift * spread.std(axis=0) * 8).astype(np.float16)
        return rows if layers == 1 else np.stack([rows * (layer + 1) for layer in range(layers)], axis=1)

    audio = torch.from_numpy(music(count))
    known = doubts.measure_music(audio if layers > 1 else audio[:, None])
    assert doubts.unlike(known, music(2000)).mean() < 0.1
    assert not doubts.of_music(known, music(500))
    assert not doubts.of_music(known, music(500, scale=0.3))  # a part of it
    assert "is unlike the music" in doubts.of_music(known, music(500, shift=3))
    assert "unisono train" in doubts.of_music(known, music(500, scale=4))
    assert not doubts.of_music({}, music(5)) and not doubts.of_music(known, music(0))


def test_of_few_excerpts_nothing_is_known_and_constant_dimensions_do_not_matter():
    assert doubts.measure_music(torch.ones(49, 1, 4)) == {}
    audio = torch.cat([torch.randn(60, 1, 8), torch.zeros(60, 1, 2)], dim=2)
    known = doubts.measure_music(audio)
    assert all(torch.isfinite(each).all() for each in known.values())
    assert doubts.unlike(known, audio[:, 0].numpy()).mean() < 0.1


def write_noise(folder: Path, *, useful: bool) -> Path:
    """Write embeddings that have nothing to do with their captions, or everything."""
    rng = np.random.default_rng(0)
    encoder = WordEncoder()
    record = make_record("musicnn", 24)
    with create_embeddings(folder / "embeddings.h5", {}, 0) as writer:
        for split, count in zip(SPLITS, (200, 60, 40), strict=True):
            captions = [f"w{rng.integers(40)} v{rng.integers(40)} {split}" for _ in range(count)]
            tracks = [
                make_track(id=f"{split}{row}", audio_path=f"/{split}{row}", caption=caption, duration=3)
                for row, caption in enumerate(captions)
            ]
            writer.add_split(split, tracks)
            rows = encoder.embed(captions) if useful else rng.normal(size=(count, 24))
            writer.add_embeddings(split, record, iter([rows.astype(np.float16)]))
    return folder


@pytest.mark.parametrize("useful", [True, False])
def test_a_model_at_chance_says_so_everywhere(
    useful: bool,
    tmp_path: Path,
    words: WordEncoder,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    monkeypatch.setattr(logging.getLogger("unisono"), "propagate", True)
    data = write_noise(tmp_path / "data", useful=useful)
    model = train(data, audio_encoder="musicnn", checkpoint_dir=tmp_path, epochs=3, learning_rate=0.01)
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    card = (tmp_path / "musicnn_card.md").read_text(encoding="utf-8")
    assert any("no better than chance" in each for each in said) is not useful
    assert ("no better than chance" in card) is not useful
    assert any("no better than chance" in each for each in model.training.warnings) is not useful


def test_few_recordings_are_said_in_log_record_and_card(
    tmp_path: Path, words: WordEncoder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(logging.getLogger("unisono"), "propagate", True)
    write_embeddings(tmp_path / "data")
    model = train(tmp_path / "data", audio_encoder="musicnn", checkpoint_dir=tmp_path, epochs=2)
    assert "only 48 recordings" in model.training.warnings[0]
    assert sum("only 48 recordings" in record.getMessage() for record in caplog.records) == 1
    assert "**Warning**: The train split holds only 48" in (tmp_path / "musicnn_card.md").read_text(encoding="utf-8")
    assert "only 48 recordings" in load(tmp_path / "musicnn_best.pt").progress["warnings"][0]


def test_other_music_is_said_by_search_and_evaluation(
    tmp_path: Path, words: WordEncoder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(logging.getLogger("unisono"), "propagate", True)
    write_embeddings(tmp_path / "data", (80, 12, 24))
    write_embeddings(tmp_path / "far", (120, 4, 24), seed=9)
    train(tmp_path / "data", audio_encoder="musicnn", checkpoint_dir=tmp_path, epochs=2)
    model = load_model(tmp_path / "musicnn_best.pt")
    caplog.clear()
    model.search("piano", data=tmp_path / "data")
    assert "unlike" not in caplog.text
    assert not any("unlike" in each for each in evaluate(model, tmp_path / "data").protocol)
    with h5py.File(tmp_path / "far" / "embeddings.h5", "r+") as file:
        for split in SPLITS:
            file[f"{split}/musicnn_embeddings"][:] = file[f"{split}/musicnn_embeddings"][()] * 5 + 20
        del file.attrs[CHECKSUMS], file.attrs[SEAL]  # so that it reads as a file of an earlier version
    model.search("piano", data=tmp_path / "far")
    assert "100% of this music is unlike the music" in caplog.text
    assert any("unlike the music" in each for each in evaluate(model, tmp_path / "far", exclude_overlap=True).protocol)
