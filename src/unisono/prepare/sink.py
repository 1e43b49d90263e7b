"""Where embeddings are kept until, and after, they are assembled: small shards, each written whole.

<output>/shards/<encoder>/settings.json     what makes these embeddings (`EncoderRecord`, and whether windows are kept)
<output>/shards/<encoder>/<hash>.safetensors
    keys        [n, 16] uint8               the excerpts' keys, see `plan`
    embeddings  [n, D] or [n, L, D] float16
    windows     [k, D] or [k, L, D] float16, window_counts [n] int32: only if windows are kept
<output>/shards/failures/<hash>.json        [[key, reason, detail], ...]

What the shards hold is the progress of a run. An embedding may be delivered twice, by a worker that died or by two
runs: the same key stands for the same numbers, so either is right and one is taken.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisono.audio import Fault
from unisono.embeddings import EncoderRecord
from unisono.errors import DataError
from unisono.files import write_whole
from unisono.prepare.plan import KEY_BYTES

SETTINGS = "settings.json"
ROWS_A_SHARD = 1024

Half = NDArray[np.float16]


class EncoderShards:
    """The shards of one encoder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._shards = [Shard(path) for path in sorted(folder.glob("*.safetensors"))]
        self._keys: list[bytes] = []
        self._embeddings: list[Half] = []
        self._windows: list[Half] = []

    def settings(self) -> dict[str, Any] | None:
        """Read what made the embeddings; None where there are none yet."""
        path = self.folder / SETTINGS
        try:
            settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise DataError(f"{path} is damaged: {error}.", hint=f"Remove the folder {self.folder}.") from error
        return settings

    def write_settings(self, record: EncoderRecord, *, keep_windows: bool) -> None:
        """Note what makes the embeddings, before the first of them is stored."""
        content = {**asdict(record), "keep_windows": keep_windows}
        write_whole(self.folder / SETTINGS, json.dumps(content, indent=1, sort_keys=True) + "\n")

    def held(self) -> set[bytes]:
        """Give the keys of all embeddings on disk."""
        return {key for shard in self._shards for key in shard.keys()}  # noqa: SIM118 - read from the file

    def put(self, key: bytes, embedding: Half, windows: Half | None) -> None:
        """Take an embedding; it is safe from the next `flush` on."""
        self._keys.append(key)
        self._embeddings.append(embedding)
        if windows is not None:
            self._windows.append(windows)

    @property
    def waiting(self) -> int:
        """How many embeddings have been taken since the last flush."""
        return len(self._keys)

    def flush(self) -> None:
        """Write what was taken as one more shard, whole and synced."""
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

    def index(self) -> dict[bytes, tuple["Shard", int]]:
        """Give key -> where its embedding lies: shard and row."""
        return {key: (shard, row) for shard in self._shards for row, key in enumerate(shard.keys())}


class Shard:
    """One file of embeddings, mapped into memory where its rows are read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mapped: dict[str, NDArray[Any]] = {}

    def keys(self) -> list[bytes]:
        """Read the keys of the rows."""
        packed = self._map("keys").tobytes()
        return [packed[begin : begin + KEY_BYTES] for begin in range(0, len(packed), KEY_BYTES)]

    def embedding(self, row: int) -> Half:
        """Read one row."""
        embedding: Half = self._map("embeddings")[row]
        return embedding

    def window_count(self, row: int) -> int:
        """Read how many windows a row has."""
        return int(self._map("window_counts")[row])

    def windows(self, row: int) -> Half:
        """Read the windows of one row, [W, D] or [W, L, D]."""
        if "ends" not in self._mapped:
            self._mapped["ends"] = np.concatenate([[0], np.cumsum(self._map("window_counts"))])
        begin, end = self._mapped["ends"][row : row + 2]
        return self._map("windows")[begin:end]

    def _map(self, name: str) -> NDArray[Any]:
        """Map one tensor; a safetensors file is 8 bytes of length, a JSON header, and the raw tensors."""
        if name not in self._mapped:
            types = {"F16": np.float16, "U8": np.uint8, "I32": np.int32}
            try:
                with self.path.open("rb") as file:
                    length = int.from_bytes(file.read(8), "little")
                    entry = json.loads(file.read(length))[name]
                offset = 8 + length + entry["data_offsets"][0]
                self._mapped[name] = np.memmap(
                    self.path, types[entry["dtype"]], "r", offset=offset, shape=tuple(entry["shape"])
                )
            except (ValueError, KeyError) as error:
                raise DataError(
                    f"{self.path} is damaged: {error}.", hint="Remove it; its embeddings are then computed again."
                ) from error
        return self._mapped[name]


class Failures:
    """What is known to fail, and why: it is not tried again as long as the file is the same."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known: dict[bytes, Fault] = {}
        self._waiting: dict[bytes, Fault] = {}
        for path in sorted(folder.glob("*.json")):
            for key, reason, detail in json.loads(path.read_text(encoding="utf-8")):
                self.known[bytes.fromhex(key)] = Fault(reason, detail)

    def put(self, key: bytes, fault: Fault) -> None:
        """Remember a fault that will not go away by itself."""
        self.known[key] = fault
        self._waiting[key] = fault

    def flush(self) -> None:
        """Write what was remembered since the last flush."""
        if self._waiting:
            entries = [[key.hex(), fault.reason, fault.detail] for key, fault in self._waiting.items()]
            path = self.folder / f"{_name(self._waiting)}.json"
            write_whole(path, json.dumps(entries, ensure_ascii=False, indent=0) + "\n")
            self._waiting = {}


def _name(keys: Iterable[bytes]) -> str:
    return hashlib.blake2b(b"".join(keys), digest_size=8).hexdigest()
