"""Captions that contradict their tags, have hardly any words, or belong to many recordings."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from unisono.curation.wording import words
from unisono.tracks.track import Track

FEWEST_WORDS = 3

_NO = r"\b(?:no|without|lacks?|lacking|absence of|devoid of|there (?:is|are) no|non)\b[^.;]{0,30}?"
_VOICE = re.compile(r"\b(?:vocals?|vocalists?|voices?|sings?|singing|singers?|sung|raps|rapping|rappers?|choirs?)\b")
_NO_VOICE = re.compile(_NO + _VOICE.pattern)
_INSTRUMENTAL = re.compile(r"\b(?:purely|entirely|fully|an?|this) instrumental\b")
_FAST = re.compile(r"\b(?:fast|fast-paced|up-?tempo|rapid)\b")
_SLOW = re.compile(r"\b(?:slow|slow-paced|down-?tempo)\b")
_VOICE_TAGS = frozenset({"vocals", "female vocals", "male vocals", "singing", "voice", "rapping", "choir"})


def contradiction(track: Track) -> str:
    """Return which tag a caption contradicts, and by which words; empty if there is none."""
    if not track.tags:
        return ""
    tags = {tag.casefold() for tag in track.tags}
    for caption in track.captions:
        if caption.origin == "tags":
            continue
        text = caption.text.casefold()
        without_voice = _NO_VOICE.search(text)
        voice = None if without_voice else _VOICE.search(text)
        pairs = [
            ("instrumental" in tags and not tags & _VOICE_TAGS, "instrumental", voice),
            (bool(tags & _VOICE_TAGS) and "instrumental" not in tags, "vocals", without_voice),
            (bool(tags & _VOICE_TAGS) and not voice, "vocals", _INSTRUMENTAL.search(text)),
            (bool(tags & {"slow", "very slow"}), "slow", None if _SLOW.search(text) else _FAST.search(text)),
            (bool(tags & {"fast", "very fast"}), "fast", None if _FAST.search(text) else _SLOW.search(text)),
        ]
        for applies, tag, said in pairs:
            if applies and said:
                return f"tag {tag!r}, caption says {said[0]!r}"
    return ""


def short(track: Track) -> str:
    """Return the first caption of fewer than `FEWEST_WORDS` words; empty if there is none."""
    return next((repr(text) for text in track.texts if len(words(text)) < FEWEST_WORDS), "")


def shared(tracks: Sequence[Track], at_least: int) -> Iterator[tuple[int, str]]:
    """Yield (index, finding) of every track with a caption that at least `at_least` recordings have.

    Captions made from tags are not counted.
    """
    recordings: dict[str, set[str]] = defaultdict(set)
    folded = [
        [" ".join(words(caption.text)) for caption in track.captions if caption.origin != "tags"] for track in tracks
    ]
    for track, captions in zip(tracks, folded, strict=True):
        for caption in captions:
            recordings[caption].add(track.recording or track.id)
    for at, captions in enumerate(folded):
        for caption in captions:
            if len(recordings[caption]) >= at_least:
                yield at, f"{len(recordings[caption])} recordings have {caption[:80]!r}"
                break
