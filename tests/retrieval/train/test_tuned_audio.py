"""Training the audio encoder: a tiny random one, on tones whose captions name them."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file

from tests.embeddings.encoders.tiny_text import write_bert
from tests.making import make_track
from tests.retrieval.train.synthetic import use_words
from tests.retrieval.train.test_distributed import run_processes
from tests.retrieval.train.test_training import interrupt_at
from unisono.base.errors import DataError, UnisonoError, UsageError
from unisono.commands import train as command
from unisono.embeddings.audio_cache import CachedAudio, folder_of
from unisono.embeddings.encoders import audio, tuned
from unisono.embeddings.file import open_embeddings
from unisono.embeddings.prepare.run import prepare
from unisono.embeddings.waveforms import Waveforms
from unisono.retrieval import models
from unisono.retrieval.checkpoint import load
from unisono.retrieval.evaluate.run import evaluate
from unisono.retrieval.export import export
from unisono.retrieval.heads import Architecture, ProjectionHeads
from unisono.retrieval.model import load_model
from unisono.retrieval.sweep.run import queries
from unisono.retrieval.train.audio import AudioGoneError, TunedAudio, excerpts_of
from unisono.retrieval.train.config import TrainingConfig
from unisono.retrieval.train.data import Sampler, read
from unisono.retrieval.train.loop import InterruptionError
from unisono.retrieval.train.run import train
from unisono.retrieval.train.step import Step
from unisono.tracks.files import write_tracks

ENCODER = "mert_95m"
RATE_HZ = 24_000
WORDS = {"low": 110, "middle": 330, "high": 990, "slow": 1, "fast": 8}
COUNTS = {"train": 10, "val": 4, "test": 2}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, weights_root: Path) -> Path:
    """A folder with a unified file, its audio, embeddings and decoded audio, and a text encoder."""
    folder = tmp_path_factory.mktemp("tuned")
    tracks, number = [], 0
    rng = np.random.default_rng(0)
    for split, count in COUNTS.items():
        for _ in range(count):
            pitch, tempo = rng.choice(["low", "middle", "high"]), rng.choice(["slow", "fast"])
            seconds = np.arange(int(6.5 * RATE_HZ)) / RATE_HZ
            tone = 0.3 * np.sin(2 * np.pi * (WORDS[pitch] + number) * seconds)
            samples = tone * (seconds * WORDS[tempo] % 1 < 0.5) + 0.01 * rng.normal(size=len(seconds))
            path = folder / f"{number}.wav"
            soundfile.write(path, samples, RATE_HZ)
            caption = f"{pitch} and {tempo}, number {number}"
            made = {"caption": caption, "split": split, "duration": 6.5, "recording": f"r:{number}", "dataset": "own"}
            tracks.append(make_track(id=f"own_{number:02}", audio_path=str(path), **made))
            number += 1
    write_tracks(folder / "unified.json", tracks)
    write_bert(folder / "text")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNISONO_WEIGHTS", str(weights_root))
        prepare(folder / "unified.json", output_dir=folder, encoders=[ENCODER], cache_audio=True)
    return folder


@pytest.fixture
def given(prepared: Path, weights_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Arguments of `train`."""
    monkeypatch.setenv("UNISONO_WEIGHTS", str(weights_root))
    monkeypatch.setenv("UNISONO_CAPTIONS", str(tmp_path / "captions"))
    return {
        "embeddings": prepared,
        "audio_encoder": ENCODER,
        "text_encoder": str(prepared / "text"),
        "tune_audio": "full",
        "audio_learning_rate": 1e-3,
        "checkpoint_dir": tmp_path / "checkpoints",
        "epochs": 3,
        "batch_size": 4,
        "hidden": 16,
        "threads": 1,
    }


def last(given: dict[str, Any]) -> Path:
    path: Path = given["checkpoint_dir"] / f"{ENCODER}_last.pt"
    return path


def test_a_tuned_encoder_embeds_what_its_model_reads_and_no_other_does(given: dict[str, Any], tmp_path: Path):
    history = train(**given).history
    assert history[-1]["loss"] < history[0]["loss"]
    record = load(last(given)).audio_encoder
    base = audio.build(ENCODER).spec.revision
    assert record.revision.startswith(f"{base}+tuned:") and load(last(given)).embeddings_of.revision == base
    model = load_model(last(given))
    assert model.checkpoint.tower and model.checkpoint.tower.kind == "full"
    prepare(given["embeddings"] / "unified.json", output_dir=tmp_path / "tuned", encoders=[str(last(given))])
    with open_embeddings(tmp_path / "tuned") as file, open_embeddings(given["embeddings"]) as untuned:
        assert file.encoders[ENCODER].revision == record.revision
        rows = file.read("val")
        assert not np.allclose(rows.embeddings[ENCODER], untuned.read("val").embeddings[ENCODER], atol=1e-2)
        found = model.embed_text(rows.captions) @ model.project_rows(file, rows).T
        place = 1 + (found > found.diagonal()[:, None]).sum(axis=1)
        assert (1 / place).mean() == pytest.approx(load(last(given)).metrics["text_to_music"]["mrr"], abs=1e-6)
        asked = queries(model, given["embeddings"], "val")  # embeds again, as a sweep does
        assert np.mean([1 / query.rank for query in asked]) == pytest.approx((1 / place).mean(), abs=1e-6)
        heard = model.embed_audio(rows.texts["audio_path"][0])
        np.testing.assert_allclose(heard[0], model.project_rows(file, rows)[0], atol=2e-3)
        with pytest.raises(DataError, match=r"revision .*, not .*tuned:") as refused:
            model.project_rows(untuned, untuned.read("val"))
        assert f"prepare --encoders {last(given)}" in str(refused.value.hint)
    export(model, tmp_path / "export", onnx=False)
    exported = load_model(tmp_path / "export")
    with open_embeddings(tmp_path / "tuned") as file:
        np.testing.assert_array_equal(exported.project_rows(file, rows), model.project_rows(file, rows))
    np.testing.assert_array_equal(exported.embed_audio(rows.texts["audio_path"][0]), heard)
    weights = tmp_path / "export" / "model.safetensors"
    report = prepare(given["embeddings"] / "unified.json", output_dir=tmp_path / "tuned", encoders=[str(weights)])
    assert not report.written  # they are there already
    save_file({name: each + 1 for name, each in load_file(weights).items()}, weights)
    with pytest.raises(DataError, match=r"is not the one of revision .*: it was altered"):
        tuned.build(weights)
    with pytest.raises(UsageError, match="tuned:"):
        prepare(given["embeddings"] / "unified.json", output_dir=tmp_path / "tuned", encoders=[ENCODER])
    with pytest.raises(UsageError, match="not those of the encoder that is to be tuned"):
        train(**given | {"embeddings": tmp_path / "tuned", "checkpoint_dir": tmp_path / "more"})


@pytest.mark.parametrize(
    "how",
    [
        {"tune_audio": "lora", "lora_dropout": 0.3, "micro_batch": 3},
        {"frozen_front": 3, "layer_decay": 0.5, "cached_audio": True},
        {"audio_windows": 2, "maxsim": 0.4, "micro_batch": 3},
    ],
    ids=["lora", "full", "maxsim"],
)
def test_resuming_is_exact(given: dict[str, Any], how: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    given |= how | {"epochs": 2}
    if "maxsim" in how:
        use_words(monkeypatch, tmp_path / "words")
    train(**given)
    expected = last(given).read_bytes()
    last(given).unlink()
    for step in (1, 3):
        with monkeypatch.context() as patch:
            interrupt_at(step, patch)
            with pytest.raises(InterruptionError):
                train(**given)
    train(resume=last(given), gradient_checkpointing=True)
    content, wanted = load(last(given)), (last(given).write_bytes(expected), load(last(given)))[1]
    assert content.tower and wanted.tower and content.audio_encoder == wanted.audio_encoder
    assert content.progress == wanted.progress
    for name, tensor in wanted.weights.items():
        assert torch.equal(content.weights[name], tensor)


def test_both_towers_of_a_joint_model_are_tuned_resumed_and_used(
    given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    unified = given["embeddings"] / "unified.json"
    words = {
        "model": "clap", "tune_audio": "lora", "tune_text": "lora", "dataset_file": unified, "data_root": tmp_path,
        "data_dir": (tmp_path / "data",), "epochs": 1, "batch_size": 4, "micro_batch": 2, "threads": 1,
        "learning_rate": 1e-2, "lora_learning_rate": 1e-2, "audio_learning_rate": 1e-2, "lora_dropout": 0.3,
    }  # fmt: skip
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    command.run(command.TrainOptions(checkpoint_dir=whole, **words))
    with monkeypatch.context() as patch, pytest.raises(InterruptionError):
        interrupt_at(1, patch)
        command.run(command.TrainOptions(checkpoint_dir=parts, **words))
    command.run(command.TrainOptions(checkpoint_dir=parts, **words))
    path = whole / "clap_best.pt"
    one, other = load(path), load(parts / "clap_best.pt")
    assert one.tower and other.tower and one.tower.revision() == other.tower.revision()
    assert one.adapter and all(torch.equal(other.adapter[name], each) for name, each in one.adapter.items())
    prepare(unified, output_dir=tmp_path / "tuned", encoders=[str(path)])
    model, untrained = load_model(path), models.load_model("clap")
    with open_embeddings(tmp_path / "tuned") as file:
        rows = file.read("val")
        texts, music = model.embed_text(rows.captions), model.project_rows(file, rows)
    assert np.abs(texts - untrained.embed_text(rows.captions)).max() > 0.01
    scores = texts @ music.T
    place = 1 + (scores > scores.diagonal()[:, None]).sum(axis=1)
    assert (1 / place).mean() == pytest.approx(one.metrics["text_to_music"]["mrr"], abs=1e-6)
    assert evaluate(model, tmp_path / "tuned", split="val").retrieval["text_to_music"]["all"].queries == len(place)
    (hit, *_) = model.search(rows.captions[0], data=tmp_path / "tuned", split="val")
    assert hit.track.id == rows.ids[scores[0].argmax()]


def make_step(given: dict[str, Any], micro: int | None) -> tuple[Step, Sampler]:
    with open_embeddings(given["embeddings"]) as file:
        data = read([file], ENCODER).train
    encoder = audio.build(ENCODER)
    sampler = Sampler(data.rows.caption_of, 8, 0)
    encoder.network.double()  # type: ignore[attr-defined]
    tower = tuned.TunedTower(encoder, "full")
    waveforms = Waveforms(excerpts_of(data.rows), encoder.spec, 2, 0)
    source = TunedAudio(tower, waveforms, data.rows.ids, sampler, [], torch.device("cpu"))
    dim = encoder.spec.dim
    architecture = Architecture(
        text_dim=8, audio_dim=dim, layers=1, projection="text", dim=dim, scaled_dim=dim, text_head="linear",
        audio_head="linear", hidden=8, dropout=0.0,
    )  # fmt: skip
    torch.manual_seed(0)
    texts = torch.randn(len(data.rows.captions), 8, dtype=torch.float64)

    class Texts:
        def __call__(self, captions: np.ndarray) -> torch.Tensor:
            return texts[captions]

        def parameters(self) -> list[torch.nn.Parameter]:
            return []

        def state(self) -> dict[str, torch.Tensor]:
            return {}

        def train(self, mode: bool) -> None:
            pass

    heads = ProjectionHeads(architecture).double()
    return Step(heads, data, Texts(), TrainingConfig(micro_batch=micro), audio=source), sampler


def test_parts_give_the_gradient_of_the_whole_batch(given: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.Tensor, "float", lambda self: self)
    monkeypatch.setattr(tuned.TunedTower, "embed", lambda self, w: in_double(self, w))
    gradients = []
    for micro in (None, 3):
        step, sampler = make_step(given, micro)
        monkeypatch.setattr("unisono.retrieval.train.step.torch.float32", torch.float64, raising=False)
        (batch, *_) = step.audio.ahead(sampler.epoch(0), 0)
        step(batch, 0)
        gradients.append([each.grad for each in step.trained()])
    assert sum(each is not None and bool(each.any()) for each in gradients[0]) > 20
    for whole, parts in zip(*gradients, strict=True):
        assert (whole is None) == (parts is None)
        if whole is not None and parts is not None:
            torch.testing.assert_close(parts, whole, rtol=1e-9, atol=1e-12)


def in_double(tower: tuned.TunedTower, windows: torch.Tensor) -> torch.Tensor:
    rows = tower.encoder.forward(windows.double().flatten(0, 1)).unflatten(0, windows.shape[:2])
    return rows.mean(dim=1, keepdim=True)


def test_two_processes_learn_what_one_does(given: dict[str, Any], tmp_path: Path):
    words = ["--data-dir", given["embeddings"], "--audio-encoder", ENCODER, "--text-encoder", given["text_encoder"]]
    words += ["--tune-audio", "full", "--epochs", "1", "--batch-size", "4", "--hidden", "16", "--dropout", "0"]
    before = dict(audio.tunable(audio.build(ENCODER)).network.named_parameters())
    learned, losses = [], []
    for count in (1, 2):
        folder = tmp_path / str(count)
        run_processes(count, "-m", "unisono", "train", *map(str, words), "--checkpoint-dir", str(folder), cwd=tmp_path)
        found = load(folder / f"{ENCODER}_last.pt")
        assert found.tower
        learned.append(torch.cat([(each - before[name]).flatten() for name, each in found.tower.tensors.items()]))
        losses.append(found.metrics["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert (learned[0] - learned[1]).norm() < 0.02 * learned[0].norm()


def test_audio_that_vanishes_is_named_and_replaced(given: dict[str, Any], tmp_path: Path):
    folder = tmp_path / "moved"
    folder.mkdir()
    for path in given["embeddings"].glob("*.wav"):
        shutil.copy(path, folder)
    text = (given["embeddings"] / "unified.json").read_text()
    (tmp_path / "unified.json").write_text(text.replace(str(given["embeddings"]), str(folder)))
    given |= {"dataset_file": tmp_path / "unified.json", "epochs": 1}
    (folder / "3.wav").unlink()
    (folder / "11.wav").write_bytes((folder / "11.wav").read_bytes()[:2000])
    model = train(**given)
    assert set(model.training.skipped) == {"own_03", "own_11"}
    assert model.training.skipped["own_03"] == f"audio file missing: {folder / '3.wav'}"
    assert any("2 excerpts" in warning for warning in model.training.warnings)
    for path in folder.glob("*.wav"):
        path.unlink()
    with pytest.raises(AudioGoneError, match="20 excerpts in turn could not be read; the last is own_"):
        train(**given | {"checkpoint_dir": tmp_path / "gone"})
    assert last(given | {"checkpoint_dir": tmp_path / "gone"}).is_file()
    (tmp_path / "few.json").write_text("[" + text[1:].split("}", 1)[0] + "}]")
    with pytest.raises(UsageError, match=r"dataset_file has 9 of the 10 excerpts of the train split not in it"):
        train(**given | {"dataset_file": tmp_path / "few.json", "checkpoint_dir": tmp_path / "few"})


def test_windows_come_from_the_cache_as_from_the_files(given: dict[str, Any], tmp_path: Path):
    with open_embeddings(given["embeddings"]) as file:
        rows, keys = file.read("train"), file.excerpts("train")
    spec = audio.spec(ENCODER)
    cache = CachedAudio(folder_of(given["embeddings"], spec.rate_hz))
    read_, decoded = (Waveforms(excerpts_of(rows), spec, 2, 7, *more).draw(4, 9) for more in ((cache, keys), ()))
    assert isinstance(read_, np.ndarray) and isinstance(decoded, np.ndarray)
    np.testing.assert_allclose(read_, decoded, atol=2e-4)
    assert not np.array_equal(decoded[0], decoded[1])
    folder = tmp_path / "data"
    shutil.copytree(given["embeddings"], folder)
    (shard,) = (folder / "audio" / str(spec.rate_hz)).iterdir()
    whole = shard.read_bytes()
    for damaged in (whole[:-1000], whole[:-8] + bytes(8)):
        shard.write_bytes(damaged)
        with pytest.raises(DataError, match=r"is damaged: ") as refused:
            train(**given | {"embeddings": folder, "cached_audio": True})
        assert "prepare --cache-audio" in str(refused.value.hint)
    shard.unlink()
    with pytest.raises(UsageError, match="lacks the decoded audio of 10 of the 10 excerpts"):
        train(**given | {"embeddings": folder, "cached_audio": True})


def test_a_tuning_starts_from_heads_and_what_does_not_fit_is_refused_in_words(given: dict[str, Any], tmp_path: Path):
    with pytest.raises(UsageError, match=r"for an audio encoder that is tuned \(tune_audio\)"):
        TrainingConfig(cached_audio=True)
    with pytest.raises(UsageError, match=r"frozen_front 99 leaves nothing of mert_95m to tune"):
        train(**given | {"frozen_front": 99})
    train(**given | {"tune_audio": None, "epochs": 1})
    tune = {"tune_audio": "lora", "model": str(last(given)), "dataset_file": given["embeddings"] / "unified.json"}
    more = train(**given | tune | {"epochs": 1, "embeddings": tmp_path / "new", "checkpoint_dir": tmp_path / "more"})
    assert more.checkpoint.tower and (tmp_path / "new" / "embeddings.h5").is_file()
    with pytest.raises(DataError, match="holds no audio encoder: only heads were trained"):
        prepare(given["embeddings"] / "unified.json", output_dir=tmp_path / "x", encoders=[str(last(given))])
    tower = tuned.TunedTower(audio.build(ENCODER), "lora")
    weights = tower.weights()
    with pytest.raises(DataError, match="was tuned from the weights other; those here are"):
        tuned.with_weights(audio.build(ENCODER), tuned.TunedWeights("lora", 8, "other", weights.tensors))
    with pytest.raises(DataError, match="do not fit the encoder mert_95m: it has no elsewhere"):
        other = {name.replace("encoder", "elsewhere"): each for name, each in weights.tensors.items()}
        tuned.with_weights(audio.build(ENCODER), tuned.TunedWeights("lora", 8, weights.base, other))


def test_too_little_memory_says_what_to_do(given: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(tuned.TunedTower, "embed", full)
    with pytest.raises(UnisonoError, match="not enough memory for 4 excerpts") as refused:
        train(**given)
    assert "--micro-batch 1" in str(refused.value.hint) and "--gradient-checkpointing" in str(refused.value.hint)
