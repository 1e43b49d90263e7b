import errno
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.retrieval.train.synthetic import WordEncoder, use_words, write_embeddings
from unisono.base.errors import DataError, UnisonoError, UsageError
from unisono.embeddings.file import open_embeddings
from unisono.retrieval import checkpoint as checkpoints
from unisono.retrieval.checkpoint import load, save
from unisono.retrieval.model import load_model
from unisono.retrieval.train.run import train


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    write_embeddings(folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        use_words(patch, folder / "captions")
        train(folder / "data", audio_encoder="musicnn", checkpoint_dir=folder, epochs=30, learning_rate=0.003)
    return folder


@pytest.fixture
def trained(once: Path, tmp_path: Path, words: WordEncoder) -> Path:
    """A copy of a trained model's files, for a test to damage."""
    shutil.copytree(once, tmp_path / "trained")
    return tmp_path / "trained" / "musicnn_best.pt"


def test_a_trained_model_finds_music_by_description(trained: Path):
    model = load_model(trained)
    assert model.audio_encoder.name == "musicnn"
    assert model.trained_on.excerpts == 48
    assert model.checkpoint.metrics["text_to_music"]["mrr"] > 0.5
    with open_embeddings(trained.parent / "data") as file:
        rows = file.read("test")
    music = model.project_audio(rows.embeddings["musicnn"])
    text = model.embed_text(rows.captions)
    assert music.shape == (12, model.dim) and text.shape == (24, model.dim)
    assert np.allclose(np.linalg.norm(music, axis=1), 1, atol=1e-5)
    best = (text @ music.T).argmax(axis=1)
    assert (best == rows.caption_of).mean() > 0.5  # chance is 1/12
    assert np.array_equal(model.embed_text(rows.captions, cached=True), text)


def test_saving_what_was_loaded_gives_the_same_bytes(trained: Path):
    for path in (trained, trained.with_name("musicnn_last.pt")):
        before = path.read_bytes()
        save(path, load(path))
        assert path.read_bytes() == before


def test_it_knows_the_val_split_and_old_ones_did_not(trained: Path, tmp_path: Path):
    found = load(trained)
    with open_embeddings(trained.parent / "data") as file:
        val, test = file.read("val"), file.read("test")
    for what, seen in (("id", val.ids), ("recording", val.texts["recording"]), ("caption", val.captions)):
        assert found.trained_on.seen_in_val(what, seen).all()
    assert not found.trained_on.seen_in_val("id", test.ids).any() and not found.trained_on.seen("id", val.ids).any()
    content = torch.load(trained, weights_only=True)
    del content["trained_on"]["val_digests"]
    torch.save(content, tmp_path / "old.pt")
    old = load(tmp_path / "old.pt")
    assert old.trained_on.val_digests == {} and not old.trained_on.seen_in_val("id", val.ids).any()


def test_embeddings_of_another_shape_are_refused(trained: Path):
    with pytest.raises(DataError, match=r"musicnn embeddings of shape \(16,\), found \(17,\)"):
        load_model(trained).project_audio(np.zeros((2, 17), dtype=np.float16))


@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.999])
def test_a_truncated_checkpoint_is_explained(trained: Path, tmp_path: Path, part: float):
    content = trained.read_bytes()
    cut = tmp_path / "cut.pt"
    cut.write_bytes(content[: int(part * len(content))])
    with pytest.raises(DataError, match=r"cut\.pt is truncated"):
        load(cut)


def test_altered_content_is_explained(trained: Path, tmp_path: Path):
    content = bytearray(trained.read_bytes())
    content[200:260] = bytes(60)
    path = tmp_path / "altered.pt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"altered\.pt"):
        load(path)


class Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def test_a_malicious_pickle_is_refused(tmp_path: Path):
    trace, path = tmp_path / "trace", tmp_path / "evil.pt"
    torch.save({"kind": checkpoints.KIND, "weights": Malicious(trace)}, path)
    with pytest.raises(DataError, match="would run code"):
        load(path)
    path.write_bytes(pickle.dumps(Malicious(trace)))
    with pytest.raises(DataError, match="not a checkpoint"):
        load(path)
    assert not trace.exists()
    pickle.loads(path.read_bytes())
    assert trace.exists()  # the attack itself works


def test_foreign_files_are_explained(tmp_path: Path, trained: Path):
    foreign = tmp_path / "foreign.pt"
    torch.save({"state_dict": {"a": torch.zeros(2)}}, foreign)
    with pytest.raises(DataError, match="not a checkpoint of unisono"):
        load(foreign)
    torch.save({"kind": checkpoints.KIND, "format": 99}, foreign)
    with pytest.raises(DataError, match="expected a checkpoint of format 1, found 99"):
        load(foreign)
    torch.save({"kind": checkpoints.KIND, "format": 1}, foreign)
    with pytest.raises(DataError, match="a part of the checkpoint is missing"):
        load(foreign)
    with pytest.raises(UsageError, match="There is no checkpoint"):
        load(tmp_path / "none.pt")


def test_a_full_disk_keeps_the_previous_checkpoint(trained: Path, monkeypatch: pytest.MonkeyPatch):
    before = trained.read_bytes()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(trained))

    checkpoint = load(trained)
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UnisonoError, match="No space left"):
        save(trained, checkpoint)
    assert trained.read_bytes() == before
    assert not list(trained.parent.glob("*.partial"))
