"""Which caption describes which music: what is relevant to a query, in validation and in evaluation.

Queries are distinct caption texts: a text that several captions share is one query, and all the music that it describes
is relevant. Music is relevant to a text if the text describes it, or describes another excerpt of the same recording.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from unisono.base.texts import distinct, numbered, taken
from unisono.embeddings.file import SplitRows
from unisono.retrieval.metrics import MUSIC_TO_TEXT, TEXT_TO_MUSIC, Relevance, per_query, ranks, summary


@dataclass(frozen=True)
class Pairing:
    """The texts and the music of a split, and which belong together."""

    texts: Sequence[str]
    """Distinct captions [T], in order of first appearance."""
    text_of: NDArray[np.int64]
    """[M]: the place of each caption in `texts`."""
    caption_of: NDArray[np.int64]
    """[M]: the excerpt that each caption describes."""
    recording: NDArray[np.int64]
    """[N]: a number for the recording of each excerpt."""
    recording_of_text: NDArray[np.int64]
    """[T]: the recording that a text describes, the first one if there are several; judged texts have numbers of their
    own, from the number of recordings on."""
    grades: NDArray[np.float32] | None = None
    """[T, N]: how well each excerpt answers each text, if judges said so; an excerpt of grade 0 is not relevant."""

    @property
    def recordings(self) -> int:
        """How many recordings there are."""
        return int(self.recording.max(initial=-1)) + 1

    @cached_property
    def relevance(self) -> Relevance:
        """Which of the N excerpts are relevant to each text."""
        if self.grades is not None:
            asked, row = np.nonzero(self.grades > 0)
            return Relevance.from_pairs(asked, row, len(self.texts), len(self.recording))
        count = max(1, self.recordings)
        described = np.unique(self.text_of * count + self.recording[self.caption_of])
        text, recording = np.divmod(described, count)
        rows_by_recording = np.argsort(self.recording, kind="stable")
        begin = np.searchsorted(self.recording[rows_by_recording], np.arange(count + 1))
        counts = np.diff(begin)[recording]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return Relevance.from_pairs(
            np.repeat(text, counts),
            rows_by_recording[np.repeat(begin[recording], counts) + within],
            len(self.texts),
            len(self.recording),
        )


def pair(captions: Sequence[str], caption_of: NDArray[np.int64], recordings: Sequence[str]) -> Pairing:
    """Pair M captions with the excerpts `caption_of` [M] that they describe, and those with their recordings [N].

    An excerpt without a recording is one of its own.
    """
    recording = _numbers(recordings)
    places, text_of = distinct(captions)
    return Pairing(taken(captions, places), text_of, caption_of, recording, recording[caption_of[places]])


def _numbers(recordings: Sequence[str]) -> NDArray[np.int64]:
    """Return a number from 0 for the recording of each excerpt [N]; one without is of its own."""
    named = (hash(name or f"\0{row}") for row, name in enumerate(recordings))
    return numbered(np.fromiter(named, np.int64, len(recordings)))[1]


def judged(texts: Sequence[str], grades: NDArray[np.float32], recordings: Sequence[str]) -> Pairing:
    """Pair texts with music as judges did.

    Args:
        texts: T queries.
        grades: [T, N], how well each excerpt answers each query; every query has one that does.
        recordings: [N] identity of the recording of each excerpt; an excerpt without one is a recording of its own.
    """
    recording = _numbers(recordings)
    own = int(recording.max(initial=-1)) + 1 + np.arange(len(texts))
    return Pairing(list(texts), np.empty(0, np.int64), np.empty(0, np.int64), recording, own, grades)


def pair_rows(rows: SplitRows) -> Pairing:
    """Pair the captions and the music of a split of `embeddings.h5`."""
    return pair(rows.captions, rows.caption_of, rows.texts["recording"])


def validate(pairing: Pairing, texts: NDArray[np.floating], music: NDArray[np.floating]) -> dict[str, dict[str, float]]:
    """Measure texts [T, D] of a pairing and music [N, D]: {"text_to_music": {"recall@10": ..., "mrr": ...}, ...}."""
    answers = pairing.relevance.reversed()
    return {
        TEXT_TO_MUSIC: summary(per_query(ranks(texts, music, pairing.relevance), pairing.relevance)),
        MUSIC_TO_TEXT: summary(per_query(ranks(music, texts, answers), answers)),
    }
