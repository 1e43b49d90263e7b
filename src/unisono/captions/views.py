"""Partial views of a caption: other texts that are as true of the music, and closer to what people type.

A model trained on whole captions only expects whole captions. Source: Manco et al. 2024 (arXiv 2409.11498), augmented view
dropout.
"""

from unisono.base.seeded import rng
from unisono.captions.wording import as_tags, sentences, short

SENTENCE_VIEWS = 2
"""The most views of the kind `sentences` of a caption; each is other sentences, or in another order."""


def views(text: str, seed: int) -> dict[str, list[str]]:
    """Return the views of a caption by kind; a kind that does not apply to it is left out.

    whole      the caption as it is
    sentences  one or two of its sentences, in random order
    tags       the terms that it names
    short      the beginning of its first sentence
    """
    found: dict[str, list[str | None]] = {
        "whole": [text],
        "sentences": _sentences(text, seed),
        "tags": [as_tags(text)],
        "short": [short(text)],
    }
    seen: set[str] = set()
    kinds: dict[str, list[str]] = {}
    for kind, texts in found.items():
        distinct = dict.fromkeys(each for each in texts if each)
        kept = [each for each in distinct if each.lower() not in seen]
        seen.update(each.lower() for each in kept)
        if kept:
            kinds[kind] = kept
    return kinds


def _sentences(text: str, seed: int) -> list[str | None]:
    parts = sentences(text)
    if len(parts) < 2:
        return []
    random = rng(seed, "sentences", text)
    return [" ".join(random.sample(parts, random.choice((1, 2)))) for _ in range(SENTENCE_VIEWS)]
