"""Paths of one machine as another knows them: a server in a container calls `/music` what is `/srv/music` outside."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from unisono.base.errors import UsageError


class PathMap:
    """Pairs of folders, the longest first: what begins with one, begins with the other."""

    def __init__(self, pairs: Sequence[str] = ()) -> None:
        """Read `FROM=TO`; an empty FROM is that of relative paths.

        Raises:
            UsageError: a pair is not of this form.
        """
        self._pairs: list[tuple[str, str]] = []
        for pair in pairs:
            before, equals, after = pair.partition("=")
            if not equals or not after:
                raise UsageError(
                    f"{pair!r} does not say which folder is which.", hint="Write it like --path-map /srv/music=/music"
                )
            self._pairs.append((before.rstrip("/") if before != "/" else before, after.rstrip("/") or "/"))
        self._pairs.sort(key=lambda pair: -len(pair[0]))

    @property
    def targets(self) -> list[str]:
        """The folders that it leads to."""
        return [after for _, after in self._pairs]

    def __call__(self, path: str) -> str:
        """Return a path with its beginning replaced; as it is if no pair fits."""
        for before, after in self._pairs:
            if not before and not path.startswith("/"):
                return str(PurePosixPath(after, path))
            inner = path.removeprefix(before)
            if before and inner != path and (not inner or inner.startswith("/") or before == "/"):
                return after.rstrip("/") + "/" + inner.lstrip("/") if inner else after
        return path
