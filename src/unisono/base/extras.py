"""Packages that only some work needs: what is missing, and the command that installs it."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import metadata
from importlib.util import find_spec
from urllib.parse import unquote, urlsplit

from unisono.base.errors import UsageError


class MissingExtraError(UsageError):
    """A package that this work needs is not installed; the hint is the command that installs it."""


@contextmanager
def extra(name: str, work: str) -> Iterator[None]:
    """Import what the extra `name` installs; `work` names what needs it, e.g. "Reading Parquet files".

    Raises:
        MissingExtraError: a package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "unisono":
            raise
        raise MissingExtraError(
            f"{work} needs the package {error.name}.", hint=f"Install it with: {install_command(name)}"
        ) from error


def require(name: str, work: str, packages: Iterable[str]) -> None:
    """Refuse to begin work for which a package of the extra `name` is not installed; nothing is imported.

    Raises:
        MissingExtraError: names the first package, and the command that installs the extra.
    """
    with extra(name, work):
        for package in packages:
            if find_spec(package) is None:
                raise ModuleNotFoundError(f"No module named {package!r}", name=package)


def install_command(name: str) -> str:
    """Return the pip command that adds an extra to this installation, be it from a clone, a wheel or an index."""
    try:
        record = metadata.distribution("unisono").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        record = None
    if not record:
        return f"pip install 'unisono[{name}]'"
    origin = json.loads(record)
    url = str(origin["url"])
    if not url.startswith("file:"):
        return f"pip install 'unisono[{name}] @ {url}'"
    editable = "-e " if origin.get("dir_info", {}).get("editable") else ""
    return f"pip install {editable}'{unquote(urlsplit(url).path)}[{name}]'"
