"""Order the first hits of a description again by MaxSim: each of its words with the window of a track that fits it best."""

from typing import TYPE_CHECKING

import numpy as np

from unisono.base.errors import UsageError
from unisono.retrieval.collection import Collection
from unisono.retrieval.windows import maxsim
from unisono.search.query import Query, weighted
from unisono.search.scores import Ranked

if TYPE_CHECKING:
    from unisono.retrieval.models import JointModel


def check(query: Query, collection: Collection) -> None:
    """Refuse what cannot be ordered by MaxSim.

    Raises:
        UsageError: the query is not a single description, or orders its hits otherwise; or the windows were not kept.
    """
    if len(query.text) != 1 or query.like or query.without or query.keep or query.reject or query.diversity:
        raise UsageError(
            "rerank orders the hits of a single description: without like, not, keep, reject and diversity.",
            parameter="rerank",
        )
    if collection.windows is None:
        raise UsageError(
            "rerank compares words with the windows of the tracks, and here each track has one vector only.",
            hint="Keep some windows of each: unisono prepare --windows-per-track 8 --output-dir ...",
            parameter="rerank",
        )


def reranked(model: "JointModel", query: Query, collection: Collection, ranked: Ranked) -> Ranked:
    """Return the best `query.top` of some tracks by MaxSim, which is their score.

    Raises:
        UsageError: the model does not compare words.
    """
    tokens = model.embed_tokens(weighted(query.text[0])[0])
    scores = maxsim(tokens, collection, ranked.rows)
    order = np.argsort(-scores, kind="stable")[: query.top]
    return Ranked(ranked.rows[order], scores[order], ranked.parts[order])
