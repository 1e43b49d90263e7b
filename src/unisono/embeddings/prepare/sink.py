"""The embeddings on disk: rows of an earlier `embeddings.h5`, and small shards of the runs since then, each written whole.

<output>/shards/<encoder>/settings.json     what makes these embeddings (`EncoderRecord`, and whether windows are kept)
<output>/shards/<encoder>/<hash>.safetensors
    keys        [n, 16] uint8               the excerpts' keys, see `plan`
    embeddings  [n, D] or [n, L, D] float16
    windows     [k, D] or [k, L, D] float16, window_counts [n] int32: only if windows are kept
<output>/shards/failures/<hash>.json        [[key, reason, detail], ...]

Shards are the progress of a run. A shard is removed once `embeddings.h5` holds all of its rows. An embedding may be stored
twice, by a worker that died, by two runs, or by a kill before that removal. The same key stands for the same numbers, so
either one is used.
"""

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from unisono.audio.faults import Fault
from unisono.base.errors import DataError
from unisono.base.files import write_whole
from unisono.embeddings.file import EmbeddingsFile, EncoderRecord
from unisono.embeddings.prepare.plan import KEY_BYTES
from unisono.tracks.track import SPLITS, Split

SETTINGS = "settings.json"
ROWS_A_SHARD = 1024

Half = NDArray[np.float16]


class RowReader(Protocol):
    """Embeddings of one encoder on the disk, a row an excerpt."""

    def keys(self) -> list[bytes]:
        """Read the keys of the rows."""
        ...

    def embedding(self, row: int) -> Half:
        """Read one row, [D] or [L, D]."""
        ...

    def window_count(self, row: int) -> int:
        """Read how many windows a row has."""
        ...

    def windows(self, row: int) -> Half:
        """Read the windows of one row, [W, D] or [W, L, D]."""
        ...


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
        self._keys: list[bytes] = []
        self._embeddings: list[Half] = []
        self._windows: list[Half] = []

    def settings(self) -> dict[str, Any] | None:
        """Return the settings that made the embeddings; None if there are none yet."""
        if self._assembled is None:
            return self.shard_settings()
        record = self._assembled.encoders[self.folder.name]
        return {**asdict(record), "keep_windows": bool(self._assembled.config.get("keep_windows"))}

    def shard_settings(self) -> dict[str, Any] | None:
        """Read the settings that made the shards; None if there are none."""
        path = self.folder / SETTINGS
        try:
            settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise DataError(f"{path} is damaged: {error}.", hint=f"Remove the folder {self.folder}.") from error
        return settings

    def write_settings(self, record: EncoderRecord, *, keep_windows: bool) -> None:
        """Write the settings, before the first shard is written."""
        content = {**asdict(record), "keep_windows": keep_windows}
        write_whole(self.folder / SETTINGS, json.dumps(content, indent=1, sort_keys=True) + "\n")

    def held(self) -> set[bytes]:
        """Return the keys of all embeddings on disk."""
        return {key for rows in self._all_rows() for key in rows.keys()}  # noqa: SIM118 - read from the file

    def put(self, key: bytes, embedding: Half, windows: Half | None) -> None:
        """Add an embedding; it is on disk after the next `flush`."""
        self._keys.append(key)
        self._embeddings.append(embedding)
        if windows is not None:
            self._windows.append(windows)

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
        path = self.folder / f"{_name(self._keys)}.safetensors"
        write_whole(path, save(tensors))
        self._shards.append(Shard(path))
        self._keys, self._embeddings, self._windows = [], [], []

    def index(self) -> dict[bytes, tuple[RowReader, int]]:
        """Return key -> where its embedding is stored, and in which row."""
        return {key: (rows, row) for rows in self._all_rows() for row, key in enumerate(rows.keys())}

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

    def _all_rows(self) -> list[RowReader]:
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
        packed = self._slice("keys")[:].tobytes()
        return [packed[begin : begin + KEY_BYTES] for begin in range(0, len(packed), KEY_BYTES)]

    def embedding(self, row: int) -> Half:
        """Read one row."""
        embedding: Half = self._slice("embeddings")[row]
        return embedding

    def window_count(self, row: int) -> int:
        """Read how many windows a row has."""
        return int(self._slice("window_counts")[row])

    def windows(self, row: int) -> Half:
        """Read the windows of one row, [W, D] or [W, L, D]."""
        if self._ends is None:
            self._ends = _ends(self._slice("window_counts")[:])
        windows: Half = self._slice("windows")[int(self._ends[row]) : int(self._ends[row + 1])]
        return windows

    def _slice(self, name: str) -> Any:
        """Open one tensor to read parts of it; the file is mapped, not read as a whole."""
        from safetensors import SafetensorError, safe_open

        try:
            if self._file is None:
                self._file = safe_open(self.path, "numpy")
            if name not in self._slices:
                self._slices[name] = self._file.get_slice(name)
        except (SafetensorError, OSError) as error:
            raise DataError(
                f"{self.path} is damaged: {error}.", hint="Remove it; its embeddings are then computed again."
            ) from error
        return self._slices[name]


class StoredRows:
    """One encoder's embeddings of one split of an `embeddings.h5`, mapped into memory where they are read."""

    def __init__(self, file: EmbeddingsFile, split: Split, encoder: str) -> None:
        self._file = file
        self._split = split
        self._encoder = encoder
        self._embeddings = file.embeddings(split, encoder)
        self._windows: Half | None = None
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
        if self._windows is None:
            self._windows, window_of = self._file.windows(self._split, self._encoder)
            self._ends = _ends(np.bincount(window_of, minlength=len(self._embeddings)))
        return self._windows[self._ends[row] : self._ends[row + 1]]


class Failures:
    """The excerpts that are known to fail, and why; they are not tried again as long as the file is the same."""

    def __init__(self, folder: Path, assembled: EmbeddingsFile | None = None) -> None:
        self.folder = folder
        self.known: dict[bytes, Fault] = {}
        self._waiting: dict[bytes, Fault] = {}
        self._files: dict[Path, list[bytes]] = {}
        for key, reason, detail in assembled.faults() if assembled else []:
            self.known[bytes.fromhex(key)] = Fault(reason, detail)
        for path in sorted(folder.glob("*.json")):
            self._files[path] = []
            for key, reason, detail in json.loads(path.read_text(encoding="utf-8")):
                self._files[path].append(bytes.fromhex(key))
                self.known[bytes.fromhex(key)] = Fault(reason, detail)

    def put(self, key: bytes, fault: Fault) -> None:
        """Remember a fault that lies in the file itself."""
        self.known[key] = fault
        self._waiting[key] = fault

    def flush(self) -> None:
        """Write the faults added since the last flush."""
        if self._waiting:
            entries = [[key.hex(), fault.reason, fault.detail] for key, fault in self._waiting.items()]
            path = self.folder / f"{_name(self._waiting)}.json"
            write_whole(path, json.dumps(entries, ensure_ascii=False, indent=0) + "\n")
            self._files[path] = list(self._waiting)
            self._waiting = {}

    def remove_stored(self, keys: set[bytes]) -> None:
        """Remove the files all of whose keys are in `keys`: their faults are stored elsewhere."""
        for path, its_keys in self._files.items():
            if keys.issuperset(its_keys):
                path.unlink(missing_ok=True)
        with suppress(OSError):  # some are left, or there are none
            self.folder.rmdir()


def _ends(counts: NDArray[Any]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])


def _name(keys: Iterable[bytes]) -> str:
    return hashlib.blake2b(b"".join(keys), digest_size=8).hexdigest()
