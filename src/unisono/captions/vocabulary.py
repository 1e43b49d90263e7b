"""The words for music: tags sorted into genres, moods, instruments, character and themes, each with its natural spelling.

Upstream spells one tag in many ways (`electricguitar`, `Electric Guitar`, `electric-guitar`): they are one here, as
`key` keeps letters and digits only. What stands in none of the tables is not a word that captions use.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Kind = Literal["genre", "mood", "instrument", "character", "theme"]

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
2step=UK Garage, 20thcenturyclassical=Modern Classical, accordeon=accordion, acousticbass=double bass, acoustique=acoustic,
acousticguitars=acoustic guitar, alternativecountryrock=Alternative Country, alternatif=Alternative, altrock=Alternative Rock,
ambiant=Ambient, ambiente=Ambient, ambientmusic=Ambient, angrymusic=angry, asiafareast=Far Eastern, basso=bass, bajo=bass,
bassoelettrico=electric bass, bateria=drums, batteria=drums, batterie=drums, beat=beats, bell=bells, bongo=bongos,
bigbandswing=Big Band, bluesrockmusic=Blues Rock, breakcorehard=Breakcore, chill=chill, chipmusic=Chiptune, chitarra=guitar,
8bit=Chiptune, childrens=children's, children=children's, child=children's, kids=children's, kidfriendly=Children's Music,
childrensmusic=Children's Music, choralmusic=Choral, choirs=choir, chorus=choir, christmasmusic=Christmas Music, cinema=film,
xmas=Christmas, clapping=claps, handclaps=claps, classicalmusic=Classical, classic=Classical, classique=Classical,
claviers=keyboard, clavier=keyboard, composedmusic=Contemporary Classical, concertband=brass, contrabass=double bass,
countrywestern=Country, countryandwestern=Country, cosy=cosy, cozy=cosy, dancemusic=Dance, darkness=dark, deephousemusic=Deep House,
detentemusic=relaxing, dnb=Drum and Bass, drumbass=Drum and Bass, drumnbass=Drum and Bass, drum=drums, drumset=drum kit,
dream=dreamy, dreams=dreamy, dubreggae=Dub, reggaedub=Dub, reggaedancehall=Dancehall, easylisteningvocal=Vocal Easy Listening,
eletronica=Electronica, electronical=Electronic, electronik=Electronic, electronika=Electronica, electronicmusic=Electronic,
electroamplified=electrified, electronicambient=Ambient Electronic, electropop=Electro Pop, electricbassguitar=electric bass,
electricguitars=electric guitar, eguitar=electric guitar, elegiac=sorrowful, emotion=emotional, emotive=emotional,
emotionalmusic=emotional, energic=energetic, energy=energetic, englishhorn=cor anglais, epicmusic=epic, ethnic=Ethno,
europe=European, fastpaced=fast, uptempo=fast, fasttempo=fast, fastmusic=fast, female=female vocals, femalevoice=female vocals,
femalevocal=female vocals, femalesinger=female vocals, femalevocalist=female vocals, femalevocalists=female vocals,
festif=festive, fieldrecording=Field Recordings, filmmusic=film, filmscore=film, movie=film, movies=film, soundtracks=Soundtrack,
ost=Soundtrack, flutes=flute, folkmusic=Folk, folky=Folk, folkpop=Pop Folk, forro=Brazilian, freeimprovisation=Free Improvisation,
games=game, gaming=game, gothic=Gothic, goth=Gothic, groovey=groovy, guitare=guitar, guitareelectrique=electric guitar,
guitareacoustique=acoustic guitar, guitares=guitar, guitarra=guitar, happiness=happy, happymusic=happy, hardcorepunk=Hardcore Punk,
harmonies=background vocals, hihat=hi-hats, hihats=hi-hats, hiphopinstrumental=Instrumental Hip-Hop, hop=hopeful, hope=hopeful,
holidays=holiday, hornsection=brass section, houseelectro=Electro House, housemusic=House, improv=Improvisation,
improvised=Improvisation, impro=Improvisation, inspirational=inspiring, inspiration=inspiring, inspire=inspiring,
instrumentals=instrumental, instrumentalmusic=instrumental, jazzout=Avant-Garde Jazz, jazzvocal=Vocal Jazz, joy=joyful,
keyboards=keyboard, keys=keyboard, latino=Latin, lofi=Lo-Fi, lofihiphop=Lo-Fi Hip-Hop, loungemusic=Lounge, lovemusic=love,
lovesong=love, lovesongs=love, male=male vocals, malevoice=male vocals, malevocal=male vocals, malesinger=male vocals,
malevocalist=male vocals, malevocalists=male vocals, meditation=meditative, meditationmusic=meditative, melancolic=melancholic,
melancholia=melancholic, melancholy=melancholic, mellotron=Mellotron, middleeast=Middle Eastern, midtempo=mid-tempo,
mediumtempo=mid-tempo, minimalist=minimalistic, motivate=motivational, motivation=motivational, motivationmusic=motivational,
mouthharp=jaw harp, musicbox=music box, mystery=mysterious, nindiantraditional=North Indian, northindiantraditional=North Indian,
nostalgia=nostalgic, nuages=Ambient, oldtimehistoric=Old-Time, orchestralmusic=Orchestral, organo=organ, orgue=organ, pad=pads,
synthpads=synth pad, peace=peaceful, percussions=percussion, percussive=percussion, pianoforte=piano, pianos=piano,
pianosolo=piano, solopiano=piano, popelectro=Electro Pop, postpunk=Post-Punk, poetry=Spoken Word, power=powerful,
prog=Progressive, progrock=Progressive Rock, psychfolk=Psychedelic Folk, psychrock=Psychedelic Rock, punkmusic=Punk, raps=Rap,
rapper=rapping, relax=relaxing, relaxation=relaxing, relaxingmusic=relaxing, rhodes=Rhodes piano, rhythmandblues=R&B, rnb=R&B,
randb=R&B, rb=R&B, rockalternatif=Alternative Rock, rockandroll=Rock and Roll, rocknroll=Rock and Roll, rockroll=Rock and Roll,
rockpop=Pop Rock, romance=romantic, romanygypsy=Romani, gypsy=Romani, sadness=sad, sadmusic=sad, samba=Samba, sax=saxophone,
saxo=saxophone, saxophones=saxophone, scifi=sci-fi, sciencefiction=sci-fi, scratching=turntables, turntable=turntables,
score=Soundtrack, shakers=shaker, singing=vocals, singer=vocals, songwriter=Singer-Songwriter, slowtempo=slow, slowpaced=slow,
slowstyle=slow, soulrnb=R&B, soundpoetry=Spoken Word, southindiantraditional=South Indian, spoken=Spoken Word,
spokenweird=Spoken Word, sports=sport, steelpan=steel drums, string=strings, synth=synthesizer, synths=synthesizer, synthe=synthesizer,
synthesiser=synthesizer, synthesisers=synthesizer, synthesizers=synthesizer, synthetizer=synthesizer, synthetiseur=synthesizer,
synthetiseurs=synthesizer, synthlead=synth lead, synthesizerpad=synth pad, syntheziser=synthesizer, tablas=tabla, tecno=Techno,
teclados=keyboard, threatening=menacing, trailermusic=trailer, trancemusic=Trance, trompette=trumpet, tv=TV, television=TV,
ukelele=ukulele, uprightpiano=piano, veryfast=very fast, veryslow=very slow, vibes=vibraphone, videogames=video game,
videogamemusic=video game, violins=violin, violon=violin, violons=violin, violoncello=cello, vocalist=vocals, voice=vocals,
voices=vocals, vocal=vocals, voix=vocals, backingvocals=background vocals, backgroundvocal=background vocals, wistfulmusic=wistful,
world music=World, worldmusic=World, 50smusic=50s, 1950s=50s, 1960s=60s, 1970s=70s, 1980s=80s, 1990s=90s, eighties=80s,
nineties=90s, seventies=70s, sixties=60s, fifties=50s, ballad=ballad-like, balada=ballad-like, ballade=ballad-like,
backgroundmusic=background music, background=background music, newagemusic=New Age, latinamerica=Latin American,
nuevoflamenco=Flamenco, lofirock=Lo-Fi, popmusic=Pop, rockmusic=Rock, hardrockmusic=Hard Rock, metalmusic=Metal,
souljazzfunk=Soul Jazz, bebopjazz=Bebop, theatre=Musical Theatre, musicaltheater=Musical Theatre, musical=Musical Theatre
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
    """Give the term that a tag stands for, or None if it is no word for music that captions use."""
    return _terms().get(key(tag))


def spell(tag: str) -> str:
    """Give the natural spelling of a tag: `electricguitar` -> `electric guitar`; an unknown tag comes back as it is."""
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


_NO_GENRE = frozenset(
    "nan na none null unknown unknowngenre undefined unclassifiable other others misc miscellaneous various genre music "
    "default compilation blank empty untagged notavailable nogenre".split()
)


@lru_cache(maxsize=4096)
def main_genre(genre: str) -> str:
    """Spell a genre for a caption: a known one naturally, another as it is; empty where it says nothing fit to print."""
    known = look_up(genre)
    if known and known.kind == "genre":
        return known.text
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in genre).split())
    is_word = (
        len(text) <= 40 and any(map(str.isalpha, text)) and not any(mark in text for mark in '()[]{}<>|\\"`;/=_#@*')
    )
    says_something = key(text) not in _NO_GENRE and not {"nan", "unknown"} & set(text.lower().split())
    return text if is_word and says_something else ""


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
