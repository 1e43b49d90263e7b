"""The year that upstream says a track is from: kept only where captions are to name it."""

import re
from typing import Any

_YEAR = re.compile(r"(?<!\d)(1[89]\d\d|20\d\d)(?!\d)")


def year_field(date: object) -> dict[str, Any]:
    """Give the further field `year` of a record for a date in any spelling, e.g. `2009-01-05 00:00:00`; none without a year.

    A date that stands for none (`0000-00-00`, `1`) gives none.
    """
    found = _YEAR.search(str(date or ""))
    return {"year": found[0]} if found else {}
