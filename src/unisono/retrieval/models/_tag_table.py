"""The 100 tags of the two taggers, merged: one axis for each thing that they name, and the words that ask for it.

Many tags say the same (`male voice`, `man`, `male vocal`), some the opposite (`loud`, `quiet`). An axis joins them: its
value is the mean of its tags less the mean of its opposite tags.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from unisono.embeddings.encoders.audio._taggers import MSD, MTT
from unisono.tracks.vocabulary import key

# One axis a line: name = tags of the Million Song tagger / tags of the MagnaTagATune tagger; a leading "-" marks a tag of
# the opposite, whose name follows the name of the axis after "|".
_AXES = """
rock = rock / rock
pop = pop / pop
alternative = alternative, alternative rock /
indie = indie, indie rock, indie pop /
electronic = electronic, electronica, electro / electronic
dance = dance / dance
house = House /
techno = / techno
jazz = jazz /
metal = metal, heavy metal / metal
hard rock = hard rock /
classic rock = classic rock /
progressive rock = Progressive rock /
punk = punk /
folk = folk /
country = country / country
blues = blues /
soul = soul /
funk = funk /
R&B = rnb /
hip-hop = Hip-Hop /
ambient = ambient / ambient
new age = / new age
classical = / classical, classic
opera = / opera
Indian = / indian
experimental = experimental / weird
chill = chillout, chill /
mellow = Mellow, easy listening /
oldies = oldies /
60s = 60s /
70s = 70s /
80s = 80s /
90s = 90s /
00s = 00s /
beautiful = beautiful /
catchy = catchy /
sexy = sexy /
sad = sad /
happy = happy /
party = party /
acoustic = acoustic /
guitar = guitar / guitar
strings = / strings
violin = / violin
cello = / cello
harp = / harp
piano = / piano
harpsichord = / harpsichord
flute = / flute
sitar = / sitar
synthesizer = / synth
drums = / drums
beat = / beat, beats
vocals | no vocals = -instrumental / vocal, vocals, voice, singing, -no vocals, -no vocal, -no voice
female voice = female vocalists, female vocalist / female, woman, female vocal, female voice
male voice = male vocalists / male, man, male vocal, male voice
choir = / choir, choral
solo = / solo
fast | slow = / fast, -slow
loud | quiet = / loud, -quiet, -soft
"""

# Words that ask for an axis (or, with a leading "-", for its opposite), besides the names and tags of the table above.
_WORDS = """
rock = rock music, rock and roll, rock band, electric guitar, distorted guitar
pop = pop music
electronic = electronic music, EDM, drum and bass, drum n bass
dance = dance music, club, disco
house = house music, deep house
techno = techno music, rave, trance
metal = death metal, black metal, thrash metal, doom metal, heavy metal music, headbanging
hip-hop = rap, rapping, rapper
R&B = rhythm and blues
folk = folk music, folk tune, traditional tune, traditional, celtic, irish folk
country = bluegrass
blues = blues music
soul = gospel, Motown
classical = classical music, baroque, orchestral, symphonic, chamber music, symphony, sonata, concerto, chorale
ambient = ambient music, drone, atmospheric, soundscape
new age = meditation, spa, yoga
Indian = India, raga, Bollywood, tabla
experimental = avant-garde, strange, noise
chill = lounge, downtempo, laid-back
mellow = smooth, relaxing, relaxed
oldies = 50s, vintage
beautiful = lovely
sad = melancholic, sorrowful, mournful, wistful, melancholy
happy = cheerful, joyful, merry
party = festive
guitar = acoustic guitar, electric guitar, classical guitar, distorted guitar, guitars, nylon-string guitar, steel guitar
acoustic = acoustic guitar, classical guitar, nylon-string guitar, unplugged
strings = string section, string orchestra, string quartet, string ensemble, violins
strings = viola, orchestra, orchestral, symphonic, symphony
violin = fiddle
cello = violoncello, double bass
harp = lyre
piano = grand piano, pianist, keyboard
harpsichord = clavichord, spinet, cembalo
flute = recorder, piccolo, flutes, pan flute, tin whistle
synthesizer = synths, synthesizers, synth pad
drums = drum kit, percussion, drumming, drum beat
beat = groove
vocals = voices, singer, sung, song, lyrics, -unsung, -instrumentals
female voice = female singer, female vocals, woman singing, soprano, girl, women
male voice = male singer, male vocals, man singing, tenor, baritone, men
choir = chorus, a cappella, choirs, choral music
solo = alone, unaccompanied, -accompaniment, -accompanied, -accompanist, -other instruments, -backing
fast = quick, rapid, fast-paced, uptempo, lively, energetic, -slow-paced, -unhurried, -adagio
loud = noisy, aggressive, intense, powerful, heavy, -gentle, -calm, -peaceful, -delicate, -tender, -serene
"""

# Instruments and a few genres, and the axes (or opposites of axes) that are near them in family, use and sound: evidence for
# what has no tag of its own, and more evidence for what has one.
_RELATED = """
violin = strings, classical, folk, acoustic
viola, cello = strings, classical, acoustic, mellow
fiddle = strings, folk, country, acoustic
harp = classical, new age, mellow, quiet
flute, piccolo = classical, new age
harpsichord = classical
acoustic guitar, steel guitar = folk, country
classical guitar, nylon-string guitar = classical
electric guitar, distorted guitar = blues, drums, loud
sitar = Indian
brass, trumpet, trombone, tuba, French horn = classical, jazz, loud
horn, horns, cornet, flugelhorn, brass section, brass quartet = classical, jazz, loud
saxophone, alto saxophone, tenor saxophone, soprano saxophone, saxophone quartet, saxophones = jazz, soul
clarinet, bass clarinet, oboe, bassoon, cor anglais, woodwinds, woodwind quartet = classical, flute
organ, pipe organ, church organ, harmonium = classical, choir
accordion, bandoneon, concertina, melodica = folk, country
banjo, mandolin, ukulele, dobro, lap steel guitar, pedal steel guitar, harmonica = country, folk, guitar
bouzouki, oud, balalaika, lute, theorbo = guitar, folk
bagpipes, hurdy-gurdy, didgeridoo, jaw harp = folk
marimba, xylophone, vibraphone, glockenspiel, music box, celesta, bells, tubular bells, handpan, kalimba = new age, harp
dulcimer, hammered dulcimer, zither, koto, kora, guzheng = harp, folk
erhu, shakuhachi, shamisen, pipa, tabla, sarod, tanpura = Indian, new age
bass guitar, bass, upright bass, double bass = jazz, funk
electric piano, Rhodes piano = jazz, soul
turntables, sampler, drum machine = hip-hop, electronic
metal, heavy metal, death metal, black metal, thrash metal, doom metal = hard rock, rock, loud
punk, punk rock = rock, loud
"""


@dataclass(frozen=True)
class Axis:
    """What several tags say together."""

    name: str
    opposite: str
    """Name of the opposite, or empty."""
    plus: tuple[int, ...]
    """Columns of its tags among the 100."""
    minus: tuple[int, ...]
    """Columns of the tags of its opposite."""

    def called(self, sign: float) -> str:
        """Return the name of the axis, or of its opposite."""
        if sign >= 0:
            return self.name
        return self.opposite or f"no {self.name}"


def is_known(columns: int) -> NDArray[np.bool_]:
    """Return for each axis [A] whether one of its tags is among the first `columns` of the 100."""
    return np.array([any(column < columns for column in (*axis.plus, *axis.minus)) for axis in axes()])


@cache
def axes() -> tuple[Axis, ...]:
    """Return the axes, in the order of the table."""
    columns = ({tag: place for place, tag in enumerate(MSD.tags)}, {tag: 50 + n for n, tag in enumerate(MTT.tags)})
    found = []
    for line in _AXES.strip().splitlines():
        names, _, tags = line.partition(" = ")
        name, _, opposite = names.partition(" | ")
        plus: list[int] = []
        minus: list[int] = []
        for listed, column in zip(tags.split("/"), columns, strict=True):
            for tag in filter(None, map(str.strip, listed.split(","))):
                (minus if tag.startswith("-") else plus).append(column[tag.removeprefix("-")])
        found.append(Axis(name, opposite, tuple(plus), tuple(minus)))
    return tuple(found)


def axis_values(
    log_odds: NDArray[np.floating], known: int = 100, of: NDArray[np.int64] | None = None
) -> NDArray[np.float32]:
    """Merge log-odds of tags into values of axes, each standardised over the N rows, or over the tracks.

    Args:
        log_odds: [N, K], the first K of the 100 tags.
        known: K; the axes that need other tags are left at 0.
        of: [N], the track of each row, ascending. Default: a track each.

    Returns:
        [N, A] float32.
    """
    first = None if of is None else np.flatnonzero(np.diff(of, prepend=-1))
    standard = _standardised(log_odds.astype(np.float64), first)
    values = np.zeros((len(standard), len(axes())))
    for place, axis in enumerate(axes()):
        for columns, sign in ((axis.plus, 1), (axis.minus, -1)):
            here = [column for column in columns if column < known]
            if here:
                values[:, place] += sign * standard[:, here].mean(axis=1)
    return _standardised(values, first).astype(np.float32)


def _standardised(values: NDArray[np.float64], first: NDArray[np.int64] | None) -> NDArray[np.float64]:
    """Standardise rows [N, K] by the mean and deviation of the tracks, whose first rows are given (None: all rows)."""
    if not len(values):
        return values
    tracks = values
    if first is not None:
        tracks = np.add.reduceat(values, first) / np.diff(first, append=len(values))[:, None]
    spread = tracks.std(axis=0)
    found: NDArray[np.float64] = (values - tracks.mean(axis=0)) * np.where(
        spread > 1e-6, 1 / np.maximum(spread, 1e-6), 0
    )
    return found


@cache
def words() -> dict[str, tuple[tuple[int, int], ...]]:
    """Return key of a word or phrase (`tracks.vocabulary.key`) -> the axes that it asks for, each with 1 or, for its
    opposite, -1."""
    place = {axis.name: number for number, axis in enumerate(axes())}
    tags = MSD.tags + MTT.tags
    found: dict[str, tuple[tuple[int, int], ...]] = {}
    for number, axis in enumerate(axes()):
        for sign, columns in ((1, axis.plus), (-1, axis.minus)):
            for name in (axis.called(sign), *(tags[column] for column in columns)):
                found[key(name)] = ((number, sign),)
    for line in _WORDS.strip().splitlines():
        name, _, asked = line.partition(" = ")
        for word in asked.split(", "):
            found[key(word)] = (*found.get(key(word), ()), (place[name], -1 if word.startswith("-") else 1))
    return found


@cache
def related() -> dict[str, tuple[tuple[int, int], ...]]:
    """Return key of an instrument or genre -> the axes near it, each with 1 or, for its opposite, -1."""
    place = {axis.called(sign): (number, sign) for number, axis in enumerate(axes()) for sign in (1, -1)}
    found = {}
    for line in _RELATED.strip().splitlines():
        names, _, nearest = line.partition(" = ")
        for name in names.split(", "):
            found[key(name)] = tuple(place[axis] for axis in nearest.split(", "))
    return found
