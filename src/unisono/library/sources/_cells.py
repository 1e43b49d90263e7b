"""Cells of a server's answer: ids may be numbers, numbers may be texts, and anything may be missing."""

from collections.abc import Sequence
from typing import Any

from unisono.sources.cells import name_of

MOST_WORDS = 200


def text(value: Any) -> str:
    """Return a cell as text; ids are numbers at some servers."""
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def name(value: Any) -> str:
    """Return a cell as a name or title; empty for what servers write if there is none, such as `[Unknown Artist]`."""
    found = name_of(text(value))
    return "" if found == "[non-album tracks]" else found


def number(value: Any) -> float | None:
    """Return a cell as a positive number; None if it is none."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if 0 < found < 1e15 else None


def whole(value: Any) -> int:
    """Return a cell as a positive whole number; 0 if it is none."""
    return int(number(value) or 0)


def objects(holder: Any, field: str) -> list[dict[str, Any]]:
    """Return a field of an object as a list of objects: empty lists may be left out, and a single object be sent bare."""
    found = holder.get(field) if isinstance(holder, dict) else None
    return [item for item in (found if isinstance(found, list) else [found]) if isinstance(item, dict)]


def texts(holder: Any, field: str) -> list[str]:
    """Return a field that holds texts, or objects with names, as texts."""
    found = holder.get(field) if isinstance(holder, dict) else None
    cells = found if isinstance(found, list) else []
    names = (name((cell.get("name") or cell.get("Name")) if isinstance(cell, dict) else cell) for cell in cells)
    return [found for found in names if found]


def recording(musicbrainz_id: str, isrcs: Sequence[str] = ()) -> str:
    """Return the identity of a recording across libraries; empty if none is known."""
    if musicbrainz_id:
        return f"musicbrainz:{musicbrainz_id.lower()}"
    return f"isrc:{isrcs[0].upper()}" if isrcs else ""


def limited(said: str) -> str:
    """Return the beginning of what a server says, on one line."""
    return " ".join(said.split())[:MOST_WORDS]
