"""The words for music: tags sorted into genres, moods, instruments, character and themes, each with its natural spelling.

Upstream spells one tag in many ways (`electricguitar`, `Electric Guitar`, `electric-guitar`): they are one here, as
`key` keeps letters and digits only. What stands in none of the tables is not a word that captions use.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Kind = Literal["genre", "mood", "instrument", "character", "theme"]
LONGEST_TERM = 3
"""The most words of a term that is looked for in a text."""

_GENRES = """
Abstract Hip-Hop, Acid Jazz, Acid House, Acid, Acoustic Pop, Acoustic Rock, African, Afrobeat, Afro House, Alternative,
Alternative Country, Alternative Hip-Hop, Alternative Metal, Alternative Pop, Alternative Rock, Ambient, Ambient Dub,
Ambient Electronic, Americana, Anime, Arabic, Art Pop, Art Rock, Asian, Audio Collage, Avant-Garde, Avant-Garde Jazz,
Bachata, Balkan, Baroque, Bass Music, Beatbox, Bebop, Big Band, Big Beat, Black Metal, Bluegrass, Blues, Blues Rock,
Bollywood, Boogie, Boom Bap, Bossa Nova, Brazilian, Breakbeat, Breakcore, Breaks, Britpop, British Folk, Broken Beat,
Cabaret, Caribbean, Celtic, Chamber Music, Chanson, Children's Music, Chill-Out, Chillhop, Chillstep, Chillwave, Chinese,
Chiptune, Choral, Christian, Christmas Music, Classic Rock, Classical, Club, Contemporary, Contemporary Classical, Country,
Country Rock, Crossover, Cumbia, Dance, Dance Pop, Dancehall, Dark Ambient, Dark Electro, Darkwave, Death Metal, Deep Funk,
Deep House, Disco, Dixieland, Doom Metal, Doo-Wop, Downtempo, Dream Pop, Drone, Drum and Bass, Dub, Dub Techno, Dubstep,
Early Music, Easy Listening, EBM, EDM, Electro, Electro House, Electro Pop, Electro Punk, Electro Rock, Electro Swing,
Electroacoustic, Electro Ambient, Electro Funk, Electronic, Electronic Rock, Electronica, Emo, Ethno, Eurodance, European,
Euro Pop, Experimental, Experimental Electronic, Experimental Pop, Experimental Rock, Fado, Far Eastern, Field Recordings,
Flamenco, Folk, Folk Metal, Folk Punk, Folk Rock, Free Folk, Free Improvisation, Free Jazz, Freak Folk, French,
French House, Funk, Funk Rock, Funky House, Fusion, Future Bass, Future Garage, Future House, G-Funk, Gangsta Rap, Garage,
Garage Rock, Glam Rock, Glitch, Glitch Hop, Gospel, Gothic, Gothic Metal, Gothic Rock, Gregorian Chant, Grime, Grindcore,
Groove, Grunge, Gypsy Jazz, Hardcore, Hardcore Punk, Hard House, Hard Rock, Hard Techno, Hardstyle, Hawaiian, Heavy Metal,
Hip-Hop, Hip-Hop Beats, House, IDM, Improvisation, Indian, Indie, Indie Electronic, Indie Folk, Indie Pop, Indie Rock,
Industrial, Industrial Metal, Industrial Rock, Instrumental Hip-Hop, Instrumental Pop, Instrumental Rock, International,
Irish Folk, Italo Disco, J-Pop, Japanese, Jazz, Jazz Funk, Jazz Fusion, Jazz Hop, Jazz Rock, Jungle, K-Pop, Klezmer,
Krautrock, Latin, Latin American, Latin Jazz, Latin Pop, Leftfield, Lo-Fi, Lo-Fi Hip-Hop, Loud Rock, Lounge, Madrigal,
Mambo, March, Mariachi, Math Rock, Medieval, Melodic House, Melodic Techno, Merengue, Metal, Metalcore, Middle Eastern,
Minimal, Minimal Electronic, Minimal Techno, Minimalism, Modern Classical, Modern Jazz, Motown, Musical Theatre,
Musique Concrète, Neo Soul, Neoclassical, Nerdcore, New Age, New Wave, No Wave, Noise, Noise Rock, Nordic Folk,
North African, North Indian, Novelty, Nu Disco, Nu Jazz, Nu Metal, Old-Time, Opera, Orchestral, Pagan Folk, Phonk, Polka,
Pop, Pop Folk, Pop Punk, Pop Rock, Post-Hardcore, Post-Metal, Post-Punk, Post-Rock, Power Metal, Power Pop, Progressive,
Progressive House, Progressive Metal, Progressive Rock, Progressive Trance, Psybient, Psychedelic, Psychedelic Folk,
Psychedelic Rock, Psytrance, Punk, Punk Rock, R&B, Ragga, Ragtime, Rap, Rap Rock, Reggae, Reggaeton, Renaissance, Rock,
Rock and Roll, Rock Opera, Rocksteady, Rockabilly, Romani, Roots Reggae, Rumba, Salsa, Samba, Shoegaze, Singer-Songwriter,
Ska, Ska Punk, Skweee, Slowcore, Sludge, Smooth Jazz, Soft Rock, Soul, Soul Jazz, Soul Pop, Sound Art, Sound Collage,
Soundtrack, South Indian, Southern Rock, Space Music, Space Rock, Spanish, Speed Metal, Spoken Word, Stoner Rock, Surf,
Surf Rock, Swing, Symphonic, Symphonic Metal, Symphony, Synth Pop, Synthwave, Tango, Tech House, Techno, Teen Pop, Thrash,
Thrash Metal, Trad Jazz, Traditional, Traditional Folk, Trance, Trap, Tribal, Trip-Hop, Tropical House, Turkish,
UK Garage, Vaporwave, Vocal Easy Listening, Vocal Jazz, Vocal Trance, Waltz, Western Swing, Witch House, Wonky, World,
World Fusion, Worship, Zouk
"""

_MOODS = """
aggressive, ambiental, angry, anthemic, anxious, atmospheric, beautiful, bittersweet, bouncy, bright, brooding, calm,
carefree, catchy, celebratory, charming, cheerful, chill, cinematic, confident, contemplative, cool, cosy, creepy, cute,
danceable, dark, deep, delicate, depressing, determined, dramatic, dreamy, driving, eerie, elegant, emotional, empowering,
energetic, enigmatic, epic, ethereal, euphoric, exciting, exotic, explosive, festive, feel-good, fierce, floating, fragile,
frenetic, fun, funky, funny, futuristic, gentle, gloomy, gritty, groovy, happy, haunting, heartfelt, heavy, heroic, hopeful,
humorous, hypnotic, inspiring, intense, intimate, introspective, joyful, laid-back, light, lively, lonely, longing, lush,
magical, majestic, meditative, melancholic, mellow, melodic, menacing, minimalistic, monotonous, moody, motivational,
mysterious, mystical, noisy, nostalgic, ominous, optimistic, passionate, peaceful, pensive, playful, poignant, positive,
powerful, proud, quirky, raw, reflective, relaxed, relaxing, repetitive, restless, rhythmic, romantic, sad, scary,
sensual, sentimental, serene, serious, sexy, silly, sinister, smooth, soft, solemn, soothing, sorrowful, soulful, spacey,
spiritual, spooky, strange, suspenseful, sweet, tender, tense, touching, tranquil, triumphant, trippy, upbeat, uplifting,
urgent, violent, warm, weird, whimsical, wistful
"""

_INSTRUMENTS = """
accordion, acoustic bass guitar, acoustic guitar, alto saxophone, background vocals, bagpipes, balalaika, bandoneon,
banjo, baritone saxophone, bass, bass clarinet, bass drum, bass guitar, bassoon, beats, bells, bongos, bouzouki, brass,
brass section, cello, celesta, charango, choir, claps, clarinet, classical guitar, clavichord, clavinet, computer, congas,
cor anglais, cornet, cymbals, didgeridoo, djembe, double bass, drum kit, drum machine, drums, dulcimer, electric bass,
electric guitar, electric organ, electric piano, erhu, euphonium, female vocals, fiddle, flugelhorn, flute, fretless bass,
French horn, glockenspiel, gong, guitar, guitars, hand drums, handpan, hammered dulcimer, harmonica, harmonium, harp,
harpsichord, hi-hats, horn, horns, hurdy-gurdy, jaw harp, kalimba, keyboard, koto, lap steel guitar, lute, lyre, male vocals,
mandolin, maracas, marimba, melodica, Mellotron, music box, ney, oboe, ocarina, orchestra, organ, oud, pads, pan flute,
pedal steel guitar, percussion, piano, piccolo, pipa, pipe organ, rapping, recorder, Rhodes piano, sampler, saxophone,
shaker, shakuhachi, shamisen, sitar, slide guitar, snare drum, soprano saxophone, soprano voice, steel drums, steel guitar,
string quartet, string section, strings, synth bass, synth lead, synth pad, synthesizer, tabla, tambourine, tenor saxophone,
theremin, timpani, tin whistle, toms, triangle, trombone, trumpet, tuba, tubular bells, turntables, twelve-string guitar,
ukulele, upright bass, vibraphone, viola, viola da gamba, violin, vocals, vocoder, whistle, whistling, woodwinds,
xylophone, zither
"""

_CHARACTERS = """
a cappella, acoustic, ballad-like, complex, electric, electrified, fast, instrumental, live, loud, medium-paced,
mid-tempo, modern, monophonic, old, polyphonic, quiet, retro, simple, slow, unplugged, vintage, virtuosic, vocal,
very fast, very slow, 50s, 60s, 70s, 80s, 90s
"""

_THEMES = """
action, adventure, advertising, animal, autumn, background music, birthday, breakup, business, children's, Christmas, comedy,
commercial, corporate, crime, dance floor, documentary, drama, Easter, education, fairy-tale, family, fantasy, fashion, film,
film noir, game, Halloween, heartbreak, history, holiday, horror, landscape, love, lullaby, military, motivation, nature,
night, ocean, party, political, presentation, rain, relationship, religious, road trip, sci-fi, sea, sleep, soundscape,
space, sport, spring, study, summer, technology, thriller, trailer, travel, TV, video game, war, wedding, western, winter,
workout, yoga
"""

# Other spellings, by key, and the term of the tables above that each stands for.
_ALIASES = """
1950s=50s, 1960s=60s, 1970s=70s, 1980s=80s, 1990s=90s, 20thcenturyclassical=Modern Classical, 2step=UK Garage,
8bit=Chiptune, accordeon=accordion, acousticbass=double bass, acousticguitars=acoustic guitar, acoustique=acoustic,
alternatif=Alternative, alternativecountryrock=Alternative Country, altrock=Alternative Rock, ambiant=Ambient,
ambiente=Ambient, ambientmusic=Ambient, angrymusic=angry, asiafareast=Far Eastern, background=background music,
backgroundmusic=background music, backgroundvocal=background vocals, backingvocals=background vocals, bajo=bass,
balada=ballad-like, ballad=ballad-like, ballade=ballad-like, basso=bass, bassoelettrico=electric bass, bateria=drums,
batteria=drums, batterie=drums, beat=beats, bell=bells, bigbandswing=Big Band, bluesrockmusic=Blues Rock,
bongo=bongos, breakcorehard=Breakcore, child=children's, children=children's, childrens=children's,
childrensmusic=Children's Music, chipmusic=Chiptune, chitarra=guitar, choirs=choir, choralmusic=Choral, chorus=choir,
christmasmusic=Christmas Music, cinema=film, clapping=claps, classic=Classical, classicalmusic=Classical,
classique=Classical, clavier=keyboard, claviers=keyboard, composedmusic=Contemporary Classical, concertband=brass,
contrabass=double bass, countryandwestern=Country, countrywestern=Country, cozy=cosy, dancemusic=Dance, darkness=dark,
deephousemusic=Deep House, dnb=Drum and Bass, dream=dreamy, dreams=dreamy, drum=drums, drumbass=Drum and Bass,
drumnbass=Drum and Bass, drumset=drum kit, dubreggae=Dub, easylisteningvocal=Vocal Easy Listening, eguitar=electric
guitar, eighties=80s, electricbassguitar=electric bass, electricguitars=electric guitar, electroamplified=electrified,
electronical=Electronic, electronicambient=Ambient Electronic, electronicmusic=Electronic, electronik=Electronic,
electronika=Electronica, eletronica=Electronica, emotion=emotional, emotionalmusic=emotional, emotive=emotional,
energic=energetic, energy=energetic, englishhorn=cor anglais, epicmusic=epic, ethnic=Ethno, europe=European,
fastmusic=fast, fastpaced=fast, fasttempo=fast, female=female vocals, femalesinger=female vocals, femalevocal=female
vocals, femalevocalist=female vocals, femalevocalists=female vocals, femalevoice=female vocals, festif=festive,
fieldrecording=Field Recordings, fifties=50s, filmmusic=film, filmscore=film, flutes=flute, folkmusic=Folk,
folkpop=Pop Folk, folky=Folk, forro=Brazilian, games=game, gaming=game, goth=Gothic, groovey=groovy, guitare=guitar,
guitareacoustique=acoustic guitar, guitareelectrique=electric guitar, guitares=guitar, guitarra=guitar, gypsy=Romani,
handclaps=claps, happiness=happy, happymusic=happy, hardcorepunk=Hardcore Punk, hardrockmusic=Hard Rock,
harmonies=background vocals, hihat=hi-hats, hihats=hi-hats, hiphopinstrumental=Instrumental Hip-Hop, holidays=holiday,
hope=hopeful, hornsection=brass section, houseelectro=Electro House, housemusic=House, impro=Improvisation,
improv=Improvisation, improvised=Improvisation, inspiration=inspiring, inspirational=inspiring, inspire=inspiring,
instrumentalmusic=instrumental, instrumentals=instrumental, jazzout=Avant-Garde Jazz, jazzvocal=Vocal Jazz,
joy=joyful, keyboards=keyboard, keys=keyboard, kidfriendly=Children's Music, kids=children's, latinamerica=Latin
American, latino=Latin, lofirock=Lo-Fi, loungemusic=Lounge, lovemusic=love, lovesong=love, lovesongs=love, male=male
vocals, malesinger=male vocals, malevocal=male vocals, malevocalist=male vocals, malevocalists=male vocals,
malevoice=male vocals, meditation=meditative, meditationmusic=meditative, mediumtempo=mid-tempo,
melancholia=melancholic, melancholy=melancholic, melancolic=melancholic, metalmusic=Metal, middleeast=Middle Eastern,
midtempo=mid-tempo, minimalist=minimalistic, motivate=motivational, motivation=motivational,
motivationmusic=motivational, mouthharp=jaw harp, movie=film, movies=film, musical=Musical Theatre,
musicaltheater=Musical Theatre, mystery=mysterious, newagemusic=New Age, nindiantraditional=North Indian,
nineties=90s, northindiantraditional=North Indian, nostalgia=nostalgic, nuevoflamenco=Flamenco,
oldtimehistoric=Old-Time, orchestralmusic=Orchestral, organo=organ, orgue=organ, ost=Soundtrack, pad=pads,
peace=peaceful, percussions=percussion, percussive=percussion, pianoforte=piano, pianos=piano, pianosolo=piano,
poetry=Spoken Word, popelectro=Electro Pop, popmusic=Pop, power=powerful, prog=Progressive, progrock=Progressive Rock,
psychfolk=Psychedelic Folk, psychrock=Psychedelic Rock, punkmusic=Punk, randb=R&B, rapper=rapping, raps=Rap, rb=R&B,
reggaedancehall=Dancehall, reggaedub=Dub, relax=relaxing, relaxation=relaxing, relaxingmusic=relaxing, rhodes=Rhodes
piano, rhythmandblues=R&B, rnb=R&B, rockalternatif=Alternative Rock, rockandroll=Rock and Roll, rockmusic=Rock,
rocknroll=Rock and Roll, rockpop=Pop Rock, rockroll=Rock and Roll, romance=romantic, romanygypsy=Romani, sadmusic=sad,
sadness=sad, sax=saxophone, saxo=saxophone, saxophones=saxophone, sciencefiction=sci-fi, scifi=sci-fi,
score=Soundtrack, scratching=turntables, seventies=70s, shakers=shaker, singer=vocals, singing=vocals, sixties=60s,
slowpaced=slow, slowstyle=slow, slowtempo=slow, solopiano=piano, songwriter=Singer-Songwriter, soulrnb=R&B,
soundpoetry=Spoken Word, soundtracks=Soundtrack, southindiantraditional=South Indian, spoken=Spoken Word,
spokenweird=Spoken Word, sports=sport, steelpan=steel drums, string=strings, synth=synthesizer, synthe=synthesizer,
synthesiser=synthesizer, synthesisers=synthesizer, synthesizerpad=synth pad, synthesizers=synthesizer,
synthetiseur=synthesizer, synthetiseurs=synthesizer, synthetizer=synthesizer, syntheziser=synthesizer, synthlead=synth
lead, synthpads=synth pad, synths=synthesizer, tablas=tabla, teclados=keyboard, tecno=Techno, television=TV,
theatre=Musical Theatre, threatening=menacing, trailermusic=trailer, trancemusic=Trance, trompette=trumpet,
turntable=turntables, ukelele=ukulele, uprightpiano=piano, uptempo=fast, vibes=vibraphone, videogamemusic=video game,
videogames=video game, violins=violin, violon=violin, violoncello=cello, violons=violin, vocal=vocals,
vocalist=vocals, voice=vocals, voices=vocals, voix=vocals, worldmusic=World, xmas=Christmas
"""

_TABLES: dict[Kind, str] = {
    "genre": _GENRES,
    "mood": _MOODS,
    "instrument": _INSTRUMENTS,
    "character": _CHARACTERS,
    "theme": _THEMES,
}


@dataclass(frozen=True)
class Term:
    """A word for music."""

    kind: Kind
    text: str
    """Its natural spelling, as captions have it."""


@dataclass(frozen=True)
class Facts:
    """What the tags of a track say, sorted; each list in the order of the tags, without repetitions."""

    genre: str = ""
    """The one main genre, where upstream names one."""
    genres: tuple[str, ...] = ()
    """Other genres."""
    moods: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()
    characters: tuple[str, ...] = ()
    themes: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """All words, the main genre first."""
        genre = (self.genre,) if self.genre else ()
        return (*genre, *self.genres, *self.moods, *self.instruments, *self.characters, *self.themes)


def key(tag: str) -> str:
    """Reduce a tag to what its spellings have in common: lower-case letters and digits without accents."""
    if tag.isascii():
        lowered = tag.lower()
    else:
        decomposed = unicodedata.normalize("NFKD", tag.casefold())
        lowered = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return lowered if lowered.isalnum() else "".join(filter(str.isalnum, lowered))


@lru_cache(maxsize=65536)
def look_up(tag: str) -> Term | None:
    """Return the term that a tag stands for, or None if captions do not use it as a word for music."""
    return _terms().get(key(tag))


def words_of(kind: Kind) -> tuple[str, ...]:
    """Return all terms of a kind, in their natural spelling."""
    return tuple(_entries(_TABLES[kind]))


def spell(tag: str) -> str:
    """Return the natural spelling of a tag: `electricguitar` -> `electric guitar`; an unknown tag is returned unchanged."""
    term = look_up(tag)
    return term.text if term else " ".join(tag.split())


def sort_tags(genre: str, tags: Iterable[str]) -> Facts:
    """Sort a track's main genre (may be empty) and tags; tags that are no known terms are left aside."""
    main = main_genre(genre)
    sorted_terms: dict[Kind, dict[str, None]] = {kind: {} for kind in _TABLES}
    for tag in tags:
        if term := look_up(tag):
            sorted_terms[term.kind].setdefault(term.text)
    sorted_terms["genre"].pop(main, None)
    return Facts(
        genre=main,
        genres=tuple(sorted_terms["genre"]),
        moods=tuple(sorted_terms["mood"]),
        instruments=tuple(sorted_terms["instrument"]),
        characters=tuple(sorted_terms["character"]),
        themes=tuple(sorted_terms["theme"]),
    )


_STRAY_COMMA = re.compile(r"\s*,[\s,]*,|\s+,")
_NO_GENRE = frozenset(
    {"nan", "na", "none", "null", "unknown", "unknowngenre", "undefined", "unclassifiable", "other", "others", "misc",
     "miscellaneous", "various", "genre", "nogenre", "music", "default", "compilation", "blank", "empty", "untagged"}
)  # fmt: skip


@lru_cache(maxsize=4096)
def main_genre(genre: str) -> str:
    """Spell a genre for a caption: a known one naturally, another as it is; empty where it says nothing fit to print."""
    known = look_up(genre)
    if known and known.kind == "genre":
        return known.text
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in genre).split())
    text = _STRAY_COMMA.sub(",", text).strip(" ,;:")
    is_word = (
        len(text) <= 40 and any(map(str.isalpha, text)) and not any(mark in text for mark in '()[]{}<>|\\"`;/=_#@*')
    )
    says_something = key(text) not in _NO_GENRE and not {"nan", "unknown"} & set(text.lower().split())
    return text if is_word and says_something else ""


def terms_in(text: str) -> set[str]:
    """Return the terms that a text names; of overlapping terms the longest: `an acoustic guitar` does not name `guitar`."""
    words = re.findall(r"[^\W_]+(?:['’&-][^\W_]+)*", text)
    found: set[str] = set()
    start = 0
    while start < len(words):
        for length in range(min(LONGEST_TERM, len(words) - start), 0, -1):
            if term := look_up(" ".join(words[start : start + length])):
                found.add(term.text)
                break
        else:
            length = 1
        start += length
    return found


@lru_cache(maxsize=1)
def _terms() -> dict[str, Term]:
    terms: dict[str, Term] = {}
    for kind, table in _TABLES.items():
        for text in _entries(table):
            terms.setdefault(key(text), Term(kind, text))
    by_text = {term.text: term for term in terms.values()}
    for entry in _entries(_ALIASES):
        alias, _, text = entry.partition("=")
        terms[key(alias)] = by_text[text]
    return terms


def _entries(table: str) -> list[str]:
    return [" ".join(entry.split()) for entry in table.split(",") if entry.strip()]
