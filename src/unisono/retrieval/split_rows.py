"""Select and join the rows of splits; everything about an excerpt stays together."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from unisono.base.arguments import AnyPath, as_path
from unisono.base.texts import chained, chained_lists, taken, taken_lists
from unisono.embeddings.file import EmbeddingsFile, SplitRows, open_embeddings
from unisono.tracks.track import SPLITS, Split


@contextmanager
def opened(embeddings: EmbeddingsFile | AnyPath) -> Iterator[EmbeddingsFile]:
    """Yield a file that is open already, or open one (or the one in a folder) until the block ends.

    Raises:
        UsageError: there is no such file.
        DataError: it is not a whole `embeddings.h5`.
    """
    if isinstance(embeddings, EmbeddingsFile):
        yield embeddings
        return
    with open_embeddings(as_path(embeddings)) as file:
        yield file


def read_rows(file: EmbeddingsFile, split: Split | None, encoders: list[str]) -> SplitRows:
    """Read one split, or (None) all splits joined."""
    if split is not None:
        return file.read(split, encoders)
    return joined([file.read(each, encoders) for each in SPLITS])


def joined(parts: Sequence[SplitRows]) -> SplitRows:
    """Return the rows of several splits or files as one, in order, under the name of the first."""
    if len(parts) == 1:
        return parts[0]
    before = np.cumsum([0, *(len(part.ids) for part in parts)])
    return replace(
        parts[0],
        ids=chained([part.ids for part in parts]),
        embeddings={name: np.concatenate([part.embeddings[name] for part in parts]) for name in parts[0].embeddings},
        captions=chained([part.captions for part in parts]),
        caption_of=np.concatenate([part.caption_of + start for part, start in zip(parts, before, strict=False)]),
        caption_origin=[origin for part in parts for origin in part.caption_origin],
        texts={name: chained([part.texts[name] for part in parts]) for name in parts[0].texts},
        tags=chained_lists([part.tags for part in parts]),
        start_s=np.concatenate([part.start_s for part in parts]),
        duration_s=np.concatenate([part.duration_s for part in parts]),
    )


def keep_rows(rows: SplitRows, keep: NDArray[np.bool_]) -> SplitRows:
    """Return some of the excerpts, as the mask [N] says, with their captions."""
    chosen = np.flatnonzero(keep)
    captions = np.flatnonzero(keep[rows.caption_of])
    new_place = np.cumsum(keep) - 1
    return replace(
        rows,
        ids=taken(rows.ids, chosen),
        embeddings={name: values[chosen] for name, values in rows.embeddings.items()},
        captions=taken(rows.captions, captions),
        caption_of=new_place[rows.caption_of[captions]].astype(np.int64),
        caption_origin=[rows.caption_origin[caption] for caption in captions],
        texts={name: taken(values, chosen) for name, values in rows.texts.items()},
        tags=taken_lists(rows.tags, chosen),
        start_s=rows.start_s[chosen],
        duration_s=rows.duration_s[chosen],
    )


def keep_captions(rows: SplitRows, keep: NDArray[np.bool_]) -> tuple[SplitRows, NDArray[np.bool_]]:
    """Return some of the captions, as the mask [M] says, and the excerpts that have one; also a mask [N] of the latter."""
    captions = np.flatnonzero(keep)
    fewer = replace(
        rows,
        captions=taken(rows.captions, captions),
        caption_of=rows.caption_of[captions],
        caption_origin=[rows.caption_origin[caption] for caption in captions],
    )
    described = np.zeros(len(rows.ids), dtype=bool)
    described[fewer.caption_of] = True
    return keep_rows(fewer, described), described
