"""The embeddings on disk: rows of an earlier `embeddings.h5`, and small shards of the runs since then, each written whole.

<output>/shards/<encoder>/settings.json     what makes these embeddings (`EncoderRecord`, and whether windows are kept)
<output>/shards/<encoder>/<sha256>.safetensors
    keys        [n, 16] uint8               the excerpts' keys, see `plan`
    embeddings  [n, D] or [n, L, D] float16
    windows     [k, D] or [k, L, D] float16, window_counts [n] int32: only if windows are kept
    window_numbers [k] int32            which of an excerpt's windows each is: only if not all are kept
<output>/shards/failures/<sha256>.json      [[key, reason, detail], ...]
<output>/shards/contents/<sha256>.json      [[key, content], ...], see `contents`

A file is named by the sha256 of all its bytes, which is compared when it is read; names of earlier versions are shorter.
Shards are the progress of a run. A shard is removed once `embeddings.h5` holds all of its rows. An embedding may be stored
twice, by a worker that died, by two runs, or by a kill before that removal. The same key stands for the same numbers, so
either one is used.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from unisono.audio.faults import Fault
from unisono.base.errors import DataError
from unisono.base.files import write_whole
from unisono.embeddings.file import EmbeddingsFile, EncoderRecord, KeptWindows
from unisono.embeddings.structure import KEY_BYTES
from unisono.tracks.track import SPLITS, Split

SETTINGS = "settings.json"
SHA256 = "sha256"
"""The setting that is the sha256 of the others."""
ROWS_A_SHARD = 1024

Half = NDArray[np.float16]
Numbers = NDArray[np.int64]


class EncoderShards:
    """The embeddings of one encoder: those on disk, and those added since the last flush."""

    def __init__(self, folder: Path, assembled: EmbeddingsFile | None = None) -> None:
        """Find the embeddings on disk.

        Args:
            folder: the folder of the shards; its name is the name of the encoder.
            assembled: an `embeddings.h5` of the same settings.
        """
        self.folder = folder
        self._shards = [Shard(path) for path in sorted(folder.glob("*.safetensors"))]
        self._assembled = assembled if assembled and folder.name in assembled.encoders else None
        self.same: Mapping[bytes, bytes] = {}
        """Key -> key under which the embedding of the same audio is held: the file was moved or touched."""
        self._keys: list[bytes] = []
        self._embeddings: list[Half] = []
        self._windows: list[Half] = []
        self._numbers: list[Numbers] = []

    def settings(self) -> dict[str, Any] | None:
        """Return the settings that made the embeddings; None if there are none yet."""
        if self._assembled is None:
            return self.shard_settings()
        record = self._assembled.encoders[self.folder.name]
        return {**asdict(record), "keep_windows": self._assembled.config.get("keep_windows", False)}

    def shard_settings(self) -> dict[str, Any] | None:
        """Read the settings that made the shards; None if there are none."""
        path = self.folder / SETTINGS
        if not path.is_file():
            return None
        try:
            settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            written = settings.pop(SHA256, None)
            if written is not None and written != _sha256(settings):
                raise ValueError("its content is not what was written")
            if settings.keys() - {each.name for each in fields(EncoderRecord)} != {"keep_windows"}:
                raise ValueError(f"expected the settings of an encoder, found {', '.join(map(repr, settings))}")
            msgspec.convert(settings, EncoderRecord)
        except (OSError, ValueError, AttributeError, msgspec.ValidationError) as error:
            raise DataError(f"{path} is damaged: {error}.", hint=f"Remove the folder {self.folder}.") from error
        return settings

    def write_settings(self, record: EncoderRecord, *, keep_windows: bool | int) -> None:
        """Write the settings, before the first shard is written."""
        content = {**asdict(record), "keep_windows": keep_windows}
        content[SHA256] = _sha256(content)
        write_whole(self.folder / SETTINGS, json.dumps(content, indent=1, sort_keys=True) + "\n")

    def held(self) -> set[bytes]:
        """Return the keys of all embeddings on disk."""
        keys = {key for rows in self._all_rows() for key in rows.keys()}  # noqa: SIM118 - read from the file
        return keys | {key for key, other in self.same.items() if other in keys}

    def put(self, key: bytes, embedding: Half, windows: Half | None, numbers: Numbers | None = None) -> None:
        """Add an embedding; it is on disk after the next `flush`."""
        self._keys.append(key)
        self._embeddings.append(embedding)
        if windows is not None:
            self._windows.append(windows)
        if numbers is not None:
            self._numbers.append(numbers)

    @property
    def waiting(self) -> int:
        """Number of embeddings added since the last flush."""
        return len(self._keys)

    def flush(self) -> None:
        """Write the embeddings added since the last flush as one more shard, whole and synced."""
        from safetensors.numpy import save

        if not self._keys:
            return
        tensors: dict[str, NDArray[Any]] = {
            "keys": np.frombuffer(b"".join(self._keys), np.uint8).reshape(-1, KEY_BYTES),
            "embeddings": np.stack(self._embeddings),
        }
        if self._windows:
            tensors["windows"] = np.concatenate(self._windows)
            tensors["window_counts"] = np.array([len(windows) for windows in self._windows], np.int32)
        if self._numbers:
            tensors["window_numbers"] = np.concatenate(self._numbers).astype(np.int32)
        path = _write_named(self.folder, save(tensors), ".safetensors")
        self._shards.append(Shard(path))
        self._keys, self._embeddings, self._windows, self._numbers = [], [], [], []

    def index(self) -> dict[bytes, tuple["RowReader", int]]:
        """Return key -> where its embedding is stored, and in which row."""
        found = {key: (rows, row) for rows in self._all_rows() for row, key in enumerate(rows.keys())}
        return found | {key: found[other] for key, other in self.same.items() if key not in found and other in found}

    def remove_stored(self, keys: set[bytes]) -> None:
        """Remove the shards all of whose keys are in `keys`: their embeddings are stored elsewhere."""
        for shard in self._shards:
            if keys.issuperset(shard.keys()):
                shard.path.unlink(missing_ok=True)
        self._shards = [shard for shard in self._shards if shard.path.exists()]
        if not self._shards:
            (self.folder / SETTINGS).unlink(missing_ok=True)
            with suppress(OSError):  # there is something in it that is not ours
                self.folder.rmdir()

    def _all_rows(self) -> "list[RowReader]":
        assembled = self._assembled
        stored = [StoredRows(assembled, split, self.folder.name) for split in SPLITS] if assembled else []
        return [*stored, *self._shards]


class Shard:
    """One file of embeddings, read row by row."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: Any = None
        self._slices: dict[str, Any] = {}
        self._ends: NDArray[np.int64] | None = None

    def keys(self) -> list[bytes]:
        """Read the keys of the rows."""
        packed = self._read("keys", slice(None)).tobytes()
        return [packed[begin : begin + KEY_BYTES] for begin in range(0, len(packed), KEY_BYTES)]

    def embedding(self, row: int) -> Half:
        """Read one row."""
        return self._read("embeddings", row)

    def window_count(self, row: int) -> int:
        """Read how many windows a row has."""
        return int(self._read("window_counts", row))

    def windows(self, row: int) -> Half:
        """Read the windows of one row, [W, D] or [W, L, D]."""
        return self._read("windows", self._part(row))

    def window_numbers(self, row: int) -> Numbers:
        """Read which of the windows of a row were kept, [W]."""
        return self._read("window_numbers", self._part(row)).astype(np.int64)

    def _part(self, row: int) -> slice:
        if self._ends is None:
            self._ends = _ends(self._read("window_counts", slice(None)))
        return slice(int(self._ends[row]), int(self._ends[row + 1]))

    def _read(self, name: str, rows: int | slice) -> NDArray[Any]:
        """Read rows of one tensor; the file is mapped, not read as a whole, but first compared with its name."""
        from safetensors import SafetensorError, safe_open

        try:
            if self._file is None:
                with self.path.open("rb") as file:
                    _compare(self.path, hashlib.file_digest(file, "sha256").hexdigest())
                self._file = safe_open(self.path, "numpy")
            if name not in self._slices:
                self._slices[name] = self._file.get_slice(name)
            values: NDArray[Any] = self._slices[name][rows]
        except (SafetensorError, OSError, ValueError, TypeError, LookupError) as error:
            raise _damaged(self.path, str(error)) from error
        return values


class StoredRows:
    """One encoder's embeddings of one split of an `embeddings.h5`, mapped into memory where they are read."""

    def __init__(self, file: EmbeddingsFile, split: Split, encoder: str) -> None:
        self._file = file
        self._split = split
        self._encoder = encoder
        self._embeddings = file.embeddings(split, encoder)
        self._windows: KeptWindows | None = None
        self._ends = np.zeros(1, np.int64)

    def keys(self) -> list[bytes]:
        """Read the keys of the rows."""
        return self._file.excerpts(self._split)

    def embedding(self, row: int) -> Half:
        """Read one row."""
        embedding: Half = self._embeddings[row]
        return embedding

    def window_count(self, row: int) -> int:
        """Read how many windows a row has."""
        return len(self.windows(row))

    def windows(self, row: int) -> Half:
        """Read the windows of one row, [W, D] or [W, L, D]."""
        return self._all_windows().embeddings[self._ends[row] : self._ends[row + 1]]

    def window_numbers(self, row: int) -> Numbers:
        """Read which of the windows of a row were kept, [W]."""
        return self._all_windows().numbers[self._ends[row] : self._ends[row + 1]]

    def _all_windows(self) -> KeptWindows:
        if self._windows is None:
            self._windows = self._file.windows(self._split, self._encoder)
            self._ends = _ends(np.bincount(self._windows.of, minlength=len(self._embeddings)))
        return self._windows


RowReader = Shard | StoredRows
"""Embeddings of one encoder on the disk, a row an excerpt."""


class Notes:
    """What is known of excerpts besides their embeddings: some texts for each, in files that are each written whole."""

    def __init__(self, folder: Path, texts: int) -> None:
        """Read the notes in a folder: `texts` for each key."""
        self.folder = folder
        self.read: dict[bytes, list[str]] = {}
        self._waiting: dict[bytes, list[str]] = {}
        self._files: dict[Path, list[bytes]] = {}
        for path in sorted(folder.glob("*.json")):
            try:
                content = path.read_bytes()
                _compare(path, hashlib.sha256(content).hexdigest())
                entries = {
                    bytes.fromhex(key): rest for key, *rest in msgspec.json.decode(content, type=list[list[str]])
                }
                if any(len(rest) != texts for rest in entries.values()):
                    raise ValueError(f"expected {texts} texts for each key")
            except (OSError, ValueError, msgspec.MsgspecError) as error:
                raise _damaged(path, str(error)) from error
            self._files[path] = list(entries)
            self.read |= entries

    def note(self, key: bytes, *texts: str) -> None:
        """Add a note; it is on disk after the next `flush`."""
        self._waiting[key] = list(texts)

    def flush(self) -> None:
        """Write the notes added since the last flush."""
        if self._waiting:
            entries = [[key.hex(), *texts] for key, texts in self._waiting.items()]
            path = _write_named(self.folder, json.dumps(entries, indent=0).encode() + b"\n", ".json")
            self._files[path] = list(self._waiting)
            self._waiting = {}

    def remove_stored(self, keys: set[bytes]) -> None:
        """Remove the files all of whose keys are in `keys`: what they say is stored elsewhere."""
        for path, its_keys in self._files.items():
            if keys.issuperset(its_keys):
                path.unlink(missing_ok=True)
        with suppress(OSError):  # some are left, or there are none
            self.folder.rmdir()


class Failures(Notes):
    """The excerpts that are known to fail, and why; they are not tried again as long as the file is the same."""

    def __init__(self, folder: Path, assembled: EmbeddingsFile | None = None) -> None:
        super().__init__(folder, texts=2)
        stored = assembled.faults() if assembled else []
        self.known = {bytes.fromhex(key): Fault(reason, detail) for key, reason, detail in stored}
        self.known |= {key: Fault(reason, detail) for key, (reason, detail) in self.read.items()}

    def put(self, key: bytes, fault: Fault) -> None:
        """Remember a fault that lies in the file itself."""
        self.known[key] = fault
        self.note(key, fault.reason, fault.detail)


def _ends(counts: NDArray[Any]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])


def _write_named(folder: Path, content: bytes, ending: str) -> Path:
    """Write a file that is named by its content."""
    path = folder / f"{hashlib.sha256(content).hexdigest()}{ending}"
    write_whole(path, content)
    return path


def _sha256(settings: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _compare(path: Path, sha256: str) -> None:
    if len(path.stem) == len(sha256) and path.stem != sha256:
        raise ValueError("its content is not what was written (its name is the sha256 of that)")


def _damaged(path: Path, found: str) -> DataError:
    return DataError(f"{path} is damaged: {found}.", hint="Remove it; what it holds is then computed again.")
