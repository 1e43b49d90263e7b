"""Describe what can be heard in a clip: as people do, as a captioning model does, and as tags.

Every word follows from the clip's `Facts`. Mood words are tied to audible facts as well: `solemn` is a slow chorale without
short notes, `gentle` a slow tune without drums, `lively` any fast music; `cheerful` and `wistful` depend on the mode.
"""

import random

from demo.arrange import Facts
from demo.instruments import INSTRUMENTS

TEMPO_WORDS = {
    "slow": ("slow", "slow", "slow-paced", "unhurried"),
    "medium": ("moderate", "medium-tempo", "mid-tempo"),
    "fast": ("fast", "fast", "quick", "rapid"),
}
FORM_WORDS = {
    "chorale": ("chorale", "hymn", "piece of sacred music", "piece in four parts"),
    "strathspey": ("strathspey", "dance tune", "folk tune"),
    "fling": ("Highland fling", "dance tune", "folk tune"),
    "tune": ("folk tune", "traditional tune", "melody"),
}
ENSEMBLE_WORDS = {
    "string quartet": ("string quartet", "quartet of two violins, viola and cello"),
    "brass quartet": ("brass quartet", "quartet of two trumpets, horn and trombone"),
    "woodwind quartet": ("woodwind quartet", "quartet of flute, oboe, clarinet and bassoon"),
    "saxophone quartet": ("saxophone quartet", "group of four saxophones"),
}
TAGS = {"string orchestra": "strings", "brass quartet": "brass", "woodwind quartet": "woodwinds"}
"""Instruments and ensembles with another name as a tag."""
LOUD = ("electric guitar", "trumpet", "trombone", "accordion", "banjo", "brass quartet", "saxophone quartet")
"""Leads that are never called gentle."""


def human_captions(facts: Facts, count: int, random_: random.Random) -> list[str]:
    """Write `count` different descriptions of a clip (at most 6), the most complete one first."""
    full, partial, short = _full(facts, random_), _partial(facts, random_), _short(facts, random_)
    found = list(dict.fromkeys([full[0], short[0], partial[0], short[1], full[1], partial[1]]))
    return found[:count]


def model_caption(facts: Facts, random_: random.Random) -> str:
    """Describe a clip at length, in the even tone of a captioning model."""
    sentences = [f"{random_.choice(('The music is', 'This is', 'The track is'))} {_a(_piece(facts, random_))}"]
    sentences[0] += f" {_played(facts, random_)}."
    if facts.alone:
        sentences.append(random_.choice(("There is no accompaniment.", "No other instruments are heard.")))
    elif facts.accompanist:
        chords = "Sustained chords" if facts.accompanist == "string orchestra" else "Chords on the beat"
        sentences.append(f"{chords} are played by the {_name(facts.accompanist, random_)}.")
    if facts.drums:
        sentences.append(random_.choice(("Drums keep a steady beat.", "A drum kit plays a steady rhythm.")))
    if facts.staccato:
        sentences.append(random_.choice(("The notes are short and detached.", "The playing is staccato.")))
    if facts.register:
        sentences.append(f"The melody is in {_a(facts.register)} register.")
    if facts.mode:
        sentences.append(f"It is in {_a(facts.mode)} key.")
    moods = _moods(facts)
    if moods:
        sentences.append(f"The mood is {random_.choice(moods)}.")
    return " ".join([sentences[0], *random_.sample(sentences[1:], len(sentences) - 1)])


def tags(facts: Facts) -> list[str]:
    """Tag a clip: instruments first, then tempo, mood and character."""
    found = [TAGS.get(name, name) for name in facts.players]
    if facts.lead not in INSTRUMENTS:
        found.append(TAGS.get(facts.lead, facts.lead))
    if facts.drums:
        found.append("drums")
    if facts.tempo:
        found.append("mid-tempo" if facts.tempo == "medium" else facts.tempo)
    found += _moods(facts)[:1]
    if facts.alone and facts.lead != "choir":
        found.append("solo")
    if facts.staccato:
        found.append("staccato")
    return found


def _moods(facts: Facts) -> list[str]:
    """Return the mood words that the facts allow, the simplest first."""
    quiet = not facts.drums and not facts.staccato
    if facts.tempo == "fast":
        return ["lively", "energetic"] + (["cheerful"] if facts.mode == "major" else [])
    if facts.tempo == "slow" and quiet:
        moods = ["solemn"] if facts.form == "chorale" else []
        moods += ["gentle", "calm"] if facts.lead not in LOUD else []
        return moods + (["wistful"] if facts.mode == "minor" else [])
    return []


def _full(facts: Facts, random_: random.Random) -> list[str]:
    details = _details(facts, random_)
    who = _who(facts, random_)
    first = f"{_a(_piece(facts, random_))} {_played(facts, random_)}{details}"
    second = f"{who} playing {_a(_piece(facts, random_))}{details}"
    third = f"{_a(_piece(facts, random_))} for {who}{details}"
    options = [first, third] if facts.lead == "choir" else [first, second, third]
    chosen = random_.sample(options, 2)
    return [random_.choice((_sentence, _sentence, str))(text) for text in chosen]


def _partial(facts: Facts, random_: random.Random) -> list[str]:
    """Leave something out."""
    who = _who(facts, random_)
    options = [f"{_a(_piece(facts, random_))} {_played(facts, random_)}", f"this sounds like {who}"]
    if facts.tempo:
        options.append(f"{random_.choice(TEMPO_WORDS[facts.tempo])} music with {who}")
        options.append(f"{who} at {_a(random_.choice(TEMPO_WORDS[facts.tempo]))} pace".replace("-paced pace", " pace"))
    moods = _moods(facts)
    if moods:
        options.append(f"{_a(random_.choice(moods))} piece featuring {who}")
    if facts.drums:
        options.append(f"{facts.lead} music with drums")
    if facts.staccato:
        options.append(f"short, detached notes on the {_name(facts.lead, random_)}")
    return [random_.choice((_sentence, str))(text) for text in random_.sample(options, 2)]


def _short(facts: Facts, random_: random.Random) -> list[str]:
    """Name the players and little more."""
    name = facts.lead if facts.lead in ENSEMBLE_WORDS else _name(facts.lead, random_)
    options = [f"{name} music", f"music for {name}", f"music with {_a(name)}"]
    if facts.alone and facts.lead != "choir":
        options += [f"solo {name}", f"{name} solo", f"{name} alone"]
    if facts.accompanist:
        options.append(f"{name} and {_name(facts.accompanist, random_)}")
    if facts.tempo and facts.tempo != "medium":
        options.append(f"{facts.tempo} {name} music")
    return [random_.choice((_sentence, str, str))(text) for text in random_.sample(options, 2)]


def _piece(facts: Facts, random_: random.Random) -> str:
    """Return an adjective or two and a noun, without article."""
    words = []
    if facts.tempo:
        words.append(random_.choice(TEMPO_WORDS[facts.tempo]))
    moods = _moods(facts)
    if moods and random_.random() < 0.6:
        words.append(random_.choice(moods))
    random_.shuffle(words)
    noun = random_.choice(FORM_WORDS.get(facts.form, (facts.form, facts.form, "dance tune", "folk tune")))
    if facts.mode and random_.random() < 0.4:
        noun += f" in {_a(facts.mode)} key"
    return f"{', '.join(words)} {noun}".strip()


def _played(facts: Facts, random_: random.Random) -> str:
    verb = random_.choice(("sung by", "performed by") if facts.lead == "choir" else ("played by", "performed by"))
    return f"{verb} {_who(facts, random_)}"


def _who(facts: Facts, random_: random.Random) -> str:
    """Return all players, with articles."""
    name = _name(facts.lead, random_)
    if facts.alone:
        if facts.lead == "choir":
            return random_.choice((_a(name), f"an unaccompanied {name}"))
        return random_.choice((f"a solo {name}", f"{_a(name)} alone", f"an unaccompanied {name}"))
    others = []
    if facts.accompanist:
        accompanist = _name(facts.accompanist, random_)
        others.append(random_.choice((f"{accompanist} chords", f"{accompanist} accompaniment")))
    if facts.drums:
        others.append(random_.choice(("drums", "a drum kit", "a drum beat")))
    joined = " and ".join(others)
    return f"{_a(name)} {random_.choice(('with', 'over', 'backed by'))} {joined}" if joined else _a(name)


def _details(facts: Facts, random_: random.Random) -> str:
    options = []
    if facts.staccato:
        options.append(random_.choice(("short, detached notes", "staccato notes")))
    if facts.register:
        options.append(random_.choice((f"a {facts.register} melody", f"the melody in {_a(facts.register)} register")))
    return f", with {' and '.join(options)}" if options else ""


def _name(name: str, random_: random.Random) -> str:
    """Return one of the names of an instrument or ensemble; the plain name in most cases."""
    if name in ENSEMBLE_WORDS:
        return random_.choice(ENSEMBLE_WORDS[name])
    others = INSTRUMENTS[name].others
    return random_.choice(others) if others and random_.random() < 0.4 else name


def _a(words: str) -> str:
    """Put the right indefinite article before words."""
    return f"{'an' if words[0].lower() in 'aeiou' else 'a'} {words}"


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:] + "."
