"""Giving tracks captions by the strategies that the user chose, each marked with its origin."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from unisono.base.log import log
from unisono.captions import keywords, metadata, template, varied
from unisono.captions.options import CaptionOptions, Strategy
from unisono.tracks.track import Caption, Track, replace
from unisono.tracks.vocabulary import sort_tags


@dataclass(frozen=True)
class Described:
    """Tracks with their captions, and what came of asking a model, if one was asked."""

    tracks: list[Track]
    llm: dict[str, Any] | None = None


def describe(
    tracks: Sequence[Track], made: set[str], options: CaptionOptions, seed: int, *, ask_model: bool = True
) -> Described:
    """Caption the tracks whose ids are in `made` (their caption is one that was made for want of upstream's) anew, and add
    to the others if that was asked for.

    The first strategy that has something to say gives the caption, each further one alternatives. A track about which
    none of them has anything to say keeps the caption that it came with.

    Raises:
        UnisonoError: the model cannot be asked, or has stopped answering.
    """
    chosen = [track for track in tracks if options.caption_all or track.id in made]
    written: dict[str, list[str]] = {}
    report = None
    if "llm" in options.captions and ask_model:
        from unisono.captions import llm  # requests takes a while to load

        outcome = llm.write(chosen, {track.id for track in chosen} - made, options)
        written, report = outcome.captions, outcome.report()
        _say(outcome.counts)
    ids = {track.id for track in chosen}
    described = [
        _described(track, track.id in made, options.captions, seed, written.get(track.id, []))
        if track.id in ids
        else track
        for track in tracks
    ]
    return Described(described, report)


def _described(track: Track, is_made: bool, strategies: Sequence[Strategy], seed: int, written: list[str]) -> Track:
    captions = {} if is_made else {caption.text: caption for caption in track.captions}
    for strategy in strategies:
        if strategy == "llm":
            for text in written:
                captions.setdefault(text, Caption(text, "model"))
        elif text := plain(strategy, track, seed):
            captions.setdefault(text, Caption(text, "tags"))
    return replace(track, captions=tuple(captions.values())) if captions else track


def plain(strategy: Strategy, track: Track, seed: int) -> str:
    """Caption a track without a model; empty where the strategy has nothing to say about it."""
    facts = sort_tags(track.genre, track.tags)
    if strategy == "varied":
        return varied.sentence(facts, seed, track.id)
    if strategy == "keywords":
        return keywords.sentence(facts)
    if strategy == "metadata":
        return metadata.sentence(track, facts)
    return template.sentence(facts)


def _say(counts: dict[str, int]) -> None:
    said = ", ".join(f"{counts[name]:,} {name}" for name in ("asked", "from the cache", "accepted") if counts[name])
    log.info("Language model: %s", said or "nothing to ask")
    lost = counts["refused"] + counts["unanswered"]
    if lost:
        log.warning(
            "Captions of the model that were refused: %d, questions not answered: %d; the other captions step in.",
            counts["refused"],
            counts["unanswered"],
        )
    if counts["unanswered"]:
        log.warning("Run the same command again to ask what was not answered.")
