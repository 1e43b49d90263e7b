"""The ways to caption: one module each, registered by being in this folder."""

from unisono.base.registry import Registry
from unisono.captions.ways._way import Request, Way, Written, one_each

__all__ = ["Request", "Way", "Written", "get", "names", "one_each"]


_WAYS = Registry(__name__, "way to caption")
names = _WAYS.names


def get(name: str) -> Way:
    """Return a way by its name.

    Raises:
        UsageError: there is no such way.
    """
    way: Way = _WAYS.module(name)
    return way
