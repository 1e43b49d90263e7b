"""The ways to caption: one module each, registered by being in this folder."""

import importlib
import pkgutil

from unisono.base.arguments import nearest
from unisono.base.errors import UsageError
from unisono.captions.ways._way import Request, Way, Written, one_each

__all__ = ["Request", "Way", "Written", "get", "names", "one_each"]


def names() -> tuple[str, ...]:
    """Return the names of all ways, in alphabetical order, without importing them."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")))


def get(name: str) -> Way:
    """Return a way by its name.

    Raises:
        UsageError: there is no such way.
    """
    if name not in names():
        raise UsageError(
            f"There is no way {name!r} to caption.{nearest(name, names())}", hint="Ways: " + ", ".join(names())
        )
    way: Way = importlib.import_module(f"{__name__}.{name}")
    return way
