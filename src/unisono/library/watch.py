"""When to look at the sources of a library again: as soon as a file of a folder changes, or else after a while."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from unisono.base.log import log

QUIET_S = 2.0
"""A folder in which nothing has changed for so long is looked at."""


def looks(folders: Sequence[Path], every_s: float, ignored: Path) -> Iterator[None]:
    """Yield when it is time to look: at once, after changes in folders of this machine, and after `every_s` at the latest.

    The kernel tells changes, where the package watchfiles is installed; not those that another machine makes in a folder of
    the network. Ctrl-C raises KeyboardInterrupt.

    Args:
        folders: of the sources.
        every_s: the longest time from one look to the next.
        ignored: a folder whose changes do not count: that of the libraries, which may lie within one of the others.
    """
    yield
    for _ in _changes([folder for folder in folders if folder.is_dir()], every_s, ignored.absolute()):
        yield
    while True:  # nothing tells changes
        time.sleep(every_s)
        yield


def _changes(folders: Sequence[Path], every_s: float, ignored: Path) -> Iterator[object]:
    """Yield after changes, and after `every_s` without any; end if changes cannot be told."""
    try:
        from watchfiles import watch
    except ModuleNotFoundError:
        return
    if not folders:
        return
    try:
        yield from watch(
            *folders,
            watch_filter=lambda _, path: not Path(path).is_relative_to(ignored),
            rust_timeout=round(1000 * every_s),
            yield_on_timeout=True,
            step=round(1000 * QUIET_S),
            debounce=round(1000 * every_s),
            recursive=True,
            ignore_permission_denied=True,
            raise_interrupt=True,
        )
    except OSError as error:  # too many folders for the kernel, or one has gone
        log.info("Changes cannot be followed as they happen (%s): looking every %g s.", error, every_s)
