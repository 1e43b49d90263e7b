"""A server on this machine that answers like the Hugging Face Hub, as far as downloads ask."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from tests.sources.download.server import Handler, Server

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 1000
"""Files of so many bytes are kept in large file storage, and have a SHA-256; others only a git blob id."""


class FakeHub:
    """One dataset repository at one commit."""

    def __init__(self, server: Server, repo: str, files: dict[str, bytes], revision: str = "main") -> None:
        self.server, self.repo = server, repo
        self.files = files
        self.listing = f"/api/datasets/{repo}/revision/{revision}"
        server.files |= {f"/datasets/{repo}/resolve/{COMMIT}/{quote(path)}": content for path, content in files.items()}
        server.script[self.listing] = [self._list] * 100

    def _list(self, handler: Handler, content: bytes) -> None:
        siblings = []
        for path, data in self.files.items():
            entry = {"rfilename": path, "size": len(data)}
            entry["blobId"] = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            if len(data) >= LARGE:
                sha256 = hashlib.sha256(data).hexdigest()
                entry["lfs"] = {"sha256": sha256, "size": len(data), "pointerSize": 130}
            siblings.append(entry)
        answer = {"id": self.repo, "sha": COMMIT, "private": False, "disabled": False, "downloads": 0, "likes": 0}
        body = json.dumps({**answer, "gated": False, "tags": [], "siblings": siblings}).encode()
        handler.answer(200, body, {"Content-Type": "application/json"})


def shard(path: Path, audio: Mapping[Any, bytes | None], *, column: str = "audio") -> bytes:
    """Write a Parquet shard as `datasets` does: one column of structs of bytes and path, several row groups."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"bytes": content, "path": name} for name, content in audio.items()]
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    pq.write_table(pa.table({column: pa.array(rows, kind)}), path, row_group_size=3)
    return path.read_bytes()
