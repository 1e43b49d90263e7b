"""Arrange a composition: who plays, how fast, with which accompaniment; and state what can be heard in the result.

`plan` draws the choices and `arrange` applies them to an excerpt of the score. `Facts` are derived from the finished
notes; captions are made from them only, so that they are true of the audio.
"""

import random
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Literal

import numpy as np

from demo.instruments import ACCOMPANISTS, DECAYING, ENSEMBLES, INSTRUMENTS, LEADS, fold
from demo.scores import Mode, Note, Work
from unisono.base.seeded import rng

Tempo = Literal["slow", "medium", "fast"]
Register = Literal["high", "low"]

TEMPO_AIMS: dict[Tempo, tuple[float, float]] = {"slow": (1.2, 1.9), "medium": (3.0, 4.0), "fast": (6.2, 8.0)}
"""Melody notes a second to aim at."""
TEMPO_BOUNDS: dict[Tempo, tuple[float, float]] = {"slow": (0.0, 2.3), "medium": (2.7, 4.4), "fast": (5.5, 99.0)}
"""Melody notes a second for which the word is used; between the ranges no word is used."""
HIGH, LOW = 77, 55
"""Median MIDI pitch of the melody at or above which its register is high, and at or below which it is low."""
DRUM_TRACK = "drums"
KICK, SNARE, HAT = 36, 38, 42
"""General MIDI drum pitches."""

# Krumhansl and Kessler (1982): how well each pitch class, counted from the tonic, fits a key.
KEY_PROFILES: dict[Mode, tuple[float, ...]] = {
    "major": (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    "minor": (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
}
CHORDS: dict[Mode, tuple[tuple[int, int, int], ...]] = {
    "major": ((0, 4, 7), (5, 9, 0), (7, 11, 2), (9, 0, 4), (2, 5, 9)),
    "minor": ((0, 3, 7), (5, 8, 0), (7, 11, 2), (8, 0, 3), (10, 2, 5)),
}
"""Triads to accompany with, root first, as pitch classes from the tonic; the first is preferred."""


@dataclass(frozen=True)
class Plan:
    """The choices for one arrangement."""

    lead: str
    """An instrument, or for music in four parts an ensemble."""
    accompanist: str | None
    drums: bool
    tempo: Tempo
    staccato: bool
    transposition: int
    """Semitones, octaves included."""


@dataclass(frozen=True)
class Sound:
    """A note as it is played; times in seconds from the beginning of the clip."""

    track: str
    """The instrument's name, or `DRUM_TRACK`."""
    start: float
    length: float
    pitch: int
    velocity: int


@dataclass(frozen=True)
class Facts:
    """What can be heard in a clip. Captions may say nothing else."""

    lead: str
    """Instrument or ensemble that plays the melody."""
    players: tuple[str, ...]
    """All pitched instruments heard, each once."""
    accompanist: str | None
    drums: bool
    parts: int
    """1: a melody, with or without accompaniment; 4: four parts."""
    form: str
    tempo: Tempo | None
    notes_per_second: float
    """Of the melody."""
    register: Register | None
    staccato: bool
    mode: Mode | None

    @property
    def alone(self) -> bool:
        """One instrument (or choir) and nothing else."""
        return self.lead in INSTRUMENTS and len(self.players) == 1 and not self.drums


@dataclass(frozen=True)
class Clip:
    """An arrangement, ready to be rendered."""

    sounds: tuple[Sound, ...]
    facts: Facts


def deal(seed: int, works: list[Work], clips_per_work: int) -> list[list[str]]:
    """Deal leads to the clips of each work from shuffled decks, so that all are heard about equally often."""
    decks: dict[bool, list[str]] = {True: [], False: []}
    rounds = 0
    hands = []
    for work in works:
        in_parts = len(work.parts) > 1
        hand: list[str] = []
        while len(hand) < clips_per_work:
            if not decks[in_parts]:
                rounds += 1
                decks[in_parts] = list(ENSEMBLES) if in_parts else list(LEADS)
                rng(seed, "deck", rounds).shuffle(decks[in_parts])
            hand.append(decks[in_parts].pop())
        hands.append(hand)
    return hands


def plan(work: Work, lead: str, random_: random.Random) -> Plan:
    """Draw the choices for one arrangement of a work."""
    staccato = lead not in DECAYING and random_.random() < 0.2
    if len(work.parts) > 1:
        tempo: Tempo = random_.choice(("slow", "slow", "medium"))
        return Plan(lead, None, False, tempo, staccato, random_.randint(-3, 3))
    tempo = random_.choice(("slow", "medium", "fast"))
    accompanists = [name for name in ACCOMPANISTS if name != lead]
    accompanied = work.tonic is not None and random_.random() < 0.5
    return Plan(
        lead=lead,
        accompanist=random_.choice(accompanists) if accompanied else None,
        drums=random_.random() < (0.1 if tempo == "slow" else 0.35),
        tempo=tempo,
        staccato=staccato,
        transposition=random_.randint(-3, 3) + random_.choice((-12, 0, 0, 12)),
    )


def arrange(work: Work, plan: Plan, seconds: float, random_: random.Random) -> Clip:
    """Apply a plan to a seeded excerpt of the requested length; where the work ends, it begins again."""
    melody = work.parts[0]
    notes_per_second = random_.uniform(*TEMPO_AIMS[plan.tempo])
    quarter_s = len(melody) / work.length / notes_per_second
    start = random_.choice(work.bars)
    end = start + seconds / quarter_s
    names = ENSEMBLES[plan.lead] if len(work.parts) > 1 else (plan.lead,)

    sounds: list[Sound] = []
    melody_pitches: list[int] = []
    for name, part in zip(names, work.parts, strict=True):
        instrument = INSTRUMENTS[name]
        for note in _between(part, work.length, start, end):
            length = note.length * quarter_s * (0.35 if plan.staccato else 0.95)
            pitch = fold(note.pitch + plan.transposition, instrument)
            onset = (note.onset - start) * quarter_s + random_.uniform(0, 0.01)
            sounds.append(Sound(name, onset, max(0.06, length), pitch, random_.randint(84, 104)))
        melody_pitches = melody_pitches or [sound.pitch for sound in sounds]
    if plan.accompanist:
        sounds += _chords(work, plan, start, end, quarter_s, random_)
    if plan.drums:
        sounds += _drums(work, start, end, quarter_s, random_)

    facts = Facts(
        lead=plan.lead,
        players=tuple(dict.fromkeys(sound.track for sound in sounds if sound.track != DRUM_TRACK)),
        accompanist=plan.accompanist,
        drums=any(sound.track == DRUM_TRACK for sound in sounds),
        parts=len(work.parts),
        form=work.form,
        tempo=tempo_of(len(melody_pitches) / seconds),
        notes_per_second=len(melody_pitches) / seconds,
        register=register_of(melody_pitches),
        staccato=plan.staccato,
        mode=_mode_heard(work, plan, sounds),
    )
    return Clip(tuple(sorted(sounds, key=lambda sound: (sound.start, sound.track, sound.pitch))), facts)


def tempo_of(notes_per_second: float) -> Tempo | None:
    """Return the word for a melody's speed, None between the words."""
    return next((word for word, (low, high) in TEMPO_BOUNDS.items() if low <= notes_per_second <= high), None)


def register_of(pitches: list[int]) -> Register | None:
    """Return the word for a melody's register, None for the middle."""
    if not pitches:
        return None
    middle = median(pitches)
    return "high" if middle >= HIGH else "low" if middle <= LOW else None


def key_of(weights: list[float]) -> tuple[int, Mode]:
    """Find the key (tonic, mode) whose profile correlates best with how long each of the 12 pitch classes sounds."""
    heard = np.array(weights)
    return max(
        ((tonic, mode) for tonic in range(12) for mode in KEY_PROFILES),
        key=lambda key: float(np.corrcoef(np.roll(heard, -key[0]), KEY_PROFILES[key[1]])[0, 1]),
    )


def _between(part: tuple[Note, ...], period: float, start: float, end: float) -> list[Note]:
    """Return the notes that begin in [start, end) of an endlessly repeated part; none sounds beyond the end."""
    found = []
    for turn in range(int(end // period) + 1):
        for note in part:
            onset = note.onset + turn * period
            if start <= onset < end:
                found.append(Note(onset, min(note.length, end - onset), note.pitch))
    return found


def _bars(work: Work, start: float, end: float) -> list[tuple[float, float]]:
    """Return (beginning, end) of the bars from `start` to `end` of an endlessly repeated work."""
    turns = range(int(end // work.length) + 1)
    begins = [bar + turn * work.length for turn in turns for bar in work.bars]
    begins = [begin for begin in begins if start <= begin < end] + [end]
    return [(begin, after) for begin, after in pairwise(begins) if after > begin]


def _chords(work: Work, plan: Plan, start: float, end: float, quarter_s: float, random_: random.Random) -> list[Sound]:
    """Accompany a melody: in each bar the triad that covers it best, held by strings, struck on the beats by others."""
    assert plan.accompanist is not None and work.tonic is not None and work.mode is not None
    instrument = INSTRUMENTS[plan.accompanist]
    tonic = work.tonic
    sounds = []
    for begin, after in _bars(work, start, end):
        heard = _between(work.parts[0], work.length, begin, after)

        def cover(chord: tuple[int, int, int], heard: list[Note] = heard) -> float:
            tones = {(tonic + tone) % 12 for tone in chord}
            fit = sum(note.length for note in heard if note.pitch % 12 in tones)
            return fit + (0.25 if chord[0] == 0 else 0.0)

        chord = max(CHORDS[work.mode], key=cover)
        root = fold(36 + (tonic + chord[0] + plan.transposition) % 12, instrument)
        upper = [fold(55 + (tonic + tone + plan.transposition - 55) % 12, instrument) for tone in chord]
        if plan.accompanist == "string orchestra":
            strokes = [(begin, after - begin, [root, *upper])]
        else:
            beats = np.arange(begin, after - 1e-6, work.beat)
            strokes = [(beat, work.beat, [root] if index == 0 else upper) for index, beat in enumerate(beats)]
        for onset, length, pitches in strokes:
            sounds += [
                Sound(
                    plan.accompanist,
                    float(onset - start) * quarter_s,
                    float(length) * quarter_s * 0.95,
                    pitch,
                    random_.randint(58, 70),
                )
                for pitch in sorted(set(pitches))
            ]
    return sounds


def _drums(work: Work, start: float, end: float, quarter_s: float, random_: random.Random) -> list[Sound]:
    """Keep time: bass drum on a bar's first beat, snare on the others, hi-hat on every half beat."""
    step = work.beat * max(1, round(0.3 / (work.beat * quarter_s)))  # not faster than about 200 beats a minute
    sounds = []
    for index, beat in enumerate(np.arange(start, end - 1e-6, step)):
        for onset, pitch in ((beat, SNARE if index % 2 else KICK), (beat, HAT), (beat + step / 2, HAT)):
            if onset < end:
                sounds.append(Sound(DRUM_TRACK, float(onset - start) * quarter_s, 0.1, pitch, random_.randint(70, 90)))
    return sounds


def _mode_heard(work: Work, plan: Plan, sounds: list[Sound]) -> Mode | None:
    """Return the score's mode if the sounding notes agree with it, else None."""
    if work.tonic is None or work.mode is None:
        return None
    weights = [0.0] * 12
    for sound in sounds:
        if sound.track != DRUM_TRACK:
            weights[sound.pitch % 12] += sound.length
    expected = ((work.tonic + plan.transposition) % 12, work.mode)
    return work.mode if sum(bool(weight) for weight in weights) > 3 and key_of(weights) == expected else None
