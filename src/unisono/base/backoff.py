"""How long to wait before a request is sent again."""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def pause(failures: int, *, first_s: float, longest_s: float) -> float:
    """Return the seconds to wait after failures in a row: doubling, with jitter, so that clients spread out."""
    return random.uniform(0.5, 1) * min(longest_s, first_s * 2.0 ** (failures - 1))


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to wait for a server, in seconds."""

    connect: float = 10
    stall: float = 60
    first_pause: float = 1
    longest_pause: float = 60
    longest_wait: float = 600
    """The longest Retry-After that is waited for."""

    def pause(self, failures: int) -> float:
        """Return the seconds to wait after a number of failures in a row."""
        return pause(failures, first_s=self.first_pause, longest_s=self.longest_pause)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the header `Retry-After`, seconds or a date, as seconds from now; None if it is missing or cannot be read."""
    text = headers.get("Retry-After", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
