"""A missing package is an error in words, with the command that installs it."""

import json
from importlib import metadata

import pytest

from unisono.base.extras import MissingExtraError, extra, install_command


class Installed:
    """A distribution that was installed from somewhere."""

    def __init__(self, origin: object) -> None:
        self.origin = origin

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return json.dumps(self.origin) if self.origin else None


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        (None, "pip install 'unisono[embed]'"),
        ({"url": "file:///a%20b/unisono", "dir_info": {"editable": True}}, "pip install -e '/a b/unisono[embed]'"),
        ({"url": "file:///a/unisono", "dir_info": {}}, "pip install '/a/unisono[embed]'"),
        ({"url": "file:///w/unisono-1.whl", "archive_info": {}}, "pip install '/w/unisono-1.whl[embed]'"),
        (
            {"url": "https://example.org/u.git", "vcs_info": {}},
            "pip install 'unisono[embed] @ https://example.org/u.git'",
        ),
    ],
)
def test_the_command_fits_how_unisono_is_installed(
    monkeypatch: pytest.MonkeyPatch, origin: object, command: str
) -> None:
    monkeypatch.setattr(metadata, "distribution", lambda name: Installed(origin))
    assert install_command("embed") == command


def test_without_an_installation_there_is_a_command_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", none)
    assert install_command("parquet") == "pip install 'unisono[parquet]'"


def test_a_missing_package_is_named_with_the_work_that_needs_it() -> None:
    with (
        pytest.raises(MissingExtraError, match=r"Reading odd files needs the package oddly_missing\.") as raised,
        extra("odd", "Reading odd files"),
    ):
        import oddly_missing  # type: ignore[import-not-found]  # noqa: F401
    assert "[odd]" in raised.value.hint
    assert raised.value.exit_code == 2


def test_a_fault_of_our_own_is_not_hidden() -> None:
    with pytest.raises(ModuleNotFoundError), extra("odd", "Reading"):
        import unisono.no_such_module  # type: ignore[import-not-found]  # noqa: F401
