"""Benchmarks by name: one contract for all cards, their counts on real rows, and what is wrong with a release."""

import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.conftest import REPOSITORY
from tests.releases import judged, musicbench, song_describer
from tests.retrieval.evaluate.test_benchmark import another, record_of_dsp
from tests.synthetic import write_checkpoint
from unisono.base.errors import DataError, UsageError
from unisono.commands.evaluate import EvaluateOptions, evaluate, run
from unisono.curation.releases import Parsing
from unisono.retrieval.evaluate import benchmarks
from unisono.retrieval.evaluate.benchmarks import _reading
from unisono.retrieval.evaluate.run import evaluate_named
from unisono.retrieval.model import load_model
from unisono.sources import registry
from unisono.tracks.workspace import Workspace

CARDS = [benchmarks.get(name) for name in benchmarks.names()]


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_every_card_says_what_it_is(card):
    assert benchmarks.get(card.name) is card
    assert registry.get(card.dataset).files
    for name in ("title", "homepage", "revision", "license", "split", "protocol"):
        assert getattr(card, name).strip()
    assert card.overlaps and all(card.overlaps)
    line = next(
        line
        for line in (REPOSITORY / "docs" / "evaluate.md").read_text(encoding="utf-8").splitlines()
        if line.startswith(f"| `{card.name}`")
    )
    counts = ["not stated" if count is None else f"{count:,}" for count in (card.queries, card.candidates)]
    assert f"| {' x '.join(counts)} |" in line


def test_a_name_that_is_none_has_the_nearest_one():
    with pytest.raises(UsageError, match="song-describer") as found:
        benchmarks.get("song_describe")
    assert "incompebench" in found.value.hint


@pytest.mark.parametrize(
    ("name", "file", "there"),
    [
        ("song-describer", "song_describer/song_describer.csv", 1.0),
        ("song-describer-valid", "song_describer/song_describer.csv", 1.0),
        ("musiccaps", "musiccaps/musiccaps-public.csv", 1459 / 2858),  # the first 2,760 of 5,521 rows
    ],
)
def test_real_rows_have_the_counts_of_the_card(name, file, there, shared_data, tmp_path):
    card = benchmarks.get(name)
    (tmp_path / "raw" / card.dataset).mkdir(parents=True)
    shutil.copy(shared_data / file, tmp_path / "raw" / card.dataset)
    release = Parsing(workspace=Workspace(tmp_path), options={card.dataset: card.options}).release(card.dataset)
    ids, texts = _reading.described(card, release)
    assert (len(texts), len(ids)) == (round(there * card.queries), round(there * card.candidates))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return a data folder with small releases of several benchmarks and a checkpoint that reads `dsp`."""
    folder = tmp_path_factory.mktemp("benchmarks")
    song_describer.build(folder / "raw" / "song_describer")
    musicbench.build(folder / "raw" / "musicbench")
    for name in ("incompebench", "lp-musiccaps-mtt"):
        card = benchmarks.get(name)
        columns = card.judged
        judged.build(
            folder / "raw" / registry.get(card.dataset).name,
            (columns.query_id, columns.query_text, columns.music_id),
        )
    bench = folder / "bench"
    bench.mkdir()
    from tests.making import make_track
    from unisono.tracks.files import write_tracks

    sound = next((folder / "raw" / "tones").glob("*.wav"))
    write_tracks(bench / "bench.json", [make_track(id="b_1", audio_path=str(sound), caption="c", duration=2)])
    record = record_of_dsp(bench)
    turn = np.random.default_rng(0).normal(size=(384, record.dim)).astype(np.float32)
    write_checkpoint(folder / "dsp_best.pt", turn, [another("elsewhere")], record)
    return folder


@pytest.fixture
def counts(monkeypatch):
    """Let cards state the counts of the small releases."""
    known = {
        "song-describer": (11, 8),
        "song-describer-valid": (6, 6),
        "incompebench": (3, 4),
        "lp-musiccaps-mtt": (3, 4),
    }
    real = benchmarks.get

    def get(name):
        card = real(name)
        queries, candidates = known.get(name, (card.queries, card.candidates))
        lines = (card.lines[0], 1) if card.lines else None
        return replace(card, queries=queries, candidates=candidates, lines=lines)

    monkeypatch.setattr(benchmarks, "get", get)
    return known


def options(root, **more):
    return EvaluateOptions(checkpoint=root / "dsp_best.pt", data_root=root, **more)


def test_other_counts_than_those_of_the_card_are_refused_and_both_are_named(root):
    with pytest.raises(DataError, match=r"1,106 captions by its card, 11 in .*706 tracks by its card, 8 in"):
        run(options(root, benchmark="song-describer"))
    with pytest.raises(UsageError, match="exclude each other"):
        run(options(root, benchmark="song-describer", split="test"))
    with pytest.raises(UsageError, match="release of musiccaps is not in") as found:
        run(options(root, benchmark="musiccaps"))
    assert "unisono download musiccaps" in found.value.hint


@pytest.mark.usefixtures("counts")
def test_missing_music_is_an_error_unless_it_is_allowed(root, capsys):
    with pytest.raises(UsageError, match="4 of the 8 tracks of song-describer have no audio"):
        run(options(root, benchmark="song-describer"))
    result = run(options(root, benchmark="song-describer", allow_missing=True))
    assert result.called == "song-describer" and not result.benchmark
    assert "4 of the benchmark's 8 tracks are missing" in " ".join(result.protocol)
    assert any("CC BY-SA 4.0" in each and "Zenodo" in each for each in result.protocol)
    assert result.retrieval["text_to_music"]["all"].candidates == 4
    assert "as published" not in capsys.readouterr().out
    by_windows = run(options(root, benchmark="song-describer", allow_missing=True, windows="best"))
    assert by_windows.protocol != result.protocol and any("window" in each for each in by_windows.protocol)


def test_test_a_of_musicbench_has_the_main_captions_only(root):
    card = benchmarks.get("musicbench-a")
    release = Parsing(workspace=Workspace(root)).release(card.dataset)
    assert _reading.described(card, release) == (["musicbench_data_ccccccccccc"], {"A harp"})
    with pytest.raises(DataError, match=r"400 rows by its card, 1 in .*MusicBench_test_A\.json"):
        _reading.read(card, Workspace(root))


def test_fgmcaps_is_read_by_the_columns_that_mteb_names(root, tmp_path):
    card = benchmarks.get("fgmcaps")
    tones = sorted((root / "raw" / "tones").glob("*.wav"))
    rows = [
        {"id": f"f{number}", "caption": f"tone {number}", "audio": {"bytes": path.read_bytes(), "path": path.name}}
        for number, path in enumerate(tones[:3])
    ]
    folder = tmp_path / "raw" / registry.get(card.dataset).name / "data"
    for split, some in (("train", rows[:1]), ("test", rows[1:])):
        folder.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pa.Table.from_pylist(some), folder / f"{split}-00000-of-00001.parquet")
    release = Parsing(workspace=Workspace(tmp_path), unpack_to=tmp_path / "audio").release(card.dataset)
    ids, texts = _reading.described(card, release)
    assert len(ids) == 2 and texts == {"tone 1", "tone 2"}
    with pytest.raises(DataError, match="10,000 captions by its card, 2 in"):
        _reading.read(card, Workspace(tmp_path))


@pytest.mark.usefixtures("counts")
def test_graded_music_is_measured_by_ndcg(root, tmp_path):
    result = run(options(root, benchmark="incompebench", report=tmp_path / "report.html"))
    assert result.benchmark == "incompebench"
    found = result.retrieval["text_to_music"]["all"]
    assert (found.queries, found.candidates, found.relevant) == (3, 4, 2.0)
    model = load_model(root / "dsp_best.pt")
    music = model.embed_audio([root / "raw" / "tones" / f"{id}.wav" for id in judged.MUSIC])
    scores = model.embed_text(list(judged.QUERIES.values())) @ music.T
    from sklearn.metrics import ndcg_score

    grades = np.zeros((3, 4))
    for query, track, grade in judged.GRADES:
        grades[list(judged.QUERIES).index(query), judged.MUSIC.index(track)] = grade
    assert found.estimates["ndcg@10"].value == pytest.approx(ndcg_score(grades, scores, k=10), abs=1e-6)
    orders = [ndcg_score(grades, np.random.default_rng(seed).random((3, 4)), k=10) for seed in range(4000)]
    assert found.estimates["ndcg@10"].chance == pytest.approx(np.mean(orders), abs=0.01)
    assert result.queries["text_to_music"][0].ndcg is not None
    assert "judges graded it above 0" in result.protocol[0]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "nDCG@10" in page


@pytest.mark.usefixtures("counts")
def test_a_judged_release_with_unknown_ids_or_without_a_half_is_refused(root, tmp_path):
    card = benchmarks.get("lp-musiccaps-mtt")
    there = registry.get(card.dataset).name
    for fault, message in (
        (lambda folder: shutil.rmtree(folder / "corpus"), "its table 'corpus' is missing"),
        (lambda folder: _without_first_row(folder / "corpus"), "judgements name a query or music that is not"),
        (lambda folder: _without_first_row(folder / "queries"), "judgements name a query or music that is not"),
    ):
        shutil.rmtree(tmp_path / "raw", ignore_errors=True)
        shutil.copytree(root / "raw" / there, tmp_path / "raw" / there)
        fault(tmp_path / "raw" / there)
        with pytest.raises(DataError, match=message):
            evaluate_named(load_model(root / "dsp_best.pt"), card.name, data_root=tmp_path)


def _without_first_row(folder):
    path = next(folder.glob("*.parquet"))
    parquet.write_table(parquet.read_table(path).slice(1), path)


@pytest.mark.usefixtures("counts")
def test_all_benchmarks_make_one_page_and_those_that_fail_are_named(root, tmp_path, capsys):
    with pytest.raises(
        DataError, match=r"2 of 5 benchmarks could not be evaluated on: song-describer, song-describer-"
    ):
        evaluate(options(root, benchmark="all", report=tmp_path / "all.html"))
    shown = capsys.readouterr().out
    assert "lp-musiccaps-mtt" in shown and "musicbench-a" in shown
    page = (tmp_path / "all.html").read_text(encoding="utf-8")
    assert "of the 8 tracks of song-describer have no audio" in page and "unisono download &#39;musiccaps&#39;" in page
    assert "IncompeBench, strict" in page and "nDCG@10" in page
