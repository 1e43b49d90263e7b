from pathlib import Path

import pytest

from tests.retrieval.train.synthetic import WordEncoder, use_words


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> WordEncoder:
    """Let every text encoder be the one of the tests, and keep its results out of the user's cache."""
    return use_words(monkeypatch, tmp_path / "captions")
