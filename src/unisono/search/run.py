"""Search a collection for several descriptions, with conditions."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unisono.base.errors import DataError
from unisono.retrieval.collection import Collection, Hits
from unisono.retrieval.models import JointModel
from unisono.search.filters import matching


def narrowed(collection: Collection, where: Sequence[str]) -> NDArray[np.int64]:
    """Return the positions of the tracks that fulfil all conditions, ascending.

    Raises:
        UsageError: a condition is not of the right form.
        DataError: no track is left.
    """
    among = matching(collection.tracks, where)
    if not len(among):
        said = " and ".join(map(repr, where))
        raise DataError(f"None of the {len(collection):,} tracks fulfils {said}." if where else "There are no tracks.")
    return among


def search(
    model: JointModel,
    queries: Sequence[str],
    collection: Collection,
    *,
    top: int = 10,
    where: Sequence[str] = (),
    max_per_artist: int | None = None,
) -> dict[str, Hits]:
    """Find the music that fits each description best.

    Args:
        model: embeds the descriptions.
        queries: the descriptions.
        collection: what is searched: `model.collection(...)`.
        top: the most tracks for each description.
        where: conditions such as `dataset=fma`, `tags=flute`, `license!=unknown`; tracks must fulfil all of them.
        max_per_artist: the most tracks of one artist for each description.

    Raises:
        UsageError: a condition is not of the right form.
        DataError: no track is left to search among.
    """
    among = narrowed(collection, where)
    vectors = model.embed_text(list(queries))
    return {
        query: collection.search(vector, top, among, max_per_artist, query=query)
        for query, vector in zip(queries, vectors, strict=True)
    }
