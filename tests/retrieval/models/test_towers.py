"""Pretrained joint models from the file of music to the hits, with tiny random weights of the published form."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.making import make_track
from unisono.audio.decode import Excerpt, decode
from unisono.base.errors import DataError, UnisonoError, UsageError
from unisono.commands import evaluate, export, models, search
from unisono.embeddings.embed_files import embed_files
from unisono.embeddings.encoders import audio
from unisono.embeddings.encoders.audio import WeightsAbsentError
from unisono.embeddings.file import create_embeddings, open_embeddings
from unisono.embeddings.prepare.run import prepare
from unisono.retrieval.evaluate.compare import compare
from unisono.retrieval.models import load_model
from unisono.retrieval.train.run import train
from unisono.retrieval.verify import compare as compare_vectors
from unisono.tracks.files import write_tracks
from unisono.tracks.track import SPLITS

TOWERS = ("clap", "muq_mulan", "clamp3")
LENGTHS_S = (3.0, 23.4, 10.0)
"""Shorter than a window of most, not a whole number of windows, and exactly one or two."""


@pytest.fixture(autouse=True)
def weights(weights_root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNISONO_WEIGHTS", str(weights_root))
    return weights_root


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A unified file of three recordings."""
    folder = tmp_path_factory.mktemp("music")
    rng = np.random.default_rng(0)
    tracks = []
    for number, length_s in enumerate(LENGTHS_S):
        path = folder / f"{number}.wav"
        soundfile.write(path, rng.normal(scale=0.1, size=round(length_s * 24_000)).cumsum() % 0.5 - 0.25, 24_000)
        tracks.append(
            make_track(
                id=f"music_{number}", audio_path=str(path), caption=f"a slow choir of {number} voices", dataset="music",
                duration=length_s, split="test", tags=["harp"] if number else ["drums"], recording=f"music:{number}",
            )
        )  # fmt: skip
    write_tracks(folder / "music.json", tracks)
    return folder / "music.json"


@pytest.fixture(scope="module")
def prepared(music: Path, weights_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNISONO_WEIGHTS", str(weights_root))
        prepare(music, output_dir=folder, encoders=TOWERS, keep_windows=True)
    return folder


def clips_of_mulan(samples: np.ndarray) -> list[np.ndarray]:
    """Cut as the authors' code does; a track that does not fill a clip is repeated, where theirs stays short."""
    delta = 240_000
    whole = [samples[begin : begin + delta] for begin in range(0, len(samples) - delta + 1, delta)]
    rest = samples[len(whole) * delta :]
    return [*whole, np.resize(np.concatenate([rest, samples]), delta)] if len(rest) else whole


def clips_of_clamp(samples: np.ndarray) -> list[np.ndarray]:
    """Standardise and cut as the authors' code does."""
    standard = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
    clips = [standard[begin : begin + 120_000] for begin in range(0, len(samples), 120_000)]
    return clips[:-1] if len(clips[-1]) < 24_000 else clips


@pytest.mark.parametrize("name", ["muq_mulan", "clamp3"])
def test_windows_become_a_track_as_the_authors_do(music: Path, prepared: Path, name: str) -> None:
    import torch

    encoder = audio.build(name)
    cut = clips_of_mulan if name == "muq_mulan" else clips_of_clamp
    with open_embeddings(prepared) as file:
        rows = file.read("test", [name])
        kept = file.windows("test", name)
    for row in range(len(LENGTHS_S)):
        samples = decode(Excerpt(rows.texts["audio_path"][row], 0.0, float(rows.duration_s[row])), 24_000)
        assert isinstance(samples, np.ndarray)
        clips = [torch.from_numpy(clip.astype(np.float32)) for clip in cut(samples)]
        windows = torch.cat([encoder.embed(clip[None]) for clip in clips])
        expected = windows.mean(dim=0)
        if hasattr(encoder, "join"):
            expected, windows = encoder.join(windows)
        np.testing.assert_allclose(rows.embeddings[name][row], expected.numpy(), atol=2e-3)
        np.testing.assert_allclose(kept.embeddings[kept.of == row], windows.numpy(), atol=2e-3)
        if name == "clamp3":
            assert len(clips) == (1, 5, 2)[row]


def test_a_file_alone_is_embedded_as_prepare_does(music: Path, prepared: Path) -> None:
    with open_embeddings(prepared) as file:
        for name in TOWERS:
            rows, record = file.read("test", [name]), file.encoders[name]
            found = embed_files(rows.texts["audio_path"], record)
            np.testing.assert_allclose(found, rows.embeddings[name], atol=2e-3)


@pytest.mark.parametrize("name", TOWERS)
def test_search_evaluate_and_compare(music: Path, prepared: Path, tmp_path: Path, name: str, capsys) -> None:
    found = search.run(["a slow choir"], search.SearchOptions(model=name, data_dir=prepared))
    model = load_model(name)
    with open_embeddings(prepared) as file:
        stored = file["muq_mulan" if name == "muq_mulan" else name]
        ids = file.ids
    cosines = stored / np.linalg.norm(stored, axis=1, keepdims=True) @ model.embed_text("a slow choir")[0]
    order = [ids[place] for place in np.argsort(-cosines, kind="stable")]
    assert [hit.track.id for hit in found["a slow choir"]] == order
    result = evaluate.run(evaluate.EvaluateOptions(model=name, data_dir=prepared, data_root=tmp_path))
    assert result.checkpoint == result.audio_encoder == result.text_encoder == name
    other = evaluate.run(
        evaluate.EvaluateOptions(model="clap", data_dir=prepared, output=tmp_path / "clap.json", data_root=tmp_path)
    )
    assert compare(result, other).first == name
    with pytest.raises(UsageError, match=f"The model {name} is not trained here"):
        export.run(export.ExportOptions(model=name, onnx=False))


def test_a_training_starts_as_the_joint_model_scores(prepared: Path, tmp_path: Path) -> None:
    """With the text tower of the model, its revision that of the weights at hand."""
    tracks = [
        make_track(
            id=f"a_{number}", audio_path=f"/{number}.wav", caption=f"harp {number}", duration=1, dataset="a",
            recording=f"a:{number}",
        )
        for number in range(12)
    ]  # fmt: skip
    model = load_model("muq_mulan")
    rng = np.random.default_rng(0)
    with create_embeddings(tmp_path / "embeddings.h5", {}, 0) as writer:
        for split, some in zip(SPLITS, (tracks[:8], tracks[8:10], tracks[10:]), strict=True):
            writer.add_split(split, some)
            rows = rng.normal(size=(len(some), model.audio_encoder.dim)).astype(np.float16)
            writer.add_embeddings(split, model.audio_encoder, iter([rows]))
    trained = train(
        tmp_path, model="muq_mulan", epochs=1, batch_size=4, learning_rate=1e-30, checkpoint_dir=tmp_path / "made"
    )
    with open_embeddings(tmp_path) as file:
        rows_of_test = file.read("test", ["muq_mulan"])
        expected = model.project_rows(file, rows_of_test) @ model.embed_text(["harp", "choir"]).T
        found = trained.project_rows(file, rows_of_test) @ trained.embed_text(["harp", "choir"]).T
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_benchmark_is_embedded_and_evaluated(music: Path, tmp_path: Path) -> None:
    options = evaluate.EvaluateOptions(model="clap", dataset_file=music, data_root=tmp_path)
    assert evaluate.run(options).retrieval["text_to_music"]["all"].queries == 3
    assert (tmp_path / "benchmarks" / "music_clap" / "embeddings.h5").is_file()
    assert json.loads((tmp_path / "clap_music.json").read_text())["audio_encoder"] == "clap"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"revision": "sha256:0"}, "revision 'sha256:0', not"),
        ({"tail": "shift"}, "tail 'shift', not 'wrap'"),
        ({"window_s": 5.0}, r"window_s 5\.0, not 10\.0"),
        ({"dim": 13}, "reads embeddings of 12 numbers"),
    ],
)
def test_embeddings_made_in_another_way_are_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    model = load_model("muq_mulan")
    record = replace(model.audio_encoder, **change)  # type: ignore[arg-type]
    track = make_track(id="a_1", audio_path="/a.wav", caption="a", duration=1, dataset="a")
    with create_embeddings(tmp_path / "embeddings.h5", {}, 0) as writer:
        for split in SPLITS:
            some = [track] if split == "test" else []
            writer.add_split(split, some)
            writer.add_embeddings(split, record, iter([np.ones((len(some), record.dim), np.float16)]))
    with pytest.raises(DataError, match=message):
        model.search("choir", data=tmp_path)


def test_weights_that_are_not_here_say_where_they_would_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNISONO_WEIGHTS", str(tmp_path))
    for name, size in (("clap", "776 MB"), ("muq_mulan", "2,600 MB"), ("clamp3", "2,949 MB")):
        with pytest.raises(WeightsAbsentError) as caught:
            load_model(name)
        assert str(tmp_path / name) in caught.value.message
        assert f"unisono encoders fetch {name} ({size})" in caught.value.hint
    assert "tokenizer.json (tokenizer.json of FacebookAI/xlm-roberta-base @" in caught.value.hint


def test_stats_pooling_is_read_by_its_means(prepared: Path, music: Path, tmp_path: Path) -> None:
    prepare(music, output_dir=tmp_path, encoders=["clamp3"], pooling="stats")
    with open_embeddings(tmp_path) as file, open_embeddings(prepared) as other:
        np.testing.assert_array_equal(file["clamp3"][:, :64], other["clamp3"])
    model = load_model("clamp3")
    np.testing.assert_array_equal(model.collection(tmp_path).vectors, model.collection(prepared).vectors)


@pytest.mark.parametrize("name", ["clap", "muq", "minilm", "tags"])
def test_verify_writes_a_record_that_can_be_sent_back(tmp_path: Path, name: str, capsys) -> None:
    from unisono.embeddings.encoders.fetch import is_here

    if is_here(name) is False:
        pytest.skip(f"the weights of {name} are not here")
    models.verify_models(name, output=tmp_path / "record.json")
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["format"] == "unisono verification" and record["passed"] and not record["failure"]
    towers = [tower for tower in ("text", "audio") if record[tower]]
    assert towers == {"clap": ["text", "audio"], "tags": ["text", "audio"], "muq": ["audio"], "minilm": ["text"]}[name]
    real = {"minilm": "text", "tags": "audio"}.get(name)
    assert {tower: record[tower]["golden"] for tower in towers} == {
        tower: "agrees" if tower == real else "none" for tower in towers
    }
    assert f"{name} works" in capsys.readouterr().out


def test_verify_reports_what_differs_from_golden_vectors() -> None:
    found = {"sweep": np.array([1.0, 0.0, -0.5], dtype=np.float32)}
    assert compare_vectors({}, "1", found) == "none"
    golden = {"revision": "1", "vectors": {"sweep": [1.0, 0.002, -0.5]}}
    assert compare_vectors(golden, "1", found) == "agrees"
    assert compare_vectors(golden, "2", found) == "none", "of other weights"
    golden["vectors"] = {"sweep": [1.0, 0.2, -0.5]}
    assert (
        compare_vectors(golden, "1", found) == "'sweep' differs from the golden vector by 20.0% of its largest number"
    )
    golden["vectors"] = {"sweep": [1.0]}
    assert "has 3 numbers, the golden vector 1" in compare_vectors(golden, "1", found)


def test_verify_keeps_the_record_of_weights_that_do_not_work(
    weights_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setenv("UNISONO_WEIGHTS", str(tmp_path))
    shutil.copytree(weights_root / "clamp3", tmp_path / "clamp3")
    content = torch.load(tmp_path / "clamp3" / "clamp3.pth", weights_only=True)
    content["model"]["text_proj.weight"].zero_()
    torch.save(content, tmp_path / "clamp3" / "clamp3.pth")
    with pytest.raises(UnisonoError, match=r"clamp3 did not pass: The text tower .* mean cosine of 1\.0000"):
        models.verify_models("clamp3", output=tmp_path / "record.json")
    assert not json.loads((tmp_path / "record.json").read_text())["passed"]
    with pytest.raises(UsageError, match=r"no model 'clab'\. Did you mean 'clap'"):
        models.verify_models("clab")
