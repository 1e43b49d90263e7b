"""Others compute the same numbers: mteb with one of our models, pytrec_eval, and recall as clip_benchmark defines it."""

import logging
import warnings

import numpy as np
import pytest
import soundfile
import torch

from tests.retrieval.evaluate.test_benchmark import world  # noqa: F401 - a fixture
from unisono.retrieval.evaluate.mteb_model import MtebModel
from unisono.retrieval.evaluate.run import evaluate_benchmark
from unisono.retrieval.metrics import Relevance, ndcg, per_query, ranks, summary
from unisono.retrieval.model import load_model

SAME = {
    "hit_rate_at": "recall",
    "recall_at": "fraction",
    "precision_at": "precision",
}
"""A measure of mteb -> ours, at each cutoff."""
DIGITS = 5
"""mteb rounds what it reports, except reciprocal ranks."""


def assert_same(theirs, ours):
    assert theirs in (pytest.approx(ours, abs=1e-6), round(ours, DIGITS))


@pytest.fixture(scope="module")
def mteb():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mteb

        yield mteb
    logging.getLogger("mteb").setLevel(logging.NOTSET)


def task_of(mteb, tracks):
    """Make a task of mteb from tracks: every caption is a query."""
    from datasets import Dataset
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    class OurTask(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name="OurTask", description="", reference=None, dataset={"path": "none/none", "revision": "0" * 40},
            type="Any2AnyRetrieval", category="t2a", modalities=["text", "audio"], eval_splits=["test"],
            eval_langs=["eng-Latn"], main_score="hit_rate_at_5", date=None, domains=["Music"], task_subtypes=[],
            license="not specified", annotations_creators="human-annotated", dialect=[], sample_creation="found",
            bibtex_citation="",
        )  # fmt: skip

        def load_data(self, num_proc=None, **kwargs):
            if self.data_loaded:
                return
            sounds = [soundfile.read(track.audio_path, dtype="float32") for track in tracks]
            self.corpus = {
                "test": Dataset.from_list(
                    [
                        {"id": track.id, "audio": {"array": samples, "sampling_rate": rate}}
                        for track, (samples, rate) in zip(tracks, sounds, strict=True)
                    ]
                )
            }
            captions = {f"{track.id}/{at}": (track.id, text) for track in tracks for at, text in enumerate(track.texts)}
            self.queries = {"test": Dataset.from_list([{"id": id, "text": text} for id, (_, text) in captions.items()])}
            self.relevant_docs = {"test": {id: {owner: 1} for id, (owner, _) in captions.items()}}
            self.data_loaded = True

    return OurTask()


@pytest.mark.filterwarnings("ignore")
def test_mteb_with_our_model_finds_our_numbers(mteb, world, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    model = load_model(world.checkpoint)
    tracks = world.tracks["test"][:5]
    found = mteb.evaluate(
        MtebModel(model), task_of(mteb, tracks), cache=None, co2_tracker=False, show_progress_bar=False
    )
    theirs = found.task_results[0].scores["test"][0]
    result = evaluate_benchmark(model, world.data_dir / "bench.json", output_dir=tmp_path)
    ours = {name: each.value for name, each in result.retrieval["text_to_music"]["all"].estimates.items()}
    for k in (1, 5, 10):
        for their_name, our_name in SAME.items():
            assert_same(theirs[f"{their_name}_{k}"], ours[f"{our_name}@{k}"])
    assert_same(theirs["mrr_at_1000"], ours["mrr"])
    assert_same(theirs["map_at_10"], ours["map@10"])  # one relevant track a query
    assert 0 < ours["mrr"] < 1


@pytest.fixture(scope="module")
def large():
    """1,500 queries, 2,500 candidates, up to 12 relevant ones with grades 1 to 3, and the scores of an imperfect model."""
    rng = np.random.default_rng(0)
    queries, candidates = rng.normal(size=(1500, 32)), rng.normal(size=(2500, 32))
    grades = np.zeros((1500, 2500), dtype=np.float32)
    for row in range(1500):
        chosen = rng.choice(2500, rng.integers(1, 13), replace=False)
        grades[row, chosen] = rng.integers(1, 4, len(chosen))
        queries[row] += 0.5 * candidates[chosen].mean(axis=0)
    unit = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (queries, candidates)]
    query, candidate = np.nonzero(grades)
    relevance = Relevance.from_pairs(query, candidate, 1500, 2500)
    return queries, candidates, grades, relevance, unit[0] @ unit[1].T


def test_pytrec_eval_finds_our_numbers(large):
    import pytrec_eval

    queries, candidates, grades, relevance, scores = large
    qrels = {
        str(row): {str(at): int(grades[row, at]) for at in np.flatnonzero(grades[row])} for row in range(len(grades))
    }
    run = {str(row): dict(zip(map(str, range(2500)), each.tolist(), strict=True)) for row, each in enumerate(scores)}
    asked = {"success.1,5,10", "recall.1,5,10", "P.1,5,10", "recip_rank", "ndcg_cut.10", "map_cut.10"}
    theirs = list(pytrec_eval.RelevanceEvaluator(qrels, asked).evaluate(run).values())
    values = per_query(ranks(queries, candidates, relevance), relevance)
    ours = summary(values)
    mean = {name: np.mean([each[name] for each in theirs]) for name in theirs[0]}
    for k in (1, 5, 10):
        assert mean[f"success_{k}"] == pytest.approx(ours[f"recall@{k}"], abs=1e-6)
        assert mean[f"recall_{k}"] == pytest.approx(ours[f"fraction@{k}"], abs=1e-6)
        assert mean[f"P_{k}"] == pytest.approx(ours[f"precision@{k}"], abs=1e-6)
    assert mean["recip_rank"] == pytest.approx(ours["mrr"], abs=1e-6)
    assert mean["ndcg_cut_10"] == pytest.approx(ndcg(queries, candidates, grades).mean(), abs=1e-6)
    # Ours divides by at most 10 relevant candidates, theirs by all.
    counts = relevance.counts
    assert mean["map_cut_10"] == pytest.approx((values["map@10"] * np.minimum(counts, 10) / counts).mean(), abs=1e-6)


def test_recall_as_clip_benchmark_defines_it(large):
    """In the words of its code: hits among the first k over all relevant ones; then 1 if there was any."""
    queries, candidates, grades, relevance, scores = large
    positive = torch.from_numpy(grades > 0)
    ours = summary(per_query(ranks(queries, candidates, relevance), relevance))
    for k in (1, 5, 10):
        top = torch.topk(torch.from_numpy(scores), k, dim=1).indices
        hits = torch.gather(positive, 1, top).sum(dim=1)
        recall = hits / positive.sum(dim=1)
        assert recall.mean().item() == pytest.approx(ours[f"fraction@{k}"], abs=1e-6)
        assert (recall > 0).float().mean().item() == pytest.approx(ours[f"recall@{k}"], abs=1e-6)
