from pathlib import Path

import pytest

from tests.train.synthetic import WordEncoder
from unisono.encoders import text


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> WordEncoder:
    """Let every text encoder be the one of the tests, and keep its results out of the user's cache."""
    encoder = WordEncoder()
    monkeypatch.setenv("UNISONO_CAPTIONS", str(tmp_path / "captions"))
    monkeypatch.setattr(text, "build", lambda *_, **__: encoder)
    monkeypatch.setattr(text, "spec", lambda *_, **__: encoder.spec)
    return encoder
