"""Read compositions from the corpus of music21. Scores are only read: no part of them is stored or distributed.

Two collections are used. Their music is out of copyright, and music21 distributes the files with their encoders' permission
(see `corpus/license.txt` in the package): fiddle tunes from Ryan's Mammoth Collection (1883), and chorales in four parts by
J. S. Bach.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from unisono.base.errors import UnisonoError
from unisono.base.seeded import rank_key

Mode = Literal["major", "minor"]
FORMS = {"reel": "reel", "jig": "jig", "hornpipe": "hornpipe", "strathspey": "strathspey", "fling": "fling"}
MIN_NOTES = {1: 40, 4: 24}
"""Number of parts -> the fewest notes that a melody may have."""


@dataclass(frozen=True)
class Note:
    """A note of a score; times in quarter notes from the beginning."""

    onset: float
    length: float
    pitch: int


@dataclass(frozen=True)
class Work:
    """A composition as written in its score."""

    source: str
    """Path of the score below music21's corpus: the identity of the composition."""
    title: str
    form: str
    """jig, reel, ..., chorale; or `tune`."""
    parts: tuple[tuple[Note, ...], ...]
    """One melody, or four parts from the highest to the lowest."""
    bars: tuple[float, ...]
    """Where bars begin, in quarter notes."""
    beat: float
    """Length of a beat, in quarter notes."""
    length: float
    """Length of the whole, in quarter notes."""
    tonic: int | None
    """Pitch class of the declared key, None if it declares none."""
    mode: Mode | None

    @property
    def opening(self) -> tuple[int, ...]:
        """The intervals between the first notes of the melody; works that open alike count as the same music."""
        pitches = [note.pitch for note in self.parts[0][:13]]
        return tuple(after - before for before, after in pairwise(pitches))

    @property
    def collection(self) -> str:
        """The collection that the composition is from."""
        return "J. S. Bach" if self.form == "chorale" else "Ryan's Mammoth Collection"


def corpus() -> Path:
    """Find music21's corpus without importing music21."""
    spec = find_spec("music21")
    if spec is None or not spec.submodule_search_locations:
        raise UnisonoError("The demo reads scores from music21, which is not installed.", hint="make setup")
    return Path(spec.submodule_search_locations[0]) / "corpus"


def sources(seed: int) -> tuple[list[str], list[str]]:
    """List the scores of tunes and of chorales, each in a seeded order."""
    tunes = [f"ryansMammoth/{path.name}" for path in (corpus() / "ryansMammoth").glob("*.abc")]
    chorales = [f"bach/{path.name}" for path in (corpus() / "bach").glob("bwv*.mxl")]
    return tuple(sorted(found, key=lambda source: rank_key(seed, "score", source)) for found in (tunes, chorales))  # type: ignore[return-value]


@cache
def read(source: str) -> Work | None:
    """Read one score; return None if the demo cannot use it (unreadable, too short, not in one or four parts)."""
    from music21 import converter, meter  # slow to import, and only needed in child processes
    from music21.exceptions21 import Music21Exception

    try:
        score: Any = converter.parseFile(corpus() / source, forceSource=True, storePickle=False)
    except (
        Music21Exception,
        ValueError,
        ArithmeticError,
        AttributeError,
        IndexError,
    ):  # the parsers' ways of giving up
        return None
    is_chorale = source.startswith("bach/")
    if len(score.parts) != (4 if is_chorale else 1):
        return None
    parts = tuple(_melody(part) for part in score.parts)
    if len(parts[0]) < MIN_NOTES[len(parts)] or not all(parts):
        return None
    first = score.parts[0]
    times = list(first.recurse().getElementsByClass(meter.TimeSignature))
    if not times or len({time.ratioString for time in times}) > 1:
        return None
    tonic, mode = _declared_key(first)
    return Work(
        source=source,
        title=_title(source, score),
        form="chorale" if is_chorale else _form(source),
        parts=parts,
        bars=tuple(float(bar.offset) for bar in first.getElementsByClass("Measure")),
        beat=float(times[0].beatDuration.quarterLength),
        length=float(max(note.onset + note.length for part in parts for note in part)),
        tonic=tonic,
        mode=mode,
    )


def _melody(part: Any) -> tuple[Note, ...]:
    """Return the notes of a part: tied notes joined, the highest note of a chord, no grace notes."""
    found = []
    for element in part.flatten().stripTies().notes:
        length = float(element.quarterLength)
        if length > 0 and element.pitches:
            found.append(Note(float(element.offset), length, max(pitch.midi for pitch in element.pitches)))
    return tuple(sorted(found, key=lambda note: (note.onset, note.pitch)))


def _declared_key(part: Any) -> tuple[int | None, Mode | None]:
    for key in part.recurse().getElementsByClass("Key"):
        if key.mode in ("major", "minor"):
            return key.tonic.pitchClass, key.mode
        break
    return None, None


def _form(source: str) -> str:
    name = Path(source).stem.lower()
    return next((form for ending, form in FORMS.items() if re.search(ending + r"(the)?$", name)), "tune")


def _title(source: str, score: Any) -> str:
    if source.startswith("bach/"):
        return f"Chorale BWV {Path(source).stem.removeprefix('bwv')}"
    title = (score.metadata.title if score.metadata else None) or Path(source).stem
    title = re.sub(r"\s+", " ", re.split(r"\s+--\s+", title)[0]).strip(" .-\"'")
    return " ".join(word.capitalize() for word in title.split(" ")) or Path(source).stem
