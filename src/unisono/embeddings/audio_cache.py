"""Decoded audio on the disk, so that a training need not decode: mono, at the rate of an encoder, as 16-bit integers.

<output>/audio/<rate>/<sha256>.safetensors
    keys     [n, 16] uint8      the excerpts' keys, see `prepare/plan`
    ends     [n] int64          where the samples of each excerpt end
    scales   [n] float32        what its integers are multiplied by
    samples  [k] int16          of all excerpts, one after the other

A file is named by the sha256 of all its bytes, which is compared when it is first read. The key of an excerpt changes when
its file does, so that decoded audio of another file is never used.
"""

import hashlib
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unisono.audio.decode import Excerpt, decode
from unisono.audio.decoder_messages import hide_decoder_messages
from unisono.audio.faults import Fault
from unisono.audio.open import Samples
from unisono.base.cores import available_cores
from unisono.base.errors import DataError
from unisono.base.files import write_whole
from unisono.base.progress import progress
from unisono.embeddings.structure import KEY_BYTES

FOLDER = "audio"
SHARD_BYTES = 256 << 20
LARGEST = 32767


def folder_of(output: Path, rate_hz: int) -> Path:
    """Return the folder of the decoded audio of a rate, in that of `embeddings.h5`."""
    return output / FOLDER / str(rate_hz)


def cache_audio(
    output: Path, rate_hz: int, excerpts: Mapping[bytes, Excerpt], workers: int | None = None
) -> dict[bytes, Fault]:
    """Decode the excerpts that are not there yet; what was decoded before an interruption stays.

    Args:
        output: the folder of `embeddings.h5`.
        rate_hz: of the encoder that will be trained.
        excerpts: key -> excerpt.
        workers: threads that decode. Default: the number of cores.

    Returns:
        Key -> fault, of those that cannot be decoded.
    """
    folder = folder_of(output, rate_hz)
    held = CachedAudio(folder).keys()
    missing = [(key, excerpt) for key, excerpt in excerpts.items() if key not in held]
    faults: dict[bytes, Fault] = {}
    shard = _Shard(folder)
    with hide_decoder_messages(), progress("tracks") as bar:
        task = bar.add_task("Decoding", total=len(missing), visible=bool(missing))
        for key, found in _decoded(missing, rate_hz, workers or available_cores()):
            if isinstance(found, Fault):
                faults[key] = found
            else:
                shard.add(key, found)
            bar.advance(task)
    shard.write()
    return faults


def _decoded(
    items: Sequence[tuple[bytes, Excerpt]], rate_hz: int, workers: int
) -> Iterator[tuple[bytes, Samples | Fault]]:
    """Decode excerpts on some threads, a few ahead, and yield them in their order."""
    waiting = iter(items)
    with ThreadPoolExecutor(workers) as pool:
        begun = [(key, pool.submit(decode, excerpt, rate_hz)) for key, excerpt in islice(waiting, 2 * workers)]
        while begun:
            key, decoding = begun.pop(0)
            yield key, decoding.result()
            begun += [(key, pool.submit(decode, excerpt, rate_hz)) for key, excerpt in islice(waiting, 1)]


class _Shard:
    """Decoded excerpts that wait to be written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._keys: list[bytes] = []
        self._scales: list[float] = []
        self._samples: list[NDArray[np.int16]] = []

    def add(self, key: bytes, samples: Samples) -> None:
        """Add an excerpt, and write the shard if it is full."""
        scale = max(float(np.abs(samples).max(initial=0)), 1.0) / LARGEST
        self._keys.append(key)
        self._scales.append(scale)
        self._samples.append(np.rint(samples / np.float32(scale)).astype(np.int16))
        if sum(each.nbytes for each in self._samples) >= SHARD_BYTES:
            self.write()

    def write(self) -> None:
        """Write the shard, whole or not at all."""
        from safetensors.numpy import save

        if not self._keys:
            return
        content = save(
            {
                "keys": np.frombuffer(b"".join(self._keys), np.uint8).reshape(-1, KEY_BYTES),
                "ends": np.cumsum([len(each) for each in self._samples], dtype=np.int64),
                "scales": np.array(self._scales, np.float32),
                "samples": np.concatenate(self._samples),
            }
        )
        write_whole(self._folder / f"{hashlib.sha256(content).hexdigest()}.safetensors", content)
        self._keys, self._scales, self._samples = [], [], []


class _Place(NamedTuple):
    path: Path
    begin: int
    end: int
    scale: np.float32


class CachedAudio:
    """The decoded audio of some folders; several threads may read it at once."""

    def __init__(self, *folders: Path) -> None:
        """Find what is there.

        Raises:
            DataError: a file is cut short, or is none of these.
        """
        self.folders = folders
        self._places: dict[bytes, _Place] = {}
        self._open: dict[Path, Any] = {}
        self._lock = threading.Lock()
        for folder in folders:
            for path in sorted(folder.glob("*.safetensors")):
                self._places |= _places(path)

    def keys(self) -> set[bytes]:
        """Return the keys of the excerpts that are there."""
        return set(self._places)

    def lacks(self, keys: Iterable[bytes]) -> list[int]:
        """List the numbers of the keys that are not there."""
        return [number for number, key in enumerate(keys) if key not in self._places]

    def read(self, key: bytes, begin: int, count: int) -> Samples:
        """Return at most `count` samples of an excerpt, from `begin` on; the last ones if there are too few after it.

        Raises:
            DataError: the file is damaged.
        """
        place = self._places[key]
        begin = place.begin + max(0, min(begin, place.end - place.begin - count))
        samples = self._samples(place.path)[begin : min(begin + count, place.end)]
        scaled: Samples = samples.astype(np.float32) * place.scale
        return scaled

    def _samples(self, path: Path) -> Any:
        """Map the samples of a file; it is first compared with its name."""
        from safetensors import safe_open

        with self._lock:
            if path not in self._open:
                try:
                    with path.open("rb") as file:
                        if hashlib.file_digest(file, "sha256").hexdigest() != path.stem:
                            raise _damaged(path, "its content is not what was written (its name is the sha256 of that)")
                    self._open[path] = safe_open(path, "numpy").get_slice("samples")  # type: ignore[no-untyped-call]
                except OSError as error:
                    raise _damaged(path, error.strerror or str(error)) from error
            return self._open[path]


def _places(path: Path) -> dict[bytes, _Place]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            keys, ends, scales = (file.get_tensor(name) for name in ("keys", "ends", "scales"))
            count = file.get_slice("samples").get_shape()[0]
        begins = np.concatenate([[0], ends[:-1]])
        if (
            keys.shape != (len(ends), KEY_BYTES)
            or len(scales) != len(ends)
            or (ends < begins).any()
            or ends[-1] != count
        ):
            raise ValueError("its parts do not fit together")
    except (SafetensorError, OSError, ValueError, TypeError, LookupError) as error:
        raise _damaged(path, str(error)) from error
    return {
        key.tobytes(): _Place(path, int(begin), int(end), scale)
        for key, begin, end, scale in zip(keys, begins, ends, scales, strict=True)
    }


def _damaged(path: Path, found: str) -> DataError:
    return DataError(f"{path} is damaged: {found}.", hint="Remove it, and run: unisono prepare --cache-audio")
