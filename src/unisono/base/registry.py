"""Registries of what people add: a package whose modules are an entry each, by being in its folder."""

import importlib
import pkgutil
from types import ModuleType

from unisono.base.arguments import nearest
from unisono.base.errors import UsageError


class Registry:
    """The modules of a package by name; those whose names begin with an underscore are helpers of the others."""

    def __init__(self, package: str, kind: str, hint: str = "", *, parameter: str = "") -> None:
        """Describe a registry; nothing is imported.

        Args:
            package: full name of the package.
            kind: what an entry is called in messages, such as "loss".
            hint: what else may be named, appended to the list of the known names.
            parameter: name of the parameter that names an entry, for messages.
        """
        self._package = package
        self._kind = kind
        self._hint = hint
        self._parameter = parameter
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}

    def names(self) -> tuple[str, ...]:
        """List the entries in alphabetical order, without importing them."""
        folders = tuple(importlib.import_module(self._package).__path__)
        if folders not in self._names:
            found = (module.name for module in pkgutil.iter_modules(folders))
            self._names[folders] = tuple(sorted(name for name in found if not name.startswith("_")))
        return self._names[folders]

    def check(self, name: str) -> None:
        """Check that there is an entry of that name.

        Raises:
            UsageError: there is none; the message has the nearest name, the hint all names.
        """
        known = self.names()
        if name not in known:
            raise UsageError(
                f"There is no {self._kind} {name!r}.{nearest(name, known)}",
                hint=f"Known: {', '.join(known)}{self._hint}.",
                parameter=self._parameter,
            )

    def module(self, name: str) -> ModuleType:
        """Import the module of that name.

        Raises:
            UsageError: there is none.
        """
        self.check(name)
        return importlib.import_module(f"{self._package}.{name}")
