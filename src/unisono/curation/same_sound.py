"""Which tracks hold the same samples once decoded, or the same sound, by their hashes and fingerprints."""

from collections.abc import Iterator, Sequence

from unisono.audio.fingerprint import SameAudio, same_audio
from unisono.audio.listening import Heard
from unisono.curation.matching import Kind, Match


def audio_matches(first: Heard, second: Heard, kinds: Sequence[Kind]) -> list[Match]:
    """Compare each track of one list with each of another, by samples (`decoded`) and by fingerprint (`audio`).

    Of several tracks of the second list with the same samples, the first one is named. `audio` includes exact copies, but
    each pair is named once, with the stronger evidence.
    """
    mine, theirs = _by_samples(first), _by_samples(second)
    matches = [
        Match(at, theirs[decoded][0], "decoded", f"the same samples, sha256 {decoded}")
        for decoded, places in mine.items()
        for at in places
        if decoded in theirs
    ]
    if "audio" in kinds:
        for same, one, other in _alike(first, second, mine, theirs):
            if one != other:
                evidence = (
                    f"{1 - same.different:.1%} of the fingerprints agree, "
                    f"the second begins {same.offset_s:+.2f} s later"
                )
                matches += [Match(at, theirs[other][0], "audio", evidence) for at in mine[one]]
    return sorted(matches, key=lambda match: (match.first, match.second))


def _alike(
    first: Heard, second: Heard, mine: dict[str, list[int]], theirs: dict[str, list[int]]
) -> Iterator[tuple[SameAudio, str, str]]:
    """Yield similar sounds with the hashes of both; of exact copies, one is compared."""
    hashes, other_hashes = list(mine), list(theirs)
    prints = first.fingerprints([mine[decoded][0] for decoded in hashes])
    others = second.fingerprints([theirs[decoded][0] for decoded in other_hashes])
    for same in same_audio(prints, others):
        yield same, hashes[same.first], other_hashes[same.second]


def duplicates(heard: Heard) -> list[tuple[int, int]]:
    """Return pairs of places within one list, the lower place first: enough of them to join all that sound the same."""
    places = _by_samples(heard)
    pairs = [(members[0], at) for members in places.values() for at in members[1:]]
    distinct = [members[0] for members in places.values()]
    alike = same_audio(heard.fingerprints(distinct))
    return sorted(pairs + [(distinct[same.first], distinct[same.second]) for same in alike])


def _by_samples(heard: Heard) -> dict[str, list[int]]:
    """Return hash of samples -> places of the tracks that have them."""
    places: dict[str, list[int]] = {}
    for at, decoded in enumerate(heard.decoded):
        if decoded:
            places.setdefault(decoded, []).append(at)
    return places
