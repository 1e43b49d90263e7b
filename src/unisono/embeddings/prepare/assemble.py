"""From shards and the file of an earlier run to `embeddings.h5`: one writer, rows in the order of the ids, whole or not at
all."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from unisono.audio.faults import Fault
from unisono.curation.splits import assign_splits
from unisono.embeddings.file import FILE_NAME, EmbeddingsFile, EncoderRecord, create_embeddings
from unisono.embeddings.prepare.contents import UNKNOWN
from unisono.embeddings.prepare.settings import ContentSettings
from unisono.embeddings.prepare.sink import EncoderShards, RowReader
from unisono.tracks.record import ORIGINS, to_record
from unisono.tracks.track import SPLITS, Split, Track, replace

ROWS_A_BLOCK = 1024
EDITION = 3
"""Increased when the content written for the same input changes, so that older files are written again."""


def by_split(tracks: list[Track], content: ContentSettings) -> dict[Split, list[Track]]:
    """Assign the splits. In each, tracks are sorted by id, so that nothing depends on the order of a file.

    For a track without a recording, the audio file counts as the recording: all parts of it are in one split.
    """
    ordered = sorted(tracks, key=lambda track: track.id)
    named = [track if track.recording else replace(track, recording=track.audio_path) for track in ordered]
    splits: dict[Split, list[Track]] = {split: [] for split in SPLITS}
    for track, assigned in zip(
        ordered, assign_splits(named, seed=content.seed, split_by=content.split_by), strict=True
    ):
        assert assigned.split is not None
        splits[assigned.split].append(replace(track, split=assigned.split))
    return splits


def fingerprint(
    tracks: dict[Split, list[Track]],
    keys: dict[str, bytes],
    records: list[EncoderRecord],
    config: dict[str, Any],
    failures: int,
) -> str:
    """Return a hash of everything that decides the content of `embeddings.h5`."""
    digest = hashlib.sha256()
    digest.update(json.dumps([EDITION, config, failures, *map(asdict, records)], sort_keys=True).encode())
    for split_tracks in tracks.values():
        for track in split_tracks:
            digest.update(_encoded(track))
            digest.update(keys[track.id])
    return digest.hexdigest()


def _encoded(track: Track) -> bytes:
    """Return the record of a track, with its unknown fields and its list of origins, if any, in the field `extra`."""
    record: dict[str, Any] = msgspec.to_builtins(to_record(track))
    origins = record.pop(ORIGINS, None)
    extra = {**track.extra, ORIGINS: origins} if origins else track.extra
    return msgspec.json.encode({**record, "extra": extra} if extra else record)


def is_assembled(file: EmbeddingsFile | None, content: str) -> bool:
    """Return whether an `embeddings.h5`, if there is one, has this content already."""
    return file is not None and bool(file.config.get("content") == content)


def assemble(
    folder: Path,
    tracks: dict[Split, list[Track]],
    keys: dict[str, bytes],
    contents: Mapping[bytes, bytes],
    shards: dict[str, EncoderShards],
    records: list[EncoderRecord],
    config: dict[str, Any],
    failures: int,
    faults: dict[bytes, Fault],
) -> None:
    """Write `embeddings.h5`. The shards and the file that it replaces hold an embedding of each encoder for each track.

    Args:
        folder: where to write.
        tracks: the tracks of each split, in their order.
        keys: track id -> key of its excerpt.
        contents: key -> identity of its audio, where that is known.
        shards: encoder -> its embeddings.
        records: of the encoders.
        config: the settings that the file stores.
        failures: number of tracks that could not be embedded.
        faults: key -> fault, for the excerpts whose files are at fault.
    """
    with create_embeddings(folder / FILE_NAME, config, failures) as writer:
        writer.add_faults([(key.hex(), fault.reason, fault.detail) for key, fault in sorted(faults.items())])
        for split, split_tracks in tracks.items():
            writer.add_split(split, split_tracks)
            its_keys = [keys[track.id] for track in split_tracks]
            writer.add_excerpts(split, its_keys, [contents.get(key, UNKNOWN) for key in its_keys])
        for record in sorted(records, key=lambda record: record.name):
            index = shards[record.name].index()
            for split, split_tracks in tracks.items():
                places = [index[keys[track.id]] for track in split_tracks]
                writer.add_embeddings(split, record, _blocks(places))
                if config["keep_windows"]:
                    counts = [rows.window_count(row) for rows, row in places]
                    writer.add_windows(split, record, counts, (rows.windows(row) for rows, row in places))
                if not isinstance(config["keep_windows"], bool):
                    writer.add_window_numbers(split, record, [rows.window_numbers(row) for rows, row in places])


def _blocks(places: list[tuple[RowReader, int]]) -> Iterator[NDArray[np.float16]]:
    for begin in range(0, len(places), ROWS_A_BLOCK):
        yield np.stack([rows.embedding(row) for rows, row in places[begin : begin + ROWS_A_BLOCK]])
