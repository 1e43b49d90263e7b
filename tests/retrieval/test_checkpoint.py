import errno
import os
import pickle
import random
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.retrieval.train.synthetic import WordEncoder, use_words, write_embeddings
from unisono.base.errors import DataError, UnisonoError, UsageError
from unisono.commands.check import check as check_command
from unisono.embeddings.encoders.weights import UNTRAINED
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


@pytest.mark.parametrize("revision", UNTRAINED)
def test_a_model_trained_on_the_untrained_clap_is_refused(trained: Path, tmp_path: Path, revision: str):
    content = torch.load(trained, weights_only=True)
    content["audio_encoder"] |= {"name": "clap", "revision": revision}
    torch.save(content, tmp_path / "clap.pt")
    with pytest.raises(DataError, match=r"clap\.pt: its clap embeddings were made with laion/larger_clap_music, which"):
        load_model(tmp_path / "clap.pt")


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


def altered(path: Path, change) -> Path:
    """Write the content of a checkpoint with a change, with right checksums."""
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)
    return path


HUGE = torch.zeros(1).expand(1 << 20, 1 << 20)
WRONG = {
    "architecture: dim": lambda c: c["architecture"].update(dim=10**9),
    "architecture: hidden": lambda c: c["architecture"].update(hidden=-5),
    "architecture: layers is 10000000": lambda c: c["architecture"].update(layers=10**7),
    "architecture: .*projection": lambda c: c["architecture"].update(projection="sideways"),
    "architecture: .*dropout": lambda c: c["architecture"].update(dropout=float("nan")),
    "architecture: unknown: more": lambda c: c["architecture"].update(more=1),
    "architecture: .*hidden": lambda c: c["architecture"].pop("hidden"),
    "architecture: .*text_dim is 25": lambda c: c["architecture"].update(text_dim=25),
    "weights: .*shape": lambda c: c["architecture"].update(hidden=7),
    "weights: .*not finite": lambda c: c["weights"]["text_head.0.weight"].fill_(float("nan")),
    "weights: log_scale holds .* not finite": lambda c: c["weights"]["log_scale"].fill_(float("inf")),
    "weights: they do not fit": lambda c: c["weights"].pop("bias"),
    "weights: not a table": lambda c: c.update(weights=[1]),
    "weights: bias is no tensor": lambda c: c["weights"].update(bias="x"),
    "weights: bias is of torch.int64": lambda c: c["weights"].update(bias=torch.tensor(1)),
    "weights: bias claims more numbers": lambda c: c["weights"].update(bias=HUGE),
    "weights: 5 is no name": lambda c: c["weights"].update({5: torch.zeros(1)}),
    "audio_encoder: ": lambda c: c.update(audio_encoder=None),
    "audio_encoder: name is '../../x'": lambda c: c["audio_encoder"].update(name="../../x"),
    "audio_encoder: window_s is nan": lambda c: c["audio_encoder"].update(window_s=float("nan")),
    "audio_encoder: hop_s is -1": lambda c: c["audio_encoder"].update(hop_s=-1),
    "text_encoder: ": lambda c: c["text_encoder"].update(dim="24"),
    "options: ": lambda c: c.update(options=[]),
    "options: .*": lambda c: c["options"].update(epochs={"a": 1}),
    "options: data_dir is 5": lambda c: c["options"].update(data_dir=5),
    "options: lora_rank": lambda c: (c["options"].update(lora_rank="x"), c.update(adapter={"a": torch.zeros(1)})),
    "trained_on: ": lambda c: c["trained_on"].update(excerpts="48"),
    "trained_on: .*artist_id": lambda c: c["trained_on"]["digests"].pop("artist_id"),
    "trained_on: .*no digests": lambda c: c["trained_on"]["digests"].update(id=torch.zeros(3)),
    "trained_on: a count": lambda c: c["trained_on"]["datasets"].update(few=-1),
    "progress: ": lambda c: c.update(progress=3),
    "progress: .*history": lambda c: c["progress"].update(history="x"),
    "progress: an epoch lacks loss": lambda c: c["progress"]["history"][0].pop("loss"),
    "progress: an epoch lacks measures": lambda c: c["progress"]["history"][0]["text_to_music"].pop("mrr"),
    "progress: a count": lambda c: c["progress"].update(step=-1),
    "progress: best is nan": lambda c: c["progress"].update(best=float("nan")),
    "optimizer: ": lambda c: c.update(optimizer=[1]),
    "optimizer: not that": lambda c: c.update(optimizer={"state": 1, "param_groups": []}),
    "music: ": lambda c: c.update(music={"mean": torch.zeros(1)}),
    "adapter: ": lambda c: c.update(adapter={"a": "b"}),
    "optimizer is missing": lambda c: c.pop("optimizer"),
}


@pytest.mark.parametrize("says", WRONG)
def test_wrong_content_is_refused_by_name(trained: Path, says: str):
    path = altered(trained, WRONG[says])
    for read in (load, load_model, checkpoints.verify):
        with pytest.raises(DataError, match=rf"musicnn_best\.pt: a part .* {says}"):
            read(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found["state"][0].update(exp_avg=torch.zeros(3)),
        lambda found: found["state"][0].pop("exp_avg_sq"),
        lambda found: found["state"].update({99: found["state"][0]}),
        lambda found: found["param_groups"].pop(),
        lambda found: found["param_groups"][0].update(betas="x"),
        lambda found: found["param_groups"][0].update(params=[0, 0]),
        lambda found: found["param_groups"][0].update(peak=5.0),
    ],
)
def test_another_optimizer_is_refused_when_resuming(trained: Path, change):
    last = altered(trained.with_name("musicnn_last.pt"), lambda content: change(content["optimizer"]))
    with pytest.raises(DataError, match="optimizer"):
        train(resume=last, epochs=40)


def test_flipped_bytes_are_found_or_change_nothing(trained: Path, tmp_path: Path):
    content = trained.read_bytes()
    assert "is whole" in repr(checkpoints.verify(str(trained)))
    expected = load(trained)
    rng = random.Random(0)
    last = content.rindex(b"PK\x01\x02")
    places = [*rng.sample(range(len(content)), 60), *range(0, 60, 4), *range(last, len(content))]
    path = tmp_path / "flipped.pt"
    found = 0
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        try:
            read = load(path)
        except DataError as error:
            assert "flipped.pt" in error.message
            found += 1
            continue
        assert all(torch.equal(value, read.weights[name]) for name, value in expected.weights.items()), place
        assert (read.options, read.progress) == (expected.options, expected.progress)
        assert (read.architecture, read.audio_encoder) == (expected.architecture, expected.audio_encoder)
    assert found > len(places) // 2


def test_an_unreadable_file_is_not_called_truncated(trained: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match=r"musicnn_best\.pt cannot be read: Permission denied"):
        load(trained)


def test_an_archive_made_to_fill_the_memory_is_refused(tmp_path: Path):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(1 << 20))
    with pytest.raises(DataError, match="is damaged: its parts are compressed"):
        load(path)


def test_check_verifies_a_checkpoint(trained: Path, capsys: pytest.CaptureFixture[str]):
    check_command(trained)
    assert "is whole" in capsys.readouterr().out
    content = bytearray(trained.read_bytes())
    content[len(content) // 2] ^= 4
    trained.write_bytes(content)
    with pytest.raises(DataError, match="is damaged: Bad CRC-32"):
        check_command(trained)
