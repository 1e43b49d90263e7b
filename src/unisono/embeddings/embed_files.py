"""Embedding a few audio files in memory, exactly as `prepare` embeds the excerpts of a dataset."""

import os
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unisono.audio.decode import Excerpt
from unisono.audio.decoder_messages import hide_decoder_messages
from unisono.audio.probe import probe
from unisono.base.arguments import AnyPath, as_path
from unisono.base.errors import DataError
from unisono.embeddings.encoders import weights
from unisono.embeddings.file import EncoderRecord
from unisono.embeddings.prepare import settings
from unisono.embeddings.prepare.executors import Failed, Job, local
from unisono.embeddings.prepare.plan import WorkItem
from unisono.embeddings.prepare.pooling import Pooling, pool


def embed_files(
    files: AnyPath | Excerpt | Iterable[AnyPath | Excerpt], record: EncoderRecord, device: str = "cpu"
) -> NDArray[np.float32]:
    """Embed audio files, or excerpts of them, as [n, D] (or [n, L, D]): the numbers that `prepare` rounds to float16.

    Args:
        files: one or several; a path stands for the whole file.
        record: of the encoder, as stored in `embeddings.h5` or in a checkpoint.
        device: "cpu", "cuda:0", ...

    Raises:
        DataError: a file cannot be embedded (the message has the reason), or the encoder here is not that of the record.
        UnisonoError: the weights or the device are not there.
    """
    excerpts = [_excerpt(file) for file in ([files] if isinstance(files, (str, os.PathLike, Excerpt)) else files)]
    executor = _executor(record.name, record.hidden_states, device, weights.root())
    spec = executor.specs[record.name]
    pooling: Pooling = "stats" if record.pooling == "stats" else "mean"
    differ = settings.record_differences(asdict(record), settings.encoder_record(spec, pooling, record.hidden_states))
    if differ:
        raise DataError(f"The encoder {record.name} here differs from the one of the record:\n  " + "\n  ".join(differ))
    items = [WorkItem(place.to_bytes(16, "big"), excerpt, (record.name,)) for place, excerpt in enumerate(excerpts)]
    shape = (record.dim,) if record.layers == 1 else (record.layers, record.dim)
    rows = np.empty((len(items), *shape), dtype=np.float32)
    with hide_decoder_messages(), closing(executor.windows(items)) as results:
        for result in results:
            place = int.from_bytes(result.key, "big")
            if isinstance(result, Failed):
                raise DataError(f"{excerpts[place].path}: {': '.join(filter(None, result.fault[:2]))}.")
            rows[place] = pool(result.windows, pooling)
    return rows


def _excerpt(file: AnyPath | Excerpt) -> Excerpt:
    if isinstance(file, Excerpt):
        return file
    path = str(as_path(file))
    found = probe(path)
    if found.fault:
        raise DataError(f"{path}: {found.fault}.")
    return Excerpt(path, 0.0, found.duration_s)


@lru_cache(maxsize=1)
def _executor(name: str, states: str, device: str, root: Path) -> local.LocalExecutor:
    """Build the encoder, and keep it for the next call: loading takes longer than embedding a file.

    `root` is where its weights are, so that another place has another encoder.
    """
    return local.build(Job(encoders={name: states}, devices=(device,)))
