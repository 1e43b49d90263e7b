"""A file that is being received.

Its bytes are in `<name>.part`; `<name>.part.json` next to it says which version of the file they belong to.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from unisono.sources.download.checksum import RunningChecksum, hash_file


@dataclass(frozen=True)
class Content:
    """Size and checksum of received bytes."""

    size: int
    checksum: str

    def __str__(self) -> str:
        return f"{self.size:,} bytes, {self.checksum}"


@dataclass
class PartialFile:
    """The part of a file that has been received, on disk."""

    target: Path
    digest: RunningChecksum
    size: int = 0
    """Bytes on disk."""
    resumed: bool = False
    """They come from several responses."""
    source: str = ""
    """The address they came from."""
    validator: str = ""
    """The server's name of this version of the file: its strong entity tag, else the date of its last change."""
    seen: str = ""
    """The content of a whole transfer that was not the published file. A second one like it means a changed file."""
    _new_digest: Callable[[], RunningChecksum] = field(repr=False, kw_only=True)

    @classmethod
    def open(cls, target: Path, new_digest: Callable[[], RunningChecksum]) -> "PartialFile":
        """Continue with the bytes of an earlier run."""
        part = cls(target, new_digest(), _new_digest=new_digest)
        try:
            state = json.loads(part.state_path.read_bytes())
            part.source, part.validator, part.seen = state["source"], state["validator"], state["seen"]
        except (OSError, ValueError, KeyError, TypeError):
            pass  # of unknown origin: only a published checksum can tell whether the bytes are right
        if part.path.is_file():
            part.size = part.path.stat().st_size
            part.resumed = part.size > 0
        return part

    @property
    def path(self) -> Path:
        """Return the path of the bytes."""
        return self.target.with_name(self.target.name + ".part")

    @property
    def state_path(self) -> Path:
        """Return the path of what is known about them."""
        return self.target.with_name(self.target.name + ".part.json")

    def remember(self) -> None:
        """Write what is known about the bytes, before the first of them arrives."""
        state = {"source": self.source, "validator": self.validator, "seen": self.seen}
        self.state_path.write_text(json.dumps(state))

    def reset(self) -> None:
        """Discard the bytes."""
        self.path.unlink(missing_ok=True)
        self.size, self.resumed, self.validator, self.digest = 0, False, "", self._new_digest()

    def content(self, each: Callable[[int], None]) -> Content:
        """Return size and checksum of the bytes; only those of an earlier run have to be read again."""
        if self.digest.length != self.size:
            self.digest = hash_file(self.path, self._new_digest(), each)
        return Content(self.size, str(self.digest))

    def finish(self) -> None:
        """Rename the whole file to its final name."""
        self.path.replace(self.target)
        self.state_path.unlink(missing_ok=True)
