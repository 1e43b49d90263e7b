"""The instruments of the demo: their names, General MIDI programs and ranges."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Instrument:
    """One instrument of the soundfont."""

    name: str
    """Its name in captions and tags."""
    program: int
    """General MIDI program, counted from 0."""
    low: int
    """Lowest MIDI pitch; notes are folded into the range by octaves."""
    high: int
    """Highest MIDI pitch, at least an octave above `low`."""
    others: tuple[str, ...] = ()
    """Its other names in captions."""


INSTRUMENTS: dict[str, Instrument] = {
    instrument.name: instrument
    for instrument in (
        Instrument("piano", 0, 36, 90),
        Instrument("harpsichord", 6, 40, 84),
        Instrument("music box", 10, 60, 91),
        Instrument("marimba", 12, 48, 84),
        Instrument("organ", 19, 36, 84, ("church organ", "pipe organ")),
        Instrument("accordion", 21, 53, 86),
        Instrument("acoustic guitar", 24, 40, 76, ("classical guitar", "nylon-string guitar")),
        Instrument("electric guitar", 30, 45, 79, ("distorted electric guitar", "distorted guitar")),
        Instrument("violin", 40, 55, 88, ("fiddle",)),
        Instrument("viola", 41, 48, 79),
        Instrument("cello", 42, 36, 67),
        Instrument("harp", 46, 40, 88),
        Instrument("string orchestra", 48, 40, 84, ("string section",)),
        Instrument("choir", 52, 48, 79, ("wordless choir", "group of voices")),
        Instrument("trumpet", 56, 55, 82),
        Instrument("trombone", 57, 40, 68),
        Instrument("tuba", 58, 29, 55),
        Instrument("french horn", 60, 41, 72, ("horn",)),
        Instrument("saxophone", 65, 50, 79, ("sax", "alto saxophone")),
        Instrument("oboe", 68, 58, 84),
        Instrument("bassoon", 70, 36, 65),
        Instrument("clarinet", 71, 50, 84),
        Instrument("flute", 73, 60, 90),
        Instrument("banjo", 105, 55, 81),
    )
}

LEADS = (
    "piano", "harpsichord", "music box", "marimba", "organ", "accordion", "acoustic guitar", "electric guitar", "violin",
    "cello", "harp", "choir", "trumpet", "trombone", "saxophone", "oboe", "clarinet", "flute", "banjo",
)  # fmt: skip
"""Who may play a tune."""

DECAYING = ("harpsichord", "music box", "marimba", "acoustic guitar", "harp", "banjo")
"""Leads whose notes decay: short and long notes sound nearly the same."""

ACCOMPANISTS = ("piano", "acoustic guitar", "string orchestra")
"""Who may accompany it with chords."""

ENSEMBLES: dict[str, tuple[str, str, str, str]] = {
    "choir": ("choir",) * 4,
    "organ": ("organ",) * 4,
    "piano": ("piano",) * 4,
    "harpsichord": ("harpsichord",) * 4,
    "accordion": ("accordion",) * 4,
    "harp": ("harp",) * 4,
    "acoustic guitar": ("acoustic guitar",) * 4,
    "string quartet": ("violin", "violin", "viola", "cello"),
    "brass quartet": ("trumpet", "trumpet", "french horn", "trombone"),
    "woodwind quartet": ("flute", "oboe", "clarinet", "bassoon"),
    "saxophone quartet": ("saxophone",) * 4,
}
"""Who may play music in four parts, from the highest part to the lowest."""


def fold(pitch: int, instrument: Instrument) -> int:
    """Move a pitch by octaves into an instrument's range."""
    if pitch < instrument.low:
        pitch += 12 * -(-(instrument.low - pitch) // 12)
    if pitch > instrument.high:
        pitch -= 12 * -(-(pitch - instrument.high) // 12)
    return pitch
