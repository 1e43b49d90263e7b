"""Texts that come from the command line of any locale."""

import pytest

from unisono.base.words import as_typed, is_text


@pytest.mark.parametrize("text", ["calm", "søren 日本", ""])
def test_utf_8_that_the_locale_did_not_know_is_read(text: str) -> None:
    assert as_typed(text.encode().decode("ascii", "surrogateescape")) == text


def test_what_is_no_utf_8_stays() -> None:
    text = b"caf\xe9".decode("ascii", "surrogateescape")
    assert as_typed(text) == text and not is_text(text)
    assert is_text("café") and as_typed("\ud800") == "\ud800"
