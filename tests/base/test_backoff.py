from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from unisono.base.backoff import pause, retry_after


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7), (" 0.5 ", 0.5), ("-3", 0), ("", None), ("soon", None), ("nan", None), ("inf", None)],
)
def test_seconds(text: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": text}) == seconds


def test_a_date_is_seconds_from_now_and_never_less_than_none() -> None:
    later = datetime.now(UTC) + timedelta(seconds=100)
    assert retry_after({"Retry-After": format_datetime(later, usegmt=True)}) == pytest.approx(100, abs=5)
    assert retry_after({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0


def test_nothing_said() -> None:
    assert retry_after({}) is None


def test_pauses_double_up_to_the_longest() -> None:
    for failures, most in ((1, 1), (2, 2), (3, 4), (9, 60)):
        assert all(most / 2 <= pause(failures, first_s=1, longest_s=60) <= most for _ in range(50))
