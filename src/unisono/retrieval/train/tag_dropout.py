"""Tag dropout: add captions that leave out some of the tags to music that is described by tags.

A model trained only on captions of all tags of a track expects all of them; people ask for one or two. The captions are
made before the training, so that each is embedded once, like any other.
"""

from dataclasses import replace

import numpy as np

from unisono.base.seeded import rng
from unisono.captions.ways import template
from unisono.embeddings.file import SplitRows


def with_variants(rows: SplitRows, share: float, variants: int, seed: int) -> SplitRows:
    """Add captions to every excerpt that has one made of tags.

    Args:
        rows: a split; the captions are made from its tags and genres.
        share: the probability that a tag, or the genre, is left out.
        variants: the most captions added to an excerpt; fewer if some are equal.
        seed: of what is left out; the captions of an excerpt depend only on its id and the seed.
    """
    captions: list[str] = []
    origins: list[str] = []
    counts = []
    begin = np.searchsorted(rows.caption_of, np.arange(len(rows.ids) + 1))
    for row, id in enumerate(rows.ids):
        own = list(rows.captions[begin[row] : begin[row + 1]])
        own_origins = rows.caption_origin[begin[row] : begin[row + 1]]
        added = []
        if "tags" in own_origins:
            added = _variants(id, rows.texts["genre"][row], rows.tags[row], share, variants, seed)
        added = [caption for caption in added if caption not in own]
        captions += own + added
        origins += own_origins + ["tags"] * len(added)
        counts.append(len(own) + len(added))
    caption_of = np.repeat(np.arange(len(rows.ids)), counts)
    return replace(rows, captions=captions, caption_of=caption_of, caption_origin=origins)


def _variants(id: str, genre: str, tags: list[str], share: float, variants: int, seed: int) -> list[str]:
    random = rng(seed, "tag dropout", id)
    found: dict[str, None] = {}
    for _ in range(variants):
        kept_genre = genre if random.random() >= share else ""
        kept_tags = [tag for tag in tags if random.random() >= share]
        caption = template.caption(kept_genre, kept_tags)
        if caption:
            found[caption] = None
    return list(found)
