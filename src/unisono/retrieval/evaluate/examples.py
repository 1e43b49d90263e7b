"""Examples to listen to: the captions that find their music best and worst, with what they find."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from unisono.embeddings.file import SplitRows
from unisono.retrieval.evaluate.ranking import RankedDirection
from unisono.retrieval.evaluate.result import Example, FoundExcerpt
from unisono.retrieval.metrics import normalised, similarities
from unisono.retrieval.pairing import Pairing

SHOWN = 8
"""Queries of each kind, each of another recording."""
TOP = 3
"""Excerpts shown for each query."""


def examples(
    rows: SplitRows,
    pairing: Pairing,
    direction: RankedDirection,
    texts: NDArray[np.floating],
    music: NDArray[np.floating],
) -> dict[str, list[Example]]:
    """Choose queries: "best" (relevant music first, with the highest scores) and "worst" (relevant music last).

    The texts are [T, D], the music is [N, D] or [N, W, D].
    """
    asked, offered = normalised(texts), normalised(music)
    rank = direction.values["rank"]
    first = np.flatnonzero(rank == 1)
    best_score = np.array(
        [similarities(asked[[query]], offered[_relevant(direction, int(query))]).max() for query in first]
    )
    chosen = {
        "best": first[np.argsort(-best_score, kind="stable")] if len(first) else first,
        "worst": np.argsort(-rank, kind="stable")[: np.count_nonzero(rank > 1)],
    }
    return {
        kind: [
            _example(rows, pairing, direction, int(query), similarities(asked[[query]], offered)[0])
            for query in _one_a_recording(queries, direction)
        ]
        for kind, queries in chosen.items()
    }


def _one_a_recording(queries: NDArray[np.int64], direction: RankedDirection) -> Iterable[int]:
    first_of: dict[int, int] = {}
    for query in queries.tolist():
        first_of.setdefault(int(direction.about[query]), query)
        if len(first_of) == SHOWN:
            break
    return first_of.values()


def _relevant(direction: RankedDirection, query: int) -> NDArray[np.int64]:
    offsets = direction.relevance.offsets
    return direction.relevance.candidate[offsets[query] : offsets[query + 1]]


def _example(
    rows: SplitRows, pairing: Pairing, direction: RankedDirection, query: int, scores: NDArray[np.float32]
) -> Example:
    relevant = set(_relevant(direction, query).tolist())
    best_relevant = max(sorted(relevant), key=lambda row: scores[row])

    def found(row: int) -> FoundExcerpt:
        name = " - ".join(part for part in (rows.texts["artist"][row], rows.texts["title"][row]) if part)
        return FoundExcerpt(
            id=rows.ids[row],
            name=name or rows.ids[row],
            audio_path=rows.texts["audio_path"][row],
            start_s=float(rows.start_s[row]),
            duration_s=float(rows.duration_s[row]),
            score=float(scores[row]),
            relevant=row in relevant,
        )

    return Example(
        query=pairing.texts[query],
        rank=int(direction.values["rank"][query]),
        right=found(best_relevant),
        found=[found(int(row)) for row in np.argsort(-scores, kind="stable")[:TOP]],
    )
