"""Progress of long work. Silent by default; the command line shows bars (`commands/console.py`).

The work reports to a `Progress`, whose methods are those of `rich.progress.Progress`, as far as they are used here.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, Self


class Progress(Protocol):
    """What long work reports to; a context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

    def add_task(
        self, description: str, /, *, total: float | None = None, completed: int = 0, visible: bool = True
    ) -> Any:
        """Add a bar and return its handle."""
        ...

    def advance(self, task: Any, advance: float = 1, /) -> None:
        """Count more of a task as done."""
        ...

    def update(
        self,
        task: Any,
        /,
        *,
        advance: float | None = None,
        description: str | None = None,
        completed: float | None = None,
        visible: bool | None = None,
    ) -> None:
        """Change what a bar shows."""
        ...


class _Silent:
    def __init__(self, unit: str) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def add_task(self, *_: object, **__: object) -> Any:
        return 0

    def advance(self, *_: object, **__: object) -> None:
        pass

    update = advance


_make: Callable[[str], Progress] = _Silent


def progress(unit: str = "tracks") -> Progress:
    """Return a progress report that counts in `unit` ("bytes" for transfers); use it as a context manager."""
    return _make(unit)


def show_with(make: Callable[[str], Progress]) -> None:
    """Report all progress from now on to what `make(unit)` returns."""
    global _make
    _make = make


def time_in_words(seconds: float) -> str:
    """Write a time span as "45 s", "12 min" or "3 h 20 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
