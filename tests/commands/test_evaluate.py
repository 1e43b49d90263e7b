"""`unisono evaluate` as a user runs it, on a small world without audio."""

import dataclasses

import numpy as np
import pytest

from tests.altered import altering
from tests.loaded import unisono
from tests.synthetic import RECORD, make, write_checkpoint
from unisono.base.errors import DataError, UsageError
from unisono.commands.evaluate import EvaluateOptions, run
from unisono.embeddings.file import open_embeddings
from unisono.retrieval.evaluate.result import read_result
from unisono.retrieval.evaluate.run import evaluate
from unisono.retrieval.model import load_model
from unisono.retrieval.report.evaluation import write_report


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make(tmp_path_factory.mktemp("world"))


def options(world, **more):
    return EvaluateOptions(checkpoint=world.checkpoint, data_dir=world.data_dir, **more)


def test_the_command_prints_tables_and_protocol_and_writes_json(world, tmp_path):
    (tmp_path / "queries").write_text("a piece for flute\tflute\n", encoding="utf-8")
    done = unisono(
        "evaluate", "--checkpoint", world.checkpoint, "--data-dir", world.data_dir, "--queries", tmp_path / "queries"
    )
    assert done.returncode == 0, done.stderr
    assert "text to music: 36 queries among 24 tracks" in done.stdout
    assert "music to text: 24 queries among 36 captions" in done.stdout
    for words in (
        "recall@10",
        "mAP@10",
        "median rank",
        "captions by human",
        "instrument precision@5",
        "queries ROC-AUC",
    ):
        assert words in done.stdout
    assert "among equal scores," in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    result = read_result(world.checkpoint.with_name("dsp_best_test.json"))
    assert result.retrieval["text_to_music"]["all"].queries == 36
    assert len(result.queries["music_to_text"]) == 24
    assert result.called == "test"


def test_a_model_made_to_find_finds_and_the_numbers_agree_with_the_queries(world, tmp_path):
    result = run(options(world, output=tmp_path / "r.json"))
    found = result.retrieval["text_to_music"]["all"]
    assert found.estimates["recall@10"].low > found.estimates["recall@10"].chance
    ranks = np.array([each.rank for each in result.queries["text_to_music"]])
    assert found.estimates["recall@1"].value == pytest.approx((ranks == 1).mean())
    assert found.estimates["median_rank"].value == np.median(ranks)
    assert found.estimates["map@10"].value == pytest.approx(
        np.mean([each.average_precision for each in result.queries["text_to_music"]])
    )
    assert read_result(tmp_path / "r.json") == result


def test_from_python_it_prints_nothing_and_shows_its_tables(world, capfd, tmp_path):
    model = load_model(world.checkpoint)
    result = evaluate(model, str(world.data_dir), baselines=True, seed=3)
    with open_embeddings(world.data_dir) as file:
        assert evaluate(model, file, baselines=True, seed=3) == result
    assert capfd.readouterr() == ("", "")
    shown = repr(result)
    for words in ("test, all", "36 queries among 24 tracks", "chance", "baseline: random", "single-tag queries"):
        assert words in shown and words in result._repr_html_()
    result.write(tmp_path / "r.json")
    assert read_result(tmp_path / "r.json") == result
    write_report(result, str(tmp_path / "r.html"))
    assert "Protocol" in (tmp_path / "r.html").read_text(encoding="utf-8")
    with pytest.raises(UsageError, match="model must be a JointModel, found") as refusal:
        evaluate(str(world.checkpoint), world.data_dir)  # type: ignore[arg-type]
    assert refusal.value.hint == "Load it with: unisono.load_model"
    with pytest.raises(UsageError, match="split must be one of"):
        evaluate(model, world.data_dir, split="tests")  # type: ignore[arg-type]


def test_the_same_run_writes_the_same_bytes(world, tmp_path):
    first, second = tmp_path / "1.json", tmp_path / "2.json"
    run(options(world, output=first))
    run(options(world, output=second))
    assert first.read_bytes() == second.read_bytes().replace(b"2.json", b"1.json")


def test_music_of_the_training_is_refused_or_left_out(world, tmp_path):
    turn = np.zeros((384, 64), dtype=np.float32)
    leaky = dataclasses.replace(world, checkpoint=tmp_path / "leaky.pt")
    tracks = world.tracks["test"]
    write_checkpoint(leaky.checkpoint, turn, [tracks[0], *world.tracks["train"]])
    with pytest.raises(UsageError, match=r"trained on 1 of the 24 excerpts .* song_describer_test0") as refused:
        run(options(leaky))
    assert "--exclude-overlap" in refused.value.hint
    result = run(options(leaky, exclude_overlap=True))
    assert result.retrieval["text_to_music"]["all"].candidates == 23
    assert any("1 of 24 excerpts" in sentence and "left out" in sentence for sentence in result.protocol)
    assert any("4 others are of an artist" in sentence for sentence in result.protocol)
    write_checkpoint(leaky.checkpoint, turn, tracks)
    with pytest.raises(DataError, match="trained on all 24"):
        run(options(leaky, exclude_overlap=True))


def test_music_that_chose_the_checkpoint_is_said_or_left_out(world, tmp_path, caplog):
    turn = np.zeros((384, 64), dtype=np.float32)
    chosen = dataclasses.replace(world, checkpoint=tmp_path / "chosen.pt")
    train, tracks = world.tracks["train"], world.tracks["test"]
    write_checkpoint(chosen.checkpoint, turn, train, val=[*world.tracks["val"], *tracks[:3]])
    result = run(options(chosen))
    assert result.retrieval["text_to_music"]["all"].candidates == 24
    assert any(
        "selected the checkpoint: 3 of 24 excerpts" in each and "Their numbers are too high" in each
        for each in result.protocol
    )
    assert "3 of the 24 excerpts" in caplog.text and "--exclude-overlap" in caplog.text
    caplog.clear()
    result = run(options(chosen, exclude_overlap=True))
    assert result.retrieval["text_to_music"]["all"].candidates == 21
    assert not any(record.levelname == "WARNING" for record in caplog.records)
    assert any("3 of 24 excerpts" in each and each.endswith("They were left out.") for each in result.protocol)
    result = run(options(chosen, split="val", exclude_overlap=True))
    assert result.retrieval["text_to_music"]["all"].candidates == 4
    # what was trained on is not counted twice, and what nobody could have kept apart is refused
    write_checkpoint(chosen.checkpoint, turn, [*train, *tracks[:20]], val=tracks[18:])
    result = run(options(chosen, split="train"))
    with pytest.raises(DataError, match="trained on 20 of the 24 excerpts, and the others selected its checkpoint"):
        run(options(chosen, exclude_overlap=True))


def test_a_checkpoint_that_does_not_know_its_val_split_says_so(world):
    result = run(options(world))
    assert any("not known, the model is of an earlier version" in sentence for sentence in result.protocol)


def test_the_training_split_is_measured_with_a_warning_in_the_protocol(world, tmp_path):
    result = run(options(world, split="train", output=tmp_path / "r.json"))
    assert any("TRAIN split" in sentence for sentence in result.protocol)


def test_embeddings_made_otherwise_are_refused_with_what_differs(world, tmp_path):
    other = dataclasses.replace(world, checkpoint=tmp_path / "other.pt")
    record = dataclasses.replace(RECORD, pooling="stats", hop_s=1.5)
    write_checkpoint(other.checkpoint, np.zeros((384, 64), dtype=np.float32), world.tracks["train"], record)
    with pytest.raises(DataError, match=r"hop_s 3, not 1.5; pooling 'mean', not 'stats'"):
        run(options(other))


def test_embeddings_that_are_not_finite_are_refused_with_the_track(tmp_path):
    world = make(tmp_path)
    with altering(world.data_dir / "embeddings.h5") as file:
        file["test/dsp_embeddings"][5, 3] = np.nan
    with pytest.raises(DataError, match=r"1 dsp embeddings are not finite \(first: fma_test5\)"):
        run(options(world))


def test_an_empty_split_is_refused(tmp_path):
    world = make(tmp_path, test_tracks=0)
    with pytest.raises(DataError, match="the split test is empty"):
        run(options(world))


def test_equal_captions_are_one_query(tmp_path):
    world = make(tmp_path)
    with altering(world.data_dir / "embeddings.h5") as file:
        file["test/captions"][:] = "music"
    result = run(options(world))
    found = result.retrieval["text_to_music"]["all"]
    assert (found.queries, found.candidates, found.relevant) == (1, 24, 24)
    assert found.estimates["recall@1"].value == found.estimates["recall@1"].chance == 1


def test_a_file_that_is_no_result_is_refused(tmp_path):
    (tmp_path / "r.json").write_text("[]")
    with pytest.raises(DataError, match="is not a result of unisono evaluate"):
        read_result(tmp_path / "r.json")
    with pytest.raises(UsageError, match="There is no"):
        read_result(tmp_path / "none.json")


def test_a_missing_checkpoint_is_refused(world, tmp_path):
    with pytest.raises(UsageError, match="There is no checkpoint"):
        run(EvaluateOptions(checkpoint=tmp_path / "none.pt"))
