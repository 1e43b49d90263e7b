"""Parse cells of published tables: numbers, durations, years, lists, tags.

For authors of datasets, together with `unisono.sources.readers`. No function here raises on a cell that holds nothing;
only `list_literal` raises on one that it cannot read.
"""

import ast
import math
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from unisono.base.words import is_text
from unisono.tracks.vocabulary import key, spell

__all__ = [
    "LONGEST_S",
    "artist_key",
    "is_text",
    "list_literal",
    "name_of",
    "one_genre",
    "seconds",
    "text_of",
    "tidy",
    "tidy_tags",
    "time_s",
    "whole_number",
    "without_controls",
    "year_field",
]

LONGEST_S = 1e6
"""Over eleven days: a longer duration is a mistake."""
_PRINTABLE_ASCII = bytes(range(ord(" "), ord("~") + 1))
_CONTROLS = dict.fromkeys(code for code in (*range(32), *range(127, 160)) if not chr(code).isspace())
_EMPTY = frozenset({
    "nan", "NaN", "NAN", "None", "(None)", "NONE", "null", "(null)", "Null", "NULL", "N/A", "n/a", "NA", "#N/A", "<NA>",
})  # fmt: skip
_NO_NAME = re.compile(
    r"[(<\[]?(none|null|nan|n/?a|unknown|undefined|untagged|(unknown|no)[ _](artist|title|album|genre|name|author)|"
    r"(track|titel|piste|pista|audiotrack)[ _]?\d+)[)>\]]?",
    re.IGNORECASE,
)
_NOBODY = frozenset({
    "variousartists", "various", "va", "vvaa", "diverse", "diverseinterpreten", "verschiedene", "verschiedeneinterpreten",
    "variosartistas", "variosinterpretes", "artistivari", "artistesvaries", "artistesdivers", "artist", "noartist",
    "unknown", "unknownartist", "artistunknown", "unbekannterkunstler", "unbekannterinterpret", "artisteinconnu",
    "artistasconosciuto", "artistadesconocido", "artistadesconhecido", "разныеисполнители", "неизвестныйисполнитель",
    "群星", "未知艺术家", "オムニバス", "ヴァリアスアーティスト", "不明なアーティスト", "anonymous", "traditional", "trad",
})  # fmt: skip
"""What stands for no artist, or for several."""
_CLOCK = re.compile(r"(?:(?:(\d+):)?(\d{1,3}):)?(\d+(?:[.,]\d*)?|[.,]\d+)")
_UNITS = re.compile(
    r"(?:PT)?(?:(\d+) ?(?:h|hrs?|hours?))? ?(?:(\d+) ?(?:m|mins?|minutes?|['′]))? ?"
    r"(?:(\d+(?:[.,]\d+)?) ?(?:s|secs?|seconds?|[\"″]|''))?",
    re.IGNORECASE,
)
_MILLISECONDS = re.compile(r"(\d+(?:[.,]\d+)?) ?(?:ms|msecs?|milliseconds?)", re.IGNORECASE)
_DAYS = re.compile(r"(\d+) days? (?=\d+:)")
_AMBIGUOUS = re.compile(r"[1-9]\d{0,2},\d{3}")
"""A thousand and more, or one and a fraction."""
_YEAR = re.compile(r"(?<!\d)(1[89]\d\d|20\d\d)(?!\d)")
_WORD = re.compile(r"[^\W_]+")
_SMALL_WORDS = frozenset({"and", "the"})
_MOST_SPELLINGS = 1 << 17
_LONGEST_LITERAL = 100_000


def tidy(text: str) -> str:
    """Return a text with single spaces between words, without line breaks, control characters and lone surrogates."""
    # For ASCII, deleting what is printable is several times faster than `isprintable`.
    is_printable = not text.encode().translate(None, _PRINTABLE_ASCII) if text.isascii() else text.isprintable()
    if is_printable and "  " not in text and text[:1] != " " and text[-1:] != " ":
        return text
    return " ".join(without_controls(text).split())


def without_controls(text: str) -> str:
    """Return a text without control characters other than blanks, and with `?` for lone surrogates."""
    return text.encode("utf-8", "replace").decode("utf-8").translate(_CONTROLS)


def text_of(cell: str | None) -> str:
    """Return a cell's text without blanks around it; empty for placeholders such as nan, None, null and N/A.

    >>> text_of(" Rock "), text_of("nan"), text_of(None)
    ('Rock', '', '')
    """
    text = cell.strip() if cell else ""
    return "" if text in _EMPTY else text


def name_of(text: str) -> str:
    """Return a name, a title, a genre or a tag; empty for what programs write if there is none.

    >>> name_of("Alpha"), name_of("<Unknown>"), name_of("Track 01")
    ('Alpha', '', '')
    """
    return "" if _NO_NAME.fullmatch(text) else text


def artist_key(artist: str) -> str:
    """Return what the spellings of an artist's name share; empty if the name stands for nobody, or for several.

    >>> artist_key("Zoë"), artist_key("Various Artists")
    ('zoe', '')
    """
    found = key(artist)
    return "" if found in _NOBODY else found


def whole_number(cell: str | float | None) -> int | None:
    """Parse an id, which may have become a float on its way; None if it is no whole number from 0 on.

    >>> whole_number("226"), whole_number("226.0"), whole_number("track"), whole_number(None)
    (226, 226, None, None)
    """
    if isinstance(cell, str) and cell.isdecimal():
        return int(cell) if len(cell) < 20 else None
    try:
        number = float("" if cell is None else cell)
    except ValueError:
        return None
    return int(number) if math.isfinite(number) and 0 <= number == int(number) else None


@lru_cache(maxsize=1 << 16)
def seconds(cell: str | float | None) -> float:
    """Parse a duration in seconds; 0 if it is no number, negative, or longer than `LONGEST_S`.

    >>> seconds("30.5"), seconds("unknown"), seconds(-1)
    (30.5, 0.0, 0.0)
    """
    try:
        number = float(cell or 0)
    except ValueError:
        return 0.0
    return number if 0 < number < LONGEST_S else 0.0


def time_s(cell: str) -> float:
    """Parse a time that a person or a program wrote.

    That is seconds with a decimal point or comma, `mm:ss` or `h:mm:ss`, also after days as pandas writes them, or numbers
    with their units.

    >>> time_s("2,5"), time_s("00:02"), time_s("1:02:03.5"), time_s("0 days 00:00:02.500000"), time_s("1 m 5 s")
    (2.5, 2.0, 3723.5, 2.5, 65.0)

    Raises:
        ValueError: it is none of these, or longer than `LONGEST_S`.
    """
    number = next((found for parse in (_clock, _units, _number) if (found := parse(cell)) is not None), math.nan)
    if not 0 <= number < LONGEST_S:
        raise ValueError(f"expected seconds, mm:ss or h:mm:ss, found {cell!r}")
    return number


def _clock(cell: str) -> float | None:
    days = _DAYS.match(cell)
    match = _CLOCK.fullmatch(cell, days.end() if days else 0)
    if not match or (match[2] is None and _AMBIGUOUS.fullmatch(cell)):
        return None
    hours, minutes, rest = (float((part or "0").replace(",", ".")) for part in match.groups())
    if match[2] is not None and (rest >= 60 or (match[1] and minutes >= 60)):
        return None
    return 86_400 * float(days[1] if days else 0) + 3600 * hours + 60 * minutes + rest


def _units(cell: str) -> float | None:
    if match := _MILLISECONDS.fullmatch(cell):
        return float(match[1].replace(",", ".")) / 1000
    if not (match := _UNITS.fullmatch(cell)) or not any(match.groups()):
        return None
    hours, minutes, rest = (float((part or "0").replace(",", ".")) for part in match.groups())
    return 3600 * hours + 60 * minutes + rest


def _number(cell: str) -> float | None:
    try:
        return float(cell if "," not in cell and "_" not in cell else "")  # such as 1e2
    except ValueError:
        return None


def year_field(date: object) -> dict[str, Any]:
    """Return the further field `year` of a record for a date in any spelling; empty if it holds no year.

    >>> year_field("2009-01-05 00:00:00"), year_field("0000-00-00"), year_field(None)
    ({'year': '2009'}, {}, {})
    """
    found = _YEAR.search(str(date or ""))
    return {"year": found[0]} if found else {}


@lru_cache(maxsize=1 << 16)
def list_literal(cell: str) -> tuple[str, ...]:
    """Parse a list of texts or whole numbers written as a Python literal; nothing is executed.

    >>> list_literal("['lo-fi', 80]")
    ('lo-fi', '80')

    Raises:
        ValueError: it is no such list.
    """
    if cell in ("[]", ""):
        return ()
    if cell.startswith("['") and cell.endswith("']") and '"' not in cell and "\\" not in cell:
        items = cell[2:-2].split("', '")  # the usual form, which needs no parser
        if cell.count("'") == 2 * len(items):
            return tuple(items)
    try:
        value = ast.literal_eval(cell) if len(cell) <= _LONGEST_LITERAL else None
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(f"expected a list, found {cell[:60]!r}") from error
    if not isinstance(value, list) or not all(isinstance(item, (str, int)) for item in value):
        raise ValueError(f"expected a list, found {cell[:60]!r}")
    return tuple(map(str, value))


class _Spellings(dict[str, tuple[str, str]]):
    """Tag as upstream spells it -> (key that its spellings share, natural spelling); filled on demand.

    A dictionary lookup is several times faster than a call with a cache, and there are millions of tags.
    """

    def __missing__(self, tag: str) -> tuple[str, str]:
        if len(self) >= _MOST_SPELLINGS:
            self.clear()
        text = spell(tag)
        self[tag] = spelled = key(text), text
        return spelled


_spelled = _Spellings().__getitem__


def tidy_tags(tags: Iterable[str], *, genre: str = "", artist: str = "") -> list[str]:
    """Spell tags naturally; leave out repetitions, the main genre, and the artist's name.

    A tag names the artist if all its words are in the artist's name, or all words of the name are in the tag.

    >>> tidy_tags(["easylistening", "Easy Listening", "Jazz", "miles davis"], genre="Jazz", artist="Miles Davis")
    ['Easy Listening']
    """
    spelling_of: dict[str, str] = {}
    for its_key, text in map(_spelled, _without_artist(tags, artist) if artist else tags):
        if its_key not in spelling_of:  # of several spellings, the first one
            spelling_of[its_key] = text
    spelling_of.pop("", None)
    if genre:
        spelling_of.pop(_spelled(genre)[0], None)
    return list(spelling_of.values())


def one_genre(genres: Iterable[str]) -> str:
    """Return the genre of a track if there is exactly one; upstream lists several in no order of weight.

    >>> one_genre(["rock", "Rock"]), one_genre(["rock", "jazz"])
    ('Rock', '')
    """
    distinct = dict(map(_spelled, genres))
    distinct.pop("", None)
    return next(iter(distinct.values())) if len(distinct) == 1 else ""


def _without_artist(tags: Iterable[str], artist: str) -> Iterable[str]:
    artist_words, artist_key = _words_and_key(artist)
    if not artist_words:
        return tags
    others = []
    for tag in tags:
        words, its_key = _words_and_key(tag)
        if not (words <= artist_words or artist_words <= words or its_key == artist_key):
            others.append(tag)
    return others


@lru_cache(maxsize=1 << 16)
def _words_and_key(text: str) -> tuple[frozenset[str], str]:
    return frozenset(_WORD.findall(text.casefold())) - _SMALL_WORDS, key(text)
