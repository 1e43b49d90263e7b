"""How long to wait before a server is asked again."""

import math
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def pause(failures: int, *, first_s: float, longest_s: float) -> float:
    """Give the seconds to wait after so many failures in a row: doubling, with jitter, so that many askers spread out."""
    return random.uniform(0.5, 1) * min(longest_s, first_s * 2.0 ** (failures - 1))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read `Retry-After`, seconds or a date, as seconds from now; None where a server says nothing that can be read."""
    text = headers.get("Retry-After", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
