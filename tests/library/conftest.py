import pytest

from unisono.library.sources import _connection

QUICK = _connection.ConnectionLimits(connect=2, stall=2, tries=3, first_pause=0.01, longest_pause=0.02, longest_wait=2)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Wait for no server as long as a person would."""
    monkeypatch.setattr(_connection, "ConnectionLimits", lambda: QUICK)


@pytest.fixture(autouse=True)
def no_login_of_this_machine(monkeypatch):
    monkeypatch.delenv("UNISONO_SERVER_PASSWORD", raising=False)
    monkeypatch.delenv("UNISONO_SERVER_KEY", raising=False)
