import pytest

from unisono.retrieval.train import run


@pytest.fixture(autouse=True)
def no_curve_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the picture, a third of the time of a tiny training; tests of commands look at it."""
    monkeypatch.setattr(run, "draw_curve", lambda *_: False)
