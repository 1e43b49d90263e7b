"""The check of every caption that a language model writes.

A caption is refused if it is empty, is a list or has markup, talks about the task instead of the music, repeats the
instructions, has a number that was not given, or names a genre or an instrument that was not given. A needless refusal
costs one caption; a false caption teaches a trained model something false.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from unisono.tracks.vocabulary import Facts, Term, look_up

FEWEST_WORDS, MOST_WORDS = 3, 120
ECHOED_WORDS = 6
"""This number of words in a row from the instructions is an echo."""
_LONGEST_TERM = 4

_WORD = re.compile(r"[^\W_]+(?:[&'’][^\W_]+)*")
_MARKUP = re.compile(r"[*_#`~<>\[\]{}()|\\^=@$%+]|https?:|www\.|&\w+;|^\s*(?:[-•–]|\d+[.)])\s", re.MULTILINE)
_LABEL = re.compile(
    r"^\W*(?:caption|description|summary|paraphrase|title|answer|output|response|song|track|genre|genres|mood|moods"
    r"|instruments|tags|note|facts|keywords)\s*:",
    re.IGNORECASE | re.MULTILINE,
)
_BOILERPLATE = re.compile(
    r"^\W*(?:sure|certainly|of course|okay|ok|absolutely|great[,!]|thank you|here(?:'s|’s| is| are)|below)(?!\w)"
    r"|\bas an? (?:ai|a\.i\.|assistant|language model|llm)\b|\blanguage model\b"
    r"|\bI(?:'m|’m| am)? (?:sorry|cannot|can't|can’t|hope|apologi[sz]e|am unable)\b"
    r"|\blet me know\b|\bfeel free\b|\b(?:happy|glad) to help\b|\bplease provide\b"
    r"|\b(?:based on|according to|given|from) the (?:facts?|description|information|input)\b"
    r"|\bthe (?:given|provided|following|above) \w+"
    r"|\b(?:tags?|labels?|labell?ed|attributes?|keywords?|prompt|metadata|captions?)\b"
    r"|\b(?:nan|unknown|n/a|not specified|unspecified|placeholder|lorem ipsum)\b",
    re.IGNORECASE,
)
_WITHOUT_VOICE = re.compile(
    r"\b(?:no|without|without any|free of|devoid of) (?:vocals?|voices?|singing|lyrics)\b", re.IGNORECASE
)

# Words for genres and instruments that have other meanings in prose. The genres count if a noun for music follows or if they
# are capitalised; the instruments never count.
_EVERYDAY_GENRES = """
    acid alternative asian african brazilian breaks caribbean chinese classic club contemporary country crossover dance
    downtempo drone early european experimental french funky fusion garage glitch gothic groove hardcore hawaiian house
    improvisation indian industrial international japanese jungle latin lounge march minimal minimalism noise novelty
    orchestral poetry progressive psychedelic renaissance score scores soul spanish spoken surf swing symphonic symphony
    traditional trance trap tribal turkish wonky world worship
"""
_EVERYDAY_INSTRUMENTS = """
    beat beats bell chorus clapping claps computer harmonies horn key keys pad pads recorder string triangle voice voices
    vocal whistle sampler
"""
_MUSIC = "music track song tune piece record recording beat groove ballad anthem number instrumental"

# Word -> narrower words that imply it: a caption may say `strings` of a violin.
IMPLIED = {
    "strings": "violin, viola, cello, double bass, fiddle, string quartet, string section, orchestra",
    "string section": "strings",
    "brass": "trumpet, trombone, tuba, French horn, horn, horns, cornet, flugelhorn, euphonium",
    "horns": "horn, brass, brass section, trumpet, trombone, saxophone",
    "woodwinds": "flute, clarinet, oboe, bassoon, piccolo, saxophone, cor anglais, bass clarinet",
    "percussion": "drums, drum kit, drum machine, congas, bongos, djembe, tabla, timpani, tambourine, shaker, maracas, "
    "hand drums, cymbals, claps, bass drum, snare drum, toms, hi-hats, steel drums, marimba, xylophone, vibraphone",
    "drums": "drum kit, drum machine, bass drum, snare drum, hand drums",
    "vocals": "choir, rapping, soprano voice",
    "keyboard": "piano, organ, synthesizer, electric piano, Rhodes piano, harpsichord, clavinet, Mellotron",
    "bass": "double bass, upright bass",
    "upright bass": "double bass",
    "double bass": "upright bass",
    "orchestra": "Orchestral, Symphony",
    "choir": "Choral",
    "rapping": "Rap",
}


@dataclass(frozen=True)
class Given:
    """What a model was given to write a caption from."""

    facts: Facts
    description: str = ""
    """Upstream's caption, if it was given too."""
    guesses: tuple[str, ...] = ()
    """Words that the model was allowed to add."""
    instructions: str = ""
    """The instructions, which are not to be repeated."""

    @cached_property
    def terms(self) -> frozenset[str]:
        """The genres and instruments that may be named."""
        known = set(self.facts.words)
        texts = (self.description, self.facts.genre, *self.guesses)
        known |= {term.text for text in texts for term, _ in _named(text, everyday=True)}
        return frozenset(known)

    @cached_property
    def numbers(self) -> frozenset[str]:
        """The numbers that may be named; for `80s` also 1980."""
        text = " ".join([*self.facts.words, self.description])
        found = re.findall(r"\d+", text)
        return frozenset([*found, *("19" + number for number in found if f" {number}s" in f" {text}")])


def fault(caption: str, given: Given) -> str:
    """Return why a caption is refused, a short phrase with what was found, or "" if it is accepted."""
    words = _WORD.findall(caption)
    if not words:
        return "empty"
    if len(words) < FEWEST_WORDS:
        return "too short"
    if len(words) > MOST_WORDS:
        return "too long"
    if found := _MARKUP.search(caption) or next((c for c in caption if not c.isprintable() and c != "\n"), None):
        return f"markup: {(found if isinstance(found, str) else found[0]).strip()!r}"
    if echoed := _echo(words, given.instructions):
        return f"echo of the instructions: {echoed!r}"
    if found := _LABEL.search(caption) or _BOILERPLATE.search(caption):
        return f"boilerplate: {found[0].strip()!r}"
    for number in re.findall(r"\d+", caption):
        if number not in given.numbers:
            return f"number that was not given: {number!r}"
    return _invention(caption, given)


def _echo(words: list[str], instructions: str) -> str:
    told = f" {' '.join(_WORD.findall(instructions)).casefold()} "
    for at in range(len(words) - ECHOED_WORDS + 1):
        part = " ".join(words[at : at + ECHOED_WORDS])
        if f" {part.casefold()} " in told:
            return part
    return ""


def _invention(caption: str, given: Given) -> str:
    if "instrumental" in given.facts.characters:
        caption = _WITHOUT_VOICE.sub(" ", caption)
    for term, words in _named(caption):
        if not _is_given(term, given.terms):
            return f"{term.kind} that was not given: {words!r}"
    return ""


def _is_given(term: Term, known: frozenset[str]) -> bool:
    """Whether a term, its parts (deep and Funk), what it is a part of (electric guitar), or what implies it is known."""
    if term.text in known:
        return True
    if _stems(term.text) <= _stems(" ".join(known)):
        return True
    return any(word in known for word in IMPLIED.get(term.text, "").split(", "))


def _stems(text: str) -> set[str]:
    return {word.casefold().removesuffix("s") for word in re.split(r"[\s-]+", text)}


def _named(text: str, *, everyday: bool = False) -> Iterator[tuple[Term, str]]:
    """Yield the genres and instruments that a text names, the longest first where one stands in another.

    With `everyday`, words that prose also uses for other things count wherever they stand.
    """
    matches = list(_WORD.finditer(text))
    words = [match[0] for match in matches]
    at = 0
    while at < len(words):
        for size in range(min(_LONGEST_TERM, len(words) - at), 0, -1):
            part = words[at : at + size]
            between = text[matches[at].end() : matches[at + size - 1].start()] if size > 1 else ""
            term = look_up("".join(part)) if not set(between) & set(",;:.!?") else None
            if term and term.kind in ("genre", "instrument") and (everyday or _is_meant(term, words, at, size)):
                yield term, " ".join(part)
                at += size - 1
                break
        at += 1


def _is_meant(term: Term, words: list[str], at: int, size: int) -> bool:
    word = words[at].casefold()
    if size > 1:
        return True
    if word in _EVERYDAY_INSTRUMENTS.split():
        return False
    if term.kind == "genre" and word in _EVERYDAY_GENRES.split():
        following = words[at + 1].casefold() if at + 1 < len(words) else ""
        return following in _MUSIC.split() or (at > 0 and words[at][0].isupper())
    return True
