"""Retrieval in both directions: overall, by dataset and by origin of the captions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unisono.embeddings.file import SplitRows
from unisono.retrieval.evaluate.hubness import csls_penalty
from unisono.retrieval.evaluate.measured import Estimate, Measured
from unisono.retrieval.evaluate.result import QueryResult
from unisono.retrieval.metrics import (
    MUSIC_TO_TEXT,
    TEXT_TO_MUSIC,
    PerQuery,
    Relevance,
    chance,
    chance_ndcg,
    intervals,
    ndcg,
    per_query,
    ranks,
    summary,
)
from unisono.retrieval.pairing import Pairing

ALL = "all"
NDCG = "ndcg@10"


@dataclass(frozen=True)
class RankedDirection:
    """The ranks of one direction of retrieval."""

    relevance: Relevance
    found: NDArray[np.int64]
    """Ranks [R] of all relevant candidates."""
    about: NDArray[np.int64]
    """[Q]: a number for the recording of each query."""
    graded: NDArray[np.float64] | None = None
    """[2, Q]: nDCG@10 of each query and its chance, if judges graded the candidates."""

    @property
    def values(self) -> PerQuery:
        """The measures of each query."""
        values = per_query(self.found, self.relevance)
        return values if self.graded is None else {**values, NDCG: self.graded[0]}

    def measure(self, queries: NDArray[np.int64] | None = None, *, seed: int) -> Measured:
        """Average over all queries, or some of them, always among all candidates."""
        chosen = np.arange(self.relevance.queries) if queries is None else queries
        relevance = self.relevance.only(chosen)
        values = {name: value[chosen] for name, value in self.values.items()}
        means, expected = summary(values), chance(relevance)
        if self.graded is not None:
            expected[NDCG] = float(self.graded[1, chosen].mean())
        bounds = intervals(values, self.about[chosen], seed=seed)
        return Measured(
            queries=relevance.queries,
            candidates=relevance.candidates,
            relevant=float(relevance.counts.mean()),
            clusters=len(np.unique(self.about[chosen])),
            estimates={name: Estimate(value, *bounds[name], expected[name]) for name, value in means.items()},
        )


def rank_both(
    pairing: Pairing, texts: NDArray[np.floating], music: NDArray[np.floating], *, csls: bool = False
) -> dict[str, RankedDirection]:
    """Rank in both directions: texts [T, D], those of the pairing, and music [N, D], or [N, W, D] by windows.

    `csls` corrects the similarities for hubs.
    """
    forth = pairing.relevance
    described, place = np.unique(forth.candidate, return_inverse=True)
    back = Relevance.from_pairs(place, forth.query, len(described), forth.queries)
    graded = pairing.grades
    return {
        TEXT_TO_MUSIC: RankedDirection(
            forth,
            ranks(texts, music, forth, penalty=csls_penalty(music, texts) if csls else None),
            pairing.recording_of_text,
            None if graded is None or csls else np.stack([ndcg(texts, music, graded), chance_ndcg(graded)]),
        ),
        MUSIC_TO_TEXT: RankedDirection(
            back,
            ranks(music[described], texts, back, penalty=csls_penalty(texts, music) if csls else None),
            pairing.recording[described],
        ),
    }


def slices(rows: SplitRows, pairing: Pairing) -> dict[str, dict[str, NDArray[np.int64]]]:
    """Return the subsets of queries that get a line of their own: direction -> name -> queries.

    A text belongs to the datasets and origins of its captions, and so does an excerpt. If two names stand for the same
    captions, they share a line.
    """
    datasets = np.array(rows.texts["dataset"], dtype=object)
    columns = {"dataset": datasets[rows.caption_of], "captions by": np.array(rows.caption_origin, dtype=object)}
    names_of: dict[bytes, list[str]] = {}
    for kind, column in columns.items():
        values = sorted(set(column) - {""})
        for value in values if len(values) > 1 else []:
            names_of.setdefault((column == value).tobytes(), []).append(f"{kind} {value}")
    named: dict[str, dict[str, NDArray[np.int64]]] = {TEXT_TO_MUSIC: {}, MUSIC_TO_TEXT: {}}
    for which, names in names_of.items():
        captions = np.flatnonzero(np.frombuffer(which, dtype=bool))
        named[TEXT_TO_MUSIC][", ".join(names)] = np.unique(pairing.text_of[captions])
        named[MUSIC_TO_TEXT][", ".join(names)] = np.unique(rows.caption_of[captions])
    return named


def measure_all(
    rows: SplitRows, pairing: Pairing, ranked: dict[str, RankedDirection], *, seed: int
) -> dict[str, dict[str, Measured]]:
    """Measure both directions, overall and for each slice."""
    return {
        direction: {
            ALL: ranked[direction].measure(seed=seed),
            **{name: ranked[direction].measure(queries, seed=seed) for name, queries in parts.items()},
        }
        for direction, parts in slices(rows, pairing).items()
    }


def query_results(
    rows: SplitRows, pairing: Pairing, ranked: dict[str, RankedDirection]
) -> dict[str, list[QueryResult]]:
    """Return the result of every query."""
    recordings = [name or id for name, id in zip(rows.texts["recording"], rows.ids, strict=True)]
    first_row = np.unique(pairing.recording, return_index=True)[1]
    identities = [*(recordings[row] for row in first_row), *pairing.texts]
    described = np.unique(pairing.relevance.candidate)
    names = {TEXT_TO_MUSIC: pairing.texts, MUSIC_TO_TEXT: [rows.ids[row] for row in described]}
    listed = {}
    for direction, ranking in ranked.items():
        values = ranking.values
        listed[direction] = [
            QueryResult(query, identities[about], int(rank), float(precision), graded)
            for query, about, rank, precision, graded in zip(
                names[direction],
                ranking.about,
                values["rank"],
                values["map@10"],
                values[NDCG].tolist() if NDCG in values else [None] * len(ranking.about),
                strict=True,
            )
        ]
    return listed


def protocol(measured: dict[str, dict[str, Measured]]) -> list[str]:
    """Return in words how the numbers were computed."""
    text, music = measured[TEXT_TO_MUSIC][ALL], measured[MUSIC_TO_TEXT][ALL]
    judged = NDCG in text.estimates
    relevant = (
        "judges graded it above 0. nDCG@10: the gain of an excerpt is its grade, discounted by log2(rank + 1), over that of "
        "the best order"
        if judged
        else "the caption describes it or another excerpt of its recording"
    )
    return [
        f"Text to music: {text.queries:,} distinct {'texts' if judged else 'captions'} are queries; candidates are all "
        f"{text.candidates:,} excerpts. An excerpt is relevant if {relevant}: on average {text.relevant:.2f} are relevant "
        "to a query.",
        f"Music to text: {music.queries:,} excerpts are queries; candidates are the {music.candidates:,} distinct captions: "
        f"on average {music.relevant:.2f} are relevant to a query.",
        "The lines of a dataset or an origin have only its queries, and the same candidates.",
        "Similarity is the cosine. Ranks count from 1. Ties count against the model: among equal scores, candidates that "
        "are not relevant come first.",
        "recall@k: share of the queries with any relevant candidate among the first k (hit rate). mrr: mean of 1 / "
        "rank of the best relevant candidate. map@10: mean over queries of the average precision in the first 10, "
        "divided by min(10, relevant). median_rank: of the best relevant candidate. The JSON also has fraction@k (share of "
        "the relevant candidates that are among the first k) and precision@k.",
        "Intervals: 95 %, percentile bootstrap, 1,000 resamples of recordings with all their queries. They show how other "
        "test music would change the numbers, not how another training run would.",
        "Chance: the expectation under a random order, computed exactly for the same queries, candidates and relevances.",
    ]
