"""Real datasets' releases, built small, served by a server on this machine: `download` meets them as it would upstream's.

As a program, `python -m tests.sources.download.local <manifest> <arguments>`, it is `unisono download` with the files on
that server.
"""

import hashlib
import json
import sys
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any
from unittest.mock import patch

from tests.releases import fma, song_describer
from tests.sources.download.archives import pack, tree
from tests.sources.download.server import Server
from unisono import cli
from unisono.sources import registry as datasets
from unisono.sources.base import Dataset, RemoteFile
from unisono.sources.download.checksum import RunningChecksum

ARCHIVES: dict[str, dict[str, tuple[str, str]]] = {
    "song_describer": {"audio.zip": ("audio/", "a.deflated.zip")},
    "fma": {"fma_metadata.zip": ("fma_metadata/", "a.bzip2.zip"), "fma_small.zip": ("fma_small/", "a.bzip2.zip")},
}
"""Dataset -> archive -> prefix of the files that it holds, and a name that tells how it is packed."""
BUILDERS: dict[str, ModuleType] = {"song_describer": song_describer, "fma": fma}


@cache
def built(name: str) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Build a release once; give what a complete download leaves, and what the publisher serves."""
    with TemporaryDirectory() as folder:
        workplace = Path(folder)
        BUILDERS[name].build(workplace / name)
        left = tree(workplace / name)
        served = dict(left)
        for archive, (prefix, packing) in ARCHIVES[name].items():
            members = {path: served.pop(path) for path in left if path.startswith(prefix)}
            served[archive] = pack(members, workplace / archive / packing)
    return left, served


class LocalRelease:
    """A small release of a real dataset on a local server."""

    def __init__(self, name: str, server: Server) -> None:
        self.name = name
        self.tree, served = built(name)
        server.files |= {f"/{name}/{path}": content for path, content in served.items()}
        self.dataset = datasets.get(name)
        files = [self._local(file, server) for file in self.dataset.files if file.name in served]  # type: ignore[union-attr]
        self.dataset = replace(self.dataset, files=tuple(files))

    def _local(self, file: Any, server: Server) -> RemoteFile:
        path = f"/{self.name}/{file.name}"
        content = server.files[path]
        digest = RunningChecksum.like(file.checksum, len(content))
        digest.update(content)
        return replace(file, urls=(server.url + path,), size=len(content), checksum=str(digest), unpacked_size=0)

    def manifest(self) -> str:
        """Return the arguments of `main`, as JSON."""
        return json.dumps({self.name: [{**asdict(file), "parts": sorted(file.parts)} for file in self.dataset.files]})


def patched(*releases: Dataset) -> Any:
    """Put these in the place of the real datasets."""
    known = {release.name: release for release in releases}
    real = datasets.get
    return patch("unisono.sources.registry.get", lambda name: known.get(name) or real(name))


def from_manifest(text: str) -> list[Dataset]:
    return [
        replace(
            datasets.get(name),
            files=tuple(
                RemoteFile(**{**file, "urls": tuple(file["urls"]), "parts": frozenset(file["parts"])}) for file in files
            ),
        )
        for name, files in json.loads(text).items()
    ]


def main(manifest: str, *arguments: str) -> None:
    with patched(*from_manifest(manifest)):
        cli.main(["download", *arguments])


def checksum(content: bytes, kind: str = "sha256") -> str:
    return f"{kind}:{hashlib.new(kind, content).hexdigest()}"


if __name__ == "__main__":
    main(*sys.argv[1:])
