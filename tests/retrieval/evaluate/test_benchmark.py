"""A benchmark that is embedded first, with real audio and a real encoder: noise of six colours."""

import dataclasses

import numpy as np
import pytest
import soundfile

from tests.making import make_track
from tests.synthetic import World, write_checkpoint
from unisono.base.errors import UsageError
from unisono.commands.evaluate import EvaluateOptions, run
from unisono.embeddings.file import open_embeddings
from unisono.embeddings.prepare.run import prepare
from unisono.retrieval.evaluate.run import VALID
from unisono.tracks.files import write_tracks


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    rng = np.random.default_rng(9)  # no two scores of a query are nearer than 4e-4, and rounding is a twentieth of it
    tracks = []
    for number in range(6):
        path = folder / f"{number}.wav"
        steep = 2 ** (number / 2) / 6
        colour = np.convolve(rng.normal(size=16000 * 3), np.exp(-np.arange(40) * steep), mode="same")
        if number != 5:
            soundfile.write(path, colour / np.abs(colour).max(), 16000)
        tracks.append(
            make_track(
                id=f"b_{number}", audio_path=str(path), caption=f"caption {number}", alt_captions=[f"other {number}"],
                duration=3, dataset="b", recording=f"r:{number}", extra={"caption_valid": [True, number > 1 or None]},
            )
        )  # fmt: skip
    write_tracks(folder / "bench.json", tracks)
    record = record_of_dsp(folder)
    turn = rng.normal(size=(384, record.dim)).astype(np.float32)
    write_checkpoint(folder / "dsp_best.pt", turn, [another("elsewhere")], record)
    return World(folder, folder / "dsp_best.pt", {"test": tracks})


def record_of_dsp(folder):
    """Return the record of the encoder as training would have stored it."""
    prepare(folder / "bench.json", output_dir=folder / "as_in_training", encoders=("dsp",))
    with open_embeddings(folder / "as_in_training") as file:
        return file.encoders["dsp"]


def another(recording):
    """Return a different track."""
    return make_track(id="other", audio_path="/none", caption="another", duration=1, recording=recording)


def options(world, **more):
    return EvaluateOptions(
        checkpoint=world.checkpoint, data_root=world.data_dir, dataset_file=world.data_dir / "bench.json", **more
    )


def test_the_music_is_embedded_and_all_of_it_evaluated_on(world):
    result = run(options(world))
    found = result.retrieval["text_to_music"]
    assert (found["all"].queries, found["all"].candidates) == (10, 5)
    assert (found[VALID].queries, found[VALID].candidates) == (8, 5)
    assert any("1 of the benchmark's 6 tracks are missing" in sentence for sentence in result.protocol)
    assert (world.data_dir / "benchmarks" / "bench_dsp" / "embeddings.h5").is_file()
    assert (world.data_dir / "dsp_best_bench.json").is_file()


def test_a_model_trained_on_some_of_it_is_refused_or_evaluated_on_the_rest(world, tmp_path):
    record = record_of_dsp(world.data_dir)
    seen = dataclasses.replace(world, checkpoint=tmp_path / "seen.pt")
    turn = np.ones((384, record.dim), dtype=np.float32)
    write_checkpoint(seen.checkpoint, turn, [another("r:2")], record)
    with pytest.raises(UsageError, match="trained on 1 of the 5 excerpts"):
        run(options(seen))
    found = run(options(seen, exclude_overlap=True)).retrieval["text_to_music"]
    assert (found["all"].queries, found["all"].candidates) == (8, 4)
    assert (found[VALID].queries, found[VALID].candidates) == (6, 4)
