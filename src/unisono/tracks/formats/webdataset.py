"""WebDataset shards: tar files with `<key>.json` (the record), `<key>.txt` (the caption) and `<key>.<mp3, flac, ...>`.

`<split>-000000.tar`, ... in one folder, with `index.json` (as the library `wids` reads it) that says how many samples each
holds. Records keep their order within a split. Reading unpacks nothing but audio, and that under names of its own.
"""

import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from unisono.base.errors import DataError
from unisono.base.tally import Dropped
from unisono.tracks.formats import Sharding
from unisono.tracks.formats._audio import read_audio
from unisono.tracks.record import Entry, from_fields, to_fields
from unisono.tracks.unpacked import ENDINGS, UNKNOWN_ENDING, AudioFolder, ending, safe_name

INDEX = "index.json"
UNASSIGNED = "unassigned"
_BLOCK = 512
_TAIL = 10_240
"""A tar file ends in zeros up to a multiple of this."""
_LONGEST_TEXT = 1 << 26


def write(folder: Path, tracks: Iterable[Entry], sharding: Sharding) -> int:
    """Fill a folder with shards of bounded size; return the number of tracks, without those that were dropped."""
    shards: dict[str, _Shards] = {}
    with ExitStack() as stack:
        for track in tracks:
            record = json.dumps(to_fields(track), ensure_ascii=False).encode()
            texts = {".json": record, ".txt": track.caption.encode()}
            room = sharding.max_bytes - _TAIL - sum(_size(text) for text in texts.values()) - 2 * _BLOCK
            audio = read_audio(track, max(room, 0))
            if isinstance(audio, Dropped):
                sharding.drop(track, audio)
                continue
            split = track.split or UNASSIGNED
            if split not in shards:
                shards[split] = stack.enter_context(_Shards(folder, split, sharding.max_bytes))
            shards[split].add(safe_name(track.id), texts | {ending(track.audio_path): audio})
    counts = {name: count for split in sorted(shards) for name, count in shards[split].counts.items()}
    index = {
        "__kind__": "wids-shard-index-v1",
        "wids_version": 1,
        "shardlist": [{"url": name, "nsamples": count} for name, count in counts.items()],
    }
    (folder / INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    return sum(counts.values())


def _size(content: bytes) -> int:
    return _BLOCK + -(-len(content) // _BLOCK) * _BLOCK


class _Shards:
    """The shards of one split."""

    def __init__(self, folder: Path, split: str, most_bytes: int) -> None:
        self.counts: dict[str, int] = {}
        self._folder = folder
        self._split = split
        self._most_bytes = most_bytes
        self._bytes = 0
        self._tar: tarfile.TarFile | None = None

    def __enter__(self) -> "_Shards":
        return self

    def __exit__(self, *_: object) -> None:
        if self._tar:
            self._tar.close()

    def add(self, key: str, members: dict[str, bytes]) -> None:
        """Add a sample; its members stand together."""
        size = sum(_size(content) for content in members.values())
        if self._tar is None or self._bytes + size + _TAIL > self._most_bytes:
            self._next()
        for suffix, content in members.items():
            member = tarfile.TarInfo(key + suffix)  # no time, no owner: the same tracks give the same bytes
            member.size = len(content)
            assert self._tar
            self._tar.addfile(member, io.BytesIO(content))
        assert self._tar
        self._tar.members = []  # type: ignore[attr-defined]  # the library would remember every one
        self._bytes += size
        self.counts[next(reversed(self.counts))] += 1

    def _next(self) -> None:
        if self._tar:
            self._tar.close()
        name = f"{self._split}-{len(self.counts):06d}.tar"
        self._tar = tarfile.open(self._folder / name, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        self._bytes = 0
        self.counts[name] = 0


def read(folder: Path, unpacked: AudioFolder | None) -> Iterator[Entry | Dropped]:
    """Yield the tracks of all shards in bounded memory; with a folder to unpack to, they point to their audio there.

    Raises:
        DataError: a shard is damaged or missing, or a record breaks a rule.
    """
    paths = sorted(folder.glob("*.tar"))
    promised = _promised(folder)
    if promised is not None and promised.keys() != {path.name for path in paths}:
        odd = sorted(promised.keys() ^ {path.name for path in paths})[0]
        said = "lists, is missing" if odd in promised else "does not list, is there"
        raise DataError(f"{folder / odd}, which {INDEX} {said}.")
    for path in paths:
        count = 0
        for count, item in enumerate(_read_shard(path, unpacked), 1):  # noqa: B007
            yield item
        if promised is not None and count != promised[path.name]:
            raise DataError(f"{path}: {count} samples, but {INDEX} promises {promised[path.name]}: it is cut short.")


def _promised(folder: Path) -> dict[str, int] | None:
    path = folder / INDEX
    if not path.is_file():
        return None
    try:
        return {str(shard["url"]): int(shard["nsamples"]) for shard in json.loads(path.read_bytes())["shardlist"]}
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path}: not an index of shards ({type(error).__name__}: {error}).") from error


def _read_shard(path: Path, unpacked: AudioFolder | None) -> Iterator[Entry | Dropped]:
    sample: _Sample | None = None
    number = 0
    try:
        with tarfile.open(path, "r:") as tar:
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]
                key, suffix = _key(member.name)
                if sample is None or key != sample.key:
                    if sample:
                        yield sample.track(number)
                    number += 1
                    sample = _Sample(path, key, unpacked)
                sample.add(tar, member, suffix)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(f"{path}: a damaged shard: {error}.") from error
    if sample:
        yield sample.track(number)


def _key(name: str) -> tuple[str, str]:
    """Part the name of a member at the first dot of its last part: `a.b/key.mp3` -> `a.b/key`, `.mp3`."""
    folder, slash, last = name.rpartition("/")
    stem, dot, suffix = last.partition(".")
    return folder + slash + stem, (dot + suffix).lower()


class _Sample:
    """The members of one key, as they come."""

    def __init__(self, path: Path, key: str, unpacked: AudioFolder | None) -> None:
        self.path = path
        self.key = key
        self._unpacked = unpacked
        self._record: Any = None
        self._has_audio = False

    def add(self, tar: tarfile.TarFile, member: tarfile.TarInfo, suffix: str) -> None:
        """Take what is of use of a member; links, devices and whatever else a tar may hold are passed over."""
        file = tar.extractfile(member) if member.isreg() else None
        if file is None:
            return
        if suffix == ".json":
            if member.size > _LONGEST_TEXT:
                raise DataError(f"{self.path}: {member.name!r} has {member.size:,} bytes: no record is that long.")
            try:
                self._record = json.loads(file.read())
            except (ValueError, RecursionError) as error:
                raise DataError(f"{self.path}: {member.name!r}: not valid JSON: {error}.") from error
        elif self._unpacked and (suffix in ENDINGS or suffix == UNKNOWN_ENDING):
            self._unpacked.take(file)
            self._has_audio = True

    def track(self, number: int) -> Entry | Dropped:
        """Return the track that the members make."""
        if self._record is None:
            return Dropped(id=f"{self.path.name}:{self.key}", reason="no record", detail=f"no {self.key}.json")
        track = from_fields(self.path, number, self._record)
        if not self._unpacked:
            return track
        return self._unpacked.keep(track) if self._has_audio else Dropped(id=track.id, reason="no audio in the shard")
