"""A folder that the library `datasets` loads: `data/<split>-00000-of-00002.parquet`, and `README.md`, which names splits.

The columns are those of a unified `.parquet`, with the audio, if it goes along, in a column `audio` of bytes and path.
Records keep their order within a split.
"""

import io
import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from unisono.base.errors import DataError
from unisono.base.tally import Dropped
from unisono.tracks.formats import Sharding
from unisono.tracks.formats._audio import read_audio
from unisono.tracks.formats.parquet import REQUIRED, ROWS_A_GROUP, SCHEMA, from_batch, to_table
from unisono.tracks.formats.webdataset import UNASSIGNED
from unisono.tracks.record import Entry
from unisono.tracks.shards import ROWS_AT_ONCE, batches, refuse_missing_shards
from unisono.tracks.unpacked import AudioFolder, ending, safe_name

import pyarrow as pa  # isort: skip - the import of parquet says what is not installed
import pyarrow.parquet as pq  # isort: skip

AUDIO = "audio"
_AUDIO_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_GROUP_BYTES = 1 << 25
_TEXT_BYTES = 4096
"""Room for the texts of a row; they are rarely longer."""
_NAMES = {"val": "validation"}


def write(folder: Path, tracks: Iterable[Entry], sharding: Sharding) -> int:
    """Fill a folder with Parquet files of about the size asked for; return the number of tracks, without those dropped."""
    shard_bytes, with_audio = sharding.max_bytes, sharding.with_audio
    data = folder / "data"
    data.mkdir()
    shards: dict[str, _Shards] = {}
    with ExitStack() as stack:
        for track in tracks:
            audio = read_audio(track, max(shard_bytes - _TEXT_BYTES, 0)) if with_audio else None
            if isinstance(audio, Dropped):
                sharding.drop(track, audio)
                continue
            split = track.split or UNASSIGNED
            if split not in shards:
                shards[split] = _Shards(data, _NAMES.get(split, split), shard_bytes, with_audio=with_audio)
                stack.enter_context(shards[split])
            shards[split].add(track, audio)
    for its_shards in shards.values():
        its_shards.rename()
    names = [shards[split].name for split in ("train", "val", "test", UNASSIGNED) if split in shards]
    (folder / "README.md").write_text(_readme(names), encoding="utf-8")
    return sum(its_shards.count for its_shards in shards.values())


def _readme(splits: list[str]) -> str:
    files = "".join(f"  - split: {name}\n    path: data/{name}-*\n" for name in splits)
    configs = f"configs:\n- config_name: default\n  data_files:\n{files}" if splits else "configs: []\n"
    return (
        f"---\n{configs}---\n\nMusic and its descriptions, one row a track, written by `unisono convert`.\n"
        "The columns are described in unisono's docs/unify.md; the licence of each track is in `license`.\n"
    )


class _Shards:
    """The Parquet files of one split; rows are gathered into groups of bounded size."""

    def __init__(self, folder: Path, name: str, most_bytes: int, *, with_audio: bool) -> None:
        self.name = name
        self.count = 0
        self._folder = folder
        self._most_bytes = most_bytes
        self._with_audio = with_audio
        self._schema = _schema(with_audio=with_audio)
        self._tracks: list[Entry] = []
        self._audio: list[dict[str, Any]] = []
        self._gathered = 0
        self._written = 0
        self._paths: list[Path] = []
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> "_Shards":
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        if not failed:
            self._flush()
        if self._writer:
            self._writer.close()

    def add(self, track: Entry, audio: bytes | None) -> None:
        """Add a row."""
        size = _TEXT_BYTES + len(audio or b"")
        if len(self._tracks) >= ROWS_A_GROUP or (self._gathered and self._gathered + size > self._group_bytes):
            self._flush()
        self._tracks.append(track)
        if audio is not None:
            self._audio.append({"bytes": audio, "path": safe_name(track.id) + ending(track.audio_path)})
        self._gathered += size
        self.count += 1

    def rename(self) -> None:
        """Rename the files to names that say how many they are."""
        for number, path in enumerate(self._paths):
            path.rename(self._folder / f"{self.name}-{number:05d}-of-{len(self._paths):05d}.parquet")

    @property
    def _group_bytes(self) -> int:
        return min(_GROUP_BYTES if self._with_audio else ROWS_A_GROUP * _TEXT_BYTES, self._most_bytes)

    def _flush(self) -> None:
        if not self._tracks:
            return
        table = to_table(self._tracks)
        if self._with_audio:
            table = table.append_column(AUDIO, pa.array(self._audio, _AUDIO_TYPE))
        if self._writer is None or self._written + table.nbytes > self._most_bytes:
            self._next()
        assert self._writer
        self._writer.write_table(table.cast(self._schema))
        self._written += table.nbytes
        self._tracks, self._audio, self._gathered = [], [], 0

    def _next(self) -> None:
        if self._writer:
            self._writer.close()
        path = self._folder / f"{self.name}-{len(self._paths):05d}.parquet"
        compression = dict.fromkeys(SCHEMA.names, "zstd") | {"audio.bytes": "none", "audio.path": "zstd"}
        self._writer = pq.ParquetWriter(path, self._schema, compression=compression if self._with_audio else "zstd")
        self._paths.append(path)
        self._written = 0


def _schema(*, with_audio: bool) -> pa.Schema:
    """Return the columns, with the metadata by which `datasets` knows their types."""

    def feature(type_: pa.DataType) -> Any:
        if pa.types.is_list(type_):
            return [feature(type_.value_type)]
        return {"dtype": "float64" if pa.types.is_floating(type_) else "string", "_type": "Value"}

    features = {field.name: feature(field.type) for field in SCHEMA}
    fields = list(SCHEMA)
    if with_audio:
        features[AUDIO] = {"_type": "Audio"}
        fields.append(pa.field(AUDIO, _AUDIO_TYPE))
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": features}})})


def read(folder: Path, unpacked: AudioFolder | None) -> Iterator[Entry | Dropped]:
    """Yield the tracks of all files in bounded memory; with a folder to unpack to, they point to their audio there.

    Raises:
        DataError: a file is damaged or missing, or a record breaks a rule.
    """
    paths = sorted((folder / "data").glob("*.parquet"))
    refuse_missing_shards(paths)
    for path in paths:
        try:
            with pq.ParquetFile(path) as file:
                _refuse_other_columns(folder, path, file.schema_arrow.names)
                yield from _read_file(path, file, unpacked)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: a damaged Parquet file: {error}.") from error


def _refuse_other_columns(folder: Path, path: Path, names: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise DataError(
            f"{path}: no column {missing[0]!r}, as `unisono convert` writes it; columns found: {', '.join(names)}.",
            hint=f"To read another Hugging Face dataset: unisono unify --datasets hf:{folder}",
        )


def _read_file(path: Path, file: pq.ParquetFile, unpacked: AudioFolder | None) -> Iterator[Entry | Dropped]:
    names = file.schema_arrow.names
    columns = [name for name in names if name != AUDIO]
    with_audio = unpacked is not None and AUDIO in names
    before = 0
    for batch in batches(file, names if with_audio else columns, ROWS_AT_ONCE if with_audio else ROWS_A_GROUP):
        held = batch.column(AUDIO).to_pylist() if with_audio else [None] * len(batch)
        for track, audio in zip(from_batch(path, before, batch.select(columns)), held, strict=True):
            if unpacked is None:
                yield track
            elif isinstance(audio, dict) and isinstance(audio.get("bytes"), bytes):
                unpacked.take(io.BytesIO(audio["bytes"]))
                yield unpacked.keep(track)
            else:
                yield Dropped(id=track.id, reason="no audio in the file")
        before += len(batch)
