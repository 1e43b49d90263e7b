"""The package's log. A library stays silent by default; the command line and log files attach handlers."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unisono.base.files import explained

log = logging.getLogger("unisono")
log.addHandler(logging.NullHandler())


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Append the log lines of a run to the file `path` as well.

    Raises:
        UnisonoError: the file cannot be written.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    level = log.level
    if log.getEffectiveLevel() > logging.INFO:
        log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        handler.close()
