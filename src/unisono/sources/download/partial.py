"""A file on its way: what has come of it, and what is known of that.

Bytes go to `<name>.part`, and beside it `<name>.part.json` remembers which version of the file they belong to.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from unisono.sources.download.checksum import RunningChecksum, hash_file


@dataclass(frozen=True)
class Content:
    """Size and checksum of something received."""

    size: int
    checksum: str

    def __str__(self) -> str:
        return f"{self.size:,} bytes, {self.checksum}"


@dataclass
class PartialFile:
    """What has been received of a file so far, on disk."""

    target: Path
    digest: RunningChecksum
    size: int = 0
    """Bytes on disk."""
    resumed: bool = False
    """They come from more than one answer."""
    source: str = ""
    """The address they came from."""
    validator: str = ""
    """What the server called this version of the file: its strong entity tag, or else the date of its last change."""
    seen: str = ""
    """A whole transfer that was not what was published: its content. A second one like it is no damage."""
    _new_digest: Callable[[], RunningChecksum] = field(repr=False, kw_only=True)

    @classmethod
    def open(cls, target: Path, new_digest: Callable[[], RunningChecksum]) -> "PartialFile":
        """Take up what an earlier run has left."""
        part = cls(target, new_digest(), _new_digest=new_digest)
        try:
            state = json.loads(part.state_path.read_bytes())
            part.source, part.validator, part.seen = state["source"], state["validator"], state["seen"]
        except (OSError, ValueError, KeyError, TypeError):
            pass  # nothing is known of the bytes, if any: only a published checksum can tell whether they are right
        if part.path.is_file():
            part.size = part.path.stat().st_size
            part.resumed = part.size > 0
        return part

    @property
    def path(self) -> Path:
        """Where the bytes are."""
        return self.target.with_name(self.target.name + ".part")

    @property
    def state_path(self) -> Path:
        """Where it is remembered what they are."""
        return self.target.with_name(self.target.name + ".part.json")

    def remember(self) -> None:
        """Write down what the bytes are, before the first of them comes."""
        state = {"source": self.source, "validator": self.validator, "seen": self.seen}
        self.state_path.write_text(json.dumps(state))

    def reset(self) -> None:
        """Begin again."""
        self.path.unlink(missing_ok=True)
        self.size, self.resumed, self.validator, self.digest = 0, False, "", self._new_digest()

    def content(self, each: Callable[[int], None]) -> Content:
        """Give size and checksum of what is there; only what came in an earlier run is read for it."""
        if self.digest.length != self.size:
            self.digest = hash_file(self.path, self._new_digest(), each)
        return Content(self.size, str(self.digest))

    def finish(self) -> None:
        """Put the file in place."""
        self.path.replace(self.target)
        self.state_path.unlink(missing_ok=True)
