"""Things that other packages add, by entry points in their metadata (`pyproject.toml`):

    [project.entry-points."unisono.encoders"]
    my_encoder = "my_package.my_encoder"

A package that cannot be imported breaks nothing but what it adds: it is an error in words, kept in place of what it names.
"""

from collections import defaultdict
from functools import cache
from importlib import metadata
from typing import Any

from unisono.base.errors import UsageError


class EntryPointError(UsageError):
    """What another package adds cannot be used; the message names the package and the reason."""

    def __init__(self, group: str, name: str, package: str, reason: str) -> None:
        super().__init__(
            f"{name!r} of the package {package} ({group}) cannot be used: {reason}.",
            hint=f"Reinstall or update {package}, or remove it with: pip uninstall {package}",
        )
        self.package = package
        self.reason = reason


def names(group: str) -> list[str]:
    """List the names that installed packages add to a group, in alphabetical order, without importing the packages."""
    return sorted(_entry_points(group))


def load(group: str) -> dict[str, Any]:
    """Import all that a group names: name -> the object, or the `EntryPointError` that says why there is none."""
    return {name: load_one(group, name) for name in names(group)}


@cache
def load_one(group: str, name: str) -> Any:
    """Import what one entry point names; return it, or the `EntryPointError` that says why it cannot be imported.

    Raises:
        KeyError: no package adds this name.
    """
    entries = _entry_points(group)[name]
    packages = [_package(entry) for entry in entries]
    if len(entries) > 1:
        return EntryPointError(group, name, packages[0], f"the package {packages[1]} adds the same name")
    try:
        return entries[0].load()
    except (Exception, SystemExit) as error:  # whatever the other package's code does when it is imported
        reason = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".: ")
        return EntryPointError(group, name, packages[0], reason)


def package_of(group: str, name: str) -> str:
    """Return the name of the package that adds a name to a group."""
    return _package(_entry_points(group)[name][0])


def _package(entry: metadata.EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.module.partition(".")[0]


@cache
def _entry_points(group: str) -> dict[str, list[metadata.EntryPoint]]:
    """Map each name to its entry points: one, or several where packages add the same name."""
    found: dict[str, dict[str, metadata.EntryPoint]] = defaultdict(dict)
    for entry in metadata.entry_points(group=group):
        found[entry.name].setdefault(_package(entry), entry)  # the first on the path hides older copies
    return {name: [entries[package] for package in sorted(entries)] for name, entries in found.items()}
