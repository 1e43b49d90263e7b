"""What is known, as a list: `Electronic, upbeat, synthesizer`."""

from unisono.tracks.vocabulary import Facts


def words(facts: Facts) -> tuple[str, ...]:
    """Give every word of the facts, the genre first."""
    genre = (facts.genre,) if facts.genre else ()
    return (*genre, *facts.genres, *facts.moods, *facts.instruments, *facts.characters, *facts.themes)


def sentence(facts: Facts) -> str:
    """Word sorted facts; empty where there are none."""
    return ", ".join(words(facts))
