"""The tags as a list: `Electronic, upbeat, synthesizer`."""

from unisono.captions.ways._way import one_each
from unisono.tracks.track import CaptionOrigin, Track
from unisono.tracks.vocabulary import Facts

ORIGIN: CaptionOrigin = "tags"


def sentence(track: Track, facts: Facts, seed: int) -> str:
    """Return the list of sorted tags, or "" if there are none; track and seed change nothing."""
    return ", ".join(facts.words)


write = one_each(sentence)
