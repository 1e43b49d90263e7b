"""One of many natural sentences from genre and tags. The track's id and the seed choose facts, order and form."""

from dataclasses import dataclass
from random import Random

from unisono.base.seeded import rng
from unisono.captions.english import article, capitalise, enumerate_words, with_article
from unisono.captions.ways._way import one_each
from unisono.tracks.track import CaptionOrigin, Track
from unisono.tracks.vocabulary import Facts

ORIGIN: CaptionOrigin = "tags"
_NOUNS = ("track", "piece", "tune", "recording")
_FEATURING = (
    "featuring {}",
    "with {}",
    "built around {}",
    "carried by {}",
    "driven by {}",
    "where {} can be heard",
    "in which one hears {}",
)
_FEATURES = ("features {}", "is built around {}", "is carried by {}", "brings in {}")
_FEELS = ("that sounds {0}", "that feels {0}", "with {a} {0} mood", "with {a} {0} feel")
_ELEMENTS = ("with {} elements", "with touches of {}", "with hints of {}", "that leans towards {}")
_ONE_THEME = ("with {a} {0} theme", "on {a} {0} theme")
_SEVERAL_THEMES = ("with {0} themes", "on {0} themes")


@dataclass(frozen=True)
class _Chosen:
    """The sorted tags that one sentence names."""

    genre: str
    others: tuple[str, ...]
    moods: tuple[str, ...]
    instruments: tuple[str, ...]
    characters: tuple[str, ...]
    themes: tuple[str, ...]


def sentence(track: Track, facts: Facts, seed: int) -> str:
    """Return a sentence about some of the sorted tags, or "" if there are none. It says nothing else."""
    if facts == Facts():
        return ""
    random = rng(seed, "varied caption", track.id)
    chosen = _choose(facts, random)
    forms = [_plain, _plain, _this_is]
    if chosen.moods:
        forms += [_that_feels]
    if chosen.instruments:
        forms += [_this_features]
        if chosen.moods:
            forms += [_moods_first]
        if chosen.genre:
            forms += [_instruments_first]
    return capitalise(random.choice(forms)(chosen, random))


def _choose(facts: Facts, random: Random) -> _Chosen:
    def some(words: tuple[str, ...], most: int) -> tuple[str, ...]:
        if not words:
            return ()
        return tuple(random.sample(words, min(len(words), random.randint(1, most))))

    genres = some(facts.genres, 3)
    return _Chosen(
        genre=facts.genre or enumerate_words(genres),
        others=genres if facts.genre else (),
        moods=some(facts.moods, 3),
        instruments=some(facts.instruments, 5),
        characters=some(facts.characters, 2),
        themes=some(facts.themes, 2),
    )


def _plain(chosen: _Chosen, random: Random) -> str:
    """An upbeat Electronic piece with synthesizer."""
    return with_article(_noun(chosen, chosen.moods, random)) + _rest(chosen, random)


def _this_is(chosen: _Chosen, random: Random) -> str:
    """This is an upbeat Electronic piece with synthesizer."""
    return "this is " + _plain(chosen, random)


def _this_features(chosen: _Chosen, random: Random) -> str:
    """This upbeat Electronic piece features synthesizer."""
    features = _filled(_FEATURES, enumerate_words(chosen.instruments), random)
    return f"this {_noun(chosen, chosen.moods, random)} {features}{_themes(chosen, random, ',')}"


def _instruments_first(chosen: _Chosen, random: Random) -> str:
    """Synthesizer and drums in an upbeat Electronic piece."""
    noun = _noun(chosen, chosen.moods, random)
    return f"{enumerate_words(chosen.instruments)} in {with_article(noun)}{_themes(chosen, random)}"


def _that_feels(chosen: _Chosen, random: Random) -> str:
    """An Electronic piece that sounds upbeat, with synthesizer."""
    feels = _filled(_FEELS, enumerate_words(chosen.moods), random)
    return f"{with_article(_noun(chosen, (), random))} {feels}{_rest(chosen, random, ',')}"


def _moods_first(chosen: _Chosen, random: Random) -> str:
    """Upbeat and happy, this Electronic piece features synthesizer."""
    features = _filled(_FEATURES, enumerate_words(chosen.instruments), random)
    noun = _noun(chosen, (), random)
    return f"{enumerate_words(chosen.moods)}, this {noun} {features}{_themes(chosen, random, ',')}"


def _noun(chosen: _Chosen, moods: tuple[str, ...], random: Random) -> str:
    qualities = ", ".join([*moods, *chosen.characters])
    return " ".join(filter(None, [qualities, chosen.genre, random.choice(_NOUNS)]))


def _rest(chosen: _Chosen, random: Random, comma: str = "") -> str:
    """Return the other genres, instruments and themes, to follow a noun, separated by commas."""
    words = ""
    if chosen.others:
        words += f"{comma} {_filled(_ELEMENTS, enumerate_words(chosen.others), random)}"
        comma = ","
    if chosen.instruments:
        words += f"{comma} {_filled(_FEATURING, enumerate_words(chosen.instruments), random)}"
        comma = ","
    return words + _themes(chosen, random, comma)


def _themes(chosen: _Chosen, random: Random, comma: str = "") -> str:
    if not chosen.themes:
        return ""
    forms = _ONE_THEME if len(chosen.themes) == 1 else _SEVERAL_THEMES
    return f"{comma} {_filled(forms, enumerate_words(chosen.themes), random)}"


def _filled(forms: tuple[str, ...], words: str, random: Random) -> str:
    return random.choice(forms).format(words, a=article(words))


write = one_each(sentence)
